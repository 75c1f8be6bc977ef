"""What repeated, overlapping trainings say: intervals, paired differences, and corrections for many comparisons.

Runs of a cross-validation share most of their training utterances, so that their results are not independent and the
usual standard error is too small. Nadeau and Bengio (Machine Learning 52, 2003; Bouckaert and Frank, PAKDD 2004, for
repeated cross-validation) correct it: with J results of variance s^2, the variance of their mean is

    (1 / J + n_test / n_train) s^2

and the mean over its root has about Student's t distribution with J - 1 degrees of freedom.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
POWER = 0.8
REPLICATES = 2000


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; low and high are NaN where one run alone was made.

    Attributes:
        mean: the estimate.
        low, high: ends of the interval.
        error: standard error.
        count: runs, or replicates.
    """

    mean: float
    low: float
    high: float
    error: float
    count: int


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference.

    Attributes:
        p: of no difference, two-sided.
        detectable: the smallest difference that a study like this would have found with a probability of 80 %.
    """

    p: float
    detectable: float


def over_runs(values: Sequence[float], ratio: float) -> Interval:
    """The mean of a score [runs] with its corrected 95 % interval.

    Args:
        values: one per run.
        ratio: test utterances over training utterances of a run.
    """
    mean, error, count = _mean_and_error(values, ratio)
    half = stats.t.ppf((1 + LEVEL) / 2, count - 1) * error if count > 1 else np.nan
    return Interval(mean, mean - half, mean + half, error, count)


def paired(first: Sequence[float], second: Sequence[float], ratio: float) -> Difference:
    """How much larger the scores `first` [runs] are than `second` [runs] of the same divisions, in the same order.

    Raises:
        ValueError: the two differ in length.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    interval = over_runs(differences, ratio)
    return Difference(**vars(interval), p=_p_value(interval), detectable=detectable(interval.error, interval.count))


def detectable(error: float, count: int) -> float:
    """The true difference at which a two-sided test at 5 % with this standard error rejects with probability 0.8.

    NaN where there is no standard error.
    """
    from statsmodels.stats.power import TTestPower

    if count < 2 or not np.isfinite(error):
        return np.nan
    # In standard deviations of single runs, were they independent and had this standard error
    size = TTestPower().solve_power(nobs=count, alpha=1 - LEVEL, power=POWER)
    return float(np.squeeze(size)) * count**0.5 * error


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method; NaN stays NaN and does not count."""
    from statsmodels.stats.multitest import multipletests

    p = np.asarray(p_values, dtype=float)
    corrected = np.full(len(p), np.nan)
    finite = np.isfinite(p)
    if finite.any():
        corrected[finite] = multipletests(p[finite], method="holm")[1]
    return corrected.tolist()


def over_groups(counts: np.ndarray, scores: Callable[[np.ndarray], np.ndarray]) -> list[Interval]:
    """95 % percentile intervals of scores under resampling of whole groups of utterances, such as speakers.

    It answers another question than `over_runs`: what if other people had spoken. Few groups give it rough ends. The
    groups are drawn anew `REPLICATES` times; draws in which a score is NaN, because a class has no utterance, do not
    count for it.

    Args:
        counts: what is counted in each group [groups, ...], such as confusions, summed over runs.
        scores: from counts summed over groups [..., ...] to scores [..., scores], any number of draws at once.
    """
    groups = len(counts)
    values = scores(counts.sum(axis=0)[None])[0]  # [scores]
    if groups < 2:
        return [Interval(float(value), np.nan, np.nan, np.nan, 0) for value in values]
    # How often each group is drawn [REPLICATES, groups]
    times = np.random.default_rng(0).multinomial(groups, np.full(groups, 1 / groups), size=REPLICATES)
    replicates = scores(np.tensordot(times.astype(np.float64), counts, axes=1))  # [REPLICATES, scores]
    pairs = zip(values, replicates.T, strict=True)
    return [_percentiles(float(value), draws[np.isfinite(draws)]) for value, draws in pairs]


def _percentiles(value: float, replicates: np.ndarray) -> Interval:
    if len(replicates) < 2:
        return Interval(value, np.nan, np.nan, np.nan, len(replicates))
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high), float(np.std(replicates, ddof=1)), len(replicates))


def _mean_and_error(values: Sequence[float], ratio: float) -> tuple[float, float, int]:
    """Mean of the values, its corrected standard error, and their number; NaN where it cannot be told."""
    count = len(values)
    mean = float(np.mean(values)) if count else np.nan
    if count < 2:
        return mean, np.nan, count
    return mean, float(np.sqrt((1 / count + ratio) * np.var(values, ddof=1))), count


def _p_value(interval: Interval) -> float:
    if interval.count < 2:
        return np.nan
    if interval.error == 0:
        return 1.0 if interval.mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(interval.mean) / interval.error, interval.count - 1))
