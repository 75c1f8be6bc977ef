"""A ledger of 50 rows, made by hand: every number that its report shows, worked out by hand.

Two settings on the same five divisions, five test utterances each. Every utterance is given 0.7 for the class
recognised and 0.1 for each other.
"""

import json
from math import comb, log, sqrt

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ser_lightning.report.study import report_study
from tests.report.simulated import CLASSES, Simulation, settings_of

LABELS = ["neu", "neu", "ang", "hap", "sad"]
SPEAKERS = ["ann", "bob", "ann", "bob", "ann"]
# What was recognised, fold by fold; 50 rows
SOFTMAX = [
    "neu sad ang ang sad",
    "neu neu hap hap neu",
    "neu ang ang neu sad",
    "sad sad ang hap neu",
    "neu neu ang hap neu",
]
CENTRE = [
    "neu sad ang hap sad",
    "neu neu ang hap neu",
    "neu ang ang hap sad",
    "neu sad ang hap neu",
    "neu sad ang hap sad",
]
# Of dev four of five, in every run
DEV = "neu neu ang hap neu"
SETTINGS = [settings_of("logmel", 0.0, 0.5), settings_of("logmel", 0.3, 0.5)]

T4 = 2.7764451051977987  # 97.5 % of Student's t with 4 degrees of freedom

# Variances of means over the five runs, for new recordings of the same people: every utterance is tested once, so that
# it is the largest of three. By utterance: the mean over runs is changed by 2.5 points of UA by one of ten neu, and by
# 5 by one of five others; by 4 points of WA by one of 25. Squared distances from the mean of the class, or of all.
# One utterance in every run: 4 points five times.
LEAST = 5 * 4**2
UA_SOFTMAX = 25 / 24 * (6.25 * (6 * 0.4**2 + 4 * 0.6**2) + 25 * (4 * 0.2**2 + 0.8**2 + 3 * 0.4**2 + 2 * 0.6**2 + 1.2))
WA_SOFTMAX = 25 / 24 * 16 * (15 * 0.4**2 + 10 * 0.6**2)
# Of centre loss, whose ang and hap are all right, they are 46.9 and 76, and less than one utterance in every run
UA_CENTRE = WA_CENTRE = LEAST
# neu gains one and loses one, ang gains one, hap two, sad one
UA_GAIN = 25 / 24 * (6.25 * 2 + 25 * (0.8 + 1.2 + 0.8))
WA_GAIN = 25 / 24 * 16 * (5 * 0.84**2 + 1.16**2 + 19 * 0.16**2)


def outputs(recognised: str, fold: int) -> pd.DataFrame:
    logits = [[log(0.7 if name == one else 0.1) for name in CLASSES] for one in recognised.split()]
    table = pd.DataFrame(logits, columns=[f"logit_{name}" for name in CLASSES])
    return table.assign(id=[f"u{5 * fold + i}" for i in range(5)], label=LABELS)


def features(spread: float) -> pd.DataFrame:
    """Two utterances of each class, `spread` left and right of the corner of a square of side 4."""
    corners = dict(zip(CLASSES, [(0, 0), (4, 0), (0, 4), (4, 4)], strict=True))
    rows = [
        (part, name, x + side * spread, y)
        for part in ("train", "test")
        for name, (x, y) in corners.items()
        for side in (-1, 1)
    ]
    table = pd.DataFrame(rows, columns=["part", "label", "z_0", "z_1"])
    return table.assign(id=[f"z{i}" for i in range(len(table))])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    simulation = Simulation(tmp_path_factory.mktemp("ledger"))
    for number, (settings, folds, spread) in enumerate(zip(SETTINGS, (SOFTMAX, CENTRE), (1.0, 0.5), strict=True)):
        simulation.add_job(number, f"loss.lam={settings['loss']['lam']:g}", settings, folds=range(5))
        for fold, recognised in enumerate(folds):
            simulation.finish(
                settings, 0, fold, outputs(recognised, fold), features(spread), outputs(DEV, (fold + 1) % 5)
            )
    table = pd.DataFrame({"id": [f"u{i}" for i in range(25)], "label": LABELS * 5, "speaker": SPEAKERS * 5})
    simulation.add_utterances(table)
    return simulation.study, report_study(simulation.study, simulation.runs)


@pytest.fixture(scope="module")
def tables(study):
    return json.loads((study[0] / "results.json").read_text())["tables"]


