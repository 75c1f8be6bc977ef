import contextlib
import errno
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from ser_lightning.invocation import end_clearly
from ser_lightning.report.__main__ import main as report_command
from ser_lightning.report.sweep import SweepReport
from ser_lightning.runs.attempt import Attempt
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.study import Purpose, read_jobs, read_study, write_job, write_jobs
from tests.report.simulated import Simulation, predictions, settings_of

RIGHT = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])


def test_a_study_is_told_of_all_jobs_before_the_first_and_keeps_earlier_ones(simulation, sweep):
    earlier = simulation.add_job(7, "earlier", settings_of("logmel", 0.3, 0.5))
    SweepReport().on_multirun_start(sweep("loss.alpha=0.1,0.5", "loss.lam=0,1"))
    first, *jobs = read_jobs(simulation.study)
    assert (first.name, first.runs) == ("earlier", earlier.runs)
    # With lambda = 0 alpha plays no part: two jobs of the command are one
    assert [job.name for job in jobs] == ["loss.lam=0", "loss.alpha=0.1 loss.lam=1", "loss.alpha=0.5 loss.lam=1"]
    assert jobs[2].settings["loss"]["alpha"] == 0.5
    assert all(job.runs == [] for job in jobs)
    assert sorted(folder.name for folder in (simulation.study / "jobs").iterdir()) == ["10", "7", "8", "9"]
    assert read_study(simulation.study) == Purpose(("loss.lam=0",), "icassp2019")


def test_a_repeated_sweep_keeps_what_it_knows_of_equal_jobs(simulation, sweep):
    SweepReport().on_multirun_start(sweep("loss.lam=0,1"))
    second = read_jobs(simulation.study)[1]
    write_job(simulation.study, 1, replace(second, runs=["abc"], places=[[0, 0]]))
    SweepReport().on_multirun_start(sweep("loss.lam=1,2"))
    jobs = read_jobs(simulation.study)
    assert [(job.name, job.runs) for job in jobs] == [("loss.lam=0", []), ("loss.lam=1", ["abc"]), ("loss.lam=2", [])]
    commands = (simulation.study / "command.txt").read_text().splitlines()
    assert commands == [f"python -m ser_lightning.train -m loss.lam={values}" for values in ("0,1", "1,2")]


def test_the_end_of_a_sweep_lists_what_failed_and_is_an_error(simulation, sweep, capsys):
    done, failed = settings_of("logmel", 0.3, 0.1), settings_of("logmel", 0.3, 0.5)
    simulation.add_job(0, "loss.alpha=0.1", done, folds=[0])
    simulation.finish(done, 0, 0, RIGHT)
    job = simulation.add_job(1, "loss.alpha=0.5", failed, folds=[2], repeats=2)
    Attempt("node7", 1, 0.0, 0.0, step=5, failure="out of memory").write(simulation.runs / job.runs[1])
    write_job(simulation.study, 2, Job("corpus.root=/x", failed, failure="there is no folder /x"))
    with pytest.raises(SystemExit) as end:
        SweepReport().on_multirun_end(sweep())
    assert end.value.code == 1
    said = capsys.readouterr()
    assert "report.html" in said.out
    assert said.err.splitlines() == [
        "ser_lightning: 2 of this sweep's runs failed; the same command tries them again",
        "  loss.alpha=0.5, repeat 1 fold 2: out of memory",
        "  corpus.root=/x: there is no folder /x",
    ]


@pytest.mark.parametrize("known", [True, False])
def test_a_run_of_which_not_even_the_failure_could_be_noted_is_a_failure(simulation, sweep, capsys, known):
    callback = SweepReport()
    callback.on_multirun_start(sweep("loss.lam=0,1"))
    job = simulation.add_job(0, "loss.lam=0", read_jobs(simulation.study)[0].settings, folds=[0])
    (simulation.runs / job.runs[0] / "attempt.json").mkdir(parents=True)
    with pytest.raises(SystemExit) if known else contextlib.nullcontext():
        (callback if known else SweepReport()).on_multirun_end(sweep())
    assert (
        capsys.readouterr().err.splitlines()[1:]
        == ["  loss.lam=0, fold 0: it is not finished, and no reason could be noted"] * known
    )


def test_what_an_earlier_command_left_failed_is_no_failure_of_this_one(simulation, sweep, capsys):
    SweepReport().on_multirun_start(sweep("loss.lam=0,1"))
    first, _ = read_jobs(simulation.study)
    write_jobs(simulation.study, [replace(first, failure="there is no folder /x")])
    again = SweepReport()
    again.on_multirun_start(sweep("loss.lam=1,2"))
    again.on_multirun_end(sweep())
    assert capsys.readouterr().err == ""
    assert read_jobs(simulation.study)[0].failure == "there is no folder /x"


