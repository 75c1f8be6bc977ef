"""The paper's numbers stand beside its own corpus, protocol, network, front ends and loss, and beside nothing else."""

from pathlib import Path

import pytest
import yaml

import ser_lightning
from ser_lightning.papers.icassp2019 import numbers
from ser_lightning.papers.icassp2019.chapter import NOT_COMPARABLE
from ser_lightning.report.document import Table
from ser_lightning.report.material import read_material
from ser_lightning.report.study import compile_report
from ser_lightning.runs.jobs import REFERENCE_SYSTEM
from ser_lightning.runs.schedule import steps_of, steps_per_epoch
from ser_lightning.runs.study import Purpose, write_study
from tests.report.simulated import CLASSES, Simulation, parts_of, predictions, settings_of

CONF = Path(ser_lightning.__file__).parent / "conf"
RIGHT = predictions([(name, name) for name in CLASSES])


@pytest.fixture(autouse=True)
def counts(monkeypatch):
    """What passes for all of IEMOCAP here: an utterance of each class in each of three parts."""
    monkeypatch.setattr(numbers, "COUNTS", dict.fromkeys(CLASSES, 3))


def report(output, settings, purpose=None, folds=3, **simulation):
    made = Simulation(output, **{"corpus": "iemocap", "synthetic": False, **simulation})
    for number, one in enumerate(settings):
        made.add_job(number, f"job {number}", one, range(folds))
        for fold in range(folds):
            made.finish(one, 0, fold, predictions([(name, name) for name in CLASSES], first=4 * fold))
    if purpose:
        write_study(made.study, purpose, settings)
    return compile_report(read_material(made.study, made.runs))


def has_papers_numbers(report):
    columns = [column for table in report.tables for shown in (table.numbers, table.shown) for column in shown]
    titles = [section.title for section in report.sections]
    return any("paper" in column for column in columns) or "Verdicts on the paper's numbers" in titles


SOFTMAX, CENTRE = settings_of("logmel", 0.0, 0.5), settings_of("logmel", 0.3, 0.5)


@pytest.mark.parametrize(
    "settings", [[SOFTMAX, CENTRE], [parts_of("center", lam) for lam in (0.0, 0.3)], [settings_of("logstft", 0.3, 0.5)]]
)
def test_they_stand_beside_the_papers_own_settings_of_this_version_and_of_earlier_ones(tmp_path, settings):
    study_report = report(tmp_path, settings)
    assert has_papers_numbers(study_report)
    assert study_report.facts["comparable_with_the_paper"] is True
    assert NOT_COMPARABLE not in study_report.warnings


SVM = parts_of("center", 0.0, **{"features.name": "functionals", "model.name": "none", "head.name": "svm"})


def test_a_reference_system_stands_beside_them_without_numbers_of_the_papers(tmp_path):
    made = Simulation(tmp_path, corpus="iemocap", synthetic=False)
    for number, (name, one) in enumerate([("softmax", SOFTMAX), ("centre", CENTRE), (REFERENCE_SYSTEM, SVM)]):
        made.add_job(number, name, one)
        for fold in range(3):
            made.finish(one, 0, fold, predictions([(name, name) for name in CLASSES], first=4 * fold))
    (scores,) = [
        table for table in compile_report(read_material(made.study, made.runs)).tables if table.name == "scores"
    ]
    assert scores.numbers["paper_ua"].tolist() == pytest.approx([63.80, 66.86, float("nan")], nan_ok=True)


def test_without_a_finished_run_of_its_own_a_study_has_no_chapter(tmp_path):
    made = Simulation(tmp_path, corpus="iemocap", synthetic=False)
    for number, (name, one) in enumerate([("softmax", SOFTMAX), (REFERENCE_SYSTEM, SVM)]):
        made.add_job(number, name, one)
    made.finish(SVM, 0, 0, RIGHT)
    assert compile_report(read_material(made.study, made.runs)).facts["paper"] is None


def test_of_a_lambda_that_each_division_chooses_there_is_no_chapter(tmp_path):
    settings = [SOFTMAX, parts_of("center", 0.3, **{"loss.lam": "chosen on dev"})]
    assert report(tmp_path, settings).facts["paper"] is None


def test_verdicts_on_them_follow_the_scores_of_five_runs(tmp_path):
    titles = [section.title for section in report(tmp_path, [SOFTMAX, CENTRE], folds=5).sections]
    assert titles[titles.index("Scores") + 1] == "Verdicts on the paper's numbers"


@pytest.mark.parametrize("other", [{"corpus": "emodb"}, {"protocol": "speaker"}, {"synthetic": True}])
def test_on_another_corpus_or_protocol_its_figures_have_its_names_without_its_numbers(tmp_path, other):
    study_report = report(tmp_path, [SOFTMAX, CENTRE], folds=5, **other)
    assert not has_papers_numbers(study_report)
    assert study_report.facts["comparable_with_the_paper"] is False
    assert NOT_COMPARABLE in study_report.warnings
    assert {"table1", "fig4", "fig3b"} <= {picture.name for picture in study_report.pictures}


def test_on_a_part_of_the_corpus_they_do_not_stand(tmp_path, monkeypatch):
    monkeypatch.setattr(numbers, "COUNTS", dict.fromkeys(CLASSES, 4))
    assert not has_papers_numbers(report(tmp_path, [SOFTMAX, CENTRE]))


