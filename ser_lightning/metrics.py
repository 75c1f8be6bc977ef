"""UA and WA from confusion counts."""

import numpy as np


def confusion_counts(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Counts [classes, classes], rows true, columns predicted, from class indices [n]."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Recall of each class [..., classes] from counts [..., classes, classes]; NaN where a class has no utterance."""
    confusion = np.asarray(confusion, dtype=np.float64)
    totals = confusion.sum(axis=-1)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.divide(right, totals, out=np.full(totals.shape, np.nan), where=totals > 0)


def unweighted_accuracy(confusion: np.ndarray) -> float:
    """UA, the mean of the class recalls, in [0, 1]; NaN if any class has no true utterance.

    A class without utterances is never averaged away: the split refuses such a part beforehand.

    >>> unweighted_accuracy(np.array([[3, 1], [0, 2]]))
    0.875
    """
    return float(recalls(confusion).mean())


def weighted_accuracy(confusion: np.ndarray) -> float:
    """WA, the share of utterances recognised, in [0, 1].

    >>> weighted_accuracy(np.array([[3, 1], [0, 4]]))
    0.875
    """
    confusion = np.asarray(confusion)
    return float(confusion.trace() / confusion.sum())