def test_the_ledger_has_fifty_rows(study):
    assert sum(len(fold.split()) for fold in (*SOFTMAX, *CENTRE)) == 50
    assert json.loads((study[0] / "results.json").read_text())["runs_finished"] == 10


def test_runs(tables):
    ua = [62.5, 50, 62.5, 50, 75, 87.5, 75, 87.5, 62.5, 87.5]
    assert [row["ua"] for row in tables["runs"]] == pytest.approx(ua)
    assert [row["wa"] for row in tables["runs"]] == pytest.approx([60, 60, 60, 40, 80, 80, 80, 80, 60, 80])
    # In the first: 2 right over 3 true and recognised of neu, of ang and of sad, none of hap
    f1 = [1 / 2, 11 / 30, 13 / 24, 1 / 2, 7 / 10, 5 / 6, 7 / 10, 5 / 6, 5 / 8, 5 / 6]
    assert [row["macro_f1"] for row in tables["runs"]] == pytest.approx([100 * share for share in f1])


def test_scores(tables):
    softmax, centre = tables["scores"]
    assert (softmax["runs"], softmax["planned"], softmax["lam"], centre["lam"]) == (5, 5, 0, 0.3)
    assert (softmax["ua"], softmax["wa"], centre["ua"], centre["wa"]) == pytest.approx((60, 60, 80, 76))
    # Deviations 2.5, -10, 2.5, -10, 15, and 7.5, -5, 7.5, -17.5, 7.5
    assert softmax["ua_sd"] == pytest.approx(sqrt(437.5 / 4))
    assert centre["ua_sd"] == pytest.approx(sqrt(500 / 4))
    assert softmax["ua_half"] == pytest.approx(T4 * sqrt(UA_SOFTMAX), rel=1e-5)
    assert softmax["wa_half"] == pytest.approx(T4 * sqrt(WA_SOFTMAX), rel=1e-5)
    assert (centre["ua_half"], centre["wa_half"]) == pytest.approx((T4 * sqrt(UA_CENTRE), T4 * sqrt(WA_CENTRE)))
    assert softmax["macro_f1"] == pytest.approx(100 * (1 / 2 + 11 / 30 + 13 / 24 + 1 / 2 + 7 / 10) / 5)
    assert softmax["macro_f1_half"] == pytest.approx(T4 * sqrt(f1_variance(SOFTMAX)), rel=1e-5)
    # The paper's numbers stand beside no other corpus
    assert "paper_ua" not in softmax


def f1_variance(folds):
    """By utterance: F1 of class c is 2 n_cc / (n_c + m_c), n_c true and m_c recognised; what an utterance more of class
    i that is taken for j changes it by is (2 [i = j = c] - F1 ([i = c] + [j = c])) / (n_c + m_c)."""
    pairs = [(label, name) for fold in folds for label, name in zip(LABELS, fold.split(), strict=True)]
    terms = []
    for label, name in pairs:
        slope = 0.0
        for c in CLASSES:
            # In a run on average
            n, m = (sum(pair[side] == c for pair in pairs) / 5 for side in (0, 1))
            f1 = 2 * sum(pair == (c, c) for pair in pairs) / 5 / (n + m)
            slope += (2 * (label == name == c) - f1 * ((label == c) + (name == c))) / (n + m) / 4
        terms.append(100 * slope / 5)
    assert sum(terms) == pytest.approx(0)
    return 25 / 24 * sum(term**2 for term in terms)


def test_intervals_by_question(tables):
    softmax, centre = tables["score_intervals"]
    (gain,) = tables["difference_intervals"]
    means = (softmax, 60, UA_SOFTMAX), (centre, 80, UA_CENTRE), (gain, 20, UA_GAIN)
    for row, mean, squared in means:
        # Both speakers are in all parts
        assert (row["ua_new_low"], row["ua_new_high"]) == (None, None)
        half = T4 * sqrt(squared)
        assert (row["ua_same_low"], row["ua_same_high"]) == pytest.approx(
            (mean - half, min(mean + half, 100)), rel=1e-5
        )
        # Runs alone differ by less than one utterance in each: variances 437.5, 500, 187.5, over 4, over 5
        half = T4 * sqrt(LEAST)
        assert (row["ua_repeat_low"], row["ua_repeat_high"]) == pytest.approx((mean - half, min(mean + half, 100)))