def test_jobs_that_need_longer_sound_than_others_are_refused_and_no_study_is_left(simulation, sweep, tmp_path, capsys):
    for number, samples in enumerate([4_800, *[16_000] * 7]):
        soundfile.write(tmp_path / f"{number}.wav", np.full(samples, 0.1), 16_000)
    (tmp_path / "t.csv").write_text("path,label\n" + "".join(f"{n}.wav,{'ab'[n % 2]}\n" for n in range(8)))
    words = ["corpus=table", f"corpus.root={tmp_path}", "corpus.table=t.csv", f"paths.output={simulation.output}"]
    with pytest.raises(SystemExit) as end:
        SweepReport().on_multirun_start(sweep(*words, "model=gru,crnn"))
    assert end.value.code == 1
    assert "1 of 8 utterances are long enough for features=logmel model=gru" in capsys.readouterr().err
    assert not simulation.study.exists()


def test_of_a_sweeper_that_does_not_know_its_jobs_no_failure_of_before_remains(simulation, sweep, capsys):
    write_jobs(simulation.study, [Job("loss.lam=1", settings_of("logmel", 1.0, 0.5), failure="there is no folder /x")])
    config = sweep("loss.lam=1")
    config.hydra.sweeper._target_ = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
    again = SweepReport()
    again.on_multirun_start(config)
    again.on_multirun_end(config)
    assert read_jobs(simulation.study)[0].failure is None
    assert capsys.readouterr().err == ""


def test_an_error_in_the_report_is_shown_and_ends_in_error(simulation, sweep, monkeypatch, capsys):
    """Hydra makes a warning of an exception in a callback, and exits with 0."""
    settings = settings_of("logmel", 0.3, 0.1)
    simulation.add_job(0, "loss.alpha=0.1", settings, folds=[0])
    folder = simulation.finish(settings, 0, 0, RIGHT)

    def broken(material):
        raise KeyError("tau")

    monkeypatch.setattr("ser_lightning.report.sections.confusions.section", broken)
    with pytest.raises(SystemExit) as end:
        SweepReport().on_multirun_end(sweep())
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    kept = simulation.study / "report-failure.txt"
    assert line == (
        f"ser_lightning: there is no new report of simulated: KeyError: 'tau' ({kept} has the traceback); finished "
        f"runs are kept, and python -m ser_lightning.report {simulation.study} tries again"
    )
    assert kept.read_text().endswith("KeyError: 'tau'\n")
    assert (folder / "result.json").exists()
    with pytest.raises(SystemExit) as end:
        end_clearly(lambda: report_command(["--output", str(simulation.output), "simulated"]))
    assert end.value.code == 1
    assert capsys.readouterr().err.splitlines() == [line]
    monkeypatch.undo()
    report_command(["--output", str(simulation.output), "simulated"])
    assert not kept.exists()


@pytest.mark.parametrize("step", ["_report", "_failures"])
def test_what_is_wrong_with_the_disk_ends_a_sweep_in_one_line(simulation, sweep, monkeypatch, capsys, step):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device", "/data/x.png")

    monkeypatch.setattr(f"ser_lightning.report.sweep.{step}", full)
    with pytest.raises(SystemExit) as end:
        SweepReport().on_multirun_end(sweep())
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "the disk is full while writing /data/x.png" in line


def test_a_report_that_fails_hides_no_run_that_failed(simulation, sweep, monkeypatch, capsys):
    settings = settings_of("logmel", 0.3, 0.5)
    write_job(simulation.study, 0, Job("loss.lam=0.3", settings, failure="there is no folder /x"))
    monkeypatch.setattr("ser_lightning.report.sweep._report", lambda *arguments: ["the report is not on W&B"])
    with pytest.raises(SystemExit):
        SweepReport().on_multirun_end(sweep())
    assert capsys.readouterr().err.splitlines() == [
        "ser_lightning: the report is not on W&B",
        "1 of this sweep's runs failed; the same command tries them again",
        "  loss.lam=0.3: there is no folder /x",
    ]


def test_a_class_that_looks_like_a_formula_has_its_figures(simulation, sweep, capsys):
    """And the settings of a user's own part."""
    for number, word in enumerate(("$\\frac$", "$")):
        settings = settings_of("logmel", 0.3, 0.1) | {"head": {"name": word}}
        simulation.add_job(number, f"head={word}", settings, folds=[0])
        simulation.finish(settings, 0, 0, RIGHT)
    SweepReport().on_multirun_end(sweep())
    assert capsys.readouterr().err == ""
    assert (simulation.study / "report.html").exists()


