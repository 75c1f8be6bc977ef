"""Means and standard deviations over the frames of an utterance; padding has the weight 0."""

from torch import Tensor

from ser_lightning.models.gru import behind_end

# The root has no gradient at 0, which is the variance of a single frame
SMALLEST_VARIANCE = 1e-8


def equal_weights(frames: Tensor, lengths: Tensor) -> Tensor:
    """Weights [B, T] that make means over the valid `lengths` [B] of frames [B, T, bins], all on one device."""
    return (~behind_end(frames, lengths)).float() / lengths[:, None]


def mean_and_deviation(frames: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean m and standard deviation s [..., bins], over time, of frames [..., T, bins]:

        m = sum_t w_t x_t        s = sqrt( sum_t w_t (x_t - m)^2 )

    s is 1e-4 at least, and has no gradient there. The squares are of differences from m, not those of x_t less that of
    m, which in float32 leave nothing of a small s.

    Args:
        frames: broadcast against the weights: [B, 1, T, bins] for several heads.
        weights: [..., T], sum to 1 over time.
    """
    weights = weights[..., None]  # [..., T, 1]
    mean = (weights * frames).sum(dim=-2)
    variance = (weights * (frames - mean[..., None, :]).square()).sum(dim=-2)
    return mean, variance.clamp(min=SMALLEST_VARIANCE).sqrt()
