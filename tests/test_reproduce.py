"""`reproduce` as a user types it: the whole study, its report, and that a second call trains nothing."""

from types import SimpleNamespace

import pandas as pd
import pytest

from ser_lightning import reproduce
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

    results = {path: path.stat().st_mtime_ns for path in (output / "runs").glob("*/result.json")}
    again = run_module("reproduce", *STUDY)
    assert again.returncode == 0, again.stderr
    assert "11 of 11 runs are finished already" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in (output / "runs").glob("*/result.json")} == results


@pytest.mark.parametrize("error", [KeyError("tau"), UserError("a file is damaged")])
def test_a_report_that_fails_ends_no_training_and_is_told(tmp_path, monkeypatch, capsys, error):
    def broken(config, study):
        raise error

    monkeypatch.setattr(reproduce, "report_so_far", broken)
    told = reproduce.try_report(None, tmp_path, console())
    assert str(error) in told
    assert told in capsys.readouterr().out


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
