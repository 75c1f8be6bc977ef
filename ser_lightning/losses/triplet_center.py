"""Triplet-centre loss: nearer to the own centre than to any other, by a margin. He et al., CVPR 2018."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.losses.center import MovingCenters
from ser_lightning.losses.distances import of_own_class, squared_distances, weighted_mean
from ser_lightning.losses.joint import LabeledBatch


def triplet_center_loss(z: Tensor, labels: Tensor, centers: Tensor, weights: Tensor, margin: float = 5.0) -> Tensor:
    """With D(z, c) = ||z - c||^2 / 2, the weighted mean over a batch:

        L = sum_i w_{y_i} max(0, D(z_i, c_{y_i}) + margin - min_{j != y_i} D(z_i, c_j)) / sum_i w_{y_i}

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        centers: [classes, D], constants.
        weights: of each utterance [B].
        margin: by how much the nearest other centre is to be farther away.
    """
    halves = squared_distances(z, centers.detach()) / 2  # [B, classes]
    own = nn.functional.one_hot(labels, len(centers)).bool()
    others = halves.masked_fill(own, torch.inf).amin(dim=1)  # [B]
    return weighted_mean(nn.functional.relu(of_own_class(halves, labels) + margin - others), weights)


class TripletCenterLoss(MovingCenters):
    """`triplet_center_loss`, with the moving-average centres of centre loss (the original trains its centres).

    Args:
        features: length of z.
        classes: number of centres.
        alpha: rate of the centres' moving average, equation (4).
        margin: by how much the nearest other centre is to be farther away, in halves of squared distance.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.5,
        margin: Annotated[float, Field(ge=0)] = 5.0,
    ) -> None:
        super().__init__(features, classes, alpha)
        self.margin = margin

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar, with the centres as they are; in training it moves them afterwards."""
        loss = triplet_center_loss(z, batch.labels, self.centers, batch.weights, self.margin)
        self.follow(z, batch.labels)
        return loss
