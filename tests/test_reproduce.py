"""`reproduce` as a user types it: the whole study, its report, and that a second call trains nothing."""

import json
import re
from types import SimpleNamespace

import pandas as pd
import pytest

from ser_lightning import reproduce
from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.runs.study import read_jobs
from ser_lightning.terminal import console
from tests.conftest import SMALL

# Every setting of the paper for two steps; the STFT ones too.
STUDY = [*SMALL, "trainer.max_steps=2"]


def test_the_whole_study_and_its_report(run_module, output):
    done = run_module("reproduce", *STUDY)
    assert done.returncode == 0, done.stderr
    study = output / "studies" / "demo-paper"
    names = {path.relative_to(study).as_posix() for path in study.rglob("*") if path.is_file()}
    for figure in (
        "fig3a",
        "fig3b",
        "fig4",
        "fig4_common",
        "fig5",
        "table1",
        "table2",
        "curves",
        "calibration",
        "speakers",
    ):
        assert {f"figures/{figure}.png", f"figures/{figure}.pdf"} <= names
    for table in ("scores", "differences", "table1a", "table1b", "table2a", "table2b", "runs"):
        assert {f"tables/{table}.csv"} <= names
    report = (study / "report.md").read_text()
    assert "not comparable" in report
    assert "synthetic demo" in report
    assert "63.8" not in report  # the paper's setting 1 stands beside no other corpus
    assert len(pd.read_csv(study / "tables" / "runs.csv")) == 11
    names = [job.name for job in read_jobs(study)]
    assert [name for name in names if name.startswith("setting")] == [f"setting {i}" for i in (1, 2, 3, 4)]


ARMS = """
name: arms
baseline: []
references: [softmax]
described: [plain]
more_seeds: 1
paper: null
epochs: {}
stop_at_failure: false
settings:
  plain: [loss.lam=0]
  softmax: [model.dropout=0.3, loss.lam=0]
  island: [model.dropout=0.3, loss=island, "loss.lam=0.1,3"]
"""


def test_a_study_whose_folds_choose_by_dev_and_take_further_seeds(run_module, output, tmp_path):
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "arms.yaml").write_text(ARMS)
    # As by default, side by side
    words = [*SMALL, "study=arms", "split.folds=[0,1]", "trainer.max_steps=4", "trainer.workers=null"]
    done = run_module("reproduce", *words)
    assert done.returncode == 0, done.stderr
    lines = [re.sub(r"^ *\d+/\d+ +| +dev UA.*", "", line) for line in done.stdout.splitlines() if "dev UA" in line]
    names = ["plain", "softmax", "island: loss.lam=0.1", "island: loss.lam=3"]
    names += ["plain seed=1", "softmax seed=1", "island seed=1"]
    assert sorted(lines) == sorted(f"{name} fold {fold}" for name in names for fold in range(2))
    study = output / "studies" / "arms"
    jobs = {job.name: job for job in read_jobs(study)}
    results = {file.parent.name: json.loads(file.read_text()) for file in (output / "runs").glob("*/result.json")}
    candidates = [job for job in jobs.values() if job.candidate_of == "island"]
    assert [job.name for job in candidates] == ["island: loss.lam=0.1", "island: loss.lam=3"]
    for fold in range(2):
        rivals = [job.runs[fold] for job in candidates]
        best = max(rivals, key=lambda run: results[run]["scores"]["dev"]["ua"])
        assert jobs["island"].runs[fold] == best
        further = results[jobs["island seed=1"].runs[fold]]
        assert further["settings"]["loss"]["lam"] == results[best]["settings"]["loss"]["lam"]
        assert (further["fold"], further["settings"]["seed"], results[best]["settings"]["seed"]) == (fold, 1, 0)
    # Of each setting two folds and two seeds; of what was not chosen no table has a number
    rows = pd.read_csv(study / "tables" / "runs.csv")
    assert len(rows) == 12
    shown = {run for job in jobs.values() if job.candidate_of is None for run in job.runs}
    assert set(rows["signature"]) == shown
    for row in rows.itertuples():
        settings = results[row.signature]["settings"]
        assert (row.seed, row.lam) == (settings["seed"], settings["loss"]["lam"])
    assert len({run for job in candidates for run in job.runs} - shown) == 2
    assert pd.read_csv(study / "tables" / "families.csv")["against"].tolist() == ["softmax", "plain", "plain"]

    before = {file: file.stat().st_mtime_ns for file in (output / "runs").glob("*/result.json")}
    again = run_module("reproduce", *words)
    assert "8 of 8 runs are finished already" in again.stdout
    assert "6 of 6 runs are finished already" in again.stdout
    assert {file: file.stat().st_mtime_ns for file in (output / "runs").glob("*/result.json")} == before
    assert "14 runs: 14 done" in run_module("status", "arms", f"--output={output}").stdout

    refused = run_module("reproduce", *words, "trainer.max_steps=3")
    assert refused.returncode == 1
    assert "the study arms has a setting 'plain' with trainer.max_steps=4, now 3;" in refused.stderr
    assert "trainer.max_steps=3" not in (study / "command.txt").read_text()


