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
    """

    def __init__(self, *, learning_rate: Annotated[float, Field(gt=0)]) -> None:
        self.learning_rate = learning_rate

    def __call__(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser of these parameters."""
        return torch.optim.Adam(parameters, lr=self.learning_rate, fused=True)
