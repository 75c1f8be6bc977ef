"""Read-outs: other classifiers on the features z of a finished run, beside the network's own head."""

from typing import Any, Protocol

import numpy as np

__all__ = ["Readout"]


class Readout(Protocol):
    """What any read-out has; a class that has it need not inherit from this one.

    It is made anew for every run. Settings are keyword-only parameters of its constructor; a constructor that has a
    parameter `classes` before the * is given the number of classes. The same z and labels must give the same scores:
    one that draws random numbers draws them from a seed of its own. This, in a file mine.py, is one; the one line of
    its `conf/readout/mine.yaml` is `_target_: mine.Nearest`::

        class Nearest:
            def __init__(self, classes, *, neighbors: int = 5):
                self.classes = classes
                self.neighbors = neighbors

            def fit(self, z, labels):
                self.z, self.votes = z, np.eye(self.classes)[labels]

            def scores(self, z):
                distances = np.linalg.norm(z[:, None] - self.z, axis=2)
                return self.votes[distances.argsort(axis=1)[:, : self.neighbors]].mean(axis=1)
    """

    def fit(self, z: np.ndarray, labels: np.ndarray) -> Any:
        """Learn from the training part alone.

        Args:
            z: features [utterances, features], float64, as the encoder gives them, not scaled.
            labels: class indices [utterances]; every class occurs.
        """

    def scores(self, z: np.ndarray) -> np.ndarray:
        """Scores [utterances, classes] of features z [utterances, features], finite; they need not be probabilities.

        The class of the largest is predicted.
        """
