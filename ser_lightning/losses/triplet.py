"""Triplet loss: nearer to its class than to another, by a margin. Schroff et al., CVPR 2015 (FaceNet).

In the manner of Huang, Li, Tao, Lian, Interspeech 2018, who train an LSTM with it for emotions. Their margin and mining
are not to be had: both are our choice.
"""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from ser_lightning.losses.distances import label_pairs, squared_distances, unit, weighted_mean
from ser_lightning.losses.joint import LabeledBatch


def triplet_loss(z: Tensor, labels: Tensor, weights: Tensor, margin: float = 0.2, semihard: bool = True) -> Tensor:
    """Over all triplets of a batch: an anchor a, another p of its class, and an n of another class,

        L = sum w_{y_a} max(0, d_ap - d_an + margin) / sum w_{y_a},   d = ||u - u'||^2 of directions u = z / ||z||

    `semihard` keeps those with d_ap < d_an < d_ap + margin alone. 0 where there is none.

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        weights: of each utterance [B].
        margin: by how much the other class is to be farther away, in squared distances, of which 4 is the largest.
        semihard: whether negatives that are nearer than the positive are left out, as FaceNet does.
    """
    directions = unit(z)
    distances = squared_distances(directions, directions)  # [B, B]
    same, other = label_pairs(labels)  # [B, B]
    violation = distances[:, :, None] - distances[:, None, :] + margin  # [B, B, B]: anchor, positive, negative
    chosen = same[:, :, None] & other[:, None, :]
    if semihard:
        chosen = chosen & (violation > 0) & (violation < margin)
    return weighted_mean(nn.functional.relu(violation), weights[:, None, None] * chosen)


class TripletLoss(nn.Module):
    """`triplet_loss` of the features' directions; every batch has hundreds of triplets, so that none are drawn.

    Args:
        margin: by how much the other class is to be farther away, in squared distances of directions.
        mining: 'semihard' triplets (FaceNet), or 'all'.
    """

    def __init__(
        self, *, margin: Annotated[float, Field(gt=0, le=4)] = 0.2, mining: Literal["semihard", "all"] = "semihard"
    ) -> None:
        super().__init__()
        self.margin, self.mining = margin, mining

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar."""
        return triplet_loss(z, batch.labels, batch.weights, self.margin, self.mining == "semihard")
