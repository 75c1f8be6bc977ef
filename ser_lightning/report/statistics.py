"""What repeated, overlapping trainings say: an interval for each question that is asked of them, and its test.

Three questions are asked of one mean over runs, and each has another answer:

- *repeat*: what would the same corpus give, divided and trained anew? From the spread over runs.
- *same people*: what would new recordings of these speakers give? From the spread over runs and over utterances.
- *new people*: what would other speakers give? From the spread over runs and over speakers; only where the tested
  speakers are not in training. Where all runs test the same speakers, from the spread over these alone: it is an
  interval for other speakers given what was trained.

The variance of a mean over terms that are alike in two ways, by speaker and by run, is the sum of the two clustered
variances less that of the clusters' intersections (Cameron, Gelbach, Miller, Journal of Business & Economic Statistics
29, 2011). How often each interval covers, and what else was tried: `docs/statistics.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
from scipy import optimize, special

LEVEL = 0.95
POWER = 0.8
# Runs, speakers, or groups of them below which there is no interval
FEWEST = 5
# The same of speakers for a score, which differs more between them than a difference of scores does
FEWEST_FOR_A_SCORE = 10
# What all trainings owe to the recordings that they share does not show in their spread: further repetitions make an
# interval for the same people no narrower
MOST_REPETITIONS = 4
# The questions, and what an interval for each is about
QUESTIONS = {
    "new people": "other speakers",
    "same people": "new recordings of the same speakers",
    "repeat": "the same corpus, divided and trained anew",
}


@dataclass(frozen=True)
class Sample:
    """A mean over runs in percent, or points, and what each tested utterance of each run adds to it.

    Runs that differ in the seed alone count as one, of their mean.

    Attributes:
        value: the mean.
        scores: of each run [runs].
        terms: what utterances add to the value's distance from what is expected of it [terms]; those of run r sum to
            (scores[r] - value) / runs.
        divisions: which run a term is of, 0 to runs - 1 [terms].
        utterances: which utterance [terms].
        speakers: which speaker [terms]; an utterance of nobody known is a speaker of its own.
        partitions: which repetition a run is of [runs].
        apart: whether no tested speaker is in training; None where it is not known.
        paired: whether it is a difference of runs on the same division, and not a score.
    """

    value: float
    scores: np.ndarray
    terms: np.ndarray
    divisions: np.ndarray
    utterances: np.ndarray
    speakers: np.ndarray
    partitions: np.ndarray
    apart: bool | None
    paired: bool = True

    @property
    def question(self) -> str:
        """The one that the study answers first."""
        return "new people" if self.apart else "same people"

    @property
    def given(self) -> str:
        """What an interval for new people is conditional on; empty where runs test groups of their own."""
        if self.groups > 1:
            return ""
        return "given this training part" if len(self.scores) == 1 else "given these training parts"

    @cached_property
    def groups(self) -> int:
        """Distinct groups of speakers that are tested together."""
        present = np.zeros((len(self.scores), int(self.speakers.max()) + 1), dtype=bool)
        present[self.divisions, self.speakers] = True
        return len({run.tobytes() for run in present})

    @cached_property
    def speakers_tested(self) -> int:
        """How many speakers are tested."""
        return int((np.bincount(self.speakers) > 0).sum())

    @property
    def repetitions(self) -> int:
        """How many partitions of the corpus the runs are of."""
        return len(np.unique(self.partitions))

    @property
    def folds(self) -> int:
        """Runs of one repetition; where repetitions have unlike numbers, the most."""
        return int(np.unique(self.partitions, return_counts=True)[1].max())

    @property
    def least(self) -> float:
        """The variance of the mean if one utterance of each run were recognised otherwise, or not."""
        tested = np.zeros((len(self.scores), int(self.utterances.max()) + 1), dtype=bool)
        tested[self.divisions, self.utterances] = True
        return float(np.square(100 / (tested.sum(axis=1) * len(self.scores))).sum())


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval for a question.

    Attributes:
        mean: the estimate.
        low, high: ends of the interval; NaN where the study cannot answer the question.
        error: standard error.
        freedom: its degrees of freedom.
        refusal: why there is no interval; empty where there is one.
    """

    mean: float
    low: float
    high: float
    error: float
    freedom: int
    refusal: str = ""


def estimate(sample: Sample, question: str) -> Interval:
    """A sample's value with its 95 % interval for one of `QUESTIONS`, or with why it has none."""
    if refusal := _refusal(sample, question):
        return Interval(sample.value, np.nan, np.nan, np.nan, 0, refusal)
    squared, freedom = _variance(sample, question)
    return with_ends(sample.value, max(squared, sample.least), freedom)


