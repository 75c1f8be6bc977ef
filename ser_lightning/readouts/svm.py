"""A support vector machine on the features z: the classifier of two-step systems, and customary in the field.

Huang et al. 2018 and Lian et al. 2018 read out their features by one; kernel and constants are not to be had from them.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from ser_lightning.heads.svm import class_scores, fit_machine, linear_machine, scaled


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
        make = {"linear": linear_machine, "rbf": _rbf_machine}[self.kernel]
        self.pipeline = fit_machine(make, self.C, z, labels, dev)

    def scores(self, z: np.ndarray) -> np.ndarray:
        """Signed distances from each class's boundary [utterances, classes]; two classes have one boundary."""
        return class_scores(self.pipeline, z)


def _rbf_machine(C: float) -> Pipeline:
    return scaled(SVC(C=C, class_weight="balanced"))
