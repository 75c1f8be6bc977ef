"""Centre loss and its moving-average centres: equations (2)-(4) and (6) of the paper.

Dai et al., ICASSP 2019, after Wen et al., ECCV 2016.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.losses.distances import class_means, weighted_mean
from ser_lightning.losses.joint import LabeledBatch


def center_loss(z: Tensor, labels: Tensor, centers: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean squared distance of features to the centre of their class, equation (2); weighted, equation (6).

        L_c = sum_i w_{y_i} ||z_i - c_{y_i}||^2 / sum_i w_{y_i}

    The centres are constants: no gradient reaches them.

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        centers: [classes, D].
        weights: of each utterance [B]; None is a weight of 1 each.

    >>> z, centers = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 3.0]])
    >>> center_loss(z, torch.tensor([0, 1]), centers)
    tensor(7.)
    """
    distances = (z - centers.detach()[labels]).square().sum(dim=1)  # [B]
    if weights is None:
        return distances.mean()
    return weighted_mean(distances, weights)


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
    means, counts = class_means(z.detach().to(centers.dtype), labels, len(centers))
    if rule == "ema":
        share = alpha * (counts > 0)
    elif rule == "wen":
        share = alpha * counts / (1 + counts)
    else:
        raise ValueError(f"rule must be one of ema, wen, got '{rule}'")
    return centers + share * (means - centers)


def center_drift(before: Tensor, after: Tensor) -> Tensor:
    """How far centres [classes, D] moved: sqrt( mean_j ||after_j - before_j||^2 ), a scalar.

    >>> center_drift(torch.zeros(2, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor(3.5355)
    """
    return (after - before).square().sum(dim=1).mean().sqrt()


class MovingCenters(nn.Module):
    """Centres that follow the features, equations (3) and (4); they start at zero and are a buffer, not a parameter.

    Args:
        features: length of z.
        classes: number of centres.
        alpha: rate of the centres' moving average, equation (4).
    """

    centers: Tensor

    def __init__(self, features: int, classes: int, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha
        self.register_buffer("centers", torch.zeros(classes, features))
        self._before: Tensor | None = None

    def follow(self, z: Tensor, labels: Tensor) -> None:
        """In training, move the centres after features z [B, D] with class indices [B]."""
        if self.training:
            self.move(update_centers(self.centers, z, labels, self.alpha))

    def move(self, centers: Tensor) -> None:
        """Put the centres [classes, D] elsewhere."""
        if self._before is None:
            self._before = self.centers.clone()
        self.centers.copy_(centers)

    def tell(self) -> dict[str, Tensor]:
        """How far the centres moved since it was last asked, and where they are."""
        before, self._before = self._before, None
        drift = center_drift(self.centers if before is None else before, self.centers)
        return {"center_drift": drift, "centers": self.centers}


class CenterLoss(MovingCenters):
    """`center_loss` with centres that follow the features; they start at zero and are a buffer, not a parameter.

    Args:
        features: length of z.
        classes: number of centres.
        alpha: rate of the centres' moving average, equation (4).
        rule: centre update: 'ema' is equation (4), 'wen' is Wen et al. 2016 (author's code).
        warm_up: first steps with lambda = 0 and alpha = 1 (author's code: 20).
    """

    steps: Tensor

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.5,
        rule: Literal["ema", "wen"] = "ema",
        warm_up: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        super().__init__(features, classes, alpha)
        self.rule, self.warm_up = rule, warm_up
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar, with the centres as they are; in training it moves them afterwards."""
        loss = center_loss(z, batch.labels, self.centers, batch.weights)
        if not self.training:
            return loss
        warming = self.warm_up > 0 and int(self.steps) < self.warm_up
        alpha = 1.0 if warming else self.alpha
        self.move(update_centers(self.centers, z, batch.labels, alpha, self.rule))
        self.steps += 1
        return loss.new_zeros(()) if warming else loss
