"""Distance within classes in proportion to that between them, both with a gradient: the author's variants 6 and 7."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from ser_lightning.losses.center import MovingCenters, center_loss
from ser_lightning.losses.distances import class_means, pair_distances, spread, weighted_mean
from ser_lightning.losses.joint import LabeledBatch

# Smaller distances between classes are none
LEAST = 1e-6


def fisher_ratio(z: Tensor, labels: Tensor, weights: Tensor, classes: int) -> Tensor:
    """Spread within classes over that between them, both of the batch, as in Fisher's discriminant (variant 6):

        L = sum_i w_{y_i} ||z_i - m_{y_i}||^2 / sum_i w_{y_i}  /  mean_{j<k} ||m_j - m_k||^2 / 2

    with the class means m of the batch. 0 where it has one class alone, or means that coincide.

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        weights: of each utterance [B].
        classes: how many there are.
    """
    means, counts = class_means(z, labels, classes)
    distances, pairs = pair_distances(means, counts)
    return _ratio(spread(z, labels, means, weights), weighted_mean(distances, pairs) / 2)


def moving_ratio(z: Tensor, labels: Tensor, centers: Tensor, weights: Tensor) -> Tensor:
    """Centre loss over the squared mean distance between the class means m of the batch (variant 7):

        L = L_c / (mean_{j<k} ||m_j - m_k||)^2

    0 where the batch has one class alone, or means that coincide.

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        centers: [classes, D], constants, of equation (6).
        weights: of each utterance [B].
    """
    distances, pairs = pair_distances(*class_means(z, labels, len(centers)))
    # The root of 0 has no gradient
    lengths = torch.where(distances > LEAST**2, distances, 1).sqrt() * (distances > LEAST**2)
    return _ratio(center_loss(z, labels, centers, weights), weighted_mean(lengths, pairs).square())


class RatioLoss(MovingCenters):
    """`fisher_ratio`, or `moving_ratio` with moving-average centres.

    After DaiDongyang/ser_nn_spectrogram, cr_model_v2/cr_model.py, variants 6 (there without class weights) and 7.

    Args:
        features: length of z.
        classes: number of centres.
        alpha: rate of the moving average, equation (4).
        centers: 'batch', Fisher's ratio of the batch (variant 6); 'moving', from moving-average centres (variant 7).
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.5,
        centers: Literal["batch", "moving"] = "batch",
    ) -> None:
        super().__init__(features, classes, alpha)
        self.moving = centers == "moving"

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar, with the centres as they are; in training it moves them afterwards."""
        if self.moving:
            loss = moving_ratio(z, batch.labels, self.centers, batch.weights)
        else:
            loss = fisher_ratio(z, batch.labels, batch.weights, len(self.centers))
        self.follow(z, batch.labels)
        return loss


def _ratio(within: Tensor, between: Tensor) -> Tensor:
    apart = between > LEAST
    return torch.where(apart, within / torch.where(apart, between, 1), within * 0)