def test_another_corpus_needs_another_study(simulation, sweep, capsys):
    settings = settings_of("logmel", 0.3, 0.1)
    emodb = Simulation(simulation.output, corpus="emodb")
    emodb.add_job(0, "loss.alpha=0.1", settings, folds=[0])
    emodb.finish(settings, 0, 0, RIGHT)
    with pytest.raises(SystemExit):
        SweepReport().on_multirun_start(sweep("loss.lam=0,1"))
    assert capsys.readouterr().err.startswith("ser_lightning: the study simulated has runs on emodb under the paper")
    assert [job.name for job in read_jobs(simulation.study)] == ["loss.alpha=0.1"]


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            ["loss.lam=0,1", "study.baseline=['loss.lamda=0']"],
            "study.baseline: loss.lamda is not a setting that numbers",
        ),
        (["loss.lam=0,1", "study.baseline=[softmax]"], "study.baseline: softmax is not KEY=VALUE"),
        (["loss.lam=0,1", "study.paper=unknown"], "study.paper=unknown: choose one of icassp2019, or null for none"),
        (["loss.alpha=0.1,1.5"], "loss.alpha=1.5: must be at most 1"),
        (["loss.alpha=0.1,half"], "loss.alpha=half: must be a number"),
        (["loss.lam=0,1", "study.name=a,b"], "study. or paths. differs between the jobs"),
        (["loss.lam=0,1", "paths.output=a,b"], "study. or paths. differs between the jobs"),
        (["corpus=demo,emodb", "corpus.root=."], "the corpus differs between the jobs"),
        (["split=official", "split.test=a,b"], "split.test differs between the jobs"),
        (["split=file", "split.table=a.csv,b.csv"], "split.table differs between the jobs"),
    ],
)
def test_an_invalid_job_ends_the_program_and_forgets_nothing(simulation, sweep, capsys, overrides, message):
    simulation.add_job(0, "earlier", settings_of("logmel", 0.3, 0.5))
    with pytest.raises(SystemExit) as stop:
        SweepReport().on_multirun_start(sweep(*overrides))
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith(f"ser_lightning: {message}")
    assert (simulation.study / "jobs").exists()


def test_an_invalid_job_stops_the_command_before_any_job(tmp_path):
    command = [sys.executable, "-m", "ser_lightning.train", "-m", "loss.alpha=0.1,1.5"]
    environment = {**os.environ, "SER_OUTPUT": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("ser_lightning: loss.alpha=1.5: must be at most 1")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_sweep_names_its_report(simulation, sweep, capsys):
    for number, alpha in enumerate((0.1, 0.5)):
        settings = settings_of("logmel", 0.3, alpha)
        simulation.add_job(number, f"loss.alpha={alpha}", settings, folds=[0])
        simulation.finish(settings, 0, 0, RIGHT)
    SweepReport().on_multirun_end(sweep())
    lines = capsys.readouterr().out.splitlines()
    # All of the test part are right, and of dev 60 %
    table = [line for line in lines if line.startswith(("│", "┃"))]
    assert [line.count("60.00") for line in table] == [0, 1, 1]
    assert "dev UA (%)" in table[0]
    assert not any("100" in line for line in table)
    assert lines[-1] == f"Report: {simulation.study / 'report.html'}"
    # simulated runs do not say which code made them
    assert lines.count("2 finished runs were not made by the present code; rerun=true trains them anew") == 1


def test_a_damaged_result_ends_a_sweep_in_one_line_and_in_error(simulation, sweep, capsys):
    settings = settings_of("logmel", 0.3, 0.5)
    simulation.add_job(0, "loss.alpha=0.5", settings, folds=[0])
    file = simulation.finish(settings, 0, 0, RIGHT) / "result.json"
    file.write_text("")
    with pytest.raises(SystemExit) as end:
        SweepReport().on_multirun_end(sweep())
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ser_lightning: {file} is damaged (")


def test_a_sweep_of_which_nothing_finished_says_so(simulation, sweep, capsys):
    simulation.add_job(0, "unfinished", settings_of("logmel", 0.3, 0.5))
    SweepReport().on_multirun_end(sweep())
    assert capsys.readouterr().out == "No job of this sweep has finished, so that there is no report yet.\n"


SYSTEM = "study.reference_system=['features=functionals','model=none','head=svm']"


def test_a_sweep_has_its_reference_system_once_for_each_seed(simulation, sweep):
    # A setting of a part that the reference system chooses otherwise is not its own
    SweepReport().on_multirun_start(sweep("model.dropout=0.3", "loss.lam=0,1", "seed=0,1", SYSTEM))
    jobs = read_jobs(simulation.study)
    systems = [job for job in jobs if job.name == "reference system"]
    assert len(jobs) == 6
    assert [job.settings["seed"] for job in systems] == [0, 1]
    assert {job.settings["features"]["name"] for job in systems} == {"functionals"}
    assert read_study(simulation.study).described == ("reference system",)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss.lam=0,1", "study.reference_system=['model=blstm']"], "loss.lam would differ with what is swept"),
        (["model=crnn,none", "head=svm", "study.reference_system=['model=none']"], "is a job of this sweep already"),
        (["loss.lam=0,1", "study.reference_system=['model=nine']"], "study.reference_system: "),
    ],
)
def test_a_reference_system_that_a_sweep_cannot_have(simulation, sweep, capsys, overrides, message):
    with pytest.raises(SystemExit):
        SweepReport().on_multirun_start(sweep(*overrides))
    assert message in capsys.readouterr().err
