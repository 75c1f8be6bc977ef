import os
import subprocess
import sys
from dataclasses import replace

import pytest
from omegaconf import DictConfig, OmegaConf

from ser_lightning.report.sweep import SweepReport
from ser_lightning.runs.attempt import Attempt
from ser_lightning.runs.study import Job, read_jobs, write_job
from tests.report.simulated import predictions, settings_of

RIGHT = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])


@pytest.fixture
def sweep(simulation, capsys):
    """What Hydra hands to the callback for `train -m` with some overrides."""

    def composed(*overrides: str) -> DictConfig:
        sweeper = {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"}
        hydra = {"overrides": {"task": list(overrides)}, "job": {"config_name": "train"}, "sweeper": sweeper}
        logger = {"name": "csv", "project": None, "entity": None}
        paths, study = {"output": str(simulation.output)}, {"name": "simulated"}
        return OmegaConf.create({"hydra": hydra, "paths": paths, "study": study, "logger": logger})

    return composed


def test_a_study_is_told_of_all_jobs_before_the_first_and_forgets_earlier_ones(simulation, sweep):
    simulation.add_job(7, "earlier", settings_of("logmel", 0.3, 0.5))
    SweepReport().on_multirun_start(sweep("loss.alpha=0.1,0.5", "loss.lam=0,1"))
    jobs = read_jobs(simulation.study)
    assert [job.name for job in jobs] == [
        "loss.alpha=0.1 loss.lam=0",
        "loss.alpha=0.1 loss.lam=1",
        "loss.alpha=0.5 loss.lam=0",
        "loss.alpha=0.5 loss.lam=1",
    ]
    assert jobs[3].settings["loss"]["alpha"] == 0.5
    assert all(job.runs == [] for job in jobs)
    assert not (simulation.study / "jobs" / "7").exists()


def test_a_repeated_sweep_keeps_what_it_knows_of_equal_jobs(simulation, sweep):
    SweepReport().on_multirun_start(sweep("loss.lam=0,1"))
    second = read_jobs(simulation.study)[1]
    write_job(simulation.study, 1, replace(second, runs=["abc"], places=[[0, 0]]))
    SweepReport().on_multirun_start(sweep("loss.lam=1,2"))
    jobs = read_jobs(simulation.study)
    assert [job.runs for job in jobs] == [["abc"], []]


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


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["loss.alpha=0.1,1.5"], "loss.alpha=1.5: must be at most 1"),
        (["loss.alpha=0.1,half"], "loss.alpha: Value 'half'"),
        (["corpus=demo,emodb", "corpus.root=."], "the corpus differs between the jobs"),
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
    assert line.startswith(f"ser_lightning: {file} cannot be read (")


def test_a_sweep_of_which_nothing_finished_says_so(simulation, sweep, capsys):
    simulation.add_job(0, "unfinished", settings_of("logmel", 0.3, 0.5))
    SweepReport().on_multirun_end(sweep())
    assert capsys.readouterr().out == "No job of this sweep has finished, so that there is no report yet.\n"
