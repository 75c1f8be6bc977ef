"""The class whose mean over the training part is nearest: for a loss that trains the features alone."""

import torch
from torch import Tensor, nn

from ser_lightning.losses.distances import squared_distances


class Means(nn.Module):
    """logits = -||z - m_k||^2 / 2 of the means m_k of the training part, which are no parameters.

    A head that has `fit` is given the features of the whole training part before each look at dev, and keeps what it
    learns from them in buffers; so parameters are selected by the nearest mean, and the test part is recognised by it.

    Args:
        features: length of z.
        classes: number of logits.
    """

    means: Tensor

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(classes, features))

    def fit(self, z: Tensor, labels: Tensor) -> None:
        """Take the means of features z [utterances, features] by their class indices [utterances]."""
        for label in range(len(self.means)):
            self.means[label].copy_(z[labels == label].mean(dim=0))

    def forward(self, z: Tensor) -> Tensor:
        """Logits [B, classes] of features z [B, features]."""
        return -squared_distances(z, self.means) / 2