@pytest.mark.parametrize("error", [KeyError("tau"), UserError("a file is damaged")])
def test_a_report_that_fails_ends_no_training_and_is_told(tmp_path, monkeypatch, capsys, error):
    def broken(config, study):
        raise error

    monkeypatch.setattr(reproduce, "report_so_far", broken)
    problem = reproduce.try_report(None, tmp_path, console())
    assert str(error) in problem
    assert problem in capsys.readouterr().out


def test_a_report_follows_each_round_but_the_last(monkeypatch):
    # Reports take no time
    monkeypatch.setattr(reproduce.time, "monotonic", lambda: 0.0)
    rounds = [[_run("a"), _run("b")], [_run("c"), _run("kept", finished=True)], [_run("d"), _run("b")]]
    reports: list[str] = []
    ended: list[str] = []
    interim = reproduce.InterimReports(rounds, lambda: reports.append(ended[-1]))
    for name in "acbd":
        ended.append(name)
        interim.after(_run(name))
    assert reports == ["c", "b"]


def test_without_rounds_nothing_is_reported():
    reports: list[str] = []
    interim = reproduce.InterimReports([], lambda: reports.append("report"))
    for name in "ab":
        interim.after(_run(name))
    assert reports == []


def test_a_report_is_due_again_after_twenty_times_its_own_length(monkeypatch):
    now, reports = [0.0], []
    monkeypatch.setattr(reproduce.time, "monotonic", lambda: now[0])

    def report():
        reports.append(now[0])
        now[0] += 10

    rounds = [[_run(name)] for name in "abcde"]
    interim = reproduce.InterimReports(rounds, report)
    for name, moment in zip("abcde", (100, 299, 300, 499, 600), strict=True):
        now[0] = moment
        interim.after(_run(name))
    assert reports == [100, 300]


def _run(name: str, finished: bool = False) -> SimpleNamespace:
    return SimpleNamespace(signature=name, finished=finished or None)


LEFT_OUT = ["pretrained SVM", "pretrained softmax", "pretrained centre", "eGeMAPS SVM"]


def composed(*overrides):
    config = compose(list(overrides), "reproduce")
    return reproduce.compose_settings(config, overrides)


def test_systems_side_by_side_have_a_protocol_of_their_own_and_what_is_left_out_is_not_trained():
    configs = composed("study=systems", f"study.leave_out={LEFT_OUT}")
    assert not configs.keys() & set(LEFT_OUT)
    assert {config.split.name for several in configs.values() for config in several} == {"speaker"}
    assert len(configs["regularised centre"]) == len(configs["regularised softmax"]) == 3
    (han,) = configs["in the manner of Han et al. 2014"]
    assert (han.features.name, han.model.name, list(han.readout)) == ("lld", "han", ["elm"])


def test_a_front_end_that_is_not_to_be_had_is_told_with_how_to_leave_it_out(tmp_path):
    left_out = "study.leave_out=[eGeMAPS SVM]"
    message = (
        rf"pretrained SVM: features\.weights={tmp_path}: .*; or leave it out: \"study.leave_out=\[pretrained SVM\]\""
    )
    with pytest.raises(UserError, match=message):
        composed("study=systems", f"study.weights={tmp_path}", left_out)


def test_a_reference_system_is_the_last_setting_and_keeps_what_the_command_line_says_of_the_data():
    system = "study.reference_system=['features=functionals','model=none','head=svm']"
    configs = composed("study=losses", "split=speaker", "features.max_seconds=5", system)
    assert list(configs)[-1] == "reference system"
    (config,) = configs["reference system"]
    assert (config.features.name, config.features.max_seconds, config.split.name) == ("functionals", 5, "speaker")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["study=systems"],
            r"study\.weights is not set, and pretrained SVM, pretrained softmax, pretrained centre",
        ),
        (["study=systems", "study.leave_out=[nobody]"], r"study\.leave_out: nobody is none of "),
        (["study=losses", "study.leave_out=[centre]"], r"study\.leave_out: centre is what others are compared with"),
        (["study=losses", "study.reference_system=['loss.lam=0']"], "paper's softmax and reference system are one"),
        (
            ["study=losses", "+study.settings.mine=['loss.lamm=1']"],
            r"mine: loss\.lamm is not a setting; did you mean loss\.lam\?; or leave it out: ",
        ),
        (["study=losses", "+study.settings.mine=['loss.lam=much']"], r"mine: loss\.lam=much: must be a number"),
    ],
)
def test_settings_that_a_study_cannot_have(overrides, message):
    with pytest.raises(UserError, match=message):
        composed(*overrides)


def test_each_pair_of_corpora_is_a_fold_whatever_the_corpus_trains_of_other_studies():
    config = compose(["study=cross_corpus", "corpus=mixed", "corpus.roots={}"], "reproduce")
    assert (config.split.name, config.split.folds) == ("pairs", None)
