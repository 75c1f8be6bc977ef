"""Statistics of repeated trainings: by hand, against other implementations, and by simulation."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from ser_lightning.report.statistics import (
    QUESTIONS,
    Interval,
    Sample,
    after,
    detectable,
    estimate,
    holm,
    over_runs,
    p_value,
    power,
    two_way,
    unpaired,
    variance,
    with_ends,
)

T4 = 2.7764451051977987  # 97.5 % of Student's t with 4 degrees of freedom


def sample_of(values, utterances=None, speakers=None, partitions=None, apart=True):
    """The mean over runs of the mean of each run's `values` [runs][n].

    `utterances` and `speakers` [runs][n] are codes; without them every utterance is tested once, and each run has a
    speaker of its own.
    """
    runs, sizes = len(values), [len(one) for one in values]
    scores = np.array([np.mean(one) for one in values])
    terms = [(np.asarray(one) - scores.mean()) / (len(one) * runs) for one in values]
    divisions = np.repeat(np.arange(runs), sizes)
    return Sample(
        value=float(scores.mean()),
        scores=scores,
        terms=np.concatenate(terms),
        divisions=divisions,
        utterances=np.arange(sum(sizes)) if utterances is None else np.concatenate(utterances),
        speakers=divisions if speakers is None else np.concatenate(speakers),
        partitions=np.zeros(runs, dtype=int) if partitions is None else np.array(partitions),
        apart=apart,
    )


def halves_around(scores, distance=10.0):
    """Runs of 200 utterances, half of them so far below the run's score and half above."""
    return [np.repeat([score - distance, score + distance], 100) for score in scores]


SCORES = [60.0, 62.0, 64.0, 66.0, 68.0]


def test_what_training_anew_would_give_is_the_usual_interval_of_a_mean():
    # Mean 64, variance (16 + 4 + 0 + 4 + 16) / 4 = 10, that of the mean 2
    for interval in (estimate(sample_of(halves_around(SCORES)), "repeat"), over_runs(SCORES)):
        assert (interval.mean, interval.freedom, interval.refusal) == (64, 4, "")
        assert interval.error == pytest.approx(2**0.5)
        assert (interval.low, interval.high) == pytest.approx((64 - T4 * 2**0.5, 64 + T4 * 2**0.5))


def test_p_is_that_of_the_usual_t_test():
    scores = np.random.default_rng(0).normal(1, 3, 12)
    interval, usual = over_runs(scores), stats.ttest_1samp(scores, 0)
    assert p_value(interval) == pytest.approx(usual.pvalue)
    ends = usual.confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((ends.low, ends.high))


def test_p_is_5_percent_where_an_end_of_the_interval_is_zero():
    interval = with_ends(T4, 1.0, 4)
    assert interval.low == pytest.approx(0)
    assert p_value(interval) == pytest.approx(0.05)


RECALLS = np.repeat([60.0, 70.0], 5)


def two_speakers_a_run(luck, recalls):
    """Ten speakers, two a run, with 200 utterances each around their recall and the run's luck [runs]."""
    pairs = [(number, number + 5) for number in range(5)]
    values = [
        np.concatenate(halves_around(recalls[list(pair)] + shift)) for pair, shift in zip(pairs, luck, strict=True)
    ]
    return sample_of(values, speakers=[np.repeat(pair, 200) for pair in pairs])


def test_unpaired_what_speakers_add_to_both_sides_cancels():
    # Alone, speakers of 60 and 70 give either side a variance of 10 x 25 / (10 x 9); the difference has the runs' luck
    # alone, 2.5 / 5 on the second side, and 4 degrees of freedom
    luck = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    first, second = two_speakers_a_run(np.zeros(5), RECALLS), two_speakers_a_run(10 + luck, RECALLS)
    interval = unpaired(replace(first, apart=False), second, "new people")
    assert (interval.mean, interval.freedom) == (pytest.approx(10), 4)
    assert estimate(replace(first, paired=False), "new people").error ** 2 == pytest.approx(25 / 9)
    # Each speaker's luck is a tenth of the sum of the squares, 10 / 9 of it; less the intersections', the same here
    assert interval.error**2 == pytest.approx(2.5 / 5)


def test_unpaired_unlike_speakers_make_the_interval_wide():
    first, second = two_speakers_a_run(np.zeros(5), RECALLS), two_speakers_a_run(np.full(5, 10.0), RECALLS[::-1])
    # Half of the speakers differ by 0 and half by 20: ten terms of 10 / 10, 10 / 9 of the sum of their squares
    assert unpaired(first, second, "new people").error ** 2 == pytest.approx(10 / 9 * 10)


