"""Convolutions and an LSTM on windows of up to 3 s, in the manner of Satt, Rozenberg and Hoory, Interspeech 2017."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.errors import UserError
from ser_lightning.models.encoder import Encoder
from ser_lightning.models.gru import BidirectionalLSTM

# channels out, kernel over frames and over bins; every one valid (no padding), with ReLU and 2x2 max-pooling behind it
CONVOLUTIONS = ((16, (12, 16)), (24, (8, 12)), (32, (5, 7)))
LSTM_WIDTH = 128
# 3 s of frames of 10 ms
WINDOW = 300


class Satt(Encoder):
    """An utterance in equal windows of up to 300 frames; z is the mean of theirs.

    Each window goes through three convolutions with poolings, and a bidirectional LSTM, whose last states give the
    window's z by FC1 with PReLU. It does not see beyond its window. The convolutions may run under bfloat16 autocast.

    The layers are those that are handed down of the original. It averages the windows' class probabilities, where this
    averages their z; strides, padding and optimiser are not to be had, nor is its harmonic filtering, and which side of
    a kernel is time is our reading: no number of the original stands beside this one.

    Args:
        bins: frequency bins of the input (128 Mel bands, 513 STFT bins).
        dropout: share of the LSTM's input and output that is 0 in training, and half of it of z.

    Raises:
        UserError: there are fewer than 69 bins.
    """

    fewest = 49

    def __init__(self, bins: int, *, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0) -> None:
        super().__init__(dropout)
        if output_length(bins, 1) < 1:
            raise UserError(f"model=satt needs 69 bins or more, and features give {bins}; change one of them")
        convolutions, channels = [], 1
        for width, kernel in CONVOLUTIONS:
            convolutions.append(nn.Conv2d(channels, width, kernel))
            channels = width
        self.convolutions = nn.ModuleList(convolutions)
        self.lstm = BidirectionalLSTM(channels * output_length(bins, 1), LSTM_WIDTH)
        self.end_with(2 * LSTM_WIDTH)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """z [B, 64] of frames [B, T, bins] with `lengths` [B] valid ones, 49 or more."""
        owners, windows, valid = cut(frames, lengths)  # [W], [W, T', bins], [W]
        steps = torch.tensor([output_length(int(length), 0) for length in valid])
        x = windows.unsqueeze(1)  # [W, 1, T', bins]
        for convolution in self.convolutions:
            # before the ReLU, which commutes with the maximum and then has a quarter of the work
            x = nn.functional.relu(nn.functional.max_pool2d(convolution(x), 2))
        x = x.permute(0, 2, 1, 3).flatten(2)  # [W, channels, T'', bins''] -> [W, T'', channels * bins'']
        with torch.autocast(x.device.type, enabled=False):
            z = self.feature(self.lstm(self.drop(x.float()), steps.to(x.device, non_blocking=True)))  # [W, 64]
            means = torch.zeros(len(frames), len(z), device=z.device)
            means[owners, torch.arange(len(z), device=z.device)] = 1
            return (means / means.sum(dim=1, keepdim=True)) @ z  # [B, 64]


def cut(frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Windows of equal length, to a frame, and of 300 frames at most, of frames [B, T, bins] with valid `lengths` [B].

    Returns the utterance that each is of [W], the windows [W, T', bins], 0 behind their ends, and their lengths [W],
    which lie on the CPU.
    """
    rows = [
        (utterance, length * part // parts, length * (part + 1) // parts)
        for utterance, length in enumerate(lengths.tolist())
        for parts in [-(-length // WINDOW)]
        for part in range(parts)
    ]
    owners, starts, stops = (torch.tensor(values) for values in zip(*rows, strict=True))
    valid = stops - starts
    time = torch.arange(int(valid.max()))
    behind = time[None] >= valid[:, None]  # [W, T']
    places = (starts[:, None] + time).masked_fill(behind, 0)
    owners, places, behind = (tensor.to(frames.device, non_blocking=True) for tensor in (owners, places, behind))
    return owners, frames[owners[:, None], places].masked_fill(behind[:, :, None], 0), valid


def output_length(length: int, side: int) -> int:
    """What is left of a length along time (`side` 0) or frequency (1) by the convolutions; 0 or less where none is.

    >>> output_length(49, 0), output_length(48, 0), output_length(69, 1), output_length(68, 1)
    (1, 0, 1, 0)
    """
    for _, kernel in CONVOLUTIONS:
        length = (length - kernel[side] + 1) // 2
    return length
