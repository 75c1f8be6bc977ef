"""From runs to samples: what an utterance adds to a mean, which runs count as one, and whom a study speaks for."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ser_lightning.metrics import METRICS, unweighted_accuracy
from ser_lightning.report.samples import (
    add_detectable,
    difference_row,
    difference_samples,
    interval_row,
    mean_sample,
    refusals,
    score_row,
    score_samples,
)
from ser_lightning.report.scored import on_same_divisions
from ser_lightning.report.statistics import QUESTIONS, detectable, estimate, p_value, with_ends
from tests.report.simulated import CLASSES, predictions, settings_of

SOFTMAX, CENTRE = settings_of("logmel", 0.0, 0.5), settings_of("logmel", 0.3, 0.5)


def score(simulation, tests, settings=CENTRE):
    """The runs of a repetition, one for each of `tests`."""
    return [simulation.score(settings, 0, fold, test) for fold, test in enumerate(tests)]


def score_pairs(simulation, tests, others):
    """The pairs of runs of `tests` and `others`, fold by fold."""
    return on_same_divisions(score(simulation, tests), score(simulation, others, SOFTMAX))


def drawn(rng, counts, recall, first=0):
    """A test part of so many utterances of each class; those not recognised are taken for anything."""
    labels = np.repeat(CLASSES, counts)
    return predictions([(name, name if rng.random() < recall else rng.choice(CLASSES)) for name in labels], first)


def otherwise(rng, test):
    """The same utterances, recognised at random."""
    return test.assign(**{f"logit_{name}": rng.random(len(test)) for name in CLASSES})


def one_better(run):
    """Forty test utterances of a run, all right but one, of a class of its own where it can be; and all right."""
    labels = CLASSES * 10
    wrong = [(name, name if i != run else CLASSES[run % 4 - 1]) for i, name in enumerate(labels)]
    return predictions(wrong, 40 * run), predictions([(name, name) for name in labels], 40 * run)


# Few pairs


def test_three_pairs_that_are_one_utterance_better_each_prove_nothing(simulation):
    """Alike to the last digit: a variance from their spread alone would be 0, and p 9e-31."""
    worse, better = zip(*map(one_better, range(3)), strict=True)
    row = difference_row(score_pairs(simulation, better, worse), {})
    # One of ten utterances of a class, of four classes; one of forty
    assert (row["runs"], row["ua"], row["wa"]) == (3, pytest.approx(2.5), pytest.approx(2.5))
    for metric in METRICS:
        ends = [f"{metric}_{word}_{end}" for word in ("new", "same", "repeat") for end in ("low", "high")]
        assert np.isnan([row[name] for name in (f"{metric}_p", f"{metric}_half", f"{metric}_error", *ends)]).all()


def test_five_pairs_that_are_one_utterance_better_each_have_the_variance_of_one_utterance_a_run(simulation):
    """Of 40 utterances one is 2.5 points, and a fifth of it in the mean over runs: variance 5 x (2.5 / 5)^2."""
    worse, better = zip(*map(one_better, range(5)), strict=True)
    sample = difference_samples(score_pairs(simulation, better, worse), {})["ua"]
    assert sample.scores == pytest.approx([2.5] * 5)
    interval = estimate(sample, "repeat")
    assert interval.error**2 == pytest.approx(5 * 0.5**2)
    # t^2 = 2.5^2 / 1.25 = 5; Student's t with 4 degrees of freedom is within it with probability x (3 - x^2) / 2, where
    # x^2 = t^2 / (4 + t^2)
    assert p_value(interval) == pytest.approx(1 - (5 / 9) ** 0.5 * (3 - 5 / 9) / 2)
    # Of 200 utterances, tested once, five are 97.5 above the mean and the rest 2.5 below it: a little less
    assert 200 / 199 * (5 * 97.5**2 + 195 * 2.5**2) / 200**2 < 5 * 0.5**2
    assert estimate(sample, "same people").error ** 2 == pytest.approx(5 * 0.5**2)


def test_the_least_variance_is_of_one_utterance_of_each_run(simulation):
    """Two runs of 8 and three of 40: a fifth of 12.5 points twice, of 2.5 points three times."""
    tests = [predictions([(name, name) for name in CLASSES * (number // 4)]) for number in (8, 8, 40, 40, 40)]
    runs = score(simulation, tests)
    interval = estimate(score_samples(runs, {})["ua"], "repeat")
    assert interval.mean == 100
    assert interval.error**2 == pytest.approx((2 * 12.5**2 + 3 * 2.5**2) / 5**2)


# What an utterance adds


def sums(sample):
    return np.bincount(sample.divisions, sample.terms)


def test_terms_of_ua_are_those_of_a_plain_loop(simulation):
    rng = np.random.default_rng(0)
    runs = score(simulation, [drawn(rng, rng.integers(3, 12, 4), 0.6, 50 * i) for i in range(5)])
    recalls = np.zeros((5, 4))
    for r, run in enumerate(runs):
        for c in range(4):
            recalls[r, c] = np.mean(run.test.recognised[run.test.labels == c] == c)
    expected = []
    for run in runs:
        for label, recognised in zip(run.test.labels, run.test.recognised, strict=True):
            number = sum(run.test.labels == label)
            expected.append(100 * ((label == recognised) - recalls[:, label].mean()) / (5 * 4 * number))
    assert score_samples(runs, {})["ua"].terms == pytest.approx(expected, abs=1e-5)


def test_terms_of_a_run_sum_to_what_it_adds_to_ua(simulation):
    """Whatever its classes' counts are."""
    rng = np.random.default_rng(1)
    runs = score(simulation, [drawn(rng, rng.integers(2, 30, 4), rng.uniform(0.2, 1)) for _ in range(6)])
    sample = score_samples(runs, {})["ua"]
    assert sample.scores == pytest.approx([100 * unweighted_accuracy(run.confusion) for run in runs])
    assert sample.value == pytest.approx(np.mean(sample.scores))
    assert sums(sample) == pytest.approx((sample.scores - sample.value) / 6, abs=1e-5)


