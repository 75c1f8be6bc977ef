"""Contrastive-centre loss: near the own centre in proportion to the others. Qi and Su, ICIP 2017 (arXiv 1707.07391)."""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from ser_lightning.losses.center import MovingCenters
from ser_lightning.losses.distances import of_own_class, squared_distances, weighted_mean
from ser_lightning.losses.joint import LabeledBatch


def contrastive_center_loss(z: Tensor, labels: Tensor, centers: Tensor, weights: Tensor, delta: float = 1.0) -> Tensor:
    """Squared distance from the own centre as a share of those from all others, the weighted mean over a batch:

        L = 1/2 sum_i w_{y_i} ||z_i - c_{y_i}||^2 / (sum_{j != y_i} ||z_i - c_j||^2 + delta) / sum_i w_{y_i}

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        centers: [classes, D], constants.
        weights: of each utterance [B].
        delta: keeps the denominator from 0.
    """
    distances = squared_distances(z, centers.detach())  # [B, classes]
    own = of_own_class(distances, labels)  # [B]
    return weighted_mean(own / (distances.sum(dim=1) - own + delta), weights) / 2


class ContrastiveCenterLoss(MovingCenters):
    """`contrastive_center_loss`, with the moving-average centres of centre loss (the original trains its centres).

    The ratio is about 0.05 where centre loss is some 7; begin with a lambda of 0.1 to 2.

    Args:
        features: length of z.
        classes: number of centres.
        alpha: rate of the centres' moving average, equation (4).
        delta: keeps the denominator from 0.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.5,
        delta: Annotated[float, Field(gt=0)] = 1.0,
    ) -> None:
        super().__init__(features, classes, alpha)
        self.delta = delta

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar, with the centres as they are; in training it moves them afterwards."""
        loss = contrastive_center_loss(z, batch.labels, self.centers, batch.weights, self.delta)
        self.follow(z, batch.labels)
        return loss
