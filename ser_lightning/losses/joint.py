"""Weighted softmax loss and the joint loss: equations (1), (5) and (7) of the paper."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ser_lightning.losses.center import CenterLoss
from ser_lightning.losses.ranks import sum_over_ranks, world_size


class LossParts(NamedTuple):
    """The joint loss and its two parts, scalars; `center` is zero where lambda is 0."""

    total: Tensor
    softmax: Tensor
    center: Tensor


def class_weights(counts: Sequence[int], formula: str = "inverse") -> Tensor | None:
    """Class weights w [classes] from the classes' counts N in the training part; only their ratios matter.

        "inverse"   w_j = max N / N_j               the text: inversely proportional
        "smoothed"  w_j = max N / (N_j + 0.5)       author's code
        "none"      None: every utterance counts the same, equations (1) and (2)

    Raises:
        ValueError: a class has no utterance, or `formula` is none of these.

    >>> class_weights([100, 50, 25, 100])
    tensor([1., 2., 4., 1.])
    """
    if min(counts) < 1:
        raise ValueError(f"every class needs an utterance in the training part, counts are {list(counts)}")
    n = torch.tensor(counts, dtype=torch.float32)
    if formula == "inverse":
        return n.max() / n
    if formula == "smoothed":
        return n.max() / (n + 0.5)
    if formula == "none":
        return None
    raise ValueError(f"formula must be inverse, smoothed or none, got '{formula}'")


class JointLoss(nn.Module):
    """Equation (7): L = L_s^w + lambda L_c^w, both divided by the batch's sum of weights.

    In training mode a call also moves the centres, after the loss was taken with the old ones. With `lam` 0 it is
    weighted cross-entropy bit for bit, and the centres stay at zero. In training by several ranks
    (`torch.distributed`), each called with its share of a batch, loss and centres are those of the whole batch.

    Args:
        classes: number of classes.
        features: length of z.
        lam: lambda, weight of the centre loss.
        alpha: rate of the centres.
        rule: "ema" or "wen", see `update_centers`.
        weights: class weights [classes] or None.
        warm_up: number of first steps with lambda = 0 and alpha = 1 (author's code: 20).
    """

    weights: Tensor | None
    steps: Tensor

    def __init__(
        self,
        classes: int = 4,
        features: int = 64,
        lam: float = 0.3,
        alpha: float = 0.5,
        rule: str = "ema",
        weights: Tensor | None = None,
        warm_up: int = 0,
    ) -> None:
        super().__init__()
        self.lam, self.alpha, self.warm_up = lam, alpha, warm_up
        self.center = CenterLoss(classes, features, rule)
        self.register_buffer("weights", weights)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, z: Tensor, logits: Tensor, labels: Tensor) -> LossParts:
        """The loss of features z [B, D] and logits [B, classes] for labels [B]."""
        shared = self.training and world_size() > 1
        softmax, center = self._of_share(z, logits, labels) if shared else self._of_batch(z, logits, labels)
        if self.lam == 0:
            return LossParts(softmax, softmax.detach(), softmax.new_zeros(()))
        warming = self.training and self.warm_up > 0 and int(self.steps) < self.warm_up
        total = softmax if warming else softmax + self.lam * center
        if self.training:
            self.center.update(z, labels, alpha=1.0 if warming else self.alpha)
            self.steps += 1
        return LossParts(total, softmax.detach(), center.detach())

    def _of_batch(self, z: Tensor, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Both parts; the second is zero with lambda 0."""
        softmax = nn.functional.cross_entropy(logits, labels, weight=self.weights)
        center = self.center(z, labels, self.weights) if self.lam else softmax.new_zeros(())
        return softmax, center

    def _of_share(self, z: Tensor, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Both parts of a batch that ranks share, such that their mean over ranks, and of gradients, is the batch's.

        A rank's share may be empty.
        """
        weights = torch.ones_like(labels, dtype=z.dtype) if self.weights is None else self.weights[labels]
        scale = world_size() / sum_over_ranks(weights.sum())
        softmax = nn.functional.cross_entropy(logits, labels, weight=self.weights, reduction="sum") * scale
        if self.lam == 0:
            return softmax, softmax.new_zeros(())
        distances = (z - self.center.centers[labels]).square().sum(dim=1)  # [share]
        return softmax, (weights * distances).sum() * scale
