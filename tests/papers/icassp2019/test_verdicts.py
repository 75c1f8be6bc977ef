"""Verdicts on the paper's numbers: by hand, and how often they are wrong in simulated studies of known truth."""

from functools import cache

import numpy as np
import pytest
from scipy import stats

from ser_lightning.papers.icassp2019 import numbers as paper
from ser_lightning.papers.icassp2019.verdicts import (
    AGREES,
    DIFFERS,
    UNKNOWN,
    judge,
    runs_to_tell,
    section,
)
from ser_lightning.report.material import read_material
from ser_lightning.runs.study import Purpose, read_jobs, write_study
from tests.report.simulated import CLASSES, Simulation, predictions, settings_of

# Mean 64, variance (12 x 4 + 12 x 4) / 24 = 4; the error of the difference of two means of 25 is 2 sqrt(2 / 25)
TWENTY_FIVE = [62.0] * 12 + [66.0] * 12 + [64.0]
ERROR = 2 * (2 / 25) ** 0.5
# 95 % and 97.5 % of Student's t with 24 degrees of freedom
T95, T975 = 1.7108820799094282, 2.0638985616280205


@pytest.mark.parametrize(
    "value, margin, verdict",
    [
        # 1.5 away: 1.1675 are needed for a difference, and 1.5 + 0.9678 for agreement
        (65.5, 2.4, DIFFERS),
        (65.5, 2.5, AGREES),
        (62.5, 2.4, DIFFERS),
        (62.5, 2.5, AGREES),
        # 1 away: neither less than 1 + 0.9678 nor more than 1.1675
        (65.0, 1.9, UNKNOWN),
        (65.0, 2.0, AGREES),
        (64.0, 0.9, UNKNOWN),
        (64.0, 1.0, AGREES),
    ],
)
def test_verdicts_of_25_runs_by_hand(value, margin, verdict):
    row = judge(TWENTY_FIVE, value, margin)
    assert (row["ours"], row["paper"], row["difference"]) == pytest.approx((64, value, 64 - value))
    assert row["half"] == pytest.approx(T975 * ERROR)
    assert row["within"] == pytest.approx(abs(64 - value) + T95 * ERROR)
    assert (row["margin"], row["verdict"]) == (margin, verdict)


def test_the_papers_mean_is_of_25_runs_with_our_spread():
    """Of five runs with mean 64 and variance 10."""
    row = judge([60.0, 62.0, 64.0, 66.0, 68.0], 60.0, 3.0)
    assert row["half"] == pytest.approx(2.7764451051977987 * np.sqrt(10 / 5 + 10 / 25))
    assert row["within"] == pytest.approx(4 + 2.1318467863266495 * np.sqrt(10 / 5 + 10 / 25))