@pytest.mark.parametrize("steps", [3519, 3521, 2920, 20])
def test_beside_runs_that_were_trained_for_other_numbers_of_steps_they_do_not_stand(tmp_path, steps):
    settings = [parts_of("center", lam, **{"trainer.max_steps": steps}) for lam in (0.0, 0.3)]
    study_report = report(tmp_path, settings, folds=5)
    assert not has_papers_numbers(study_report)
    assert study_report.facts["comparable_with_the_paper"] is False
    assert NOT_COMPARABLE in study_report.warnings
    assert "fig3b" in {picture.name for picture in study_report.pictures}


@pytest.mark.parametrize("key", ["batching.size", "optimizer.learning_rate", "features.max_seconds"])
def test_beside_trainings_of_another_kind_they_do_not_stand(tmp_path, key):
    assert not has_papers_numbers(
        report(tmp_path, [parts_of("center", lam, **{key: 8}) for lam in (0.0, 0.3)], folds=5)
    )


@pytest.mark.parametrize(
    ("key", "part"), [("normalise.name", "speaker"), ("augment.name", "spec"), ("loss.class_weights", "none")]
)
def test_beside_a_study_all_of_whose_jobs_have_other_parts_there_is_no_chapter(tmp_path, key, part):
    study_report = report(tmp_path, [parts_of("center", lam, **{key: part}) for lam in (0.0, 0.3)], folds=5)
    assert study_report.facts["paper"] is None


def test_the_shipped_study_of_the_paper_trains_for_its_numbers_of_steps():
    epochs = {
        "logmel": yaml.safe_load((CONF / "corpus" / "iemocap.yaml").read_text())["training"]["epochs"],
        **yaml.safe_load((CONF / "study" / "paper.yaml").read_text())["epochs"]["iemocap"],
    }
    # Each of ten parts has 553 or 554 of the 5531 utterances, and eight train
    for utterances in (8 * 553, 8 * 553 + 1):
        epoch = steps_per_epoch(utterances, 32)
        assert {name: steps_of(value, epoch) for name, value in epochs.items()} == numbers.STEPS


@pytest.mark.parametrize(
    "other",
    [
        parts_of("mine", 0.3),
        parts_of("center", 0.3, **{"model.name": "mine"}),
        parts_of("center", 0.3, **{"head.name": "cosine"}),
        parts_of("center", 0.3, **{"features.name": "cochleagram"}),
        parts_of("center", 0.3, **{"loss.rule": "wen"}),
        parts_of("center", 0.3, **{"optimizer.learning_rate": 0.01}),
        parts_of("center", 0.3, **{"normalise.name": "speaker"}),
        parts_of("center", 0.3, **{"augment.name": "spec"}),
    ],
    ids=["loss", "network", "head", "front end", "rule", "learning rate", "normalisation", "augmentation"],
)
def test_beside_anything_else_that_varies_there_is_no_chapter(tmp_path, other):
    study_report = report(tmp_path, [parts_of("center", 0.0), parts_of("center", 0.3), other])
    assert not has_papers_numbers(study_report)
    assert study_report.facts["paper"] is None
    assert {"confusions", "features"} <= {picture.name for picture in study_report.pictures}


def test_a_study_that_names_no_paper_has_none(tmp_path):
    study_report = report(tmp_path, [SOFTMAX, CENTRE], Purpose(paper=None))
    assert not has_papers_numbers(study_report)
    assert "fig4" not in {picture.name for picture in study_report.pictures}


def test_a_difference_that_the_paper_has_stands_beside_ours(tmp_path):
    study_report = report(tmp_path, [SOFTMAX, CENTRE, settings_of("logmel", 0.3, 0.1), settings_of("logmel", 2.0, 0.5)])
    (table,) = (table for table in study_report.tables if table.name == "differences")
    assert table.numbers["paper_ua"].tolist() == pytest.approx(
        [66.86 - 63.80, 66.76 - 63.80, float("nan")], nan_ok=True
    )
    assert table.shown["UA, paper (IEMOCAP)"].tolist() == ["+3.06", "+2.96", "–"]


def test_a_confusion_matrix_stands_beside_the_papers(tmp_path):
    study_report = report(tmp_path, [SOFTMAX, CENTRE])
    (table,) = (block for block in study_report.tables if block.name == "table1b")
    assert isinstance(table, Table)
    assert table.title == "Table 1b, setting 2: log-Mel, lambda = 0.3"
    assert table.shown["ang, paper"].tolist() == ["6.7", "70.5", "13.1", "2.5"]


def test_with_many_lambdas_the_papers_own_is_shown_and_not_the_best(tmp_path):
    made = Simulation(tmp_path)
    for number, lam in enumerate((0.0, 3.0, 0.3)):
        settings = settings_of("logmel", lam, 0.5)
        made.add_job(number, f"loss.lam={lam:g}", settings, folds=[0])
        made.finish(settings, 0, 0, RIGHT)
    assert read_material(made.study, made.runs).shown[0].jobs == [0, 2]
    write_study(made.study, Purpose(paper=None), [])
    assert read_material(made.study, made.runs).shown[0].jobs == [0, 1]
