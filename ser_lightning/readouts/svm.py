"""A support vector machine on the features z: the classifier of two-step systems, and customary in the field.

Huang et al. 2018 and Lian et al. 2018 read out their features by one; kernel and constants are not to be had from them.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

# Values of C to be chosen from by the dev part
GRID = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)


class SVM:
    """An SVM on features of mean 0 and variance 1 over the training part.

    Errors count by the inverse of their class's frequency, as in the network's own loss.

    Args:
        kernel: 'linear', one machine per class against the rest; 'rbf', one per pair of classes, which share out the
            votes, with a width of 1 / (features * variance), scikit-learn's 'scale'.
        C: weight of errors on the training part against a wide margin; null takes of 0.001, 0.01, ..., 100 the one with
            the highest UA on dev, the smallest of equals.
    """

    def __init__(
        self, *, kernel: Literal["linear", "rbf"] = "linear", C: Annotated[float, Field(gt=0)] | None = None
    ) -> None:
        self.kernel, self.C = kernel, C

    def fit(self, z: np.ndarray, labels: np.ndarray, dev: tuple[np.ndarray, np.ndarray]) -> None:
        """Fit scale and SVM to features z [utterances, features] and class indices [utterances]; `dev` are others."""
        if self.C is not None:
            self.pipeline = self._machine(self.C).fit(z, labels)
            return
        machines = [self._machine(C).fit(z, labels) for C in GRID]
        # By the largest score: of the votes of pairs the machine would predict another class at times
        ua = [balanced_accuracy_score(dev[1], _scores(machine, dev[0]).argmax(axis=1)) for machine in machines]
        self.pipeline = machines[int(np.argmax(ua))]

    def scores(self, z: np.ndarray) -> np.ndarray:
        """Signed distances from each class's boundary [utterances, classes]; two classes have one boundary."""
        return _scores(self.pipeline, z)

    def _machine(self, C: float) -> Pipeline:
        # The primal problem has one solution, which is found without random numbers
        linear = LinearSVC(C=C, class_weight="balanced", dual=False, max_iter=10_000)
        machine = linear if self.kernel == "linear" else SVC(C=C, class_weight="balanced")
        return make_pipeline(StandardScaler(), machine)


def _scores(machine: Pipeline, z: np.ndarray) -> np.ndarray:
    distances = machine.decision_function(z)
    return np.stack([-distances, distances], axis=1) if distances.ndim == 1 else distances
