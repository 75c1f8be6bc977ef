"""The class whose centre is nearest: what centre loss asks of the features, used as a classifier."""

from typing import Literal

import numpy as np


class Centers:
    """Nearest class mean of the training part.

    Args:
        classes: number of classes.
        metric: 'euclidean', or 'cosine': the same with every z, and every mean, scaled to length 1.
    """

    def __init__(self, classes: int, *, metric: Literal["euclidean", "cosine"] = "euclidean") -> None:
        self.classes = classes
        self.metric = metric

    def fit(self, z: np.ndarray, labels: np.ndarray) -> None:
        """Take the means of features z [utterances, features] by their class indices [utterances]."""
        z = self._scaled(z)
        self.means = self._scaled(np.stack([z[labels == label].mean(axis=0) for label in range(self.classes)]))

    def scores(self, z: np.ndarray) -> np.ndarray:
        """Minus the squared distances [utterances, classes] of features z [utterances, features] from the means."""
        return -((self._scaled(z)[:, None] - self.means) ** 2).sum(axis=2)

    def _scaled(self, z: np.ndarray) -> np.ndarray:
        if self.metric == "euclidean":
            return z
        lengths = np.linalg.norm(z, axis=1, keepdims=True)
        # Zero has no direction, and stays where it is
        return np.divide(z, lengths, out=np.zeros_like(z), where=lengths > 0)
