"""From finished runs to the samples that intervals are made of: what each tested utterance adds to a mean over runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.metrics import HEADLINE, METRICS, Metric
from ser_lightning.report.scored import ScoredRun
from ser_lightning.report.statistics import (
    QUESTIONS,
    Interval,
    Sample,
    detectable,
    estimate,
    over_runs,
    p_value,
    unpaired,
)

# What columns call the questions
SHORT = dict(zip(QUESTIONS, ("new", "same", "repeat"), strict=True))
# By this count a cell of a confusion matrix is changed to see what an utterance adds to a metric
STEP = 1e-3

Pair = tuple[ScoredRun, ScoredRun]
# Of utterances and speakers [terms], and whether all speakers are known
Codes = tuple[np.ndarray, np.ndarray, bool]


def score_samples(runs: Sequence[ScoredRun], speaker_of: Mapping[str, str]) -> dict[str, Sample]:
    """Metric -> its mean over runs, percent.

    Args:
        runs: at least one.
        speaker_of: id -> who spoke, see `summary.speakers_by_id`.
    """
    return _score_samples(runs, _codes(runs, speaker_of))


def _score_samples(runs: Sequence[ScoredRun], codes: Codes) -> dict[str, Sample]:
    return {
        key: _sample(runs, codes, _terms(runs, metric), np.array([run.score(key) for run in runs]), paired=False)
        for key, metric in METRICS.items()
    }


def difference_samples(pairs: Sequence[Pair], speaker_of: Mapping[str, str]) -> dict[str, Sample]:
    """Metric -> the mean over pairs of runs of the first's score minus the second's, points.

    The runs of a pair share their division, so that its luck cancels, utterance by utterance.
    """
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    codes = _codes(first, speaker_of)
    orders = [pd.Index(other.test.ids).get_indexer(pd.Index(one.test.ids)) for one, other in pairs]
    samples = {}
    for key, metric in METRICS.items():
        gains = [
            one - other[order]
            for one, other, order in zip(_terms(first, metric), _terms(second, metric), orders, strict=True)
        ]
        scores = np.array([one.score(key) - other.score(key) for one, other in pairs])
        samples[key] = _sample(first, codes, gains, scores)
    return samples


def unpaired_row(
    first: Sequence[ScoredRun], second: Sequence[ScoredRun], speaker_of: Mapping[str, str], question: str
) -> dict[str, Any]:
    """For every metric the second's mean less the first's (ua), half of its 95 % interval for a question (ua_half) and
    the p-value of no difference (ua_p), of runs on unlike divisions of one corpus; why UA has none (refusal)."""
    utterances, speakers, known = _codes([*first, *second], speaker_of)
    number = sum(len(run.test.ids) for run in first)
    one = _score_samples(first, (utterances[:number], speakers[:number], known))
    other = _score_samples(second, (utterances[number:], speakers[number:], known))
    row: dict[str, Any] = {}
    for key in METRICS:
        interval = unpaired(one[key], other[key], question)
        row |= {key: interval.mean, f"{key}_half": interval.high - interval.mean, f"{key}_p": p_value(interval)}
        if key == HEADLINE:
            row["refusal"] = interval.refusal
    return row


def mean_sample(
    runs: Sequence[ScoredRun], values: Sequence[np.ndarray], speaker_of: Mapping[str, str], paired: bool
) -> Sample:
    """The mean over runs of the mean over their test utterances of `values` [runs][n], differences if `paired`."""
    scores = np.array([one.mean() for one in values])
    return _sample(runs, _codes(runs, speaker_of), [(one - scores.mean()) / len(one) for one in values], scores, paired)


def over_divisions(runs: Sequence[ScoredRun], values: Sequence[float]) -> Interval:
    """The mean of what runs have [runs], with its interval for the question `repeat`; those of one division count as
    one, by their mean."""
    means = pd.Series(values, dtype=np.float64).groupby([run.result.split for run in runs], sort=False).mean()
    return over_runs(means.to_numpy())


def score_row(runs: Sequence[ScoredRun], speaker_of: Mapping[str, str]) -> dict[str, Any]:
    """The numbers of a row of scores, see `interval_row`, ends between 0 and 100; NaN without runs."""
    samples = score_samples(runs, speaker_of) if runs else {}
    row = {name: value for key in METRICS for name, value in interval_row(key, samples.get(key)).items()}
    return {name: np.clip(value, 0, 100) if name.endswith(("_low", "_high")) else value for name, value in row.items()}


def difference_row(pairs: Sequence[Pair], speaker_of: Mapping[str, str]) -> dict[str, Any]:
    """The numbers of a row of differences: see `interval_row`, and for a metric the p-value of no difference (ua_p),
    both for the question that the study answers first; runs (pairs), divisions. NaN without pairs."""
    samples = difference_samples(pairs, speaker_of) if pairs else {}
    row: dict[str, Any] = {"runs": len(pairs), "divisions": len({one.result.split for one, _ in pairs})}
    for key in METRICS:
        row |= interval_row(key, samples.get(key))
        row[f"{key}_p"] = p_value(_first_interval(row, key))
    return row


def interval_row(key: str, sample: Sample | None) -> dict[str, Any]:
    """A sample's mean (ua), half of its 95 % interval for the question that the study answers first (ua_half), that
    interval's standard error and degrees of freedom (ua_error, ua_freedom), and the ends of its interval for each
    question (ua_new_low, ua_new_high, ua_same_low, ...). NaN where there is none."""
    intervals = {question: estimate(sample, question) for question in QUESTIONS} if sample else {}
    first = intervals[sample.question] if sample else Interval(np.nan, np.nan, np.nan, np.nan, 0)
    row = {
        key: first.mean,
        f"{key}_half": first.high - first.mean,
        f"{key}_error": first.error,
        f"{key}_freedom": first.freedom,
    }
    for question, word in SHORT.items():
        interval = intervals.get(question, first)
        row |= {f"{key}_{word}_low": interval.low, f"{key}_{word}_high": interval.high}
    return row


def refusals(runs: Sequence[ScoredRun], speaker_of: Mapping[str, str]) -> dict[str, str]:
    """Question -> why these runs have no interval of UA for it; the questions that they answer are left out."""
    if not runs:
        return dict.fromkeys(QUESTIONS, "no run has finished")
    return _reasons(score_samples(runs, speaker_of)[HEADLINE])


def pair_refusals(pairs: Sequence[Pair], speaker_of: Mapping[str, str]) -> dict[str, str]:
    """The same of a difference of UA; of one pair at least."""
    return _reasons(difference_samples(pairs, speaker_of)[HEADLINE])


def _reasons(sample: Sample) -> dict[str, str]:
    reasons = {question: estimate(sample, question).refusal for question in QUESTIONS}
    return {question: reason for question, reason in reasons.items() if reason}


def add_detectable(table: pd.DataFrame) -> pd.DataFrame:
    """For every metric the true difference that the study shows with a probability of 80 % (ua_detectable), by the rule
    that decides: p corrected for the number of rows that have one."""
    columns = {}
    for key in METRICS:
        number = max(1, int(np.isfinite(table[f"{key}_p"]).sum()))
        columns[f"{key}_detectable"] = [
            detectable(_first_interval(row, key), number) for row in table.to_dict("records")
        ]
    return table.assign(**columns)


def _first_interval(row: Mapping[Any, Any], key: str) -> Interval:
    """From a row's numbers what p and the detectable difference need of the first question's interval: not its ends."""
    return Interval(row[key], np.nan, np.nan, row[f"{key}_error"], int(row[f"{key}_freedom"]))


def _terms(runs: Sequence[ScoredRun], metric: Metric) -> list[np.ndarray]:
    """What each test utterance of each run adds to the run's score, in percent [runs][n].

    The metric's slopes at the confusions that a run of this class balance has on average: to first order a run's terms
    sum to its score less the mean over runs, for UA exactly.
    """
    counts = np.stack([run.confusion for run in runs]).astype(np.float64)  # [runs, classes, classes]
    totals = counts.sum(axis=2, keepdims=True)
    shares = np.divide(counts, totals, where=totals > 0, out=np.full_like(counts, np.nan))
    place, divisions = pd.factorize(np.array([run.result.split for run in runs]))
    by_division = [_mean_of_known(shares[place == number]) for number in range(len(divisions))]
    expected = _mean_of_known(np.stack(by_division)) * totals
    slopes = np.empty_like(counts)
    for cell in np.ndindex(counts.shape[1:]):
        change = np.zeros(counts.shape[1:])
        change[cell] = STEP
        slopes[:, *cell] = (metric.score(expected + change) - metric.score(expected - change)) / (2 * STEP)
    return [100 * slope[run.test.labels, run.test.recognised] for slope, run in zip(slopes, runs, strict=True)]


def _mean_of_known(shares: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is a number; NaN where nothing is."""
    known = np.isfinite(shares)
    number = known.sum(axis=0)
    return np.divide(
        np.where(known, shares, 0).sum(axis=0), number, where=number > 0, out=np.full(number.shape, np.nan)
    )


