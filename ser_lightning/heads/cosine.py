"""Logits from angles alone, with a margin: AM-softmax and ArcFace."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.losses.distances import unit


class Cosine(nn.Module):
    """logits_j = s cos(theta_j), of the angle theta_j between z and a trained direction of class j; no bias.

    The softmax term sees, in place of the own class's logit,

        'additive'   s (cos(theta_y) - m)       AM-softmax, Wang et al. 2018 (CosFace)
        'angular'    s cos(theta_y + m)         ArcFace, Deng et al. 2019; beyond theta = pi - m, where it would rise
                                                again, s (cos(theta_y) - m sin(m))

    Predictions have no margin. Without one it is the normalised softmax. The scales of face recognition (64) are for
    thousands of classes: with four the first loss would be 23, and s of some 4.3 allows a probability of 0.99.

    Args:
        features: length of z.
        classes: number of logits.
        scale: s.
        margin: m; of 'angular' in radians.
        kind: 'additive' (AM-softmax) or 'angular' (ArcFace).
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        scale: Annotated[float, Field(gt=0)] = 8.0,
        margin: Annotated[float, Field(ge=0, le=1)] = 0.2,
        kind: Literal["additive", "angular"] = "additive",
    ) -> None:
        super().__init__()
        self.scale, self.m, self.kind = scale, margin, kind
        self.directions = nn.Parameter(torch.empty(classes, features))
        self.initialise()

    def initialise(self) -> None:
        """Glorot uniform directions."""
        nn.init.xavier_uniform_(self.directions)

    def forward(self, z: Tensor) -> Tensor:
        """Logits [B, classes] of features z [B, features]."""
        return self.scale * unit(z) @ unit(self.directions).T

    def margin(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The logits [B, classes] that the softmax term sees."""
        own = nn.functional.one_hot(labels, logits.shape[1]).bool()
        if self.kind == "additive":
            return torch.where(own, logits - self.scale * self.m, logits)
        cosines = logits / self.scale
        # The root of 0 has no gradient
        sines = (1 - cosines.square()).clamp(min=1e-8).sqrt()
        turned = cosines * math.cos(self.m) - sines * math.sin(self.m)
        beyond = cosines <= -math.cos(self.m)
        margins = torch.where(beyond, cosines - self.m * math.sin(self.m), turned)
        return torch.where(own, self.scale * margins, logits)
