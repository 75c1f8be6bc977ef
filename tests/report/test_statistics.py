"""Statistics of repeated trainings: by hand, against other implementations, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from ser_lightning.metrics import recalls
from ser_lightning.report.statistics import detectable, holm, over_groups, over_runs, paired


def test_an_interval_by_hand():
    # Mean 64, variance 4; corrected variance of the mean (1/4 + 1/8) 4 = 1.5; t with 3 degrees of freedom: 3.18245.
    interval = over_runs([62.0, 62.0, 66.0, 66.0], ratio=1 / 8)
    variance = 16 / 3
    half = 3.182446305284263 * (variance * 0.375) ** 0.5
    assert (interval.mean, interval.count) == (64.0, 4)
    assert interval.error == pytest.approx((variance * 0.375) ** 0.5)
    assert (interval.low, interval.high) == pytest.approx((64 - half, 64 + half))


def test_without_overlap_it_is_the_usual_t_test():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(70, 3, 12), rng.normal(68, 3, 12)
    found, usual = paired(ours, theirs, ratio=0.0), stats.ttest_rel(ours, theirs)
    assert found.p == pytest.approx(usual.pvalue)
    interval = usual.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("count", [2, 5, 10, 25])
def test_what_could_have_been_seen_is_found_in_80_percent(count):
    shift = detectable(error=1.0, count=count)
    limit = stats.t.ppf(0.975, count - 1)
    rng = np.random.default_rng(count)
    found = (rng.normal(shift, 1, 200_000)) / np.sqrt(rng.chisquare(count - 1, 200_000) / (count - 1))
    assert np.mean(np.abs(found) > limit) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("values", [[], [64.0]])
def test_one_run_has_no_interval(values):
    interval = over_runs(values, 0.125)
    assert np.isnan([interval.low, interval.high, interval.error]).all()
    difference = paired(values, values, 0.125)
    assert np.isnan([difference.p, difference.detectable]).all()


def test_equal_runs_do_not_differ():
    assert paired([60.0, 70.0], [60.0, 70.0], 0.125).p == 1
    assert paired([61.0, 71.0], [60.0, 70.0], 0.125).p == 0


def test_unpaired_runs_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        paired([1.0, 2.0], [1.0], 0.125)


def test_holm_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1, never falling: .02 .03 .06 .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, np.nan, 0.02])[0] == pytest.approx(0.02)
    assert np.isnan(holm([0.01, np.nan, 0.02])[1])
    assert holm([]) == []


def ua(counts):
    return recalls(counts).mean(axis=-1)[..., None]


def test_speakers_are_drawn_whole():
    # Two speakers of whom one is always right and one always wrong: a draw has 0, 1 or 2 of the right one.
    right, wrong = np.array([[5, 0], [0, 5]]), np.array([[0, 5], [5, 0]])
    (interval,) = over_groups(np.stack([right, wrong]), ua)
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.0, 1.0)
    # 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4: standard deviation sqrt(1/8)
    assert interval.error == pytest.approx(0.125**0.5, abs=0.01)


def test_many_small_groups_give_the_binomial_interval():
    rng = np.random.default_rng(1)
    hits = rng.random(400) < 0.7
    counts = np.zeros((400, 2, 2))
    counts[np.arange(400), 0, 1 - hits.astype(int)] = 1
    counts[:, 1, 1] = 1
    (interval,) = over_groups(counts, lambda confusion: recalls(confusion)[..., :1])
    usual = stats.binomtest(int(hits.sum()), 400).proportion_ci(0.95, "wilson")
    assert (interval.low, interval.high) == pytest.approx((usual.low, usual.high), abs=0.012)


def test_one_group_has_no_interval():
    assert np.isnan(over_groups(np.ones((1, 2, 2)), ua)[0].low)


def test_draws_without_a_class_do_not_count():
    # Of two speakers one lacks the second class: a quarter of the draws has it not at all, and a quarter only it
    counts = np.array([[[4, 0], [0, 0]], [[0, 4], [0, 4]]])
    (interval,) = over_groups(counts, ua)
    assert interval.mean == 0.75
    assert (interval.low, interval.high) == (0.5, 0.75)
    assert interval.count == pytest.approx(1500, abs=100)


def test_several_scores_come_from_the_same_draws():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, (6, 2, 3, 3))
    both = over_groups(counts, lambda drawn: recalls(drawn).mean(axis=-1))
    gain = over_groups(counts, lambda drawn: np.diff(recalls(drawn).mean(axis=-1), axis=-1))[0]
    assert [one.mean for one in both] == pytest.approx([recalls(of).mean() for of in counts.sum(axis=0)])
    assert gain.mean == pytest.approx(both[1].mean - both[0].mean)
    # A plain loop over draws as a reference for the spread
    draws = [counts[rng.integers(6, size=6)].sum(axis=0) for _ in range(4000)]
    assert gain.error == pytest.approx(np.std([np.diff(recalls(of).mean(axis=-1)) for of in draws]), rel=0.06)


def simulated_differences(rng, effect, repeats, shared, folds=5, utterances=400):
    """UA differences [runs] of two settings as repeated cross-validation of a sampled corpus gives them.

    Every utterance gains from the better setting by an amount of its own, with a mean of `effect` over all that people
    could say; runs test a tenth of the corpus each, and repetitions test the same utterances again. `shared` is the
    variance, in units of a run's, of what all runs have in common because they train on nearly the same utterances.
    """
    size = utterances // 10
    gains = rng.normal(effect, 1.0, utterances) + rng.normal(0, (shared / size) ** 0.5)
    return [
        gains[order[fold * size : (fold + 1) * size]].mean()
        for order in (rng.permutation(utterances) for _ in range(repeats))
        for fold in range(folds)
    ]


def coverage(repeats, shared, effect=0.08):
    """How many of 1,000 intervals hold the effect, and how many would reject the absence of an effect."""
    rng = np.random.default_rng(repeats)
    covered = rejected = 0
    for _ in range(1000):
        with_effect = over_runs(simulated_differences(rng, effect, repeats, shared), 1 / 8)
        covered += with_effect.low <= effect <= with_effect.high
        without = over_runs(simulated_differences(rng, 0.0, repeats, shared), 1 / 8)
        rejected += not without.low <= 0 <= without.high
    return covered, rejected


@pytest.mark.parametrize("repeats", [2, 5])
def test_intervals_cover_a_known_effect_and_seldom_reject_none(repeats):
    """Runs that are correlated as Nadeau and Bengio assume: by n_test / (n_test + n_train) = 1/9 on average."""
    runs = 5 * repeats
    retested = 0.1 * (runs - 5) / (runs - 1)
    shared = (1 / 9 - retested) * 9 / 8
    covered, rejected = coverage(repeats, shared)
    assert 930 <= covered <= 970
    assert 30 <= rejected <= 70


@pytest.mark.parametrize("repeats", [2, 5])
def test_where_training_on_the_same_utterances_does_no_harm_intervals_are_wide_rather_than_narrow(repeats):
    covered, rejected = coverage(repeats, shared=0.0)
    assert 950 <= covered <= 990
    assert 10 <= rejected <= 50
