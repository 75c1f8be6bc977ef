"""The system as one would first write it: what speed is compared with.

The same network, losses, optimiser and precomputed, normalised features; random batches, padded to their longest by a
`DataLoader`, in float32 and the default memory layout.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

Item = tuple[Tensor, int]


class PlainCRNN(nn.Module):
    """The paper's network."""

    def __init__(self, bins: int, classes: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 48, 7, stride=2), nn.Conv2d(48, 64, 3)
        self.conv3, self.conv4 = nn.Conv2d(64, 80, 3), nn.Conv2d(80, 96, 3)
        left = (bins - 7) // 2 + 1 - 2
        left = (left // 2 - 2) // 2 - 2
        self.gru = nn.GRU(96 * (left // 2), 128, batch_first=True, bidirectional=True)
        self.fc1, self.prelu, self.fc2 = nn.Linear(256, 64), nn.PReLU(64, init=0.0), nn.Linear(64, classes)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv1(x[:, None]).relu()
        steps = (lengths - 7) // 2 + 1
        for convolution in (self.conv2, self.conv3, self.conv4):
            x = nn.functional.max_pool2d(convolution(x).relu(), 2)
            steps = (steps - 2) // 2
        x = x.permute(0, 2, 3, 1).flatten(2)
        _, states = self.gru(pack_padded_sequence(x, steps, batch_first=True, enforce_sorted=False))
        z = self.prelu(self.fc1(torch.cat([states[0], states[1]], dim=1)))
        return z, self.fc2(z)


class PlainTraining:
    """Steps of training: softmax + lambda centre loss, both weighted by class, and Adam."""

    def __init__(self, network: PlainCRNN, weights: Tensor, lam: float, alpha: float, learning_rate: float) -> None:
        self.network, self.weights, self.lam, self.alpha = network, weights, lam, alpha
        self.centers = torch.zeros(len(weights), 64)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)

    def step(self, x: Tensor, lengths: Tensor, labels: Tensor) -> float:
        """The loss of a batch, before the step."""
        z, logits = self.network(x, lengths)
        weights = self.weights[labels]
        softmax = nn.functional.cross_entropy(logits, labels, weight=self.weights)
        center = (weights * (z - self.centers[labels]).square().sum(dim=1)).sum() / weights.sum()
        loss = softmax + self.lam * center
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        for label in labels.unique():
            mean = z.detach()[labels == label].mean(dim=0)
            self.centers[label] = (1 - self.alpha) * self.centers[label] + self.alpha * mean
        return loss.item()


def plain_batches(spectrograms: Sequence[np.ndarray], labels: Sequence[int]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Batches (x [32, T, bins], lengths, labels) without end, anew at random in each epoch."""
    items = list(zip(map(torch.from_numpy, spectrograms), labels, strict=True))
    loader: DataLoader[Item] = DataLoader(items, batch_size=32, shuffle=True, collate_fn=_pad)  # type: ignore[arg-type]
    while True:
        yield from loader


def _pad(items: Sequence[Item]) -> tuple[Tensor, Tensor, Tensor]:
    spectrograms, labels = zip(*items, strict=True)
    lengths = torch.tensor([len(spectrogram) for spectrogram in spectrograms])
    return pad_sequence(list(spectrograms), batch_first=True), lengths, torch.tensor(labels)
