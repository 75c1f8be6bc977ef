"""Island loss: centre loss whose centres turn away from each other. Cai et al., FG 2018 (arXiv 1710.03144)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ser_lightning.losses.center import MovingCenters, center_loss, update_centers
from ser_lightning.losses.distances import unit
from ser_lightning.losses.joint import LabeledBatch


def closeness(centers: Tensor) -> Tensor:
    """sum over ordered pairs j != k of cos(c_j, c_k) + 1, of centres [classes, D], but pairs with a zero centre.

    >>> closeness(torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
    tensor(2.)
    """
    directions = unit(centers)
    known = (directions.detach().square().sum(dim=1, keepdim=True) > 0).to(centers.dtype)  # [classes, 1]
    pairs = known @ known.T * (1 - torch.eye(len(centers), device=centers.device))  # [classes, classes]
    return (pairs * (directions @ directions.T + 1)).sum()


class IslandLoss(MovingCenters):
    """L = L_c + lambda_1 sum_{j != k} (cos(c_j, c_k) + 1), with centre loss L_c of equation (6).

    The centres are no parameters: like those of centre loss they follow the class means of each batch at rate alpha,
    and at the same rate go down the gradient of the second term, by which they push the features apart. The original
    divides that gradient by classes - 1, as here; its centres follow by the rule of Wen et al., ours by equation (4).

    Args:
        features: length of z.
        classes: number of centres.
        alpha: rate of the centres, equation (4).
        push: lambda_1, weight of the angles between centres (Cai et al.: 10).
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.5,
        push: Annotated[float, Field(ge=0)] = 10.0,
    ) -> None:
        super().__init__(features, classes, alpha)
        self.push = push

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar, with the centres as they are; in training it moves them afterwards."""
        loss = center_loss(z, batch.labels, self.centers, batch.weights) + self.push * closeness(self.centers)
        if self.training:
            followed = update_centers(self.centers, z, batch.labels, self.alpha)
            self.move(followed - self.alpha * self.push / max(1, len(followed) - 1) * self._slope())
        return loss

    def _slope(self) -> Tensor:
        """The gradient of each centre's own sum over k of cos(c_j, c_k), [classes, D]."""
        with torch.enable_grad():
            centers = self.centers.clone().requires_grad_()
            # In the sum over ordered pairs every pair stands twice
            (gradient,) = torch.autograd.grad(closeness(centers) / 2, centers)
        return gradient
