"""Read-outs: other classifiers on the features z of a finished run, beside the network's own head."""

from typing import Any, Protocol

import numpy as np

__all__ = ["Readout"]


class Readout(Protocol):
    """What any read-out has; a class that has it need not inherit from this one.

    It is made anew for every run. Settings are keyword-only parameters of its constructor; a constructor that has a
    parameter `classes` before the * is given the number of classes. The same z and labels must give the same scores:
    one that draws random numbers draws them from a seed of its own. The nearest class mean::

        class Means:
            def __init__(self, classes):
                self.classes = classes

            def fit(self, z, labels):
                self.means = np.stack([z[labels == label].mean(axis=0) for label in range(self.classes)])

            def scores(self, z):
                return -np.linalg.norm(z[:, None] - self.means, axis=2)

    One that has settings to be chosen takes `fit(self, z, labels, dev)`, with z and class indices of the dev part.

    In a file mine.py, it is chosen by `readout=means` once `conf/readout/means.yaml` says `_target_: mine.Means`.
    """

    def fit(self, z: np.ndarray, labels: np.ndarray) -> Any:
        """Learn from the training part alone; with a third parameter `dev`, choose by that part's z and labels.

        Args:
            z: features [utterances, features], float64, as the encoder gives them, not scaled.
            labels: class indices [utterances]; every class occurs.
        """

    def scores(self, z: np.ndarray) -> np.ndarray:
        """Scores [utterances, classes] of features z [utterances, features], finite; they need not be probabilities.

        The class of the largest is predicted.
        """
