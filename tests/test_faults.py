"""Sweeps that are killed, shared, out of disk or failing: real processes, as users start them."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ser_lightning.config import compose
from ser_lightning.runs.code import code_digest
from ser_lightning.runs.ledger import read_predictions, read_result
from ser_lightning.runs.status import study_status
from ser_lightning.training.plan import plan_job
from tests import commands
from tests.forked import Fork

SWEEP = ["-m", "loss.alpha=0.1,0.3,0.5", "loss.lam=0,0.5,1"]
# Two epochs and a half; few utterances, and little of each, for speed.
QUICK = ["corpus.utterances=100", "features.max_seconds=0.6", "batching.size=10", "trainer.max_steps=20", "seed=200"]
COMMON = [*QUICK, "trainer.check_every=4", "split.folds=[0]", "logger=csv", "trainer.workers=1", "study.name=faults"]
DEADLINE = 300
BEGUN = "begun by"


def train(arguments: list[str]) -> None:
    """What `python -m ser_lightning.train ARGUMENTS` does."""
    sys.argv = ["train", *arguments]
    from ser_lightning.command import run_command
    from ser_lightning.train import main

    print(BEGUN, os.getpid(), flush=True)
    run_command(main, "train")


def start(output: Path, *arguments: str) -> Fork:
    """Starts `train` on an output folder; its words go to train.log there."""
    return commands.forks().call(
        train, output / "train.log", os.environ, arguments=[*arguments, f"paths.output={output}"]
    )


def finish(process: Fork, output: Path, status: int = 0) -> str:
    """Waits for the process's end, and returns what it said."""
    process.wait(DEADLINE)
    said = (output / "train.log").read_text()
    assert process.returncode == status, said
    return said


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def ledger(output: Path) -> pd.DataFrame:
    """Predictions of all finished runs, in an order that does not depend on when they were trained."""
    names = sorted(folder.name for folder in (output / "runs").glob("*") if read_result(folder))
    return read_predictions(output / "runs", names)


def begun(output: Path, process: Fork) -> bool:
    """Whether the process has come to the command itself, which knows what signals mean."""
    with contextlib.suppress(FileNotFoundError):
        return f"{BEGUN} {process.pid}\n" in (output / "train.log").read_text()
    return False


def trying(output: Path, since: float) -> bool:
    """Whether a run has been begun or gone on with."""
    with contextlib.suppress(FileNotFoundError):
        return any(file.stat().st_mtime > since for file in output.glob("runs/*/attempt.json"))
    return False


@pytest.fixture(scope="module")
def cache(output: Path) -> Path:
    """The demo's sound and features, which all trainings here share."""
    plan_job(compose([*COMMON, f"paths.output={output}"]))
    return output / "cache"