def _codes(runs: Sequence[ScoredRun], speaker_of: Mapping[str, str]) -> Codes:
    """Codes of utterances and speakers [terms], and whether all speakers are known; an utterance of nobody known has a
    code of its own."""
    utterances, names = pd.factorize(np.concatenate([run.test.ids for run in runs]))
    speakers, _ = pd.factorize(np.array([speaker_of.get(name, f"utterance {name}") for name in names], dtype=object))
    return utterances, speakers[utterances], all(name in speaker_of for name in names)


def _sample(
    runs: Sequence[ScoredRun],
    codes: Codes,
    deviations: Sequence[np.ndarray],
    scores: np.ndarray,
    paired: bool = True,
) -> Sample:
    """Runs of one division into parts differ in the seed alone, and count as one."""
    place, divisions = pd.factorize(np.array([run.result.split for run in runs]))
    seeds = np.bincount(place)
    means = np.bincount(place, scores) / seeds
    sizes = [len(one) for one in deviations]
    weights = 1 / (len(divisions) * seeds[place])  # [runs]
    first = [int(np.flatnonzero(place == number)[0]) for number in range(len(divisions))]
    known = [run.result.audit.get("speaker") for run in runs]
    return Sample(
        value=float(means.mean()),
        scores=means,
        terms=np.concatenate([one * weight for one, weight in zip(deviations, weights, strict=True)]),
        divisions=np.repeat(place, sizes),
        utterances=codes[0],
        speakers=codes[1],
        partitions=np.array([runs[number].result.repeat for number in first]),
        paired=paired,
        apart=None if None in known or not codes[2] else not any(known),
    )
