"""An extreme learning machine on the features z: the classifier of Han et al. 2014 and Lee and Tashev 2015."""

from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.special import expit

from ser_lightning.heads.svm import deviations


class ELM:
    """A hidden layer of random weights that stay as they are, and a linear layer fitted by least squares.

        H = sigmoid(Z W + b)        B = argmin ||H B - T||^2, the smallest of equals

    on features Z of mean 0 and variance 1 over the training part, with targets T of 1 for the own class and -1 for
    others, and errors that count by the inverse of their class's frequency. W is drawn from a normal distribution of
    variance 1 / features, b from one of variance 1, which is our choice, as the originals' scale is not to be had.

    Args:
        classes: number of classes.
        units: in the hidden layer.
        seed: of W and b.
    """

    def __init__(
        self, classes: int, *, units: Annotated[int, Field(ge=1)] = 120, seed: Annotated[int, Field(ge=0)] = 0
    ) -> None:
        self.classes, self.units, self.seed = classes, units, seed

    def fit(self, z: np.ndarray, labels: np.ndarray) -> None:
        """Fit scale and last layer to features z [utterances, features] and class indices [utterances]."""
        random = np.random.default_rng(self.seed)
        self.mean, self.deviation = z.mean(axis=0), deviations(z)
        self.weight = random.normal(size=(z.shape[1], self.units)) / np.sqrt(z.shape[1])
        self.bias = random.normal(size=self.units)
        targets = 2 * np.eye(self.classes)[labels] - 1  # [utterances, classes]
        importance = np.sqrt(1 / np.bincount(labels)[labels])[:, None]
        self.last = np.linalg.lstsq(importance * self.hidden(z), importance * targets, rcond=None)[0]

    def hidden(self, z: np.ndarray) -> np.ndarray:
        """What the hidden layer [utterances, units] makes of features z [utterances, features]."""
        return expit((z - self.mean) / self.deviation @ self.weight + self.bias)

    def scores(self, z: np.ndarray) -> np.ndarray:
        """What the last layer says of each class [utterances, classes]; 1 for it, -1 against it."""
        return self.hidden(z) @ self.last