def test_unpaired_for_repeating_variances_of_both_sides_add_up():
    first, second = sample_of(halves_around(SCORES)), sample_of(halves_around([one + 5 for one in SCORES]))
    interval = unpaired(first, second, "repeat")
    assert (interval.mean, interval.error**2, interval.freedom) == (pytest.approx(5), pytest.approx(2 + 2), 4)


def test_unpaired_fewer_than_ten_speakers_have_no_interval_for_others():
    few = sample_of(halves_around(SCORES))
    interval = unpaired(few, few, "new people")
    assert np.isnan(interval.low)
    assert interval.refusal == "5 speakers tested, where an interval needs 10"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("question", ["same people", "repeat"])
def test_fewer_than_five_runs_have_a_mean_and_no_interval(question, number):
    sample = sample_of(halves_around(SCORES[:number]))
    for interval in (estimate(sample, question), over_runs(SCORES[:number])):
        assert interval.mean == pytest.approx(np.mean(SCORES[:number]))
        assert np.isnan([interval.low, interval.high, interval.error, p_value(interval), detectable(interval)]).all()
        assert interval.refusal.startswith(f"{number} run{'s' * (number > 1)} ")
        assert interval.refusal.endswith("an interval needs 5")
    assert np.isfinite(estimate(sample_of(halves_around(SCORES)), question).error)


def test_no_run_has_no_mean():
    interval = over_runs([])
    assert np.isnan([interval.mean, interval.low, interval.high]).all()
    assert interval.refusal.startswith("0 runs ")


def test_what_cannot_be_scored_has_no_interval():
    sample = replace(sample_of(halves_around(SCORES)), value=np.nan)
    assert {estimate(sample, question).refusal for question in QUESTIONS} == {"a class is absent from a test part"}


# Which question is answered, and with what


def test_a_study_answers_first_for_new_people_where_no_tested_speaker_is_trained_on():
    sample = sample_of(halves_around(SCORES))
    questions = [replace(sample, apart=apart).question for apart in (True, False, None)]
    assert questions == ["new people", "same people", "same people"]


def test_for_new_people_speakers_are_the_unit():
    """Five runs of a speaker each: -10, 40, -60, -10, 40 about the mean of 60, a fifth of that in the mean over runs:
    the squares 4, 64, 144, 4, 64 are 280, times 5 / 4 for the mean being an estimate."""
    interval = estimate(sample_of(halves_around([50, 100, 0, 50, 100])), "new people")
    assert (interval.mean, interval.freedom) == (60, 4)
    assert interval.error == pytest.approx(350**0.5)
    assert interval.high == pytest.approx(60 + T4 * 350**0.5)


def test_unlike_speakers_within_alike_runs_still_make_the_interval_wide():
    """Every run has a speaker 20 above the mean and one 20 below; each has half of a fifth of it: 2."""
    speakers = [np.repeat([2 * run, 2 * run + 1], 100) for run in range(5)]
    sample = sample_of(halves_around([60] * 5, distance=20), speakers=speakers)
    interval = estimate(sample, "new people")
    assert interval.error == pytest.approx((10 / 9 * 10 * 2**2) ** 0.5)
    # Each speaker is tested once
    assert interval.freedom == 10 - 1


def test_of_several_repetitions_the_folds_are_counted():
    """Ten speakers, divided twice into five pairs: each is tested twice."""
    rng = np.random.default_rng(0)
    speakers = [np.repeat(pair, 50) for _ in range(2) for pair in rng.permutation(10).reshape(5, 2)]
    own = rng.normal(60, 20, 10)
    sample = sample_of([own[one] for one in speakers], speakers=speakers, partitions=[0] * 5 + [1] * 5)
    interval = estimate(sample, "new people")
    assert interval.freedom == 5 - 1
    assert interval.error == pytest.approx(plain_two_way(sample.terms, sample.speakers, sample.divisions) ** 0.5)


def test_for_the_same_people_utterances_and_runs_are_the_units():
    rng = np.random.default_rng(3)
    utterances = [part for _ in range(2) for part in rng.permutation(200).reshape(5, 40)]
    own = rng.normal(0, 20, 200)
    values = [60 + own[part] + rng.normal(0, 10) for part in utterances]
    sample = sample_of(values, utterances, partitions=[0] * 5 + [1] * 5, apart=False)
    interval = estimate(sample, "same people")
    assert interval.error == pytest.approx(plain_two_way(sample.terms, sample.utterances, sample.divisions) ** 0.5)
    # Four of the folds and one of the repetitions
    assert interval.freedom == 4 + 1


