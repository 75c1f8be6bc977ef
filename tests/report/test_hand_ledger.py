"""A ledger of 40 rows, made by hand: every number that its report shows, worked out by hand.

Two settings on the same four divisions, five test utterances each. Every utterance is given 0.7 for the class
recognised and 0.1 for each other.
"""

import json
from math import log, sqrt

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ser_lightning.report.study import report_study
from tests.report.simulated import CLASSES, Simulation, settings_of

LABELS = ["neu", "neu", "ang", "hap", "sad"]
SPEAKERS = ["ann", "bob", "ann", "bob", "ann"]
# What was recognised, fold by fold; 40 rows
SOFTMAX = ["neu sad ang ang sad", "neu neu hap hap neu", "neu ang ang neu sad", "sad sad ang hap neu"]
CENTRE = ["neu sad ang hap sad", "neu neu ang hap neu", "neu ang ang hap sad", "neu sad ang hap neu"]
# Of dev four of five, in every run
DEV = "neu neu ang hap neu"
SETTINGS = [settings_of("logmel", 0.0, 0.5), settings_of("logmel", 0.3, 0.5)]

T3 = 3.182446305284263  # 97.5 % of Student's t with 3 degrees of freedom
# Variance of a mean of four runs whose test part is an eighth of the training part
SHARE = 1 / 4 + 1 / 8


def outputs(recognised: str) -> pd.DataFrame:
    logits = [[log(0.7 if name == one else 0.1) for name in CLASSES] for one in recognised.split()]
    table = pd.DataFrame(logits, columns=[f"logit_{name}" for name in CLASSES])
    return table.assign(id=[f"u{i}" for i in range(5)], label=LABELS)


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
        simulation.add_job(number, f"loss.lam={settings['loss']['lam']:g}", settings, folds=range(4))
        for fold, recognised in enumerate(folds):
            simulation.finish(settings, 0, fold, outputs(recognised), features(spread), outputs(DEV))
    table = pd.DataFrame({"id": [f"u{i}" for i in range(5)], "label": LABELS, "speaker": SPEAKERS})
    simulation.add_utterances(table)
    return simulation.study, report_study(simulation.study, simulation.runs)


@pytest.fixture(scope="module")
def tables(study):
    return json.loads((study[0] / "results.json").read_text())["tables"]


def test_the_ledger_has_forty_rows(study):
    assert sum(len(fold.split()) for fold in (*SOFTMAX, *CENTRE)) == 40
    assert json.loads((study[0] / "results.json").read_text())["runs_finished"] == 8


def test_runs(tables):
    assert [row["ua"] for row in tables["runs"]] == pytest.approx([62.5, 50, 62.5, 50, 87.5, 75, 87.5, 62.5])
    assert [row["wa"] for row in tables["runs"]] == pytest.approx([60, 60, 60, 40, 80, 80, 80, 60])
    # In the first: 2 right over 3 true and recognised of neu, of ang and of sad, none of hap
    f1 = [1 / 2, 11 / 30, 13 / 24, 1 / 2, 5 / 6, 7 / 10, 5 / 6, 5 / 8]
    assert [row["macro_f1"] for row in tables["runs"]] == pytest.approx([100 * share for share in f1])


def test_scores(tables):
    softmax, centre = tables["scores"]
    assert (softmax["runs"], softmax["planned"], softmax["lam"], centre["lam"]) == (4, 4, 0, 0.3)
    assert (softmax["ua"], softmax["wa"], centre["ua"], centre["wa"]) == pytest.approx((56.25, 55, 78.125, 75))
    # Four deviations of 6.25: variance 4 x 39.0625 / 3
    assert softmax["ua_sd"] == pytest.approx(sqrt(52.0833333))
    assert softmax["ua_half"] == pytest.approx(T3 * sqrt(SHARE * 52.0833333))
    # Deviations 5, 5, 5, -15 in both: variance 300 / 3
    assert softmax["wa_half"] == pytest.approx(T3 * sqrt(SHARE * 100))
    assert centre["wa_half"] == pytest.approx(T3 * sqrt(SHARE * 100))
    # Deviations 9.375, -3.125, 9.375, -15.625
    assert centre["ua_sd"] == pytest.approx(sqrt(429.6875 / 3))
    assert centre["ua_half"] == pytest.approx(T3 * sqrt(SHARE * 429.6875 / 3))
    assert softmax["macro_f1"] == pytest.approx(100 * (1 / 2 + 11 / 30 + 13 / 24 + 1 / 2) / 4)
    # The paper's numbers stand beside no other corpus
    assert "paper_ua" not in softmax


def test_scores_by_speakers(tables):
    softmax, centre = tables["scores"]
    # Only draws of both speakers have all classes: all have the same UA
    assert (softmax["ua_speakers_low"], softmax["ua_speakers_high"]) == pytest.approx((56.25, 56.25))
    assert (centre["ua_speakers_low"], centre["ua_speakers_high"]) == pytest.approx((78.125, 78.125))
    # WA of bob alone: 3 of 8 and 5 of 8; of ann alone: 8 of 12 and 10 of 12
    assert (softmax["wa_speakers_low"], softmax["wa_speakers_high"]) == pytest.approx((37.5, 200 / 3))
    assert (centre["wa_speakers_low"], centre["wa_speakers_high"]) == pytest.approx((62.5, 250 / 3))


