"""Optimisers: what moves the parameters."""

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import nn


class Adam:
    """Adam with a constant learning rate.

    Args:
        learning_rate: step size.
        weight_decay: share of the learning rate by which weights shrink at each step (AdamW); the paper has none.
    """

    def __init__(
        self, *, learning_rate: Annotated[float, Field(gt=0)], weight_decay: Annotated[float, Field(ge=0)] = 0.0
    ) -> None:
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def __call__(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser of these parameters."""
        if self.weight_decay:
            return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)
        return torch.optim.Adam(parameters, lr=self.learning_rate, fused=True)
