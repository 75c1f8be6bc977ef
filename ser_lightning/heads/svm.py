"""A linear support vector machine on z, fitted and not trained; and how C is chosen, which the read-outs share."""

import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.errors import UserError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

# Values of C to be chosen from by the dev part
GRID = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
# Iterations after which a linear machine is stopped
STEPS = 10_000
# A deviation of z that is rounding, where frames have one of 1
SAME = 1e-5
# A deviation of a feature that is rounding, where the feature that varies most has one of 1
ROUNDING = 1e-6

log = logging.getLogger(__name__)


class SVM(nn.Module):
    """Signed distances from each class's boundary, by a linear SVM on z, scaled to variance 1 over the training part.

    One machine per class against the rest; errors count by the inverse of their class's frequency. It is fitted to the
    features of the whole training part before each look at dev, as `Means` is: for an encoder that is not trained, or a
    loss that trains alone (loss.softmax=0). What it has learned lies in buffers, so that a checkpoint predicts without
    scikit-learn. A feature that never changes, but for rounding, is only centred.

    Args:
        features: length of z.
        classes: number of logits.
        C: weight of errors on the training part against a wide margin; null takes of 0.001, 0.01, ..., 100 the one with
            the highest UA on dev, the smallest of equals.
    """

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, features: int, classes: int, *, C: Annotated[float, Field(gt=0)] | None = None) -> None:
        super().__init__()
        self.C = C
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.register_buffer("weight", torch.zeros(classes, features))
        self.register_buffer("bias", torch.zeros(classes))

    def fit(self, z: Tensor, labels: Tensor, dev: tuple[Tensor, Tensor]) -> None:
        """Fit scale and SVM to features z [utterances, features] and class indices [utterances]; `dev` are others.

        Raises `UserError` where z is the same for all utterances but for rounding.
        """
        if z.std(dim=0, correction=0).max() < SAME:
            raise UserError(
                "z is the same for every utterance, so that head=svm has nothing to go by; is it the mean of frames "
                "(model=none) whose own mean was taken away (normalise=utterance)? Then try "
                "model.statistics=mean_deviation"
            )
        training, other = (
            (features.double().cpu().numpy(), indices.cpu().numpy()) for features, indices in ((z, labels), dev)
        )
        scale, machine = fit_machine(linear_machine, self.C, *training, other)
        weight, bias = machine.coef_, machine.intercept_
        if len(weight) == 1:
            # Two classes have one boundary
            weight, bias = np.concatenate([-weight, weight]), np.concatenate([-bias, bias])
        values = {"mean": scale.mean_, "deviation": scale.scale_, "weight": weight, "bias": bias}
        for name, value in values.items():
            getattr(self, name).copy_(torch.from_numpy(value))

    def forward(self, z: Tensor) -> Tensor:
        """Logits [B, classes] of features z [B, features]."""
        return nn.functional.linear((z - self.mean) / self.deviation, self.weight, self.bias)


def linear_machine(C: float) -> "Pipeline":
    """Scale and linear SVM, unfitted."""
    from sklearn.svm import LinearSVC

    # The primal problem has one solution, which is found without random numbers
    return scaled(LinearSVC(C=C, class_weight="balanced", dual=False, max_iter=STEPS))


def scaled(machine: Any) -> "Pipeline":
    """A machine on features of mean 0 and variance 1 over what it is fitted to."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    class Scale(StandardScaler):
        """As it is, but for features that are all rounding, of which it would make noise as large as any feature."""

        def fit(self, X: np.ndarray, y: Any = None, sample_weight: Any = None) -> "Scale":
            super().fit(X, y, sample_weight)
            self.scale_ = deviations(X)
            return self

    return make_pipeline(Scale(), machine)


def deviations(z: np.ndarray) -> np.ndarray:
    """Standard deviation [features] of each feature of z [utterances, features]; 1 where it is rounding.

    >>> deviations(np.array([[0.0, 3.0, 1e-7], [4.0, 3.0, 0.0]]))
    array([2., 1., 1.])
    """
    values: np.ndarray = z.std(axis=0)
    return np.where(values > ROUNDING * values.max(), values, 1)


def fit_machine(
    make: Callable[[float], "Pipeline"],
    C: float | None,
    z: np.ndarray,
    labels: np.ndarray,
    dev: tuple[np.ndarray, np.ndarray],
) -> "Pipeline":
    """The machine that `make` makes for C, fitted to features z [utterances, features] and class indices.

    Without C the one of `GRID` with the highest UA on `dev`, the smallest of equals. A warning says where that one was
    stopped before its boundary was found.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import balanced_accuracy_score

    values = GRID if C is None else (C,)
    with warnings.catch_warnings(category=ConvergenceWarning, action="ignore"):
        machines = [make(value).fit(z, labels) for value in values]
    best = 0
    if C is None:
        # By the largest score: of the votes of pairs the machine would predict another class at times
        ua = [balanced_accuracy_score(dev[1], class_scores(machine, dev[0]).argmax(axis=1)) for machine in machines]
        best = int(np.argmax(ua))
    if 0 < machines[best][-1].max_iter <= np.max(machines[best][-1].n_iter_):
        log.warning("SVM, C=%g: stopped after %d iterations, before its boundary was found", values[best], STEPS)
    return machines[best]


def class_scores(machine: "Pipeline", z: np.ndarray) -> np.ndarray:
    """Scores [utterances, classes] of features z [utterances, features], of two classes too."""
    distances = machine.decision_function(z)
    return np.stack([-distances, distances], axis=1) if distances.ndim == 1 else distances