def test_agreement_is_shown_where_two_one_sided_tests_reject():
    """That the difference is at least the margin, and at most minus the margin, each at 5 %."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        values, margin = rng.normal(64, 2, 25), rng.uniform(0.5, 2.5)
        value = 64 + rng.normal()
        error = np.std(values, ddof=1) * np.sqrt(1 / 25 + 1 / 25)
        p = [stats.t.cdf((side * (values.mean() - value) - margin) / error, 24) for side in (1, -1)]
        assert (judge(values, value, margin)["verdict"] == AGREES) == (max(p) < 0.05)


@pytest.mark.parametrize(
    "spread, margin, runs",
    [
        # (1.7613 + 1.3450) 3 sqrt(1 / 15 + 1 / 25) = 3.04, (1.7291 + 1.3277) 3 sqrt(1 / 20 + 1 / 25) = 2.75
        (3.0, 3.0, 20),
        # (1.6849 + 1.3036) 2 sqrt(1 / 40 + 1 / 25) = 1.52, (1.6802 + 1.3011) 2 sqrt(1 / 45 + 1 / 25) = 1.49
        (2.0, 1.5, 45),
        # (2.1318 + 1.5332) sqrt(1 / 5 + 1 / 25) = 1.80
        (1.0, 1.7, 10),
        (1.0, 1.8, 5),
        # (1.6449 + 1.2816) 2.6 sqrt(1 / 25) = 1.52, however many are ours
        (2.6, 1.5, np.nan),
    ],
)
def test_runs_that_would_tell_by_hand(spread, margin, runs):
    """95 % and 90 % of Student's t, and the error of our mean less the paper's of 25."""
    assert runs_to_tell(spread, margin) == pytest.approx(runs, nan_ok=True)


@cache
def drawn_verdicts(shift, spread, margin, runs, studies=300):
    """Verdicts on so many studies, where the truth is `shift` from the paper's, and the paper's a mean of 25."""
    rng = np.random.default_rng(int(100 * abs(shift) + runs))
    draws = rng.normal(shift, spread, (studies, runs)), rng.normal(0, spread / 5, studies)
    return [judge(values, published, margin) for values, published in zip(*draws, strict=True)]


@pytest.mark.parametrize("spread, margin, runs", [(3.0, 3.0, 20), (2.0, 1.5, 45)])
def test_so_many_runs_show_agreement_in_80_of_100_studies(spread, margin, runs):
    verdicts = [row["verdict"] for row in drawn_verdicts(0, spread, margin, runs)]
    # Less than this is seen once in a thousand times
    assert verdicts.count(AGREES) >= stats.binom.ppf(0.001, 300, 0.8)


EFFECT = 66.86 - 63.80
# How far the truth of the levels without and with centre loss, and of its effect, is from the paper's
TRUTHS = {
    "no effect": (0, -EFFECT, -EFFECT),
    "harm by a point": (0, -EFFECT - 1, -EFFECT - 1),
    "all three points low": (-3, -3, 0),
    "as in the paper": (0, 0, 0),
}
# Spread over runs, and margin
NUMBERS = [(3.0, Purpose.level_margin), (3.0, Purpose.level_margin), (2.0, Purpose.effect_margin)]
# Of 300 more than this are seen once in a thousand times where the probability is 5 %
MOST = stats.binom.isf(0.001, 300, 0.05)


@pytest.mark.parametrize("truth", TRUTHS)
def test_few_verdicts_on_25_runs_are_wrong_whatever_is_true(truth):
    """Wrong: agreement where the truth is outside the margin or at it; a difference where there is none."""
    for shift, (spread, margin) in zip(TRUTHS[truth], NUMBERS, strict=True):
        verdicts = [row["verdict"] for row in drawn_verdicts(shift, spread, margin, 25)]
        wrong = verdicts.count(DIFFERS if shift == 0 else AGREES)
        assert shift == 0 or abs(shift) >= margin
        assert wrong <= MOST


@pytest.mark.parametrize("truth", TRUTHS)
def test_few_are_missing_where_25_runs_would_tell(truth):
    for shift, (spread, margin) in zip(TRUTHS[truth], NUMBERS, strict=True):
        rows = drawn_verdicts(shift, spread, margin, 25)
        enough = [row["verdict"] for row in rows if row["runs_to_tell"] <= 25]
        assert len(enough) > 20
        assert enough.count(UNKNOWN) <= len(enough) / 2


def with_recalls(*right):
    """A hundred utterances of each class, of which so many are recognised."""
    wrong = dict(zip(CLASSES, reversed(CLASSES), strict=True))
    recognised = zip(CLASSES, right, strict=True)
    return predictions([(name, name if i < share else wrong[name]) for name, share in recognised for i in range(100)])


def make(simulation, jobs, seeds=(0,)):
    """A study of log-Mel with alpha = 0.5; `jobs`: lambda -> what is recognised of each class, percent, by fold."""
    for number, (lam, seed) in enumerate((lam, seed) for lam in jobs for seed in seeds):
        settings = settings_of("logmel", lam, 0.5) | {"seed": seed}
        simulation.add_job(number, f"loss.lam={lam} seed={seed}", settings, folds=range(len(jobs[lam])))
        for fold, right in enumerate(jobs[lam]):
            simulation.finish(settings, 0, fold, with_recalls(*right))
    return read_material(simulation.study, simulation.runs)


@pytest.fixture
def iemocap(tmp_path, monkeypatch):
    """An empty study of what passes for IEMOCAP."""
    monkeypatch.setattr(paper, "COUNTS", dict.fromkeys(CLASSES, 300))
    return Simulation(tmp_path, corpus="iemocap", synthetic=False)


# Both measures are 63.5, 63.5, 64.5, 64.5, 64: mean 64, variance 0.25
ODD, EVEN = (63, 64, 63, 64), (64, 65, 64, 65)
SOFTMAX = [ODD, ODD, EVEN, EVEN, (64,) * 4]
# 50.5, 51, 51, 50, 50: mean 50.5, variance 0.25
CENTRE = [(50, 51, 50, 51), (51,) * 4, (51,) * 4, (50,) * 4, (50,) * 4]
# 50, 60, 70, 80, 65: mean 65, variance 125
WIDE = [(share,) * 4 for share in (50, 60, 70, 80, 65)]


def test_verdicts_on_numbers_that_are_met_and_missed(iemocap):
    """And on no other: the paper has no lambda of 0.5."""
    headline, counts, explained, table = section(
        make(iemocap, {0.0: SOFTMAX, 0.3: CENTRE, 0.03: WIDE, 0.5: SOFTMAX})
    ).blocks
    assert headline.words == (
        "The paper's first effect, centre loss on log-Mel (setting 2 minus setting 1): -13.5 points of UA here, +3.1 "
        "in the paper; it differs."
    )
    assert counts.words == (
        "effects: 0 of 2 agree, 1 of 2 differ, 1 of 2 cannot be told; levels: 2 of 6 agree, 2 of 6 differ, 2 of 6 "
        "cannot be told."
    )
    assert explained.aside
    rows = table.numbers
    assert rows[["kind", "lam", "measure"]].to_numpy().tolist() == [
        ["effect", 0.3, "UA"],
        ["effect", 0.03, "UA"],
        *(["level", lam, measure] for lam in (0.0, 0.3, 0.03) for measure in ("UA", "WA")),
    ]
    assert rows["ours"].tolist() == pytest.approx([-13.5, 1, 64, 64, 50.5, 50.5, 65, 65])
    published = [66.86 - 63.80, 65.71 - 63.80, 63.80, 61.83, 66.86, 65.40, 65.71, 63.98]
    assert rows["paper"].tolist() == pytest.approx(published)
    assert rows["margin"].tolist() == [1.5, 1.5, *[3.0] * 6]
    # Gains are -13, -12.5, -13.5, -14.5, -14 and -13.5, -3.5, 5.5, 15.5, 1
    spreads = [np.sqrt(2.5 / 4), np.std([-13.5, -3.5, 5.5, 15.5, 1], ddof=1), *[0.5] * 4, *[np.sqrt(125)] * 2]
    halves = [2.7764451051977987 * spread * np.sqrt(1 / 5 + 1 / 25) for spread in spreads]
    assert rows["half"].tolist() == pytest.approx(halves)
    assert rows["verdict"].tolist() == [DIFFERS, UNKNOWN, AGREES, AGREES, DIFFERS, DIFFERS, UNKNOWN, UNKNOWN]
    # With a spread of 0.5, (2.1318 + 1.5332) 0.5 sqrt(1 / 5 + 1 / 25) = 0.90 is within the margin; 125 never is
    assert rows["runs_to_tell"].tolist()[2:] == pytest.approx([5] * 4 + [np.nan] * 2, nan_ok=True)
    assert table.shown["runs that would tell"].tolist()[2:] == ["5"] * 4 + ["–"] * 2


def test_a_first_effect_that_is_met(iemocap):
    """3 points every time, 0.06 from the paper's. Without a spread a run's is taken to be one utterance of N more or
    less: shown within 0.06 + 2.1318 x 100 / N x sqrt(6 / 25)."""
    better = [tuple(share + 3 for share in right) for right in SOFTMAX]
    headline, *_ = section(make(iemocap, {0.0: SOFTMAX, 0.3: better})).blocks
    assert headline.words.endswith(
        "+3.0 points of UA here, +3.1 in the paper; it agrees within 1.5 points (shown within 0.3)."
    )


def test_the_study_sets_the_margins(iemocap):
    """Setting 1 is 0.2 from the paper's UA and 2.17 from its WA, shown within 0.2 + 2.1318 x 0.5 sqrt(0.24) = 0.72 and
    2.69; the effect of setting 2 is 16.56 off, shown within 16.56 + 2.1318 sqrt(2.5 / 4 x 0.24) = 17.39."""
    made = make(iemocap, {0.0: SOFTMAX, 0.3: CENTRE})
    runs = [job.runs for job in read_jobs(made.study)]
    for margins, verdicts in [
        ((2.6, 17.3), [DIFFERS, AGREES, DIFFERS]),
        ((0.7, 17.3), [DIFFERS, UNKNOWN, DIFFERS]),
        ((2.7, 17.4), [AGREES, AGREES, AGREES]),
    ]:
        write_study(made.study, Purpose(made.purpose.baseline, made.purpose.paper, *margins), [])
        headline, *_, table = section(read_material(made.study, made.runs)).blocks
        rows = table.numbers
        assert rows["verdict"].tolist()[:3] == verdicts
        assert rows["margin"].tolist()[:3] == [margins[1], margins[0], margins[0]]
        assert ("it agrees within 17.4 points" in headline.words) == (verdicts[0] == AGREES)
    assert [job.runs for job in read_jobs(made.study)] == runs


def test_a_first_effect_that_was_not_measured(iemocap):
    headline, *_ = section(make(iemocap, {0.0: SOFTMAX, 0.03: WIDE})).blocks
    assert headline.words.endswith("(setting 2 minus setting 1), was not measured.")


def test_four_runs_have_no_verdict(iemocap):
    assert section(make(iemocap, {0.0: SOFTMAX[:4], 0.3: CENTRE[:4]})) is None


def test_levels_without_pairs_have_no_effect(iemocap):
    """Four of the five runs of setting 2 are on the divisions of setting 1, of which there are five."""
    made = make(iemocap, {0.0: SOFTMAX, 0.3: CENTRE[:4]})
    *_, table = section(made).blocks
    assert table.numbers[["kind", "lam"]].to_numpy().tolist() == [["level", 0.0]] * 2


def test_seeds_of_one_division_count_as_one_run(iemocap):
    """Three seeds that do alike tell no more than one."""
    *_, table = section(make(iemocap, {0.0: SOFTMAX, 0.3: CENTRE}, seeds=(0, 1, 2))).blocks
    halves = [2.7764451051977987 * spread * np.sqrt(1 / 5 + 1 / 25) for spread in (np.sqrt(2.5 / 4), *[0.5] * 4)]
    assert table.numbers["half"].tolist() == pytest.approx(halves)


def test_five_seeds_of_one_division_have_no_verdict(iemocap):
    assert section(make(iemocap, {0.0: SOFTMAX[:1], 0.3: CENTRE[:1]}, seeds=range(5))) is None