def test_for_the_same_people_four_repetitions_are_as_good_as_eight():
    rng = np.random.default_rng(3)
    utterances = [part for _ in range(8) for part in rng.permutation(200).reshape(5, 40)]
    values = [60 + rng.normal(0, 20, 40) + rng.normal(0, 10) for _ in utterances]
    sample = sample_of(values, utterances, partitions=np.repeat(np.arange(8), 5).tolist(), apart=False)
    interval = estimate(sample, "same people")
    # Eight repetitions have half of the variance between runs that four have
    runs = plain_one_way(sample.terms, sample.divisions)
    both = plain_two_way(sample.terms, sample.utterances, sample.divisions)
    assert interval.error**2 == pytest.approx(both + runs)
    assert interval.freedom == 4 + 3


def test_a_repetition_of_which_a_run_is_missing_has_as_many_folds_as_the_others():
    rng = np.random.default_rng(0)
    speakers = [np.repeat(pair, 100) for _ in range(2) for pair in rng.permutation(10).reshape(5, 2)][:9]
    sample = sample_of(halves_around((SCORES * 2)[:9]), speakers=speakers, partitions=[0] * 5 + [1] * 4)
    interval = estimate(sample, "new people")
    assert (interval.refusal, interval.freedom) == ("", 4)


def test_whose_voices_are_trained_on_says_nothing_of_other_people():
    sample = sample_of(halves_around(SCORES), apart=False)
    assert estimate(sample, "new people").refusal == "their voices are trained on"
    assert np.isnan(estimate(sample, "new people").error)
    assert np.isfinite([estimate(sample, question).error for question in ("same people", "repeat")]).all()


def test_of_unknown_speakers_nothing_is_said_of_other_people():
    sample = sample_of(halves_around(SCORES), apart=None)
    assert estimate(sample, "new people").refusal == "who spoke is not known of all utterances"
    assert np.isfinite(estimate(sample, "same people").error)


def test_one_official_division_counts_its_speakers():
    """Six speakers at 60 and 100 in turn: each is 20 from the mean, and has a sixth of that in it."""
    one = sample_of([np.repeat([60, 100, 60, 100, 60, 100], 50)], speakers=[np.repeat(np.arange(6), 50)])
    interval = estimate(one, "new people")
    assert (interval.mean, interval.freedom) == (80, 5)
    assert interval.error == pytest.approx((6 / 5 * 6 * (20 / 6) ** 2) ** 0.5)
    # The luck of its training cannot be told from one
    assert estimate(one, "same people").refusal.startswith("1 run ")
    four = sample_of([np.repeat([60, 100, 60, 100], 50)], speakers=[np.repeat(np.arange(4), 50)])
    assert estimate(four, "new people").refusal == "4 speakers tested, where an interval needs 5"


def test_four_folds_are_too_few_for_new_people_however_often_they_are_drawn():
    """Of eight speakers in other pairs every time."""
    rng = np.random.default_rng(0)
    speakers = [np.repeat(pair, 100) for _ in range(3) for pair in rng.permutation(8).reshape(4, 2)]
    partitions = np.repeat(np.arange(3), 4)
    sample = sample_of(halves_around(SCORES[:4] * 3), speakers=speakers, partitions=partitions)
    assert sample.groups > 4
    assert estimate(sample, "new people").refusal == "4 folds in a repetition, where an interval needs 5"


# The variance never vanishes


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_equal_runs_are_not_certain(question):
    sample = sample_of([[50.0] * 8] * 5)
    interval = estimate(sample, question)
    assert interval.error == pytest.approx(sample.least**0.5)
    assert interval.error > 0
    assert 0 < p_value(interval) < 1


def test_no_difference_at_all_has_a_p_of_1():
    interval = estimate(sample_of([[0.0] * 8] * 5), "repeat")
    assert (interval.mean, p_value(interval)) == (0, 1)


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_a_wider_spread_is_left_as_it_is(question):
    sample = sample_of(halves_around([0, 100, 0, 100, 0]))
    assert estimate(sample, question).error > 3 * sample.least**0.5


# Two-way clustered variance


def plain_one_way(terms, clusters):
    sums = {}
    for term, cluster in zip(terms, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0) + term
    return len(sums) / (len(sums) - 1) * sum(one**2 for one in sums.values())


