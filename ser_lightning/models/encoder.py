"""What the encoders that ship have in common: dropout, and the layer that makes z."""

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """An encoder that ends, like the paper's, in FC1 with PReLU: from a summary of an utterance to z of length 64.

    A subclass makes its own layers and then these two, by `end_with`, since random numbers are drawn in that order.

    Args:
        dropout: share of the summary that is 0 in training, and half of it of z.
    """

    features = 64
    fewest = 1

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def end_with(self, summary: int) -> None:
        """Make FC1 for a summary of this length, and the PReLU behind it, which begins as a ReLU (author's code)."""
        self.fc1 = nn.Linear(summary, self.features)
        self.prelu = nn.PReLU(self.features, init=0.0)

    def initialise(self) -> None:
        """Glorot uniform weights, zero biases (author's code); recurrent layers keep torch's initialisation."""
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def drop(self, x: Tensor, share: float | None = None) -> Tensor:
        """x with a share of its values, by default `dropout`, 0 in training."""
        share = self.dropout if share is None else share
        return nn.functional.dropout(x, share, self.training) if share else x

    def feature(self, summary: Tensor) -> Tensor:
        """z [B, 64], float32, of summaries [B, summary]."""
        with torch.autocast(summary.device.type, enabled=False):
            return self.drop(self.prelu(self.fc1(self.drop(summary.float()))), self.dropout / 2)
