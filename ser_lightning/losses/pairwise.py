"""Pairwise loss: same emotion or not, of all pairs of a batch.

In the manner of Lian, Li, Tao, Huang, 2018 (arXiv 1801.01237), who add a cosine loss and a network that tells pairs of
one emotion from others. Layers, weights and choice of pairs are not to be had: all three are our choice.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ser_lightning.losses.distances import label_pairs, unit, weighted_mean
from ser_lightning.losses.joint import LabeledBatch

HIDDEN = 32


def cosine_pair_loss(z: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Half the mean over pairs of one class of (1 - s) / 2, and half that over pairs of two of max(0, s).

    s is the cosine of the pair; a pair has the weight of its first utterance. Of two classes only a cosine above 0
    counts, for among four no more than two can be opposite.

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        weights: of each utterance [B].
    """
    directions = unit(z)
    cosines = directions @ directions.T  # [B, B]
    same, other = label_pairs(labels)
    near = weighted_mean((1 - cosines) / 2, weights[:, None] * same)
    return (near + weighted_mean(nn.functional.relu(cosines), weights[:, None] * other)) / 2


class PairwiseLoss(nn.Module):
    """`cosine_pair_loss` and the cross-entropy of a network that says of |u_i - u_k| whether the classes are the same.

    u = z / ||z||. The network has one hidden layer of 32 units; pairs of one class and of two count half each.

    Args:
        features: length of z.
        discrimination: weight of the network's cross-entropy beside the cosine loss.
    """

    def __init__(self, features: int, *, discrimination: Annotated[float, Field(ge=0)] = 1.0) -> None:
        super().__init__()
        self.discrimination = discrimination
        self.network = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar."""
        directions = unit(z)
        verdicts = self.network((directions[:, None] - directions).abs()).squeeze(2)  # [B, B]
        same, other = label_pairs(batch.labels)
        errors = nn.functional.binary_cross_entropy_with_logits(verdicts, same.to(z.dtype), reduction="none")
        weights = batch.weights[:, None]
        doubt = (weighted_mean(errors, weights * same) + weighted_mean(errors, weights * other)) / 2
        return cosine_pair_loss(z, batch.labels, batch.weights) + self.discrimination * doubt
