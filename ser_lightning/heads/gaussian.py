"""A Gaussian of trained mean for each class: the large-margin Gaussian mixture. Wan et al., CVPR 2018."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.losses.distances import squared_distances


class Gaussian(nn.Module):
    """logits_j = - ||z - mu_j||^2 / 2, the logarithm of a Gaussian of covariance 1 around a trained mean; no bias.

    The softmax term sees the own class's distance (1 + margin) times as large. Predictions have no margin. The
    likelihood that the original adds is `loss=likelihood`.

    Args:
        features: length of z.
        classes: number of logits.
        margin: alpha of the original; 0 is cross-entropy of the logits.
    """

    def __init__(self, features: int, classes: int, *, margin: Annotated[float, Field(ge=0)] = 0.3) -> None:
        super().__init__()
        self.alpha = margin
        self.means = nn.Parameter(torch.empty(classes, features))
        self.initialise()

    def initialise(self) -> None:
        """Glorot uniform means."""
        nn.init.xavier_uniform_(self.means)

    def forward(self, z: Tensor) -> Tensor:
        """Logits [B, classes] of features z [B, features]."""
        return -squared_distances(z, self.means) / 2

    def margin(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The logits [B, classes] that the softmax term sees."""
        own = nn.functional.one_hot(labels, logits.shape[1]).bool()
        return torch.where(own, (1 + self.alpha) * logits, logits)
