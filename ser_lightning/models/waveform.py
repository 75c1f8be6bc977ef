"""Raw sound to z: convolutions over samples and an LSTM, in the manner of Trigeorgis et al., ICASSP 2016."""

from typing import Annotated, Any, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.models.encoder import Encoder
from ser_lightning.models.gru import BidirectionalLSTM, ends

# channels out, kernel, and over how many of its outputs the largest is kept; every one valid (no padding)
CONVOLUTIONS = ((64, 8, 10), (128, 6, 8), (256, 6, 8))
LSTM_WIDTH, LSTM_LAYERS = 128, 2
SLOPE = 0.1

L = TypeVar("L", int, Tensor)


class Waveform(Encoder):
    """Three convolutions over samples, each with a pooling, and two bidirectional LSTM layers; FC1 with PReLU.

    For `features=waveform`, whose frames are put together again. The poolings leave a step for 640 samples, 40 ms at
    16 kHz; the last states of both directions make z. The convolutions may run under bfloat16 autocast.

    The idea is that of Trigeorgis et al.; the sizes of the convolutions are those of its successor in the authors'
    toolkit, end2you (emo18; Tzirakis et al. 2018), whose two layers of 2016 cost four times as much. Both are for
    arousal and valence of each step; that network has batch normalisation, by which utterances would depend on each
    other in training, and an LSTM of one direction. No number of the originals stands beside this one.

    Args:
        bins: samples in a frame.
        dropout: share of each LSTM layer's input and of the summary that is 0 in training, and half of it of z.
    """

    def __init__(self, bins: int = 160, *, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0) -> None:
        super().__init__(dropout)
        self.fewest = -(-seen_samples(1) // bins)
        convolutions, channels = [], 1
        for width, kernel, _ in CONVOLUTIONS:
            convolutions.append(nn.Conv1d(channels, width, kernel))
            channels = width
        self.convolutions = nn.ModuleList(convolutions)
        sizes = [channels] + [2 * LSTM_WIDTH] * (LSTM_LAYERS - 1)
        self.layers = nn.ModuleList([BidirectionalLSTM(size, LSTM_WIDTH) for size in sizes])
        self.end_with(2 * LSTM_WIDTH)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """z [B, 64] of frames [B, T, bins] with `lengths` [B] valid ones, `fewest` or more."""
        steps = output_length(lengths * frames.shape[2]).to(frames.device, non_blocking=True)
        x = frames.flatten(1)[:, None]  # [B, 1, samples]
        for convolution, (_, _, pool) in zip(self.convolutions, CONVOLUTIONS, strict=True):
            # before the activation, which commutes with the maximum and then has less work
            x = nn.functional.leaky_relu(nn.functional.max_pool1d(convolution(x), pool), SLOPE)
        with torch.autocast(x.device.type, enabled=False):
            states = x.float().transpose(1, 2)  # [B, 256, S] -> [B, S, 256]
            layer: Any
            for layer in self.layers:
                states = layer.states(self.drop(states), steps)
            return self.feature(ends(states, steps))


def output_length(samples: L) -> L:
    """Steps left of so many samples by convolutions and poolings; 0 or less where none is."""
    for _, kernel, pool in CONVOLUTIONS:
        samples = (samples - kernel + 1) // pool
    return samples


def seen_samples(steps: int) -> int:
    """Samples that the first `steps` steps depend on: 1,097 for one, 640 for each further one.

    >>> seen_samples(1), seen_samples(2), output_length(1097), output_length(1096)
    (1097, 1737, 1, 0)
    """
    for _, kernel, pool in reversed(CONVOLUTIONS):
        steps = steps * pool + kernel - 1
    return steps