def test_of_equal_class_counts_they_do_for_wa(simulation):
    rng = np.random.default_rng(2)
    runs = score(simulation, [drawn(rng, [9, 5, 8, 6], rng.uniform(0.2, 1)) for _ in range(6)])
    sample = score_samples(runs, {})["wa"]
    assert sums(sample) == pytest.approx((sample.scores - sample.value) / 6, abs=1e-5)


def shifted(change):
    """Confusions of a hundred utterances of each class: as they are three times, `change` times better, and worse."""
    base = np.array([[70, 10, 12, 8], [5, 60, 25, 10], [20, 5, 55, 20], [10, 5, 5, 80]])
    better = np.array([[2, -1, -1, 0], [0, 0, 0, 0], [-1, 0, 1, 0], [0, 0, -1, 1]])
    confusions = [base, base, base, base + change * better, base - change * better]
    return [
        predictions([(CLASSES[i], CLASSES[j]) for i, j in np.ndindex(4, 4) for _ in range(confusion[i, j])])
        for confusion in confusions
    ]


def test_of_f1_they_do_to_first_order(simulation):
    """With twice the deviation four times what is missing, and little of it."""
    missing = []
    for change in (2, 4):
        runs = score(simulation, shifted(change))
        sample = score_samples(runs, {})["macro_f1"]
        deviations = (sample.scores - sample.value) / 5
        assert sums(sample) == pytest.approx(deviations, abs=0.02 * deviations.max())
        missing.append(np.abs(sums(sample) - deviations).max())
    assert missing[1] / missing[0] > 3.5


