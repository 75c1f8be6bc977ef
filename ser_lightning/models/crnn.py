"""The convolutional recurrent network of the paper, PAPER 2."""

from typing import Annotated, Literal, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.errors import UserError
from ser_lightning.models.encoder import Encoder
from ser_lightning.models.gru import BidirectionalGRU, ResetBeforeGRU

# channels out, kernel, stride, followed by 2x2 max-pooling; every one valid (no padding)
CONVOLUTIONS = ((48, 7, 2, False), (64, 3, 1, True), (80, 3, 1, True), (96, 3, 1, True))
GRU_WIDTH = 128

# Utterances that a CPU convolves together, and of how many time steps the convolved lengths are multiples.
GROUP, SHAPES = 4, 2

L = TypeVar("L", int, Tensor)


class CRNN(Encoder):
    """Four valid convolutions, one bidirectional GRU, FC1 with PReLU: its output is the feature z.

    As nothing is padded inside and the GRU stops at each utterance's end, an utterance's output does not depend on
    what it is batched with. The convolutions may run under bfloat16 autocast; GRU and FC1 always run in float32.

    Any encoder is called with frames [B, T, bins], zero behind an utterance's end, and their `lengths` [B], which lie
    on the CPU; it gives z [B, features] and says its `features` and the `fewest` frames that it can do with. It may
    have a method `initialise()`, called once all parts are made, before which nothing is trained.

    Args:
        bins: frequency bins of the input (128 Mel bands, 513 STFT bins).
        tied: one GRU for both directions (author's code).
        reset: GRU reset gate after the recurrent product (torch, cuDNN) or before it (author's code).
        dropout: share of the GRU's input and output that is 0 in training, and half of it of z; the paper has none.

    Raises:
        UserError: there are fewer than 49 bins.
    """

    fewest = 49

    def __init__(
        self,
        bins: int = 128,
        *,
        tied: bool = False,
        reset: Literal["after", "before"] = "after",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(dropout)
        if output_length(bins) < 1:
            raise UserError(
                f"the CRNN needs {seen_frames(1)} bins or more, and features give {bins}; change one of them"
            )
        self.bins = bins
        convolutions, channels = [], 1
        for width, kernel, stride, _ in CONVOLUTIONS:
            convolutions.append(nn.Conv2d(channels, width, kernel, stride))
            channels = width
        self.convolutions = nn.ModuleList(convolutions)
        gru = {"after": BidirectionalGRU, "before": ResetBeforeGRU}[reset]
        self.gru = gru(channels * output_length(bins), GRU_WIDTH, tied)
        self.end_with(2 * GRU_WIDTH)

    def initialise(self) -> None:
        """Glorot uniform weights, zero biases (author's code); the GRU keeps torch's initialisation."""
        super().initialise()
        # Only now: random numbers are drawn in the order of memory
        self.to(memory_format=torch.channels_last)

    def forward(self, spectrogram: Tensor, lengths: Tensor) -> Tensor:
        """Feature z [B, 64] of spectrograms [B, T, bins] with `lengths` [B] valid frames.

        Raises `ValueError` where an utterance has fewer than 49 frames, or the bins are not the network's.
        """
        if spectrogram.ndim != 3 or spectrogram.shape[2] != self.bins:
            raise ValueError(f"expected spectrograms [B, T, {self.bins}], got {tuple(spectrogram.shape)}")
        steps = output_length(lengths.cpu())
        if int(steps.min()) < 1:
            raise ValueError(f"an utterance of {int(lengths.min())} frames is too short: {self.fewest} are needed")
        x = self._convolve_groups(spectrogram, steps)  # [B, T', channels * bins']
        with torch.autocast(x.device.type, enabled=False):
            summary = self.gru(self.drop(x.float()), steps.to(x.device, non_blocking=True))  # [B, 2 * 128]
        return self.feature(summary)  # [B, 64]

    def _convolve_groups(self, spectrogram: Tensor, steps: Tensor) -> Tensor:
        """All that the convolutions leave, [B, T', channels * bins']; groups of utterances each cut at their longest.

        On a CPU a group is small, for padding and memory; a GPU takes the whole batch at once.
        """
        size = GROUP if spectrogram.device.type == "cpu" else len(steps)
        # Of few different lengths, since each takes its preparation
        longest = [-(-int(group.max()) // SHAPES) * SHAPES for group in steps.split(size)]
        groups = [
            nn.functional.pad(self.convolve(_cut(group, seen_frames(end))), (0, 0, 0, max(longest) - end))
            for group, end in zip(spectrogram.split(size), longest, strict=True)
        ]
        return torch.cat(groups)

    def convolve(self, spectrogram: Tensor) -> Tensor:
        x = spectrogram.unsqueeze(1)  # [B, 1, T, bins]
        for convolution, (_, _, _, pooled) in zip(self.convolutions, CONVOLUTIONS, strict=True):
            x = convolution(x)
            if pooled:
                # before the ReLU, which commutes with the maximum and then has a quarter of the work
                x = nn.functional.max_pool2d(x, 2)
            # in place: what it is given is kept for nothing else
            x = nn.functional.relu(x, inplace=True)
        return x.permute(0, 2, 3, 1).flatten(2)  # [B, channels, T', bins'] -> [B, T', bins' * channels]


def output_length(length: L) -> L:
    """Steps left of `length` along time or frequency by the convolutions and poolings; 0 or less where none is."""
    for _, kernel, stride, pooled in CONVOLUTIONS:
        length = (length - kernel) // stride + 1
        if pooled:
            length = length // 2
    return length


def seen_frames(steps: int) -> int:
    """Frames that the first `steps` time steps depend on: 49 for one, 16 for each further one.

    >>> seen_frames(1), seen_frames(85), output_length(49), output_length(48)
    (49, 1393, 1, 0)
    """
    for _, kernel, stride, pooled in reversed(CONVOLUTIONS):
        steps = ((2 * steps if pooled else steps) - 1) * stride + kernel
    return steps


def _cut(x: Tensor, frames: int) -> Tensor:
    """x [B, T, bins] with so many frames: those behind are left out, missing ones zero."""
    return nn.functional.pad(x, (0, 0, 0, frames - x.shape[1]))