def test_differences(tables):
    (row,) = tables["differences"]
    assert (row["setting"], row["against"], row["runs"]) == ("lambda = 0.3", "lambda = 0", 5)
    # 25, 25, 25, 12.5, 12.5, and 20 four times and 0
    error = sqrt(UA_GAIN)
    assert (row["ua"], row["ua_half"]) == pytest.approx((20, T4 * error), rel=1e-5)
    assert row["ua_p"] == row["ua_p_holm"] == pytest.approx(2 * stats.t.sf(20 / error, 4), rel=1e-5)
    centre = row["ua_detectable"] / error
    power = stats.nct.sf(T4, 4, centre) + stats.nct.cdf(-T4, 4, centre)
    assert power == pytest.approx(0.8, abs=1e-5)
    assert (row["wa"], row["wa_half"]) == pytest.approx((16, T4 * sqrt(WA_GAIN)), rel=1e-5)
    assert row["wa_p"] == pytest.approx(2 * stats.t.sf(16 / sqrt(WA_GAIN), 4), rel=1e-5)


def test_the_answer(study, tables):
    half = T4 * sqrt(UA_GAIN)
    assert (round(20 - half, 1), round(20 + half, 1)) == (-5.7, 45.7)
    # Student's t with 4 degrees of freedom is within t with probability x (3 - x^2) / 2, where x^2 = t^2 / (4 + t^2)
    x = sqrt(400 / UA_GAIN / (4 + 400 / UA_GAIN))
    assert round(1 - x * (3 - x**2) / 2, 3) == 0.097
    detectable = tables["differences"][0]["ua_detectable"]
    assert study[1].answer == [
        "Not shown: lambda = 0.3 against lambda = 0 changes UA by +20.0 points on demo under the paper protocol, for "
        "new recordings of the same speakers (95 % interval -5.7 to +45.7; p = 0.097; 5 pairs of runs).",
        "UA is 80.0 % with lambda = 0.3 and 60.0 % with lambda = 0. A true difference of "
        f"{detectable:.1f} points would have been shown with a probability of 80 %.",
    ]


def test_confusions(tables):
    def matrix(name):
        return np.array([[row[column] for column in CLASSES] for row in tables[name]])

    # Of 10 neu, and 5 of each other
    softmax = np.array([[6, 1, 0, 3], [0, 4, 1, 0], [1, 1, 3, 0], [3, 0, 0, 2]]) / np.array([[10], [5], [5], [5]])
    centre = np.array([[6, 1, 0, 3], [0, 5, 0, 0], [0, 0, 5, 0], [2, 0, 0, 3]]) / np.array([[10], [5], [5], [5]])
    assert matrix("table1a") == pytest.approx(100 * softmax)
    assert matrix("table1b") == pytest.approx(100 * centre)
    assert matrix("table1_difference") == pytest.approx(100 * (centre - softmax))
    assert [row["utterances"] for row in tables["table1a"]] == [10, 5, 5, 5]


def test_speakers(tables):
    rows = {(row["setting"], row["speaker"]): row for row in tables["speakers"]}
    ann, bob = (rows["lambda = 0", name] for name in ("ann", "bob"))
    assert [ann[name] for name in (*CLASSES, "UA", "utterances")] == [80, 80, None, 40, None, 15]
    assert [bob[name] for name in (*CLASSES, "UA", "utterances")] == [40, None, 60, None, None, 10]
    assert [rows["lambda = 0.3", "ann"][name] for name in ("neu", "ang", "sad")] == [100, 100, 60]


def test_compactness(tables):
    # Squared sides 16 four times and diagonals 32 twice: mean 64 / 3
    wide = 1 / sqrt(64 / 3)
    rows = tables["compactness"]
    assert [row["train"] for row in rows] == pytest.approx([wide, wide / 2])
    assert [row["test"] for row in rows] == pytest.approx([wide, wide / 2])
    assert [row["train_half"] for row in rows] == pytest.approx([0, 0], abs=1e-12)


