"""Studies of one's own parts: rows, labels, references, answers and figures come from what varies and the baseline."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ser_lightning.errors import UserError
from ser_lightning.metrics import METRICS, Metric
from ser_lightning.papers.icassp2019 import numbers
from ser_lightning.report.__main__ import main
from ser_lightning.report.compare import choose, compare, show
from ser_lightning.report.figures import grids
from ser_lightning.report.files import markdown_report, results
from ser_lightning.report.material import read_material
from ser_lightning.report.study import compile_report, report_study
from ser_lightning.runs.study import Purpose, write_study
from tests.report.simulated import CLASSES, Simulation, parts_of, predictions, settings_of

LOSSES = [(loss, lam) for loss in ("mine", "center") for lam in (0.0, 0.1, 1.0)]


def outcome(wrong, fold=0):
    """Eight utterances of each class of a fold, of which so many are taken for another."""
    pairs = [
        (name, "sad" if name != "sad" else "neu") if i < wrong else (name, name) for name in CLASSES for i in range(8)
    ]
    return predictions(pairs).assign(id=[f"fold {fold} utterance {i}" for i in range(len(pairs))])


def make(output, jobs, purpose=None, folds=3, **simulation):
    """A study of (name, settings, wrong utterances of each class in every fold)."""
    made = Simulation(output, **simulation)
    for number, (name, settings, wrong) in enumerate(jobs):
        made.add_job(number, name, settings, folds=range(folds))
        for fold in range(folds):
            made.finish(settings, 0, fold, outcome(wrong + (fold == 0), fold))
    if purpose:
        write_study(made.study, purpose, [settings for _, settings, _ in jobs])
    return made


@pytest.fixture
def losses(tmp_path):
    """`train -m loss=mine,center loss.lam=0,0.1,1`: the larger lambda, the better, mine twice as fast."""
    wrong = {("mine", 0.1): 3, ("mine", 1.0): 1, ("center", 0.1): 4, ("center", 1.0): 3}
    jobs = [(f"loss={loss} loss.lam={lam:g}", parts_of(loss, lam), wrong.get((loss, lam), 5)) for loss, lam in LOSSES]
    return make(tmp_path, jobs)


def test_without_lambda_two_losses_are_one_row_and_every_other_is_compared_with_it(losses):
    material = read_material(losses.study, losses.runs)
    labels = [material.label(job) for job in range(5)]
    assert labels == [
        "lambda = 0",
        "mine, lambda = 0.1",
        "mine, lambda = 1",
        "center, lambda = 0.1",
        "center, lambda = 1",
    ]
    assert list(material.summary)[:4] == ["name", "loss", "lam", "runs"]
    assert material.names[0] == "loss.lam=0"
    assert material.compared == {1: 0, 2: 0, 3: 0, 4: 0}
    # As many runs as settings times folds
    assert (material.facts.planned, len(material.scored)) == (15, 15)


def test_a_study_of_losses_says_what_it_is_about_and_names_no_paper(losses):
    report = compile_report(read_material(losses.study, losses.runs))
    assert report.title == "Speech emotion recognition by loss, lambda on the synthetic demo corpus"
    assert report.claim.startswith("Another choice of loss, lambda recognises better than the baseline, loss.lam=0")
    text = markdown_report(report)
    # Wrong of eight: 5 and one more in the first fold, 3 and one more
    assert "UA is 58.3 % with mine, lambda = 0.1 and 33.3 % with lambda = 0" in text
    assert not any(word in text for word in ("Fig.", "Table 1", numbers.CITATION))
    assert {picture.name for picture in report.pictures} == {
        "sweep",
        "confusions",
        "features",
        "features_common",
        "curves",
        "calibration",
    }
    assert report.facts["paper"] is None


def test_figures_show_the_baseline_and_the_best_on_dev(losses):
    material = read_material(losses.study, losses.runs)
    # All are equal on dev: the first of them
    assert material.shown[0].labels == {0: "lambda = 0", 1: "mine, lambda = 0.1"}
    best = material.finished(4)
    for run in best:
        run.result.scores["dev"]["ua"] = 0.9
    again = read_material(losses.study, losses.runs)
    again.scored.update({run.result.signature: run for run in best})
    assert again.shown[0].labels == {0: "lambda = 0", 4: "center, lambda = 1"}


@pytest.mark.parametrize("asked", ["loss=mine loss.lam=1,loss=center loss.lam=1,loss.lam=0", "mine, lambda = 1"])
def test_figures_show_what_is_asked_for(losses, asked):
    names = asked if asked.startswith("loss") else "loss=mine loss.lam=1,loss=center loss.lam=1,loss=mine loss.lam=0"
    material = read_material(losses.study, losses.runs, show=names)
    assert material.shown[0].jobs == [2, 4, 0]
    report = compile_report(material)
    (confusions,) = (picture for picture in report.pictures if picture.name == "confusions")
    titles = [axes.get_title() for axes in confusions.figure.axes]
    assert titles == ["(a) mine, 𝜆 = 1", "(b) center, 𝜆 = 1", "(c) 𝜆 = 0"]
    (features,) = (picture for picture in report.pictures if picture.name == "features")
    assert len(features.figure.axes) == 6


def test_what_cannot_be_shown_is_said(losses, tmp_path):
    with pytest.raises(
        UserError, match=r"simulated has no setting 'theirs'; it has: loss.lam=0; loss=mine loss.lam=0.1"
    ):
        main(["--output", str(losses.output), "--show", "theirs", "simulated"])
    every = ",".join(f"loss={loss} loss.lam={lam:g}" for loss, lam in LOSSES[1:])
    with pytest.raises(UserError, match=r"--show .*: figures have room for 4 settings"):
        main(["--output", str(losses.output), "--show", every, "simulated"])


def test_another_baseline_is_compared_within_what_else_is_equal(tmp_path):
    jobs = [
        (
            f"model={model} optimizer.learning_rate={rate:g}",
            parts_of("center", 0.3, **{"model.name": model, "optimizer.learning_rate": rate}),
            2 if model == "mine" else 4,
        )
        for model in ("crnn", "mine")
        for rate in (1e-3, 1e-4)
    ]
    study = make(tmp_path, jobs, Purpose(("model=crnn",), None), folds=5)
    material = read_material(study.study, study.runs)
    assert material.compared == {2: 0, 3: 1}
    assert [material.label(job) for job in (0, 3)] == ["crnn, learning_rate = 0.001", "mine, learning_rate = 0.0001"]
    answer = compile_report(material).answer
    # Wrong of eight: 2 and one more in one of five folds, 4 and one more
    assert answer[0].startswith(
        "Yes: mine against crnn changes UA with learning_rate = 0.001 by +25.0 points on demo under the paper protocol"
    )
    assert answer[1] == "UA with learning_rate = 0.001 is 72.5 % with mine and 47.5 % with crnn."
    assert answer[2].startswith("Yes: mine against crnn changes UA with learning_rate = 0.0001 by +25.0 points on demo")


def test_a_part_of_the_baseline_may_have_settings_that_another_lacks(tmp_path):
    jobs = [
        ("loss=center", parts_of("center", 0.3), 4),
        ("loss=mine", parts_of("mine", 0.3), 2),
        ("loss=mine lr=1", parts_of("mine", 0.3, **{"optimizer.learning_rate": 1.0}), 2),
    ]
    study = make(tmp_path, jobs, Purpose(("loss=center",), None))
    # The last has no counterpart of its own learning rate
    assert read_material(study.study, study.runs).compared == {1: 0}


def test_jobs_that_differ_in_the_seed_alone_are_one_setting(tmp_path):
    """Two seeds of four folds are eight trainings on four divisions, and no eight runs for an interval."""
    jobs = [
        (f"loss.lam={lam:g} seed={seed}", parts_of("mine", lam, seed=seed), 4 - 2 * bool(lam))
        for lam in (0.0, 0.1)
        for seed in (0, 1)
    ]
    study = make(tmp_path, jobs, Purpose(("loss.lam=0",), None), folds=4)
    material = read_material(study.study, study.runs)
    assert material.names == ["loss.lam=0", "loss.lam=0.1"]
    assert material.summary["runs"].tolist() == [8, 8]
    assert material.compared == {1: 0}
    assert list(material.columns) == ["loss.lam"]
    report = compile_report(material)
    assert report.answer[0].startswith("Not known, 8 pairs of runs on 4 divisions: ")
    assert "4 runs " in report.answer[0]
    (warning,) = (words for words in report.warnings if "seed" in words)
    assert warning.startswith("Of the 8 runs of a setting several are on one division into parts, of which there are 4")
    text = markdown_report(report)
    assert "loss.lam=0 stands for loss.lam=0 seed=0; loss.lam=0 seed=1" in text
    # Which they do not
    assert "Jobs that share their runs" not in text


def test_a_front_end_of_ones_own_is_called_as_it_is(tmp_path):
    jobs = []
    for name in ("logmel", "cochleagram"):
        settings = settings_of("logmel", 0.3, 0.5)
        settings["features"] = {"name": name} if name != "logmel" else settings["features"]
        jobs.append((f"features={name}", settings, 3))
    study = make(tmp_path, jobs, Purpose(("features=logmel",), "icassp2019"), corpus="iemocap", synthetic=False)
    material = read_material(study.study, study.runs)
    assert [material.label(job) for job in (0, 1)] == ["log-Mel", "cochleagram"]
    assert material.chapter is None
    assert compile_report(material).answer[1].startswith("UA is 58.3 % with cochleagram and 58.3 % with log-Mel")


def test_parts_of_ones_own_need_no_setting_of_the_shipped_ones(tmp_path):
    """Each part with a single setting, of which some are called like columns of tables."""
    own = {"features": "steps", "model": "fold", "head": "name_", "loss": "setting", "optimizer": "lr", "split": "job"}
    jobs = []
    for lam, value in ((0.0, 1), (0.1, 1), (0.1, {"deep": [1, 2], "3": None}), (0.1, 2)):
        settings = parts_of("mine", lam)
        for group, setting in own.items():
            shared = {"lam": lam, "class_weights": "inverse"} if group == "loss" else {}
            settings[group] = shared if group == "loss" and not lam else {"name": "own", **shared, setting: value}
        jobs.append((f"loss.lam={lam:g} value={value}", settings, 3))
    study = make(tmp_path, jobs)
    material = read_material(study.study, study.runs)
    report = compile_report(material)
    (training,) = (
        block.words
        for section in report.sections
        for block in section.blocks
        if getattr(block, "words", "").startswith("Training: ")
    )
    assert training.startswith("Training: 3520 steps of 32 utterances (440 epochs) (the paper's own); ")
    runs = report.records["runs"]
    assert runs["model.fold"].tolist()[:3] == [1] * 3
    assert runs["fold"].tolist()[:3] == [0, 1, 2]
    assert runs["steps"].unique().tolist() == [3520]


def test_an_optimizer_that_alone_has_a_learning_rate_is_said(tmp_path):
    without = parts_of("center", 0.3)
    without["optimizer"] = {"name": "mine", "lr": 0.1}
    study = make(tmp_path, [("optimizer=adam", parts_of("center", 0.3), 3), ("optimizer=mine", without, 3)])
    assert read_material(study.study, study.runs).facts.learning_rate == "0.0003, where the optimizer has one"


def test_many_settings_are_called_by_their_names(tmp_path):
    """As in study=divergences: each job differs in something else, and the first is the measure."""
    changes = [{}, {"loss.rule": "wen"}, {"model.tied": True}, {"features.floor": None}, {"batching.order": "random"}]
    names = ["text", "centre rule of Wen et al.", "tied", "no floor", "random batches"]
    jobs = [(name, parts_of("center", 0.3, **of), 3) for name, of in zip(names, changes, strict=True)]
    study = make(tmp_path, jobs, Purpose((), None))
    material = read_material(study.study, study.runs)
    assert [material.label(job) for job in range(5)] == names
    assert material.compared == {1: 0, 2: 0, 3: 0, 4: 0}
    (scores,) = (table for table in compile_report(material).tables if table.name == "scores")
    assert list(scores.shown)[:4] == ["setting", "runs", "dev UA (%)", "UA (%)"]
    assert scores.numbers["floor"].tolist() == [80.0, 80.0, 80.0, "null", 80.0]


def test_any_two_numbers_that_are_crossed_make_a_map(tmp_path):
    jobs = [
        (f"loss.tau={tau} loss.lam={lam:g}", parts_of("mine", lam, **({"loss.tau": tau} if lam else {})), 3)
        for tau in (0.1, 0.5)
        for lam in (0.0, 0.1, 1.0)
    ]
    material = read_material(*(lambda made: (made.study, made.runs))(make(tmp_path, jobs, folds=1)))
    x, y, panels = grids(material.summary, material.axes)
    assert (x, y) == ("lam", "tau")
    ((title, rows),) = panels.items()
    assert (title, len(rows)) == ("", 5)
    # Two of one and one of the other make none
    assert grids(material.summary[material.summary["tau"] != 0.5], material.axes) is None


def test_a_metric_is_declared_once_and_is_everywhere(tmp_path, monkeypatch):
    """The share of classes of which at least half is recognised."""
    jobs = [(f"loss.lam={lam:g}", parts_of("mine", lam), wrong) for lam, wrong in ((0.0, 5), (0.1, 3))]
    study = make(tmp_path, jobs, folds=5)
    passed = Metric("passed", "the share of classes recognised at least half", lambda counts: (
        np.mean(np.diagonal(counts, axis1=-2, axis2=-1) * 2 >= counts.sum(axis=-1), axis=-1)
    ), decimals=1)  # fmt: skip
    monkeypatch.setitem(METRICS, "passed", passed)
    report = compile_report(read_material(study.study, study.runs))
    tables = results(report)["tables"]
    # With 5 and 6 of 8 wrong no class is, with 3 and 4 every one
    assert [row["passed"] for row in tables["scores"]][:2] == [0, 100]
    assert tables["differences"][0]["passed"] == 100
    assert tables["runs"][0]["passed"] == 0
    scores = markdown_report(report)
    assert "passed (%)" in scores
    # Alike in all five runs: the variance is that of one of 32 utterances in each, with four degrees of freedom
    half = stats.t.ppf(0.975, 4) * (5 * (100 / 32 / 5) ** 2) ** 0.5
    assert f"| 100.0 ± {half:.1f} " in scores
    material = read_material(study.study, study.runs, metrics=tuple(METRICS))
    (sweep,) = (picture for picture in compile_report(material).pictures if picture.name == "sweep")
    assert [axes.get_ylabel() for axes in sweep.figure.axes if axes.get_visible()] == [
        *("UA (%)", "WA (%)", "F1 (%)", "weighted F1 (%)", "passed (%)"),
    ]
    first, second = (choose(name, material, name) for name in ("loss.lam=0", "loss.lam=0.1"))
    table, _ = compare(first, second)
    assert table["passed"].tolist() == [100]
    assert "passed, B - A" in show(table)


def test_the_metrics_that_are_asked_for_are_shown_by_whatever_name(losses, capsys):
    main(["--output", str(losses.output), "--metrics", "UAR,accuracy", "simulated"])
    shown = (losses.study / "tables" / "scores.md").read_text()
    assert "WA (%)" in shown
    assert "F1" not in shown
    # Files for machines have all
    assert "macro_f1" in pd.read_csv(losses.study / "tables" / "scores.csv")
    pair = ["simulated:loss.lam=0", "simulated:loss=mine loss.lam=1"]
    main(["--output", str(losses.output), "--metrics", "WAR", "compare", *pair])
    printed = capsys.readouterr().out
    assert "WA, B - A" in printed
    assert "UA, B - A" not in printed
    with pytest.raises(
        UserError, match=r"--metrics AUC: there is no such metric; there are UA, UAR, balanced accuracy;"
    ):
        main(["--output", str(losses.output), "--metrics", "AUC", "simulated"])


def test_equal_studies_give_equal_reports(losses):
    def content() -> dict[str, bytes]:
        report_study(losses.study, losses.runs)
        files = [
            file for file in sorted(losses.study.rglob("*")) if file.suffix in (".png", ".md", ".html", ".json", ".csv")
        ]
        return {str(file): Path(file).read_bytes() for file in files}

    assert content() == content()
