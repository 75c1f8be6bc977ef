"""What corpora are worth for each other, counted from hand-made predictions."""

import numpy as np
import pandas as pd
import pytest

from ser_lightning.identity import digest_rows
from ser_lightning.report.document import Text
from ser_lightning.report.material import read_material
from ser_lightning.report.sections import corpora
from ser_lightning.runs.seal import write_with_seal
from ser_lightning.runs.study import SPLIT, Purpose, write_study
from tests.report.simulated import CLASSES, Simulation, predictions, settings_of

# What is trained on, what is tested, and how many of each speaker's four utterances are recognised
FOLDS = [("a", "b", [4] * 10), ("b", "a", [2] * 5 + [4] * 5), ("a", "a", [3] * 10)]


def simulate(tmp_path, pairs=FOLDS, speaker=0.0, lost=(), others=()):
    """A study with a fold for each pair, and once more with each of `others` for lambda and split.train; of those folds
    that are `lost` another division is recorded than the first job's, and than the others' always."""
    simulation = Simulation(tmp_path, corpus="both", protocol="pairs", speaker=speaker)
    settings = settings_of("logmel", 0.3, 0.5)
    simulation.add_job(0, "the setting", settings, folds=range(len(pairs)))
    rivals = [
        settings_of("logmel", lam, 0.5) | {"split": {**settings["split"], "train": train}} for lam, train in others
    ]
    for number, rival in enumerate(rivals, start=1):
        simulation.add_job(number, f"rival {number}", rival, folds=range(len(pairs)))
    divisions, utterances = [], {}
    for fold, (training, tested, right) in enumerate(pairs):
        spoken = [
            (label, label if place < number else CLASSES[place - 1])
            for number in right
            for place, label in enumerate(CLASSES)
        ]
        ids = [f"{tested}/{speaker} {place}" for speaker in range(len(right)) for place in range(4)]
        test = predictions(spoken).assign(id=ids)
        parts = [(name, "test") for name in ids] + [(f"{name}/train", "train") for name in training]
        simulation.finish(settings, 0, fold, test, split=digest_rows(parts[1:] if fold in lost else parts))
        for rival in rivals:
            simulation.finish(rival, 0, fold, test, split="another")
        divisions.append(pd.DataFrame(parts, columns=["id", "part"]).assign(repeat=0, fold=fold))
        utterances |= dict(zip(ids, test["label"], strict=True))
    utterances |= {f"{name}/train": "neu" for name in "ab"}
    table = pd.DataFrame({"id": list(utterances), "label": list(utterances.values())})
    table = table.assign(speaker=table["id"].str.split().str[0], corpus=table["id"].str[0])
    simulation.add_utterances(table)
    write_with_seal(simulation.study / SPLIT, pd.concat(divisions).to_csv(index=False).encode())
    write_study(simulation.study, Purpose(baseline=(), paper=None), [])
    return read_material(simulation.study, simulation.runs)


def test_a_run_whose_division_is_not_the_recorded_one_stands_in_no_pair(tmp_path):
    rows = corpora.pair_rows(material := simulate(tmp_path / "one", lost=[1]))
    assert list(zip(rows["train"], rows["test"], strict=True)) == [("a", "a"), ("a", "b")]
    assert "Finished runs that stand in no pair: 1." in [
        text.words[:39] for text in corpora.section(material).blocks if isinstance(text, Text)
    ]
    (words,) = corpora.section(simulate(tmp_path / "all", lost=[0, 1, 2])).blocks
    assert words.words.startswith("Finished runs that stand in no pair: 3.")


def test_a_run_on_fewer_utterances_stands_in_a_pair_and_one_on_other_corpora_in_none(tmp_path):
    material = simulate(tmp_path, others=[(0.1, None), (0.2, ["a"])])
    rows = corpora.pair_rows(material)
    assert rows["setting"].value_counts().to_dict() == dict.fromkeys(material.names[:2], 3)
    assert "Finished runs that stand in no pair: 3." in corpora.section(material).blocks[3].words


def test_each_pair_has_its_score_and_an_interval_over_its_speakers(tmp_path):
    rows = corpora.pair_rows(simulate(tmp_path)).set_index(["train", "test"])
    assert rows["ua"].to_dict() == {("a", "a"): 75, ("a", "b"): 100, ("b", "a"): 75}
    assert (rows["utterances"] == 40).all()
    assert (rows["chance"] == 25).all()
    assert (rows["interval"] == "for other speakers, given this training part").all()
    # Of ten speakers five have half of theirs right and five all: their mean's standard error
    error = np.std([50] * 5 + [100] * 5, ddof=1) / np.sqrt(10)
    assert rows.loc[("b", "a"), "half"] == pytest.approx(2.262157 * error, rel=1e-5)
    assert rows.loc[("b", "a"), ["low", "high"]].tolist() == pytest.approx(
        [75 - 2.262157 * error, 75 + 2.262157 * error]
    )


def test_rows_are_what_is_trained_on_and_columns_what_is_tested(tmp_path):
    section = corpora.section(simulate(tmp_path))
    matrix = next(block for block in section.blocks if getattr(block, "name", "") == "cross_corpus")
    assert matrix.shown["trained on"].tolist() == ["a", "b"]
    assert [cell.split()[0] for cell in matrix.shown["a"]] == ["75.0", "75.0"]
    assert [cell.split()[0] for cell in matrix.shown["b"]] == ["100.0", "–"]


def test_the_sentence_sets_other_corpora_beside_the_own(tmp_path):
    assert corpora.sentences(simulate(tmp_path)) == [
        "Trained on others UA is 75.0 to 100.0 %; trained on the tested corpus, speakers apart, UA is 75.0 % "
        "(guessing: 25 %)."
    ]


def test_what_is_trained_on_with_others_is_told_apart_and_speakers_only_where_they_are(tmp_path):
    pairs = [("ab", "a", [4] * 10), ("b", "a", [2] * 10), ("a", "a", [3] * 10)]
    (words,) = corpora.sentences(simulate(tmp_path, pairs, speaker=0.1))
    assert words == (
        "Trained on others UA is 50.0 %; trained on the tested corpus UA is 75.0 %; trained on the tested corpus and "
        "others UA is 100.0 % (guessing: 25 %)."
    )


def test_what_several_corpora_train_is_a_row_below_the_single_ones(tmp_path):
    material = simulate(tmp_path, [("ab", "a", [4] * 10), ("b", "a", [2] * 10)])
    section = corpora.section(material)
    matrix = next(block for block in section.blocks if getattr(block, "name", "") == "cross_corpus")
    assert matrix.shown["trained on"].tolist() == ["b", "a + b"]


def test_a_study_of_one_corpus_has_no_matrix(tmp_path):
    assert corpora.section(simulate(tmp_path, [("a", "a", [3] * 10)])) is not None
    simulation = Simulation(tmp_path / "one")
    settings = settings_of("logmel", 0.3, 0.5)
    simulation.add_job(0, "the setting", settings, folds=[0])
    simulation.finish(settings, 0, 0, predictions([(name, name) for name in CLASSES]))
    assert corpora.section(read_material(simulation.study, simulation.runs)) is None