@pytest.mark.parametrize("metric, tolerance", [("ua", 1e-5), ("wa", 1e-5), ("macro_f1", 0.01)])
def test_a_term_is_what_the_mean_changes_by_where_an_utterance_is_recognised_otherwise(simulation, metric, tolerance):
    """The first neu of the first run that is taken for ang, put right: as one that was right all along."""
    tests = shifted(2)
    runs = score(simulation, tests)
    before = score_samples(runs, {})[metric]
    logits = [f"logit_{name}" for name in CLASSES]
    wrong = int(np.flatnonzero((tests[0]["label"] == "neu") & (tests[0]["logit_ang"] == 1))[0])
    assert (runs[0].test.labels[:70] == runs[0].test.recognised[:70]).all()
    tests[0].loc[wrong, logits] = tests[0].loc[0, logits]
    runs = score(simulation, tests)
    after = score_samples(runs, {})[metric]
    assert after.value - before.value == pytest.approx(before.terms[0] - before.terms[wrong], rel=tolerance)
    # A hundredth of a quarter, or a four-hundredth, of a fifth
    if metric != "macro_f1":
        assert after.value - before.value == pytest.approx(100 / 400 / 5)


def test_a_difference_has_the_difference_of_the_terms(simulation):
    rng = np.random.default_rng(3)
    others = [drawn(rng, [9, 5, 8, 6], 0.5) for _ in range(5)]
    both = score_pairs(simulation, [otherwise(rng, one) for one in others], others)
    for metric, sample in difference_samples(both, {}).items():
        first, second = (score_samples([pair[side] for pair in both], {})[metric] for side in (0, 1))
        assert sample.value == pytest.approx(first.value - second.value)
        assert sample.scores == pytest.approx(first.scores - second.scores)
        assert sample.terms == pytest.approx(first.terms - second.terms)


def test_utterances_of_a_pair_are_matched_by_their_ids(simulation):
    rng = np.random.default_rng(4)
    others = [drawn(rng, [9, 5, 8, 6], 0.5, 28 * i) for i in range(5)]
    tests = [otherwise(rng, one) for one in others]
    straight = difference_samples(score_pairs(simulation, tests, others), {})
    mixed = [one.sample(frac=1, random_state=5) for one in others]
    shuffled = difference_samples(score_pairs(simulation, tests, mixed), {})
    for metric in METRICS:
        assert shuffled[metric].terms == pytest.approx(straight[metric].terms)


def test_the_mean_of_any_value_of_utterances_by_hand(simulation):
    """Runs of 4 and 8 utterances at 0 and 10 in turn: all are 5 from the mean, an eighth and a sixteenth of it each."""
    runs = score(simulation, [predictions([(name, name) for name in CLASSES * number]) for number in (1, 2)])
    sample = mean_sample(runs, [np.tile([0.0, 10.0], 2), np.tile([0.0, 10.0], 4)], {}, paired=False)
    assert (sample.value, sample.scores.tolist()) == (5, [5, 5])
    assert sample.terms == pytest.approx([-5 / 8, 5 / 8] * 2 + [-5 / 16, 5 / 16] * 4)


# Seeds


def seeded(simulation, seeds, folds=5):
    """Runs of so many divisions, with each of the seeds, recognised the better the higher the fold."""
    rng = np.random.default_rng(6)
    runs = []
    for seed in seeds:
        tests = [drawn(rng, [8] * 4, 0.4 + 0.1 * fold, 32 * fold) for fold in range(folds)]
        runs += score(simulation, tests, {**CENTRE, "seed": seed})
    return runs


def test_runs_of_one_division_with_other_seeds_count_as_one(simulation):
    """Five divisions times three seeds are the five means, and no fifteen."""
    runs = seeded(simulation, [0, 1, 2])
    sample = score_samples(runs, {})["ua"]
    by_division = pd.Series([run.score("ua") for run in runs]).groupby([run.result.split for run in runs]).mean()
    assert (len(runs), len(by_division)) == (15, 5)
    interval = estimate(sample, "repeat")
    usual = stats.ttest_1samp(by_division, 0).confidence_interval(0.95)
    assert (interval.mean, interval.low, interval.high) == pytest.approx((by_division.mean(), usual.low, usual.high))
    assert estimate(sample, "same people").freedom == 4