def over_runs(values: Sequence[float] | np.ndarray) -> Interval:
    """The mean of what runs have [runs], with its 95 % interval for the question `repeat`, one value a run."""
    mean = float(np.mean(values)) if len(values) else np.nan
    if len(values) < FEWEST:
        return Interval(mean, np.nan, np.nan, np.nan, 0, _too_few(len(values), "run", "on divisions of their own"))
    return with_ends(mean, _over_runs(values), len(values) - 1)


def unpaired(first: Sample, second: Sample, question: str) -> Interval:
    """The second's value less the first's, of runs on unlike divisions of one corpus, with its interval for a question.

    What speakers, or utterances, add to both cancels as far as they add it to both; the codes of the two are common.
    For `new people` voices may be trained on by one of the two: then it is what a known voice is worth.
    """
    value = second.value - first.value
    for sample in (first, second):
        if refusal := _refusal_unpaired(replace(sample, paired=False), question):
            return Interval(value, np.nan, np.nan, np.nan, 0, refusal)
    freedom = min(_freedom(replace(sample, paired=False), question, sample.repetitions) for sample in (first, second))
    squared = _over_runs(first.scores) + _over_runs(second.scores)
    if question != "repeat":
        squared = _two_way_unpaired(first, second, "speakers" if question == "new people" else "utterances")
    return with_ends(value, max(squared, first.least + second.least), freedom)


def _refusal_unpaired(sample: Sample, question: str) -> str:
    # Each side's spread over its runs is needed, whatever the question
    refusal = _refusal(sample, "same people")
    if refusal or question != "new people":
        return refusal
    if sample.apart is not False:
        return _refusal(sample, question)
    # Voices that are trained on are not tested in groups
    return _too_few_speakers(sample) if sample.speakers_tested < FEWEST_FOR_A_SCORE else ""


def _two_way_unpaired(first: Sample, second: Sample, clusters: str) -> float:
    """As `two_way`, of runs that belong to either side and clusters that belong to both."""
    terms = np.concatenate([-first.terms, second.terms])
    codes = np.concatenate([getattr(first, clusters), getattr(second, clusters)])
    runs = np.concatenate([first.divisions, second.divisions + len(first.scores)])
    one = variance(terms, codes)
    other = variance(first.terms, first.divisions) + variance(second.terms, second.divisions)
    return max(one + other - variance(terms, codes * (int(runs.max()) + 1) + runs), one, other)


def p_value(interval: Interval) -> float:
    """Of no difference, two-sided; NaN where there is no interval."""
    if not interval.freedom:
        return np.nan
    return float(2 * special.stdtr(interval.freedom, -abs(interval.mean) / interval.error))


def detectable(interval: Interval, comparisons: int = 1) -> float:
    """The true difference that a test with this standard error shows with a probability of 80 %.

    A difference is shown where p, corrected for so many comparisons, is below 5 %; the correction is that of the
    smallest p among them (Holm's first step). NaN where there is no interval.
    """
    if not interval.freedom:
        return np.nan

    def missing(shift: float) -> float:
        return POWER - power(shift, 1.0, interval.freedom, comparisons)

    shift = optimize.brentq(missing, 0, 4 * _limit(interval.freedom, comparisons) + 20)
    return float(shift * interval.error)


def t_quantile(probability: float, freedom: int) -> float:
    """Below which Student's t lies with a probability."""
    # `scipy.stats` has it too, whose import takes a fifth of a report's time
    return float(special.stdtrit(freedom, probability))


def power(effect: float, error: float, freedom: int, comparisons: int = 1) -> float:
    """The probability with which a true difference is shown, see `detectable`."""
    limit, shift = _limit(freedom, comparisons), effect / error
    # SciPy's noncentral t is not a number far from zero
    scales = _scales(freedom)
    return float((special.ndtr(shift - limit * scales) + special.ndtr(-shift - limit * scales)).mean())


def after(sample: Sample, question: str, repetitions: int) -> tuple[float, int]:
    """The standard error that a study would have after so many repetitions, and its degrees of freedom.

    The part of the variance that lies between speakers (`new people`) or utterances (`same people`) stays; that between
    runs becomes less. Raises `ValueError` for a sample of one repetition, in which the two cannot be told apart.
    """
    if sample.repetitions < 2:
        raise ValueError("of one repetition it cannot be told what a further one would bring")
    new_people = question == "new people"
    clusters = sample.speakers if new_people else sample.utterances
    both = variance(sample.terms, clusters * (int(sample.divisions.max()) + 1) + sample.divisions)
    lasting = max(0.0, variance(sample.terms, clusters) - both)
    # As `two_way`: at least what either kind of cluster has alone; given the training parts runs are none
    given = new_people and sample.given
    passing = both if given else max(both, variance(sample.terms, sample.divisions))
    counted = repetitions if new_people else min(repetitions, MOST_REPETITIONS)
    # As `estimate`: at least what one utterance of each run makes
    least = sample.least * sample.repetitions / counted
    error = float(np.sqrt(max(lasting + passing * sample.repetitions / counted, least)))
    return error, _freedom(sample, question, repetitions)


