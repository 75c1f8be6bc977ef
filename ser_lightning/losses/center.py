"""Centre loss and its moving-average centres: equations (2)-(4) and (6) of the paper.

Dai et al., ICASSP 2019, after Wen et al., ECCV 2016.
"""

import torch
from torch import Tensor, nn

from ser_lightning.losses.ranks import sum_over_ranks

RULES = ("ema", "wen")


def center_loss(z: Tensor, labels: Tensor, centers: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Mean squared distance of features to the centre of their class, equation (2); weighted, equation (6).

        L_c = sum_i w_{y_i} ||z_i - c_{y_i}||^2 / sum_i w_{y_i}

    The centres are constants: no gradient reaches them.

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        centers: [classes, D].
        class_weights: [classes]; None is a weight of 1 each.

    >>> z, centers = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 3.0]])
    >>> center_loss(z, torch.tensor([0, 1]), centers)
    tensor(7.)
    """
    distances = (z - centers.detach()[labels]).square().sum(dim=1)  # [B]
    if class_weights is None:
        return distances.mean()
    weights = class_weights[labels]  # [B]
    return (weights * distances).sum() / weights.sum()


def update_centers(centers: Tensor, z: Tensor, labels: Tensor, alpha: float, rule: str = "ema") -> Tensor:
    """The centres [classes, D] after a batch; those of classes that do not occur in it stay.

    With n_j features of class j in the batch and their mean chat_j, equation (3):

        "ema"  c_j <- (1 - alpha) c_j + alpha chat_j                    equation (4)
        "wen"  c_j <- c_j - alpha n_j / (1 + n_j) (c_j - chat_j)        Wen et al. 2016; author's code

    Args:
        centers: [classes, D].
        z: features [B, D].
        labels: class indices [B], int64.
        alpha: in [0, 1].
        rule: "ema" or "wen".

    Raises:
        ValueError: `rule` is neither.

    >>> update_centers(torch.zeros(2, 1), torch.tensor([[2.0], [4.0]]), torch.tensor([1, 1]), alpha=0.5)
    tensor([[0.0000],
            [1.5000]])
    """
    return _moved(centers, *_sums_and_counts(centers, z, labels), alpha, rule)


def _sums_and_counts(centers: Tensor, z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the features [classes, D] and number of the utterances [classes, 1] of each class."""
    # not bincount, for which a GPU would be waited for
    members = nn.functional.one_hot(labels, len(centers)).to(centers.dtype)  # [B, classes]
    return members.T @ z.detach().to(centers.dtype), members.sum(dim=0)[:, None]


def _moved(centers: Tensor, sums: Tensor, counts: Tensor, alpha: float, rule: str) -> Tensor:
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, got '{rule}'")
    means = sums / counts.clamp(min=1)
    share = alpha * counts / (1 + counts) if rule == "wen" else alpha * (counts > 0)
    return centers + share * (means - centers)


class CenterLoss(nn.Module):
    """`center_loss` with centres that follow the features; they start at zero and are a buffer, not a parameter.

    Args:
        classes: number of centres.
        features: length of z.
        rule: "ema" or "wen", see `update_centers`.
    """

    centers: Tensor

    def __init__(self, classes: int = 4, features: int = 64, rule: str = "ema") -> None:
        super().__init__()
        if rule not in RULES:
            raise ValueError(f"rule must be one of {', '.join(RULES)}, got '{rule}'")
        self.rule = rule
        self.register_buffer("centers", torch.zeros(classes, features))

    def forward(self, z: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
        """The loss, a scalar, with the centres as they are; `update` moves them afterwards."""
        return center_loss(z, labels, self.centers, class_weights)

    @torch.no_grad()
    def update(self, z: Tensor, labels: Tensor, alpha: float) -> None:
        """Move the centres by a batch of features [B, D], in place; where ranks share a batch, by all of it."""
        sums, counts = (sum_over_ranks(part) for part in _sums_and_counts(self.centers, z, labels))
        self.centers.copy_(_moved(self.centers, sums, counts, alpha, self.rule))
