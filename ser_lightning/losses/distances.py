"""What several losses are made of: class means, distances, directions, weighted means; nothing waits for a device."""

import torch
from torch import Tensor, nn


def class_means(z: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Mean feature of each class [classes, D], zero where it does not occur, and how often it does [classes, 1].

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        classes: how many there are.

    >>> class_means(torch.tensor([[2.0], [4.0]]), torch.tensor([1, 1]), classes=2)
    (tensor([[0.],
            [3.]]), tensor([[0.],
            [2.]]))
    """
    # not bincount, for which a GPU would be waited for
    members = nn.functional.one_hot(labels, classes).to(z.dtype)  # [B, classes]
    sums, counts = members.T @ z, members.sum(dim=0)[:, None]  # [classes, D], [classes, 1]
    return sums / counts.clamp(min=1), counts


def squared_distances(z: Tensor, points: Tensor) -> Tensor:
    """||z_i - p_j||^2 of features z [B, D] and points [n, D], [B, n]; from differences, so that equal ones have 0.

    >>> squared_distances(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0], [3.0, 0.0]]))
    tensor([[25.,  0.]])
    """
    return (z[:, None] - points).square().sum(dim=2)


def unit(z: Tensor) -> Tensor:
    """Features z [..., D] scaled to length 1; zero, which has no direction, stays zero, with a finite gradient.

    >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    return z / length(z)


def length(z: Tensor) -> Tensor:
    """||z|| of features z [..., D], [..., 1]; 1, a constant, where z is zero."""
    squares = z.square().sum(dim=-1, keepdim=True)
    return _positive(squares).sqrt()


def lengths(z: Tensor) -> Tensor:
    """||z|| of features z [B, D], [B]; 0 where z is zero, with a finite gradient.

    >>> lengths(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([5., 0.])
    """
    return length(z).squeeze(1) * (z.detach() != 0).any(dim=1)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """sum w v / sum w of values and weights of one shape, a scalar; 0 where all weights are 0.

    >>> weighted_mean(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 1.0])), weighted_mean(torch.ones(2), torch.zeros(2))
    (tensor(2.), tensor(0.))
    """
    return (weights * values).sum() / _positive(weights.sum())


def mean_length(z: Tensor) -> Tensor:
    """Mean of ||z|| over features z [B, D], a scalar; 1, a constant, where all are zero."""
    return _positive(lengths(z).mean())


def pair_distances(means: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """||m_j - m_k||^2 of class means [classes, D], and which pairs j < k of classes occur, both [classes, classes].

    Args:
        means: [classes, D].
        counts: how often each class occurs [classes, 1].
    """
    present = (counts > 0).to(means.dtype)  # [classes, 1]
    return squared_distances(means, means), torch.triu(present @ present.T, diagonal=1)


def label_pairs(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which pairs of utterances are of one class, without an utterance and itself, and which of two, both [B, B].

    Args:
        labels: class indices [B].

    >>> label_pairs(torch.tensor([0, 0, 1]))[0].int().tolist()
    [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    """
    alike = labels[:, None] == labels
    return alike & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device), ~alike


def of_own_class(values: Tensor, labels: Tensor) -> Tensor:
    """Of values [B, classes] those of each utterance's own class [B]; `labels` are class indices [B], int64."""
    return values.gather(1, labels[:, None]).squeeze(1)


def spread(z: Tensor, labels: Tensor, means: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean squared distance of features from their class's mean, a scalar, with a gradient to the means too.

    Args:
        z: features [B, D].
        labels: class indices [B], int64.
        means: [classes, D].
        weights: of each utterance [B].
    """
    return weighted_mean((z - means[labels]).square().sum(dim=1), weights)


def _positive(values: Tensor) -> Tensor:
    return torch.where(values > 0, values, 1)
