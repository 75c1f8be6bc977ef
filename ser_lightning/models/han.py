"""A network on segments, and statistics over them, in the manner of Han, Yu and Tashev, Interspeech 2014."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.models.encoder import Encoder
from ser_lightning.models.gru import behind_end
from ser_lightning.models.pooling import equal_weights

SEGMENT, WIDTH = 25, 256
STATES, THRESHOLD = 16, 0.2


class Han(Encoder):
    """z is max, min, mean, and share above 0.2, over segments, of the probabilities of 16 states.

    A segment is 25 consecutive frames, and begins at every frame that has 24 behind it. Three layers of 256 with ReLU
    and a softmax give its states' probabilities, [16]; what the whole utterance is told by is four numbers for each,
    z [64]. The share has no gradient. The layers may run under bfloat16 autocast, softmax and statistics are float32.

    The original trains the network on segments, whose states are the classes, each segment having its utterance's; it
    keeps the loudest tenth of them, and recognises the statistics by an extreme learning machine, here `readout=elm`.
    Here states are learned from utterances, through their statistics and the head, so that losses can be compared; all
    segments count. Its features are `features=lld` by estimators of its own. No number of the original stands beside
    this one.

    Args:
        bins: numbers in a frame.
        dropout: share of what each hidden layer gives that is 0 in training, and half of it of z.
    """

    features = 4 * STATES
    fewest = SEGMENT

    def __init__(self, bins: int, *, dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0) -> None:
        super().__init__(dropout)
        # The layer on 25 stacked frames
        self.first = nn.Conv1d(bins, WIDTH, SEGMENT)
        self.hidden = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(2)])
        self.last = nn.Linear(WIDTH, STATES)

    def initialise(self) -> None:
        """Glorot uniform weights, zero biases; the first layer's as of one on all numbers of a segment."""
        super().initialise()
        nn.init.xavier_uniform_(self.first.weight.flatten(1))

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """z [B, 64] of frames [B, T, bins] with `lengths` [B] valid ones, 25 or more."""
        x = self.drop(self.first(frames.transpose(1, 2)).relu()).transpose(1, 2)  # [B, segments, 256]
        for layer in self.hidden:
            x = self.drop(layer(x).relu())
        probabilities = self.last(x).float().softmax(dim=2)  # [B, segments, 16]
        segments = (lengths - SEGMENT + 1).to(x.device, non_blocking=True)
        # The means of many segments are of more digits than the network's own numbers
        with torch.autocast(x.device.type, enabled=False):
            z = statistics(probabilities, segments)
        return self.drop(z, self.dropout / 2)


def statistics(probabilities: Tensor, segments: Tensor) -> Tensor:
    """Max, min, mean and share above 0.2 of probabilities [B, T, states] over valid `segments` [B]: [B, 4 * states].

    >>> statistics(torch.tensor([[[0.1], [0.3], [0.9]]]), torch.tensor([2]))
    tensor([[0.3000, 0.1000, 0.2000, 0.5000]])
    """
    behind = behind_end(probabilities, segments)[:, :, None]
    weights = equal_weights(probabilities, segments)  # [B, 1, T]
    largest = probabilities.masked_fill(behind, -torch.inf).amax(dim=1)
    smallest = probabilities.masked_fill(behind, torch.inf).amin(dim=1)
    mean, above = ((weights @ values.float()).flatten(1) for values in (probabilities, probabilities > THRESHOLD))
    return torch.cat([largest, smallest, mean, above], dim=1)
