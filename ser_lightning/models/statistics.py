"""Mean and standard deviation of the frames: the least that can be learned on a front end."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ser_lightning.models.encoder import Encoder
from ser_lightning.models.pooling import equal_weights, mean_and_deviation


class Statistics(Encoder):
    """Mean and deviation of each bin over the utterance, FC1 with PReLU.

    The order of the frames plays no part. All runs in float32.

    Args:
        bins: numbers in a frame.
        dropout: share of the statistics that is 0 in training, and half of it of z.
    """

    def __init__(self, bins: int, *, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0) -> None:
        super().__init__(dropout)
        self.end_with(2 * bins)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """z [B, 64] of frames [B, T, bins] with `lengths` [B] valid ones."""
        frames = frames.float()
        weights = equal_weights(frames, lengths.to(frames.device, non_blocking=True))
        statistics = mean_and_deviation(frames, weights)  # 2 x [B, 1, bins]
        return self.feature(torch.cat(statistics, dim=2).flatten(1))
