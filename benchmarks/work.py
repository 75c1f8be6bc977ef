"""The arithmetic of a training step, and how fast this machine multiplies matrices."""

import time

import torch

from ser_lightning.models.crnn import CONVOLUTIONS, GROUP, GRU_WIDTH, SHAPES, output_length, seen_frames


def training_flops(frames: int, bins: int) -> float:
    """Floating-point operations of one utterance's forward and backward pass: twice the multiply-adds of the layers.

    The backward pass of a layer has twice as many as the forward; the first has no gradient at its input.

    >>> round(training_flops(1400, 128) / 1400 / 1e6, 2)
    7.71
    """
    forward, first, channels, time_, frequency = 0.0, 0.0, 1, frames, bins
    for width, kernel, stride, pooled in CONVOLUTIONS:
        time_, frequency = ((size - kernel) // stride + 1 for size in (time_, frequency))
        forward += time_ * frequency * width * channels * kernel**2
        first = first or forward
        channels = width
        if pooled:
            time_, frequency = time_ // 2, frequency // 2
    inputs = channels * output_length(bins)
    forward += time_ * 2 * 3 * GRU_WIDTH * (inputs + GRU_WIDTH)
    return 2 * (3 * forward - first)


def seen(lengths: torch.Tensor) -> int:
    """Frames of utterances of these lengths [B] that their last time step sees."""
    return sum(seen_frames(int(steps)) for steps in output_length(lengths))


def convolved_frames(lengths: torch.Tensor) -> int:
    """Frames that a CPU convolves for a batch of these lengths [B], the padding included."""
    steps = -(-output_length(lengths) // SHAPES) * SHAPES
    return sum(len(group) * seen_frames(int(group.max())) for group in steps.split(GROUP))


def matmul_seconds(size: int, bf16: bool) -> float:
    """Seconds of one product of square matrices, in the precision of the convolutions."""
    a = torch.randn(size, size).to(torch.bfloat16 if bf16 else torch.float32)
    start = time.perf_counter()
    a @ a
    return time.perf_counter() - start
