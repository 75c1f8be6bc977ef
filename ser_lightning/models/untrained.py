"""No network: z is what the front end gives, and the head alone decides."""

from typing import Literal

import torch
from torch import Tensor, nn

from ser_lightning.models.pooling import equal_weights, mean_and_deviation


class Untrained(nn.Module):
    """z is the mean of each bin over the utterance, or mean and deviation; there are no weights.

    Of a front end that gives one row per utterance the mean is that row. With `normalise=utterance` the mean is 0
    whatever is said, and only deviations tell utterances apart.

    Args:
        bins: numbers in a frame.
        statistics: 'mean': z has as many numbers as a frame; 'mean_deviation': twice as many.
    """

    fewest = 1

    def __init__(self, bins: int, *, statistics: Literal["mean", "mean_deviation"] = "mean") -> None:
        super().__init__()
        self.statistics = statistics
        self.features = {"mean": 1, "mean_deviation": 2}[statistics] * bins

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """z [B, features] of frames [B, T, bins] with `lengths` [B] valid ones."""
        frames = frames.float()
        weights = equal_weights(frames, lengths.to(frames.device, non_blocking=True))
        mean, deviation = (values.flatten(1) for values in mean_and_deviation(frames, weights))  # [B, bins]
        return mean if self.statistics == "mean" else torch.cat([mean, deviation], dim=1)
