"""The simulation of docs/statistics.md: its judgement by hand, and what it keeps."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import coverage
from benchmarks.coverage import BETWEEN, CELL, Latent, candidate_table, coverage_table, main, simulate


def test_an_interval_covers_where_the_truth_is_no_farther_than_its_half():
    # The truth is the mean, 2; distances 2, 1, 0, 3 against halves 2, 0.5, 1 and one study without an interval
    values = np.array([0.0, 1.0, 2.0, 5.0])
    answers = np.array([(2, 0.2, 1), (0.5, 0.04, 1), (1, 0.01, 1), (np.nan, np.nan, np.nan)])
    row = coverage._judge("difference", "report", answers, values, inner=1)
    assert (row["answered"], row["coverage"], row["rejected"]) == (0.75, pytest.approx(2 / 3), 0.5)
    assert (row["effect"], row["width"], row["true_error"]) == (2, pytest.approx(7 / 3), pytest.approx(np.sqrt(14 / 3)))


def test_a_true_gain_is_what_the_studies_find_on_average():
    table = simulate(Latent(effect=0.08), 400, 10, "speaker", 1, "repeat", draws=120)
    effect = table[table["quantity"] == "difference"]["effect"].iloc[0]
    assert effect == pytest.approx(8, abs=2)


def test_equally_long_trainings_without_a_price_of_voices_differ_by_nothing():
    (row,) = simulate(Latent(), 400, 10, BETWEEN, 1, "new people", draws=200).to_dict("records")
    assert row["effect"] == pytest.approx(0, abs=3 * row["true_error"] / np.sqrt(200))
    assert row["coverage"] > 0.95


def test_a_table_is_gone_on_with(tmp_path, monkeypatch, capsys):
    chosen = [(world, 60, 10, BETWEEN, 1, "new people") for world in ("latent", "learner")]
    monkeypatch.setattr(coverage, "cells", lambda sizes, repeats: chosen)
    table = tmp_path / "coverage.csv"
    words = ["--draws", "10", "--workers", "1", "--table", str(table)]
    main(words)
    whole = pd.read_csv(table)
    assert list(whole[CELL].itertuples(index=False, name=None)) == chosen
    kept = whole[whole["world"] == "latent"]
    kept.to_csv(table, index=False)
    capsys.readouterr()
    main(words)
    assert "latent" not in capsys.readouterr().out
    pd.testing.assert_frame_equal(pd.read_csv(table), whole)


def test_of_known_voices_nothing_is_asked_about_new_people():
    made = coverage.cells([(60, 6)], [1])
    assert len(made) == 2 * (2 + 3 + 1)
    assert {cell[-1] for cell in made if cell[3] == "paper"} == {"same people", "repeat"}


def test_the_tables_of_the_docs_by_hand():
    shared = {"size": 168, "speakers": 6, "protocol": "paper", "repeats": 1, "answered": 1.0, "quantity": "difference"}
    rows = [
        {**shared, "world": world, "question": question, "method": method, "coverage": share, "width": 20.04}
        for question in ("new people", "same people", "repeat")
        for world, share in (("learner", 0.96), ("latent", 0.9304))
        for method in ("report", "speakers")
    ]
    table = pd.DataFrame(rows)
    assert coverage_table(table)["1 x 5 folds"].tolist() == ["93.0 (20.0) / 96.0 (20.0)"] * 3
    assert candidate_table(table).to_dict("records") == [
        {"method": "speakers", "new people": "93 to 96", "same people": "93 to 96", "repeat": "93 to 96"}
    ]
