"""Do a recognizer's probabilities mean what they say: expected calibration error, and temperature scaling.

Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks, ICML 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from ser_lightning.report.scored import Outputs, ScoredRun

BINS = 15
# Between these a temperature is sought: of a part without a single error the best one is 0.
COLDEST, HOTTEST = 0.05, 20.0


@dataclass(frozen=True)
class Reliability:
    """Utterances by the probability given to the class recognised, in bins of equal width; empty bins are left out.

    Attributes:
        confidence: mean of that probability in each bin [bins].
        accuracy: share recognised rightly [bins].
        count: utterances [bins].
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of accuracy and confidence over utterances, in [0, 1]."""
        return float(np.average(np.abs(self.accuracy - self.confidence), weights=self.count))


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """The reliability of probabilities [n, classes] for class indices [n].

    >>> shown = reliability(np.array([[0.9, 0.1], [0.7, 0.3], [0.7, 0.3]]), np.array([0, 0, 1]), bins=2)
    >>> shown.confidence.round(3), shown.accuracy.round(3), shown.count
    (array([0.767]), array([0.667]), array([3]))
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = _bin(confidence, bins)
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    sums = [np.bincount(place, weights=values, minlength=bins)[filled] for values in (confidence, right)]
    return Reliability(sums[0] / count[filled], sums[1] / count[filled], count[filled])


def _bin(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each probability [n]; one holds its upper end, so that certainty belongs to the last."""
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax of logits [n, classes] divided by a temperature."""
    return softmax(logits / temperature, axis=1)


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean over utterances, in nats, of logits [n, classes] divided by a temperature, for class indices [n]."""
    return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the least negative log-likelihood, for logits [n, classes] and class indices [n]."""
    # Without an error the colder the better, though hardly any more from some temperature on
    if (logits.argmax(axis=1) == labels).all():
        return COLDEST
    optimum = minimize_scalar(
        lambda log_temperature: negative_log_likelihood(logits, labels, np.exp(log_temperature)),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(optimum.x))


def temperature(run: ScoredRun, runs: Sequence[ScoredRun]) -> float:
    """Of a run, fitted to what other runs of its repetition say of test utterances that are none of its own.

    Where there are none, to its dev part.
    """
    outputs = other_outputs(run, runs) or [run.dev]
    return fit_temperature(
        np.concatenate([one.logits for one in outputs]), np.concatenate([one.labels for one in outputs])
    )


def other_outputs(run: ScoredRun, runs: Sequence[ScoredRun]) -> list[Outputs]:
    """What the runs of the repetition's other folds say of their test parts, without the utterances of this run's."""
    own = set(run.test.ids)
    others = [
        one.test for one in runs if one.result.repeat == run.result.repeat and one.result.split != run.result.split
    ]
    return [left for one in others if len((left := _without(one, own)).ids)]


def _without(outputs: Outputs, ids: set[str]) -> Outputs:
    kept = np.array([name not in ids for name in outputs.ids], dtype=bool)
    return Outputs(outputs.ids[kept], outputs.labels[kept], outputs.logits[kept])


def error_by_chance(probabilities: np.ndarray, draws: int = 200) -> float:
    """The calibration error that probabilities [n, classes] have by chance alone, if they are perfectly calibrated.

    Of few utterances it is large: the mean over draws of who is recognised rightly, each with its own probability.
    """
    confidence = probabilities.max(axis=1)
    right = np.random.default_rng(0).random((draws, len(confidence))) < confidence
    gaps = (right - confidence) @ np.eye(BINS)[_bin(confidence, BINS)]  # [draws, bins]
    return float(np.abs(gaps).sum(axis=1).mean() / len(confidence))


def overconfidence(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each utterance [n] the probability of the class recognised, minus 1 where it is right; the mean is the
    over-confidence, in [-1, 1]."""
    shares = probabilities(logits)
    return shares.max(axis=1) - (shares.argmax(axis=1) == labels)
