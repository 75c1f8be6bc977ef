"""The paper's head, FC2."""

from torch import Tensor, nn


class Linear(nn.Module):
    """logits = V z + b, PAPER 2.

    Any head is called with the feature z [B, features] and gives logits [B, classes]. It may also have a method
    `margin(logits, labels)`, which gives the logits that the softmax term sees in place of these; nothing else does;
    and `fit(z, labels)`, called with the whole training part before each look at dev, or `fit(z, labels, dev)`, where
    `dev` are z and labels of the dev part, to choose settings by. Like an encoder it may have a method `initialise()`,
    called once all parts are made.

    Args:
        features: length of z.
        classes: number of logits.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.fc2 = nn.Linear(features, classes)

    def initialise(self) -> None:
        """Glorot uniform weights, zero biases (author's code)."""
        nn.init.xavier_uniform_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Logits [B, classes] of features z [B, features]."""
        return self.fc2(z)