def plain_two_way(terms, first, second):
    one, other = plain_one_way(terms, first), plain_one_way(terms, second)
    return max(one + other - plain_one_way(terms, list(zip(first, second, strict=True))), one, other)


def crossed(seed, first=12, second=8, number=150):
    """Numbers of utterances that are alike by two kinds of cluster, of unlike size, and the clusters' codes."""
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, clusters, number) ** 2 for clusters in (first, second)]
    return rng.normal(0, 1, first**2)[codes[0]] + rng.normal(0, 1, second**2)[codes[1]] + rng.normal(
        0, 1, number
    ), *codes


@pytest.mark.parametrize("seed", range(10))
def test_variances_are_those_of_a_plain_loop(seed):
    values, first, second = crossed(seed)
    assert variance(values, first) == pytest.approx(plain_one_way(values, first))
    assert two_way(values, first, second) == pytest.approx(plain_two_way(values, first, second))
    assert two_way(values, first, second) == pytest.approx(two_way(values, second, first))


@pytest.mark.parametrize("seed", range(10))
def test_a_mean_has_the_two_way_clustered_variance_of_statsmodels(seed):
    """Its factors for few clusters are ours: G / (G - 1) for each of the three, (N - 1) / (N - 1) for one mean."""
    values, first, second = crossed(seed)
    groups = np.stack([first, second], axis=1)
    usual = OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    terms = (values - values.mean()) / len(values)
    assert max(variance(terms, first), variance(terms, second)) < usual.bse[0] ** 2
    assert two_way(terms, first, second) == pytest.approx(usual.bse[0] ** 2)


def test_without_dependence_it_is_the_squared_standard_error_of_a_mean():
    values = np.random.default_rng(1).normal(60, 5, 40)
    assert variance((values - values.mean()) / 40, np.arange(40)) == pytest.approx(stats.sem(values) ** 2)