@pytest.fixture(scope="module")
def place(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes an empty output folder with that cache."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        (folder / "cache").symlink_to(cache)
        return folder

    return make


@pytest.fixture(scope="module")
def undisturbed(place) -> pd.DataFrame:
    """The ledger of the sweep left alone."""
    output = place("undisturbed")
    finish(start(output, *SWEEP, *COMMON), output)
    return ledger(output)


def test_a_sweep_killed_at_six_random_moments(place, undisturbed):
    output, moments, kills = place("disturbed"), random.Random(7), 0
    while kills < 6:
        began = time.time()
        process = start(output, *SWEEP, *COMMON)
        wait_for(lambda process=process: begun(output, process))
        # Most moments lie in the midst of a training, some before.
        if moments.random() < 0.8:
            wait_for(lambda process=process, began=began: process.poll() is not None or trying(output, began))
        time.sleep(moments.uniform(0, 1.2))
        blow = moments.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        process.send_signal(blow)
        if process.wait(DEADLINE) == 0:
            # the sweep's end came first, if only by the time that a process takes to leave; all over again
            pd.testing.assert_frame_equal(ledger(output), undisturbed)
            shutil.rmtree(output / "runs")
            continue
        assert process.returncode in (-signal.SIGKILL, 128 + signal.SIGTERM, 130)
        kills += 1
    finish(start(output, *SWEEP, *COMMON), output)
    assert undisturbed["signature"].nunique() == 7
    pd.testing.assert_frame_equal(ledger(output), undisturbed)


def test_a_rerun_killed_goes_on_and_trains_nothing_a_third_time(place):
    output = place("rerun")
    words = ["-m", "loss.lam=0,0.5", *COMMON]
    finish(start(output, *words), output)
    first = ledger(output)
    before = {}
    for file in output.glob("runs/*/result.json"):
        other = replace(read_result(file.parent), code={"version": "0.1", "digest": "other"})
        other.write(file.parent)
        before[file.parent.name] = {path.name: path.read_bytes() for path in file.parent.iterdir()}

    def former():
        folders = sorted((output / "runs" / ".former").glob("*"))
        return {folder.name: {path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders}

    process = start(output, *words, "rerun=true")
    # in the midst of the first run's training
    wait_for(lambda: list(output.glob("runs/*/last.ckpt")))
    process.send_signal(signal.SIGKILL)
    process.wait(DEADLINE)
    for _ in range(2):
        finish(start(output, *words, "rerun=true"), output)
        assert former() == {f"{name}-0": content for name, content in before.items()}
    results = [read_result(output / "runs" / name) for name in before]
    assert [result.code["digest"] for result in results] == [code_digest()] * 2
    pd.testing.assert_frame_equal(ledger(output), first)


def test_two_processes_share_a_sweep_between_them(place, undisturbed):
    output = place("shared")
    both = [start(output, *SWEEP, *COMMON) for _ in range(2)]
    for process in both:
        finish(process, output)
    pd.testing.assert_frame_equal(ledger(output), undisturbed)


def test_of_two_that_need_the_same_features_the_one_that_makes_them_is_killed(cache, tmp_path):
    output = tmp_path / "features"
    (output / "cache").mkdir(parents=True)
    (output / "cache" / "corpora").symlink_to(cache / "corpora")
    words = [*COMMON, "features=logstft", "features.max_seconds=3", "trainer.max_steps=2"]
    both = {process.pid: process for process in (start(output, *words) for _ in range(2))}
    wait_for(lambda: list(output.glob("cache/features/*.unfinished")))
    # host-pid.unfinished
    (begun,) = output.glob("cache/features/*.unfinished")
    maker = both.pop(int(begun.name.split(".")[-2].split("-")[-1]))
    maker.send_signal(signal.SIGKILL)
    (other,) = both.values()
    finish(other, output)
    assert not list(output.glob("cache/features/*.unfinished"))
    assert ledger(output)["signature"].nunique() == 1


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_worker_processes_end_with_the_command(place, kind):
    output = place("workers")
    words = [*COMMON, "split.folds=[0,1]", "trainer.workers=2", "trainer.max_steps=5000"]
    process = start(output, *words)

    def states():
        return [entry.state for entry in study_status(output / "studies" / "faults", output / "runs")]

    wait_for(lambda: states() == ["running", "running"])
    process.send_signal(kind)
    process.wait(DEADLINE)
    wait_for(lambda: states() == ["interrupted", "interrupted"])


@pytest.mark.parametrize("stop_at_failure", [False, True])
def test_a_job_that_fails_does_not_stop_the_others_unless_told_to(place, capsys, stop_at_failure):
    output = place("failing")
    words = ["-m", "optimizer.learning_rate=1e-3,1e20,1e-4", "trainer.precision=32", *COMMON]
    said = finish(start(output, *words, f"study.stop_at_failure={stop_at_failure}"), output, status=1)
    states = [entry.state for entry in study_status(output / "studies" / "faults", output / "runs")]
    assert states == ["done", "failed", "missing" if stop_at_failure else "done"]
    assert "the loss is not a number after 4 steps; lower optimizer.learning_rate" in said
    assert said.count("Traceback") == 0
    if not stop_at_failure:
        assert "ser_lightning: 1 of this sweep's runs failed; the same command tries them again\n" in said
        assert (output / "studies" / "faults" / "report.html").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of some MB, or makes it that large."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def size(megabytes: int) -> Path:
        options = f"size={megabytes}m" + (",remount" if folder.is_mount() else "")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True).returncode:
            pytest.skip("no right to mount a small disk")
        return folder

    yield size
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_under_the_runs(small_disk, cache, undisturbed):
    output = small_disk(30)
    (output / "cache").symlink_to(cache)
    said = finish(start(output, *SWEEP, *COMMON), output, status=1)
    assert said.count("Traceback") == 0
    assert said.splitlines()[-1].startswith(
        "ser_lightning: the disk is full; free some space and give the same command"
    )
    assert 0 < ledger(output)["signature"].nunique() < 7
    small_disk(200)
    finish(start(output, *SWEEP, *COMMON), output)
    pd.testing.assert_frame_equal(ledger(output), undisturbed)


def test_a_full_disk_under_the_feature_store(small_disk, cache):
    output = small_disk(8)
    (output / "cache").mkdir()
    (output / "cache" / "corpora").symlink_to(cache / "corpora")
    one = [*COMMON, "features=logstft", "trainer.max_steps=2"]
    said = finish(start(output, *one), output, status=1)
    assert said.count("Traceback") == 0
    assert "ser_lightning: logstft of demo takes " in said
    assert not list(output.glob("cache/features/*/"))
    small_disk(200)
    finish(start(output, *one), output)
    assert len(ledger(output)) > 0
