"""Ring loss: features of one length, which is learned. Zheng et al., CVPR 2018."""

import torch
from torch import Tensor, nn

from ser_lightning.losses.distances import lengths, weighted_mean
from ser_lightning.losses.joint import LabeledBatch


class RingLoss(nn.Module):
    """L = 1/2 sum_i w_{y_i} (||z_i|| - R)^2 / sum_i w_{y_i}, with a trained radius R.

    R begins at the mean length of the first batch, as in the original.
    """

    radius: nn.Parameter
    started: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.radius = nn.Parameter(torch.zeros(()))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar; the first in training sets the radius before."""
        norms = lengths(z)  # [B]
        if self.training:
            with torch.no_grad():
                self.radius.copy_(torch.where(self.started, self.radius, norms.mean()))
                self.started.fill_(True)
        return weighted_mean((norms - self.radius).square(), batch.weights) / 2