def test_two_way_is_no_smaller_than_either_kind_alone():
    """+1 and -1 in every cluster of either kind: nothing is left by one kind, and less than nothing by the formula."""
    terms, first, second = np.array([1.0, -1, -1, 1]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert plain_one_way(terms, first) + plain_one_way(terms, second) - plain_one_way(terms, range(4)) < 0
    assert two_way(terms, first, second) == 0
    assert two_way(terms, first, np.array([0, 1, 2, 3])) == pytest.approx(4 / 3 * 4)


def test_one_cluster_has_no_variance():
    assert np.isnan(variance(np.ones(3), np.zeros(3, dtype=int)))


# Simulated studies of known truth


def misses(draw, question, truth, times=500):
    """How many intervals of so many simulated studies do not hold the truth."""
    intervals = [estimate(draw(np.random.default_rng(number)), question) for number in range(times)]
    return sum(not one.low <= truth <= one.high for one in intervals)


# More than this of 500 are missed once in a thousand times by intervals that miss 5 %
MOST_MISSES = stats.binom.isf(0.001, 500, 0.05)


def drawn_study(rng, people, recordings, repetitions, speakers=10, size=200):
    """Five folds of people apart, so often: what is true of people and of recordings is drawn with these standard
    deviations, and every training has luck of its own."""
    person, own = rng.normal(0, people, speakers), rng.normal(0, recordings, size)
    speaker = np.arange(size) % speakers
    parts = []
    for _ in range(repetitions):
        fold = rng.permutation(np.arange(speakers) % 5)
        parts += [np.flatnonzero(fold[speaker] == number) for number in range(5)]
    values = [person[speaker[part]] + own[part] + rng.normal(0, 3) for part in parts]
    return sample_of(values, parts, [speaker[part] for part in parts], np.repeat(np.arange(repetitions), 5))


@pytest.mark.parametrize("repetitions", [1, 3])
def test_intervals_for_new_people_hold_what_people_gain_on_average(repetitions):
    assert misses(lambda rng: drawn_study(rng, 15, 30, repetitions), "new people", 0) <= MOST_MISSES


@pytest.mark.parametrize("repetitions", [1, 3])
def test_intervals_for_the_same_people_hold_what_recordings_gain_on_average(repetitions):
    assert misses(lambda rng: drawn_study(rng, 0, 40, repetitions), "same people", 0) <= MOST_MISSES


def test_repeating_a_study_says_little_of_other_people():
    """Which is why it is another question: what ten people gain is not what people gain on average."""
    assert misses(lambda rng: drawn_study(rng, 15, 0, 5), "repeat", 0) > 100


# What could have been seen


def plain_power(shift, freedom, comparisons):
    """Of a t-test at 5 % after Bonferroni's correction, where the true difference is `shift` standard errors: the mean
    over 20,000 quantiles of the estimated standard error."""
    error = np.sqrt(stats.chi2.ppf((np.arange(20_000) + 0.5) / 20_000, freedom) / freedom)
    limit = stats.t.ppf(1 - 0.025 / comparisons, freedom)
    return np.mean(stats.norm.sf(limit * error - shift) + stats.norm.cdf(-limit * error - shift))


@pytest.mark.parametrize("freedom, comparisons", list(product([4, 5, 8, 9, 23, 24, 49, 199], [1, 2, 3, 10, 50])))
def test_what_could_have_been_seen_has_a_power_of_80_percent(freedom, comparisons):
    shift = detectable(with_ends(0.0, 1.0, freedom), comparisons)
    assert plain_power(shift, freedom, comparisons) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("freedom, comparisons", [(4, 1), (4, 10), (9, 3), (24, 1), (49, 50)])
def test_power_is_a_mean_over_standard_errors_however_large_the_effect(freedom, comparisons):
    effects = [0, 0.5, 1, 2, 3, 5, 8, 10, 20, 40, 80]
    expected = [plain_power(effect / 2, freedom, comparisons) for effect in effects]
    assert [power(effect, 2.0, freedom, comparisons) for effect in effects] == pytest.approx(expected, abs=1e-3)
    assert expected[0] == pytest.approx(0.05 / comparisons, abs=1e-4)


@pytest.mark.parametrize("freedom, comparisons", [(4, 1), (4, 6), (24, 1), (24, 6)])
def test_what_could_have_been_seen_is_shown_by_the_corrected_p_in_80_of_100_studies(freedom, comparisons):
    """Corrected as the smallest of so many p-values is."""
    shift = detectable(with_ends(0.0, 1.0, freedom), comparisons)
    rng = np.random.default_rng(freedom)
    drawn = rng.normal(shift, 1, 50_000) / np.sqrt(rng.chisquare(freedom, 50_000) / freedom)
    assert np.mean(comparisons * 2 * stats.t.sf(np.abs(drawn), freedom) < 0.05) == pytest.approx(0.8, abs=0.006)


def test_what_could_have_been_seen_goes_with_the_standard_error_and_the_comparisons():
    one, wide = (with_ends(3.0, squared, 9) for squared in (1.0, 4.0))
    assert detectable(wide) == pytest.approx(2 * detectable(one))
    assert detectable(one) < detectable(one, 2) < detectable(one, 10)
    assert np.isnan(detectable(Interval(3.0, np.nan, np.nan, np.nan, 0)))


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1, never falling: .02 .03 .06 .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, np.nan, 0.02])[0] == pytest.approx(0.02)
    assert np.isnan(holm([0.01, np.nan, 0.02])[1])
    assert holm([]) == []


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_that_of_statsmodels(seed):
    p = np.random.default_rng(seed).beta(0.3, 2, 9)
    assert holm(p) == multipletests(p, method="holm")[1].tolist()


def test_trainings_that_test_the_same_speakers_have_an_interval_over_these():
    """As after three trainings on one corpus, with other dev parts, each tested on another corpus of ten speakers."""
    rights = np.random.default_rng(0).integers(0, 101, (3, 10)).astype(float)  # [runs, speakers], percent

    def trained(runs, speakers):
        codes = [np.arange(speakers)] * runs
        return replace(sample_of(rights[:runs, :speakers], codes, codes, partitions=range(runs)), paired=False)

    interval = estimate(trained(3, 10), "new people")
    usual = stats.ttest_1samp(rights.mean(axis=0), 0).confidence_interval(0.95)
    assert (interval.low, interval.high, interval.freedom) == pytest.approx((usual.low, usual.high, 9))
    # As many trainings again have this error
    assert after(trained(3, 10), "new people", 3) == (pytest.approx(interval.error), 9)
    assert trained(3, 10).given == "given these training parts"
    assert trained(1, 10).given == "given this training part"
    assert estimate(trained(3, 9), "new people").refusal == "9 speakers tested, where an interval needs 10"
    # Each training tests others
    apart = [np.arange(10) + 10 * run for run in range(3)]
    sample = sample_of(rights, apart, apart)
    assert estimate(sample, "new people").refusal.startswith("3 groups ")
    assert sample.given == ""
