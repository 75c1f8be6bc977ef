"""Supervised contrastive loss: utterances of one class more alike than others. Khosla et al., NeurIPS 2020."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.losses.distances import label_pairs, unit, weighted_mean
from ser_lightning.losses.joint import LabeledBatch


def supervised_contrastive_loss(z: Tensor, labels: Tensor, weights: Tensor, temperature: float = 0.1) -> Tensor:
    """Each utterance against all others of the batch, with directions u = z / ||z|| and its class's others P(i):

        l_i = - mean_{p in P(i)} log( exp(u_i u_p / tau) / sum_{k != i} exp(u_i u_k / tau) )
        L   = sum_i w_{y_i} l_i / sum_i w_{y_i},  over those i that have a P(i); 0 where there is none

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        weights: of each utterance [B].
        temperature: tau.
    """
    directions = unit(z)
    self_pair = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarities = directions @ directions.T / temperature  # [B, B]
    # not infinity, of which the softmax of an utterance without others is NaN
    similarities = similarities.masked_fill(self_pair, torch.finfo(similarities.dtype).min / 2)
    positives = label_pairs(labels)[0].to(z.dtype)
    counts = positives.sum(dim=1)  # [B]
    logs = (positives * similarities.log_softmax(dim=1)).sum(dim=1) / counts.clamp(min=1)
    return weighted_mean(-logs, weights * (counts > 0))


class SupervisedContrastiveLoss(nn.Module):
    """`supervised_contrastive_loss`.

    Args:
        temperature: tau; the smaller, the more the most similar utterances of other classes count.
    """

    def __init__(self, *, temperature: Annotated[float, Field(gt=0)] = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar."""
        return supervised_contrastive_loss(z, batch.labels, batch.weights, self.temperature)
