"""Distance within classes smaller than that between them, by a margin: the author's variants 4 and 5."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.losses.distances import class_means, mean_length, pair_distances, spread, weighted_mean
from ser_lightning.losses.joint import LabeledBatch


def hinge_loss(
    z: Tensor, labels: Tensor, weights: Tensor, classes: int, margin: float = 0.15, gamma: float | None = None
) -> Tensor:
    """max(0, margin + D_in - D_out), of features that are divided by their mean length first:

        D_in   mean squared distance from the class mean m of the batch, weighted
        D_out  min_{j<k} ||m_j - m_k||^2                           without gamma: the nearest pair (variant 5)
               mean_{j<k} of ||m_j - m_k||^2, weighted by          with gamma: near pairs count more (variant 4)
               g / (||m_j - m_k||^2 + g),  g = gamma times the mean of ||m_j - m_k||^2

    0 where the batch has one class alone.

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        weights: of each utterance [B].
        classes: how many there are.
        margin: by how much D_out is to be larger.
        gamma: of variant 4; None is variant 5.
    """
    scaled = z / mean_length(z)
    means, counts = class_means(scaled, labels, classes)
    within = spread(scaled, labels, means, weights)
    distances, pairs = pair_distances(means, counts)  # [classes, classes]
    if gamma is None:
        between = distances.masked_fill(pairs == 0, torch.inf).amin()
    else:
        scale = gamma * weighted_mean(distances, pairs)
        between = weighted_mean(distances, pairs * scale / (distances + scale + (scale == 0)))
    several = pairs.sum() > 0
    return torch.where(several, nn.functional.relu(margin + within - torch.where(several, between, 0)), within * 0)


class HingeLoss(nn.Module):
    """`hinge_loss`. After DaiDongyang/ser_nn_spectrogram, cr_model_v2/cr_model.py, variants 4 and 5.

    Args:
        classes: how many there are.
        margin: by how much classes are to be farther apart than they are wide, of features of length 1 on average.
        pairs: 'nearest', the two classes that are nearest (variant 5); 'all', near ones counting more (variant 4).
        gamma: of 'all': the smaller, the less far pairs count.
    """

    def __init__(
        self,
        classes: int,
        *,
        margin: Annotated[float, Field(ge=0)] = 0.15,
        pairs: Literal["nearest", "all"] = "nearest",
        gamma: Annotated[float, Field(gt=0)] = 0.1,
    ) -> None:
        super().__init__()
        self.classes, self.margin = classes, margin
        self.gamma = gamma if pairs == "all" else None

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar."""
        return hinge_loss(z, batch.labels, batch.weights, self.classes, self.margin, self.gamma)
