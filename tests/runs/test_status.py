"""How each run of a study stands, from what lies in its folder."""

import os
import platform
import time
from dataclasses import replace

import pytest
import yaml

from ser_lightning.runs.attempt import Attempt, attempt, read_attempt, run_lock
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.status import study_status
from ser_lightning.runs.study import write_job
from tests.report.simulated import Simulation, predictions, settings_of

RIGHT = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])


@pytest.fixture
def simulation(tmp_path):
    return Simulation(tmp_path)


def states(simulation):
    return [(entry.place, entry.state) for entry in study_status(simulation.study, simulation.runs)]


def write_attempt(folder, **of):
    facts = {"host": platform.node(), "pid": os.getpid(), "started": 0.0, "seen": time.time(), "step": 7, **of}
    Attempt(**facts).write(folder)


def test_every_state(simulation):
    settings = settings_of("logmel", 0.3, 0.5)
    job = simulation.add_job(0, "a job", settings, folds=(0, 1, 2, 3, 4), repeats=2)
    simulation.finish(settings, 0, 0, RIGHT)
    done, failed, cut_off, elsewhere, gone, locked = (simulation.runs / name for name in job.runs[:6])
    write_attempt(done, failure="an earlier try")
    write_attempt(failed, failure="out of memory")
    write_attempt(cut_off)
    write_attempt(elsewhere, host="node7")
    write_attempt(gone, host="node7", seen=time.time() - 3600)
    write_attempt(locked)
    write_job(simulation.study, 1, Job("not begun", settings))
    write_job(simulation.study, 2, Job("hopeless", settings, failure="there is no folder /x"))
    with run_lock(locked, wait=True):
        entries = study_status(simulation.study, simulation.runs)
    assert [(entry.place, entry.state) for entry in entries] == [
        ("fold 0", "done"),
        ("fold 1", "failed"),
        ("fold 2", "interrupted"),
        ("fold 3", "running"),
        ("fold 4", "interrupted"),
        ("repeat 1 fold 0", "running"),
        *[(f"repeat 1 fold {fold}", "missing") for fold in (1, 2, 3, 4)],
        ("", "missing"),
        ("", "failed"),
    ]
    assert entries[1].details == "out of memory"
    assert entries[3].details.startswith("step 7 on node7")
    assert entries[-1].details == "there is no folder /x"


def test_runs_made_under_other_settings_say_what_is_different(simulation):
    now, then = settings_of("logmel", 0.3, 0.5), settings_of("logmel", 0.3, 0.5)
    then["trainer"]["max_steps"] = 600
    simulation.add_job(0, "a job", now, folds=(0,))
    for settings, study in ((then, "simulated"), (settings_of("logmel", 0.3, 0.1), "another")):
        folder = simulation.finish(settings, 0, 3, RIGHT)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["study"] = {"name": study, "stop_at_failure": False}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
    *_, other = study_status(simulation.study, simulation.runs)
    assert (other.state, other.place, other.run) == ("replaced", "fold 3", simulation.signature(then, 0, 3))
    assert other.details == f"trainer.max_steps=600 (now {now['trainer']['max_steps']})"
    assert states(simulation) == [("fold 0", "missing"), ("fold 3", "replaced")]


def test_an_attempt_shows_its_steps_while_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("ser_lightning.runs.attempt.BEAT", 0.01)
    folder = tmp_path / "runs" / "abc"
    with run_lock(folder, wait=True), attempt(folder) as watch:
        watch.step = 12
        deadline = time.monotonic() + 30
        while read_attempt(folder).step != 12 and time.monotonic() < deadline:
            time.sleep(0.01)
        now = read_attempt(folder)
        assert (now.step, now.host, now.pid, now.failure) == (12, platform.node(), os.getpid(), None)
        assert now.alive(folder)
    assert read_attempt(folder) is None


def test_a_lock_is_one_holder_s(tmp_path):
    folder = tmp_path / "runs" / "abc"
    with run_lock(folder, wait=True) as first, run_lock(folder, wait=False) as second:
        assert (first, second) == (True, False)
    with run_lock(folder, wait=False) as third:
        assert third


def test_a_damaged_attempt_counts_as_none(tmp_path):
    write_attempt(tmp_path)
    text = (tmp_path / "attempt.json").read_text()
    (tmp_path / "attempt.json").write_text(text[: len(text) // 2])
    assert read_attempt(tmp_path) is None


def test_a_failed_attempt_is_not_alive_even_while_the_run_is_locked(tmp_path):
    folder = tmp_path / "runs" / "abc"
    write_attempt(folder)
    with run_lock(folder, wait=True):
        assert read_attempt(folder).alive(folder)
        assert not replace(read_attempt(folder), failure="no").alive(folder)
