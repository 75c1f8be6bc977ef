"""What is counted as good: every metric is declared once, in `METRICS`, and is computed from confusion counts alone.

Tables, figures, differences, results.json and W&B go through `METRICS`; a further metric is an entry more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


def confusion_counts(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Counts [classes, classes], rows true, columns predicted, from class indices [n]."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Recall of each class [..., classes] from counts [..., classes, classes]; NaN where a class has no utterance."""
    confusion = np.asarray(confusion, dtype=np.float64)
    return _share(_right(confusion), confusion.sum(axis=-1))


# The functions below give a number for one matrix and an array [...] for more, which only `Any` says of both.


def unweighted_accuracy(confusion: np.ndarray) -> Any:
    """UA, the mean of the class recalls, in [0, 1], of counts [..., classes, classes].

    NaN if any class has no true utterance: such a class is never averaged away; the split refuses such a part
    beforehand.

    >>> float(unweighted_accuracy(np.array([[3, 1], [0, 2]])))
    0.875
    """
    return recalls(confusion).mean(axis=-1)


def weighted_accuracy(confusion: np.ndarray) -> Any:
    """WA, the share of utterances recognised, in [0, 1], of counts [..., classes, classes]; NaN of no utterance.

    >>> float(weighted_accuracy(np.array([[3, 1], [0, 4]])))
    0.875
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    return _share(_right(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)))[()]


def macro_f1(confusion: np.ndarray) -> Any:
    """The mean over classes of F1 = 2 right / (true + recognised), in [0, 1], of counts [..., classes, classes].

    NaN if any class has no true utterance, as UA.

    >>> float(macro_f1(np.array([[3, 1], [0, 2]])))  # (6 / 7 + 4 / 5) / 2
    0.8285714285714285
    """
    true = np.asarray(confusion).sum(axis=-1)
    return np.where(true > 0, _f1(confusion), np.nan).mean(axis=-1)


def weighted_f1(confusion: np.ndarray) -> Any:
    """The mean over utterances of their class's F1, in [0, 1], of counts [..., classes, classes]; MELD's figure.

    NaN of no utterance.

    >>> float(weighted_f1(np.array([[3, 1], [0, 2]])))  # (4 * 6 / 7 + 2 * 4 / 5) / 6
    0.8380952380952381
    """
    true = np.asarray(confusion, dtype=np.float64).sum(axis=-1)
    return _share((true * np.nan_to_num(_f1(confusion))).sum(axis=-1), true.sum(axis=-1))[()]


@dataclass(frozen=True)
class Metric:
    """A score of a recognizer.

    Attributes:
        label: what columns and axes call it.
        title: what it is, in a few words.
        score: from counts [..., classes, classes] to scores [...] in [0, 1]; NaN where it is unknown.
        aliases: other names of it in the field.
        decimals: with which it is written, in percent.
    """

    label: str
    title: str
    score: Callable[[np.ndarray], Any]
    aliases: tuple[str, ...] = ()
    decimals: int = 2


METRICS: dict[str, Metric] = {
    "ua": Metric("UA", "the mean of the class recalls", unweighted_accuracy, ("UAR", "balanced accuracy")),
    "wa": Metric("WA", "the share of utterances recognised", weighted_accuracy, ("WAR", "accuracy")),
    "macro_f1": Metric("F1", "the mean of the classes' F1 scores", macro_f1, ("macro F1",)),
    "weighted_f1": Metric("weighted F1", "the mean of the classes' F1 scores by their size", weighted_f1),
}

# By this the parameters are selected, settings ranked and questions answered.
HEADLINE = "ua"


def scores(confusion: np.ndarray) -> dict[str, float]:
    """Every metric, in [0, 1], of counts [classes, classes], under its key."""
    return {key: float(metric.score(confusion)) for key, metric in METRICS.items()}


def metric_key(name: str) -> str:
    """The key of the metric that a person calls `name`: key, label or alias, in any case.

    Raises `KeyError` where there is none.

    >>> metric_key("UAR"), metric_key("war"), metric_key("macro F1")
    ('ua', 'wa', 'macro_f1')
    """
    for key, metric in METRICS.items():
        if name.casefold() in {word.casefold() for word in (key, metric.label, *metric.aliases)}:
            return key
    raise KeyError(name)


def _f1(confusion: np.ndarray) -> np.ndarray:
    """F1 of each class [..., classes]; NaN where it neither occurs nor is recognised."""
    confusion = np.asarray(confusion, dtype=np.float64)
    return _share(2 * _right(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def _right(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
