"""Means and standard deviations over the frames of an utterance; padding has the weight 0."""

import torch
from torch import Tensor

from ser_lightning.models.gru import behind_end

# The root has no gradient at 0, which is the variance of a single frame
SMALLEST_VARIANCE = 1e-8


def equal_weights(frames: Tensor, lengths: Tensor) -> Tensor:
    """Weights [B, 1, T] that make means over the valid `lengths` [B] of frames [B, T, bins], all on one device."""
    return ((~behind_end(frames, lengths)).float() / lengths[:, None])[:, None]


def mean_and_deviation(frames: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean m and standard deviation s [B, heads, bins], over time, of frames [B, T, bins]:

        m = sum_t w_t x_t        s = sqrt( sum_t w_t (x_t - m)^2 )

    s is 1e-4 at least, and has no gradient there. The squares are of differences from the mean over all heads c,
    sum_t w_t (x_t - c)^2 - (m - c)^2, for those from each m would be an array [B, heads, T, bins], and those of x_t, in
    float32, leave nothing of a small s.

    Args:
        frames: zero where all weights are.
        weights: [B, heads, T], sum to 1 over time.
    """
    with torch.autocast(frames.device.type, enabled=False):
        # No gradient goes through it: neither s nor the sum of the weights depends on what c is
        center = (weights.mean(dim=1, keepdim=True) @ frames).detach()  # [B, 1, bins]
        moved = frames - center
        mean = weights @ moved  # [B, heads, bins]
        variance = weights @ moved.square() - mean.square()
        return mean + center, variance.clamp(min=SMALLEST_VARIANCE).sqrt()