def test_calibration(tables):
    softmax, centre = tables["calibration"]
    # 0.7 less 15 and 19 of 25
    assert (softmax["overconfidence"], centre["overconfidence"]) == pytest.approx((10, -6))
    # It varies as WA does, since 0.7 does not
    assert softmax["overconfidence_half"] == pytest.approx(T4 * sqrt(WA_SOFTMAX))
    assert centre["overconfidence_half"] == pytest.approx(T4 * sqrt(WA_CENTRE))
    # 0.1, 0.1, 0.1, 0.3, 0.1 and always 0.1
    assert (softmax["ece"], centre["ece"]) == pytest.approx((14, 10))
    assert softmax["ece_half"] == pytest.approx(T4 * sqrt((4 * 4**2 + 16**2) / 4 / 5))
    assert centre["ece_half"] == pytest.approx(0, abs=1e-9)
    # Of five utterances at 0.7 by chance; the program draws 200 times
    chance = 100 * sum(comb(5, k) * 0.7**k * 0.3 ** (5 - k) * abs(k / 5 - 0.7) for k in range(6))
    assert softmax["ece_by_chance"] == centre["ece_by_chance"] == pytest.approx(chance, abs=3)


def test_temperature_is_fitted_to_the_other_folds(tables):
    """Of the other folds' 20 utterances 12, 12, 12, 13, 11 are right, and 15, 15, 15, 16, 15: 0.7 becomes that share c,
    where log(7) / T = log(c / ((1 - c) / 3))."""
    softmax, centre = tables["calibration"]
    assert softmax["temperature"] == pytest.approx(log(7) / log(0.6 / (0.4 / 3)), rel=1e-3)
    assert centre["temperature"] == pytest.approx(log(7) / log(0.75 / (0.25 / 3)), rel=1e-3)
    # Its own accuracy less that: 0, 0, 0, 0.25, 0.25 and 0.05, 0.05, 0.05, 0.2, 0.05
    assert (softmax["ece_scaled"], centre["ece_scaled"]) == pytest.approx((10, 8), abs=0.02)
    assert softmax["ece_scaled_half"] == pytest.approx(T4 * sqrt((3 * 10**2 + 2 * 15**2) / 4 / 5), rel=1e-3)
    assert centre["ece_scaled_half"] == pytest.approx(T4 * sqrt((4 * 3**2 + 12**2) / 4 / 5), rel=1e-2)
    assert softmax["nll"] == pytest.approx(-(0.6 * log(0.7) + 0.4 * log(0.1)))
    assert centre["nll"] == pytest.approx(-(0.76 * log(0.7) + 0.24 * log(0.1)))
    # Accuracies 0.6, 0.6, 0.6, 0.4, 0.8 have the variance 0.08 / 4; a utterance more that is right is log(7) less
    assert softmax["nll_half"] == pytest.approx(T4 * log(7) * sqrt(0.08 / 4 / 5))
    for row, own, others in (
        (softmax, [0.6, 0.6, 0.6, 0.4, 0.8], [0.6, 0.6, 0.6, 0.65, 0.55]),
        (centre, [0.8, 0.8, 0.8, 0.6, 0.8], [0.75, 0.75, 0.75, 0.8, 0.75]),
    ):
        nll = [-(a * log(c) + (1 - a) * log((1 - c) / 3)) for a, c in zip(own, others, strict=True)]
        assert row["nll_scaled"] == pytest.approx(np.mean(nll), rel=1e-3)


def test_the_change_of_overconfidence_is_told(study):
    # -20 four times and 0; it varies as the gain of WA does
    half, p = T4 * sqrt(WA_GAIN), 2 * stats.t.sf(16 / sqrt(WA_GAIN), 4)
    assert (round(half, 2), round(p, 2)) == (26.24, 0.17)
    words = "over-confidence changes by -16.00 ± 26.24 points (p = 0.17, 5 pairs of runs)"
    assert words in (study[0] / "report.md").read_text()


def test_the_tables_that_people_read(study):
    shown = (study[0] / "tables" / "differences.md").read_text()
    assert "| lambda = 0.3 | 5 | +20.00 ± 25.74 | 0.097 |" in " ".join(shown.split())
    scores = " ".join((study[0] / "tables" / "scores.md").read_text().split())
    half = f"{T4 * sqrt(f1_variance(SOFTMAX)):.2f}"
    assert f"| 5 of 5 | 60.00 | 60.00 ± 27.62 | 10.46 | 60.00 ± 27.76 | 52.17 ± {half} |" in scores
    intervals = " ".join((study[0] / "tables" / "score_intervals.md").read_text().split())
    assert "| 0 | 32.38 to 87.62 | 35.17 to 84.83 |" in intervals.replace("loss.lam=", "")