def test_five_seeds_of_one_division_are_one_run(simulation):
    runs = seeded(simulation, range(5), folds=1)
    sample = score_samples(runs, {})["ua"]
    assert sample.scores == pytest.approx([np.mean([run.score("ua") for run in runs])])
    for question in ("same people", "repeat"):
        assert estimate(sample, question).refusal.startswith("1 run ")


def test_with_seeds_terms_of_a_division_sum_to_what_it_adds(simulation):
    sample = score_samples(seeded(simulation, range(3)), {})["ua"]
    assert sums(sample) == pytest.approx((sample.scores - sample.value) / 5, abs=1e-5)


def test_they_do_where_one_division_has_more_seeds(simulation):
    runs = [*seeded(simulation, [0]), *seeded(simulation, [1, 2], folds=1)]
    sample = score_samples(runs, {})["ua"]
    by_division = [np.mean([run.score("ua") for run in runs if run.result.fold == fold]) for fold in range(5)]
    assert (sample.value, sample.scores) == (pytest.approx(np.mean(by_division)), pytest.approx(by_division))
    assert sums(sample) == pytest.approx((sample.scores - sample.value) / 5, abs=1e-5)


# Whom a study speaks for


def by_speaker(simulation, share, folds=5):
    """Runs of folds of two people each, of whom so many are in training, and who spoke."""
    simulation.speaker = share
    rng = np.random.default_rng(7)
    tests = [drawn(rng, [6] * 4, 0.6, 24 * fold) for fold in range(folds)]
    runs = score(simulation, tests)
    names = [name for test in tests for name in test["id"]]
    return runs, {name: f"s{i // 24}{i % 2}" for i, name in enumerate(names)}


def test_where_no_tested_speaker_is_trained_on_the_study_speaks_for_new_people(simulation):
    runs, speaker_of = by_speaker(simulation, 0.0)
    sample = score_samples(runs, speaker_of)["ua"]
    assert (sample.question, sample.speakers_tested, sample.groups) == ("new people", 10, 5)
    assert refusals(runs, speaker_of) == {}
    # A score has the degrees of freedom of the folds, a difference in one repetition those of the speakers
    assert estimate(sample, "new people").freedom == 4
    assert estimate(dataclasses.replace(sample, paired=True), "new people").freedom == 9


@pytest.mark.parametrize("share", [1.0, 0.01])
def test_where_one_is_it_does_not(simulation, share):
    runs, speaker_of = by_speaker(simulation, share)
    assert score_samples(runs, speaker_of)["ua"].question == "same people"
    assert refusals(runs, speaker_of) == {"new people": "their voices are trained on"}


def test_where_one_run_alone_trains_on_them_it_does_not(simulation):
    runs, speaker_of = by_speaker(simulation, 0.0)
    runs[2].result.audit["speaker"] = 0.5
    assert refusals(runs, speaker_of) == {"new people": "their voices are trained on"}


def test_where_the_corpus_does_not_tell_its_speakers_it_does_not(simulation):
    runs, _ = by_speaker(simulation, None)
    assert score_samples(runs, {})["ua"].question == "same people"
    assert refusals(runs, {}) == {"new people": "who spoke is not known of all utterances"}


def test_utterances_are_not_taken_for_speakers_where_nobody_knows_who_spoke(simulation):
    """A study of an earlier version has an audit, and no table of utterances."""
    runs, _ = by_speaker(simulation, 0.0)
    assert "new people" in refusals(runs, {})


