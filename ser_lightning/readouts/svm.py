"""A linear support vector machine, the classifier that is customary on fixed features of emotional speech."""

from typing import Annotated

import numpy as np
from pydantic import Field
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


class SVM:
    """One linear SVM per class against the rest, on features of mean 0 and variance 1 over the training part.

    Errors count by the inverse of their class's frequency, as in the network's own loss.

    Args:
        C: weight of errors on the training part against a wide margin.
    """

    def __init__(self, *, C: Annotated[float, Field(gt=0)] = 1.0) -> None:
        # The primal problem has one solution, which is found without random numbers
        self.pipeline = make_pipeline(StandardScaler(), LinearSVC(C=C, class_weight="balanced", dual=False))

    def fit(self, z: np.ndarray, labels: np.ndarray) -> None:
        """Fit scale and SVM to features z [utterances, features] and class indices [utterances]."""
        self.pipeline.fit(z, labels)

    def scores(self, z: np.ndarray) -> np.ndarray:
        """Signed distances from each class's boundary [utterances, classes]; two classes have one boundary."""
        distances = self.pipeline.decision_function(z)
        return np.stack([-distances, distances], axis=1) if distances.ndim == 1 else distances
