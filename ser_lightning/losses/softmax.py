"""The softmax term, equation (5), and two changes that are made to it: focal loss and smoothed labels."""

import torch
from torch import Tensor, nn

from ser_lightning.losses.distances import weighted_mean


def softmax_loss(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
    focal: float = 0.0,
    smoothing: float = 0.0,
    shares: Tensor | None = None,
) -> Tensor:
    """Weighted cross-entropy, a scalar; with `focal` or `smoothing` it is

        L = - sum_i w_{y_i} sum_k q_ik (1 - p_ik)^focal log p_ik / sum_i w_{y_i},
        q_ik = smoothing / classes, and 1 - smoothing more for k = y_i

    Utterances keep the weight of their class; torch's own smoothing weighs every term by its k instead. With both at
    0 it is torch's cross-entropy, bit for bit.

    Args:
        logits: [B, classes].
        labels: class indices [B], int64.
        weights: class weights w [classes]; None is 1 each.
        focal: gamma, by which utterances that are recognised count less. Lin et al., ICCV 2017.
        smoothing: share of the target that all classes have in common. Szegedy et al., CVPR 2016.
        shares: [B] by which each counts beside its weight, in both sums; None is 1 each.
    """
    if not focal and not smoothing and shares is None:
        return nn.functional.cross_entropy(logits, labels, weight=weights)
    logs = logits.log_softmax(dim=1)  # [B, classes]
    classes = logits.shape[1]
    targets = (1 - smoothing) * nn.functional.one_hot(labels, classes).to(logs.dtype) + smoothing / classes
    # Powers below 1 have no finite slope at 0
    doubts = (-torch.expm1(logs)).clamp(min=torch.finfo(logs.dtype).eps)
    terms = -(targets * doubts**focal * logs).sum(dim=1)  # [B]
    counts = torch.ones_like(terms) if weights is None else weights[labels]  # [B]
    return weighted_mean(terms, counts if shares is None else shares * counts)
