"""What the centre loss does to the features: how far they lie apart, and what share of the gradient is its own.

Pure functions, and two metrics that sum up batches on the device. Nothing here takes part in a gradient, or in the
state of a checkpoint.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from ser_lightning.losses.joint import LossParts


class ClassSums(NamedTuple):
    """Sums over utterances, class by class: counts [classes], of vectors [classes, D], of their squares [classes]."""

    counts: Tensor
    vectors: Tensor
    squares: Tensor


def class_sums(vectors: Tensor, labels: Tensor, classes: int) -> ClassSums:
    """The sums of vectors [B, D] with class indices [B]; those of several batches add up to those of all."""
    members = nn.functional.one_hot(labels, classes).to(vectors.dtype).T  # [classes, B]
    return ClassSums(members.sum(dim=1), members @ vectors, members @ vectors.square().sum(dim=1))


def class_distances(sums: ClassSums, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Distance within and between classes, two scalars, from the means m_j of the n_j features z of each class j:

        within  = sqrt( mean_j  sum_{i in j} ||z_i - m_j||^2 / n_j )
        between = sqrt( mean_{j<k} ||m_j - m_k||^2 )

    Every class counts the same; one without features is left out. NaN where no class or no pair is left.

    Args:
        sums: `class_sums` of z_i - c_{y_i}: of features close to their centre, sums of z itself would keep few digits.
        centers: c [classes, D], any points, which the result does not depend on but for rounding.

    >>> z = torch.tensor([[0.0, 1.0], [0.0, 3.0], [4.0, 2.0]])
    >>> class_distances(class_sums(z, torch.tensor([0, 0, 2]), classes=3), torch.zeros(3, 2))
    (tensor(0.7071), tensor(4.))
    """
    there = sums.counts > 0
    counts = sums.counts[there]
    offsets = sums.vectors[there] / counts[:, None]  # m_j - c_j
    # Rounding may leave a class of equal features a little below zero.
    spreads = (sums.squares[there] / counts - offsets.square().sum(dim=1)).clamp(min=0)
    # The mean square over pairs is twice the variance.
    between = 2 * (centers[there] + offsets).var(dim=0).sum()
    return spreads.mean().sqrt(), between.sqrt()


def center_drift(before: Tensor, after: Tensor) -> Tensor:
    """How far centres [classes, D] moved: sqrt( mean_j ||after_j - before_j||^2 ), a scalar.

    >>> center_drift(torch.zeros(2, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor(3.5355)
    """
    return (after - before).square().sum(dim=1).mean().sqrt()


def softmax_gradients(logits: Tensor, labels: Tensor, output_weight: Tensor) -> Tensor:
    """What each utterance's cross-entropy has for a gradient at z: V^T (p_i - y_i), [B, D].

    p_i are the softmax probabilities and y_i the one-hot label. The gradient of the loss, equation (5), is this times
    w_{y_i} / sum_i w_{y_i}.

    Args:
        logits: V z + b, [B, classes].
        labels: class indices [B].
        output_weight: V [classes, D].
    """
    errors = logits.softmax(dim=1) - nn.functional.one_hot(labels, logits.shape[1])
    return errors @ output_weight


class SummedClasses(Metric):
    """`class_sums` over all batches given to `update`.

    Args:
        classes: number of classes.
        features: length D of the vectors.
    """

    full_state_update = False
    counts: Tensor
    vectors: Tensor
    squares: Tensor

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(classes), dist_reduce_fx="sum")
        self.add_state("vectors", torch.zeros(classes, features), dist_reduce_fx="sum")
        self.add_state("squares", torch.zeros(classes), dist_reduce_fx="sum")

    def update(self, vectors: Tensor, labels: Tensor) -> None:
        """Add vectors [B, D] with class indices [B]."""
        sums = class_sums(vectors.detach(), labels, len(self.counts))
        self.counts += sums.counts
        self.vectors += sums.vectors
        self.squares += sums.squares

    def compute(self) -> ClassSums:
        """The sums so far."""
        return ClassSums(self.counts, self.vectors, self.squares)


class MeanLosses(Metric):
    """The mean over utterances of the joint loss and its parts, without waiting for the device at each batch."""

    full_state_update = False
    sums: Tensor
    utterances: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(3), dist_reduce_fx="sum")
        self.add_state("utterances", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, parts: LossParts, utterances: int) -> None:
        """Add the means of a batch of so many utterances; where ranks share it, each gives the whole batch's number."""
        self.sums += utterances * torch.stack(parts).detach()
        self.utterances += utterances

    def compute(self) -> LossParts:
        """The means so far."""
        return LossParts(*self.sums / self.utterances)


class CenterGradientShare(Metric):
    """Which share of the gradient at z is the centre loss's, over all utterances given to `update`:

        share = ||lambda dL_c/dz|| / ( ||dL_s/dz|| + ||lambda dL_c/dz|| )

    with the norms over all of them, [utterances, D]: those of utterance i are w_{y_i} V^T (p_i - y_i) and
    w_{y_i} 2 lambda (z_i - c_{y_i}). Both losses are divided by the same sum of weights, which cancels.
    """

    full_state_update = False
    softmax: Tensor
    center: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("softmax", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("center", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, softmax: Tensor, center: Tensor, weights: Tensor | None = None) -> None:
        """Add the gradients [B, D] of both parts at z before weighting, with the weight [B] of each utterance."""
        scale = torch.ones(len(softmax), device=softmax.device) if weights is None else weights.square()
        self.softmax += (scale * softmax.square().sum(dim=1)).sum()
        self.center += (scale * center.square().sum(dim=1)).sum()

    def compute(self) -> Tensor:
        """The share, in [0, 1]; 0 where the centre loss has no gradient."""
        center = self.center.sqrt()
        return center / (center + self.softmax.sqrt()).clamp(min=torch.finfo(center.dtype).tiny)