@cache
def _scales(freedom: int) -> np.ndarray:
    """What a standard error is estimated as, over its true value: equally probable values [2000]."""
    return np.sqrt(2 * special.gammaincinv(freedom / 2, (np.arange(2000) + 0.5) / 2000) / freedom)


def _limit(freedom: int, comparisons: int) -> float:
    """Above so many standard errors the smallest p of several comparisons is below 5 % after Holm's correction."""
    return t_quantile(1 - (1 - LEVEL) / 2 / comparisons, freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method; NaN stays NaN and does not count."""
    p = np.asarray(p_values, dtype=float)
    corrected = np.full(len(p), np.nan)
    # NaN is last in order
    order = np.argsort(p)[: np.isfinite(p).sum()]
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return corrected.tolist()


def variance(terms: np.ndarray, clusters: np.ndarray) -> float:
    """The variance of the sum of terms [n] that are independent between clusters (codes [n]) alone."""
    sums = np.bincount(clusters, terms)[np.bincount(clusters) > 0]
    return float(len(sums) / (len(sums) - 1) * (sums @ sums)) if len(sums) > 1 else np.nan


def two_way(terms: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The variance of the sum of terms [n] that are dependent within the clusters of either kind (codes [n]).

    At least that of either kind alone, since the difference of estimates may fall below.
    """
    one, other = variance(terms, first), variance(terms, second)
    return max(one + other - variance(terms, first * (int(second.max()) + 1) + second), one, other)


def _refusal(sample: Sample, question: str) -> str:
    runs = len(sample.scores)
    if not np.isfinite(sample.value):
        return "a class is absent from a test part"
    if question != "new people":
        return _too_few(runs, "run", "on divisions of their own") if runs < FEWEST else ""
    if not sample.apart:
        return "who spoke is not known of all utterances" if sample.apart is None else "their voices are trained on"
    if sample.speakers_tested < (FEWEST if sample.paired else FEWEST_FOR_A_SCORE):
        return _too_few_speakers(sample)
    if sample.groups == 1:
        return ""
    groups = min(sample.speakers_tested, sample.groups)
    if groups < FEWEST:
        return _too_few(groups, "group", "of speakers tested apart")
    return _too_few(sample.folds, "fold", "in a repetition") if sample.folds < FEWEST else ""


def with_ends(mean: float, squared: float, freedom: int) -> Interval:
    """A mean with its 95 % interval, of its variance and that variance's degrees of freedom, 0 where it has none."""
    if not freedom:
        return Interval(mean, np.nan, np.nan, np.nan, 0)
    error = float(np.sqrt(squared))
    half = t_quantile((1 + LEVEL) / 2, freedom) * error
    return Interval(mean, mean - half, mean + half, error, freedom)


def _over_runs(values: Sequence[float] | np.ndarray) -> float:
    """The variance of a mean of runs, as if they were independent.

    Those of one repetition are tested on unlike utterances, and are less alike than whole repetitions are.
    """
    return float(np.var(values, ddof=1) / len(values))


def _too_few(number: int, noun: str, rest: str, fewest: int = FEWEST) -> str:
    return f"{number} {noun}{'s' * (number != 1)} {rest}, where an interval needs {fewest}"


def _too_few_speakers(sample: Sample) -> str:
    return _too_few(sample.speakers_tested, "speaker", "tested", FEWEST if sample.paired else FEWEST_FOR_A_SCORE)


def _variance(sample: Sample, question: str) -> tuple[float, int]:
    """The variance of the value, and its degrees of freedom."""
    freedom = _freedom(sample, question, sample.repetitions)
    if question == "repeat":
        return _over_runs(sample.scores), freedom
    if question == "same people":
        squared = two_way(sample.terms, sample.utterances, sample.divisions)
        counted = min(sample.repetitions, MOST_REPETITIONS)
        return squared + variance(sample.terms, sample.divisions) * (sample.repetitions / counted - 1), freedom
    if sample.groups == 1:
        return variance(sample.terms, sample.speakers), freedom
    return two_way(sample.terms, sample.speakers, sample.divisions), freedom


def _freedom(sample: Sample, question: str, repetitions: int) -> int:
    """The degrees of freedom of a study as the sample's, with so many repetitions."""
    if question == "repeat":
        return len(sample.scores) * repetitions // sample.repetitions - 1
    if question == "same people":
        return sample.folds - 1 + min(repetitions, MOST_REPETITIONS) - 1
    # Of a difference in one repetition the larger of two estimates is on the safe side already, each speaker being
    # tested once; where all runs test the same speakers there is no other unit
    safe = sample.groups == 1 or (sample.paired and repetitions == 1)
    return (sample.speakers_tested if safe else min(sample.speakers_tested, sample.folds)) - 1
