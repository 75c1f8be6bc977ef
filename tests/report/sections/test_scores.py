"""The intervals of scores and differences, a column for each question, and why a question has none."""

import numpy as np
import pandas as pd
import pytest

from ser_lightning.report.document import Table, Text
from ser_lightning.report.material import read_material
from ser_lightning.report.samples import difference_samples, score_samples
from ser_lightning.report.scored import pairs
from ser_lightning.report.sections import answer, scores
from ser_lightning.report.statistics import QUESTIONS, estimate
from tests.report.simulated import CLASSES, Simulation, predictions, settings_of

SETTINGS = [settings_of("logmel", lam, 0.5) for lam in (0.0, 0.3)]
WORDS = dict(zip(QUESTIONS, ("new", "same", "repeat"), strict=True))


def study_of(output, folds=5, speaker=0.0, known=True, last=CLASSES):
    """Two settings on 24 utterances a fold, of two people each, whom training knows or not; the last fold has these
    classes."""
    simulation = Simulation(output, speaker=speaker)
    rng, tests = np.random.default_rng(0), []
    for number, settings in enumerate(SETTINGS):
        job = simulation.add_job(number, f"loss.lam={settings['loss']['lam']:g}", settings, folds=range(folds))
        for repeat, fold in job.places:
            classes = last if fold == folds - 1 else CLASSES
            labels = [classes[i % len(classes)] for i in range(24)]
            recognised = [name if rng.random() < 0.5 + 0.2 * number else rng.choice(CLASSES) for name in labels]
            test = predictions(list(zip(labels, recognised, strict=True)))
            tests.append(test.assign(id=[f"{fold} {i}" for i in range(len(test))]))
            simulation.finish(settings, repeat, fold, tests[-1])
    everyone = pd.concat(tests)[["id", "label"]].drop_duplicates("id")
    who = [f"s{name.split()[0]}{int(name.split()[1]) % 2}" for name in everyone["id"]] if known else ""
    simulation.add_utterances(everyone.assign(speaker=who))
    return read_material(simulation.study, simulation.runs)


def intervals(section):
    """The table of intervals, None where there is none, and the sentences on those that are missing."""
    tables = [block for block in section.blocks if isinstance(block, Table) and block.name.endswith("_intervals")]
    sentences = [block.words for block in section.blocks if isinstance(block, Text)]
    return tables[0] if tables else None, [words for words in sentences if words.startswith("No interval")]


@pytest.mark.parametrize("noun, made", [("score", scores.section), ("difference", answer.section)])
def test_each_question_has_a_column_of_its_own_for_each_metric(tmp_path, noun, made):
    table, sentences = intervals(made(study_of(tmp_path)))
    assert sentences == []
    assert (table.name, table.folded) == (f"{noun}_intervals", True)
    columns = [f"{label}, {question}" for label in ("UA", "WA", "F1", "weighted F1") for question in QUESTIONS]
    assert table.shown.columns.tolist() == ["setting", *columns]
    assert all(f"{question}: {meaning}" in table.title for question, meaning in QUESTIONS.items())


def test_the_columns_are_the_intervals_of_their_questions(tmp_path):
    """Whose numbers are those of the samples; all three are unlike."""
    material = study_of(tmp_path)
    table, _ = intervals(scores.section(material))
    difference, _ = intervals(answer.section(material))
    common = pairs(material.jobs[1], material.jobs[0], material.scored)
    samples = [score_samples(material.finished(job), material.speaker_of) for job in (0, 1)]
    samples = [*samples, difference_samples(common, material.speaker_of)]
    rows = [(table, 0), (table, 1), (difference, 0)]
    for (shown, row), sample in zip(rows, samples, strict=True):
        cells = []
        for question, word in WORDS.items():
            expected = estimate(sample["ua"], question)
            ends = shown.numbers.loc[row, [f"ua_{word}_low", f"ua_{word}_high"]].tolist()
            assert ends == pytest.approx([expected.low, expected.high])
            cells.append(shown.shown[f"UA, {question}"][row])
            assert cells[-1] == f"{expected.low:.2f} to {expected.high:.2f}"
        assert len(set(cells)) == 3
    assert table.numbers["setting"].tolist() == table.shown["setting"].tolist() == ["loss.lam=0", "loss.lam=0.3"]