def test_differences(tables):
    (row,) = tables["differences"]
    assert (row["setting"], row["against"], row["runs"]) == ("lambda = 0.3", "lambda = 0", 4)
    # 25, 25, 25, 12.5: deviations 3.125 three times and -9.375, variance 117.1875 / 3
    error = sqrt(SHARE * 39.0625)
    assert (row["ua"], row["ua_half"]) == pytest.approx((21.875, T3 * error))
    assert row["ua_p"] == row["ua_p_holm"] == pytest.approx(2 * stats.t.sf(21.875 / error, 3))
    limit, centre = T3, row["ua_detectable"] / error
    power = stats.nct.sf(limit, 3, centre) + stats.nct.cdf(-limit, 3, centre)
    assert power == pytest.approx(0.8, abs=1e-6)
    # 20 every time
    assert (row["wa"], row["wa_half"], row["wa_p"], row["wa_detectable"]) == pytest.approx((20, 0, 0, 0), abs=1e-9)
    assert (row["ua_speakers_low"], row["ua_speakers_high"]) == pytest.approx((21.875, 21.875))
    # bob gains 2 of 8, ann 2 of 12
    assert (row["wa_speakers_low"], row["wa_speakers_high"]) == pytest.approx((100 / 6, 25))


def test_the_answer(study):
    half = T3 * sqrt(SHARE * 39.0625)
    assert (round(half, 1), round(21.875 - half, 1), round(21.875 + half, 1)) == (12.2, 9.7, 34.1)
    assert study[1].answer == [
        "Yes: +21.9 points of UA (95 % interval +9.7 to +34.1; p = 0.011; 4 pairs of runs).",
        "UA is 78.1 % with lambda = 0.3 and 56.2 % with lambda = 0.",
    ]


def test_confusions(tables):
    def matrix(name):
        return np.array([[row[column] for column in CLASSES] for row in tables[name]])

    # Of 8 neu, and 4 of each other
    softmax = np.array([[4, 1, 0, 3], [0, 3, 1, 0], [1, 1, 2, 0], [2, 0, 0, 2]]) / np.array([[8], [4], [4], [4]])
    centre = np.array([[5, 1, 0, 2], [0, 4, 0, 0], [0, 0, 4, 0], [2, 0, 0, 2]]) / np.array([[8], [4], [4], [4]])
    assert matrix("table1a") == pytest.approx(100 * softmax)
    assert matrix("table1b") == pytest.approx(100 * centre)
    assert matrix("table1_difference") == pytest.approx(100 * (centre - softmax))
    assert [row["utterances"] for row in tables["table1a"]] == [8, 4, 4, 4]


def test_speakers(tables):
    found = {(row["setting"], row["speaker"]): row for row in tables["speakers"]}
    ann, bob = (found["lambda = 0", name] for name in ("ann", "bob"))
    assert [ann[name] for name in (*CLASSES, "UA", "utterances")] == [75, 75, None, 50, None, 12]
    assert [bob[name] for name in (*CLASSES, "UA", "utterances")] == [25, None, 50, None, None, 8]
    assert [found["lambda = 0.3", "ann"][name] for name in ("neu", "ang", "sad")] == [100, 100, 50]


def test_compactness(tables):
    # Squared sides 16 four times and diagonals 32 twice: mean 64 / 3
    wide = 1 / sqrt(64 / 3)
    rows = tables["compactness"]
    assert [row["train"] for row in rows] == pytest.approx([wide, wide / 2])
    assert [row["test"] for row in rows] == pytest.approx([wide, wide / 2])
    assert [row["train_half"] for row in rows] == pytest.approx([0, 0], abs=1e-12)


def test_calibration(tables):
    softmax, centre = tables["calibration"]
    # 0.7 less 0.6, 0.6, 0.6, 0.4; and less 0.8, 0.8, 0.8, 0.6
    assert (softmax["overconfidence"], centre["overconfidence"]) == pytest.approx((15, -5))
    assert softmax["overconfidence_half"] == pytest.approx(T3 * sqrt(SHARE * 100))
    # 11 and 15 of 20 are right
    assert (softmax["ece"], centre["ece"]) == pytest.approx((15, 5))
    # 0.7 becomes 0.8, the accuracy on dev, where log(7) / T = log(0.8 / (0.2 / 3))
    assert softmax["temperature"] == centre["temperature"] == pytest.approx(log(7) / log(12), rel=1e-3)
    assert (softmax["ece_scaled"], centre["ece_scaled"]) == pytest.approx((25, 5), abs=0.02)
    assert softmax["nll"] == pytest.approx(-(0.55 * log(0.7) + 0.45 * log(0.1)))
    assert centre["nll"] == pytest.approx(-(0.75 * log(0.7) + 0.25 * log(0.1)))
    assert softmax["nll_scaled"] == pytest.approx(-(0.55 * log(0.8) + 0.45 * log(0.2 / 3)), rel=1e-3)
    assert centre["nll_scaled"] == pytest.approx(-(0.75 * log(0.8) + 0.25 * log(0.2 / 3)), rel=1e-3)


def test_the_change_of_overconfidence_is_told(study):
    # -20 in every pair
    assert "over-confidence changes by -20.00 ± 0.00 points (p < 0.001, 4 pairs" in (study[0] / "report.md").read_text()


def test_the_tables_that_people_read(study):
    shown = (study[0] / "tables" / "differences.md").read_text()
    assert "| lambda = 0.3 | 4 | +21.88 ± 12.18 | 0.011 |" in " ".join(shown.split())
    scores = " ".join((study[0] / "tables" / "scores.md").read_text().split())
    assert "| 4 of 4 | 56.25 ± 14.06 | 56.25 to 56.25 | 7.22 | 55.00 ± 19.49 | 47.71 ± 14.85 |" in scores
