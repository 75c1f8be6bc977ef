"""Recurrent layers and nothing before them: the paper's network without its convolutions, PAPER 2, or with an LSTM."""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.models.encoder import Encoder
from ser_lightning.models.gru import BidirectionalGRU, BidirectionalLSTM, ends
from ser_lightning.models.pooling import equal_weights


class Recurrent(Encoder):
    """Bidirectional GRUs or LSTMs on the frames, FC1 with PReLU: for front ends that do what convolutions would.

    With a GRU and all else as it is, these are the layers that follow the CRNN's convolutions. A layer's directions
    have states of their own and see both states of the layer below. All runs in float32.

    `model=lee_tashev` is two layers of LSTMs and the mean of their states, in the manner of Lee and Tashev, Interspeech
    2015, with `features=lld` and `readout=elm`. There a frame's label, its utterance's emotion or none, is a random
    variable, whose path over the frames is summed over as in CTC; that needs scores of classes in every frame, which an
    encoder does not have, so that here each frame counts the same. No number of the original stands beside it.

    Args:
        bins: numbers in a frame.
        cell: 'gru' or 'lstm'.
        width: size of a direction's state.
        layers: one above the other.
        pooling: 'last': the last states of both directions; 'mean': the mean of the states over the utterance.
        dropout: share of each layer's input and of the summary that is 0 in training, and half of it of z.
    """

    def __init__(
        self,
        bins: int,
        *,
        cell: Literal["gru", "lstm"] = "gru",
        width: Annotated[int, Field(ge=1)] = 128,
        layers: Annotated[int, Field(ge=1)] = 1,
        pooling: Literal["last", "mean"] = "last",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(dropout)
        self.pooling = pooling
        kind: Any = {"gru": BidirectionalGRU, "lstm": BidirectionalLSTM}[cell]
        self.layers = nn.ModuleList([kind(2 * width if layer else bins, width) for layer in range(layers)])
        self.end_with(2 * width)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """z [B, 64] of frames [B, T, bins] with `lengths` [B] valid ones."""
        steps = lengths.to(frames.device, non_blocking=True)
        with torch.autocast(frames.device.type, enabled=False):
            states = frames.float()
            layer: Any
            for layer in self.layers:
                states = layer.states(self.drop(states), steps)  # [B, T, 2 * width]
            return self.feature(self._pool(states, steps))

    def _pool(self, states: Tensor, steps: Tensor) -> Tensor:
        """[B, T, 2 * width] -> [B, 2 * width]."""
        if self.pooling == "last":
            return ends(states, steps)
        return (equal_weights(states, steps) @ states).flatten(1)