def test_half_of_the_first_questions_interval_stands_beside_the_score(tmp_path):
    """Other people's, where nobody who is tested is trained on; else the same people's."""
    for name, speaker, question in (("apart", 0.0, "new people"), ("mixed", 1.0, "same people")):
        section = scores.section(study_of(tmp_path / name, speaker=speaker))
        assert f"95 % interval for {QUESTIONS[question]}." in section.blocks[0].words
        table, _ = intervals(section)
        (main,) = (block for block in section.blocks if isinstance(block, Table) and block.name == "scores")
        half = main.numbers["ua_half"].tolist()
        ends = [table.numbers[f"ua_{WORDS[question]}_{end}"] for end in ("low", "high")]
        assert half == pytest.approx(((ends[1] - ends[0]) / 2).tolist())
        low, high = table.shown[f"UA, {question}"][0].split(" to ")
        assert main.shown["UA (%)"][0].endswith(f" ± {(float(high) - float(low)) / 2:.2f}")


@pytest.mark.parametrize(
    "words, reason",
    [
        ({"speaker": 1.0}, "their voices are trained on"),
        ({"speaker": None, "known": False}, "who spoke is not known of all utterances"),
    ],
)
@pytest.mark.parametrize("noun, made", [("score", scores.section), ("difference", answer.section)])
def test_a_question_that_is_not_answered_has_no_column_and_its_reason(tmp_path, words, reason, noun, made):
    table, sentences = intervals(made(study_of(tmp_path, **words)))
    assert sentences == [f"No interval of a {noun} for: new people ({reason})."]
    labels, questions = ("UA", "WA", "F1", "weighted F1"), ("same people", "repeat")
    columns = [f"{label}, {question}" for label in labels for question in questions]
    assert table.shown.columns.tolist() == ["setting", *columns]
    assert "new people" not in table.title
    # For machines the columns are there, and empty
    assert table.numbers[["ua_new_low", "ua_new_high"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "noun, made, people",
    [
        ("score", scores.section, "8 speakers tested, where an interval needs 10"),
        ("difference", answer.section, "4 groups of speakers tested apart, where an interval needs 5"),
    ],
)
def test_of_too_few_runs_there_is_no_table_and_each_question_has_its_reason(tmp_path, noun, made, people):
    """Four folds of two people each."""
    table, (sentence,) = intervals(made(study_of(tmp_path, folds=4)))
    assert table is None
    assert sentence.startswith(f"No interval of a {noun} for: ")
    reasons = dict(words.split(" (") for words in sentence.partition("for: ")[2].removesuffix(").").split("); "))
    assert list(reasons) == list(QUESTIONS)
    assert reasons["new people"] == people
    few = "4 runs on divisions of their own, where an interval needs 5"
    assert (reasons["same people"], reasons["repeat"]) == (few, few)


def test_where_a_fold_lacks_a_class_wa_has_its_intervals_nevertheless(tmp_path):
    table, (sentence,) = intervals(scores.section(study_of(tmp_path, last=CLASSES[:3])))
    assert sentence.count("a class is absent from a test part") == 3
    columns = [f"{label}, {question}" for label in ("WA", "weighted F1") for question in QUESTIONS]
    assert table.shown.columns.tolist() == ["setting", *columns]
    assert all(f"{question}: {meaning}" in table.title for question, meaning in QUESTIONS.items())


def test_only_the_metrics_that_are_asked_for_are_shown(tmp_path):
    simulation = study_of(tmp_path)
    material = read_material(simulation.study, simulation.runs, metrics=("wa",))
    table, _ = intervals(scores.section(material))
    assert table.shown.columns.tolist() == ["setting", *(f"WA, {question}" for question in QUESTIONS)]
    assert {"ua_new_low", "macro_f1_repeat_high"} <= set(table.numbers)