def test_of_one_official_division_the_speakers_are_counted(simulation):
    """However many seeds it is trained with."""
    runs, _ = by_speaker(simulation, 0.0, folds=1)
    more = score(simulation, [drawn(np.random.default_rng(8), [6] * 4, 0.6)], {**CENTRE, "seed": 1})
    twelve, six, four = ({f"u{i}": f"s{i % number}" for i in range(24)} for number in (12, 6, 4))
    for tested in (runs, [*runs, *more]):
        interval = estimate(score_samples(tested, twelve)["ua"], "new people")
        assert interval.freedom == 11
        assert interval.low < interval.mean < interval.high
    # Six are too few for a score, and enough for a difference, for which four are not
    sample = score_samples(runs, six)["ua"]
    assert refusals(runs, six)["new people"] == "6 speakers tested, where an interval needs 10"
    assert estimate(dataclasses.replace(sample, paired=True), "new people").freedom == 5
    difference = dataclasses.replace(score_samples(runs, four)["ua"], paired=True)
    assert estimate(difference, "new people").refusal == "4 speakers tested, where an interval needs 5"
    assert set(refusals(runs, twelve)) == {"same people", "repeat"}


# Rows of tables


def test_a_row_has_the_interval_of_the_first_question_and_the_ends_for_each(simulation):
    runs, speaker_of = by_speaker(simulation, 0.0)
    row = score_row(runs, speaker_of)
    for metric, sample in score_samples(runs, speaker_of).items():
        intervals = {question: estimate(sample, question) for question in QUESTIONS}
        first = intervals["new people"]
        assert [row[f"{metric}{end}"] for end in ("", "_half", "_error", "_freedom")] == pytest.approx(
            [first.mean, (first.high - first.low) / 2, first.error, 4]
        )
        for question, word in (("new people", "new"), ("same people", "same"), ("repeat", "repeat")):
            ends = row[f"{metric}_{word}_low"], row[f"{metric}_{word}_high"]
            assert ends == (intervals[question].low, intervals[question].high)
    assert len({row["ua_new_low"], row["ua_same_low"], row["ua_repeat_low"]}) == 3


def test_p_goes_with_the_first_question(simulation):
    rng = np.random.default_rng(9)
    simulation.speaker = 0.0
    others = [drawn(rng, [6] * 4, 0.4, 24 * fold) for fold in range(5)]
    tests = [otherwise(rng, one) for one in others]
    both = score_pairs(simulation, tests, others)
    speaker_of = {name: f"s{i % 2}{fold}" for fold, one in enumerate(others) for i, name in enumerate(one["id"])}
    row, sample = difference_row(both, speaker_of), difference_samples(both, speaker_of)["ua"]
    t = sample.value / estimate(sample, "new people").error
    assert row["ua_p"] == pytest.approx(2 * stats.t.sf(abs(t), 9))
    assert row["ua_p"] != pytest.approx(p_value(estimate(sample, "same people")))


def test_without_runs_a_row_has_no_number():
    for row in (score_row([], {}), difference_row([], {}), interval_row("ua", None)):
        numbers = {name: value for name, value in row.items() if name not in ("runs", "divisions")}
        numbers = {name: value for name, value in numbers.items() if not name.endswith("_freedom")}
        assert np.isnan(list(numbers.values())).all()
        assert {value for name, value in row.items() if name.endswith("_freedom")} == {0}
    assert score_row([], {}).keys() < difference_row([], {}).keys()
    assert refusals([], {}) == dict.fromkeys(QUESTIONS, "no run has finished")


def test_what_could_have_been_seen_is_by_the_p_that_is_corrected_for_all_rows():
    """Three rows, of which one has no p and does not count."""
    row = {f"{metric}{end}": value for metric in METRICS for end, value in {"": 2.0, "_error": 1.5, "_p": 0.2}.items()}
    row |= {f"{metric}_freedom": 4 for metric in METRICS}
    without = row | {f"{metric}{end}": np.nan for metric in METRICS for end in ("_error", "_p")}
    without |= {f"{metric}_freedom": 0 for metric in METRICS}
    table = add_detectable(pd.DataFrame([row, row, without]))
    for metric in METRICS:
        assert table[f"{metric}_detectable"].tolist()[:2] == pytest.approx([detectable(with_ends(2, 2.25, 4), 2)] * 2)
        assert np.isnan(table[f"{metric}_detectable"][2])
