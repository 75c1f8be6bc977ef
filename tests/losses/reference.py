"""Drawn batches and written-out sums for tests of losses."""

import torch

from ser_lightning.losses import LabeledBatch

CLASSES, FEATURES = 4, 6


def drawn(seed=0, size=12, scale=1.0):
    """z [size, FEATURES] with a gradient, and its batch; float64, classes of unlike weight."""
    generator = torch.Generator().manual_seed(seed)
    z = scale * torch.randn(size, FEATURES, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, CLASSES, (size,), generator=generator)
    weights = torch.tensor([1.0, 2.0, 4.0, 1.5], dtype=torch.float64)[labels]
    return z.requires_grad_(), LabeledBatch(labels, weights, torch.arange(size))


def unweighted(batch):
    """The same batch with weights of 1."""
    return batch._replace(weights=torch.ones_like(batch.weights))


def drawn_centers(seed=1):
    """Centres [CLASSES, FEATURES]."""
    return torch.randn(CLASSES, FEATURES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weighted(values, batch):
    """The weighted mean of a number per utterance, None for one that does not count, as a loop."""
    pairs = [(float(w), float(v)) for w, v in zip(batch.weights, values, strict=True) if v is not None]
    return sum(w * v for w, v in pairs) / sum(w for w, _ in pairs)


def square(one, other):
    """||one - other||^2 as a loop."""
    return sum((a - b) ** 2 for a, b in zip(one.tolist(), other.tolist(), strict=True))


def means(z, batch):
    """Class means of those that occur, as a loop: class -> mean."""
    members = {int(j): [row for row, label in zip(z, batch.labels, strict=True) if label == j] for j in batch.labels}
    return {j: torch.stack(rows).mean(dim=0) for j, rows in sorted(members.items())}
