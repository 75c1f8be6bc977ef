"""A sweep in the command's own process, and the same sweep by a launcher: the ledger must be the same."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from ser_lightning.runs.ledger import read_predictions, read_results
from ser_lightning.runs.study import read_jobs

HERE = Path(__file__).resolve().parent
collect_ignore = ["ray_nodes.py"]  # run by Ray's own environment
# Two jobs of two runs of three epochs (24 steps), so that there is time to cut one off.
SWEEP = ["loss.lam=0,0.5", "corpus.utterances=240", "trainer.max_steps=72", "split.folds=[0,1]", "logger=csv"]
SWEEP.append("features.max_seconds=1")
DEADLINE = 600  # seconds: whatever is waited for has long been there or never comes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Returns when the condition holds; fails naming what did not come in time."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited {DEADLINE} s for {what}"
        time.sleep(0.1)


@dataclass
class Sweep:
    """A sweep that is running or has ended in `folder`, its `paths.output` being out/ there."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def runs(self) -> Path:
        return self.folder / "out" / "runs"

    @property
    def study(self) -> Path:
        (study,) = (self.folder / "out" / "studies").iterdir()
        return study

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def end(self) -> int:
        """Its exit status."""
        return self.process.wait(DEADLINE)

    def at_first_run(self) -> list[int]:
        """The numbers of those jobs that have trained an epoch and have not finished any run."""

        def made(file: str, names: list[str]) -> bool:
            return any((self.runs / name / file).exists() for name in names)

        jobs = enumerate(read_jobs(self.study)) if self.runs.exists() else ()
        return [number for number, job in jobs if made("last.ckpt", job.runs) and not made("result.json", job.runs)]

    def ledger(self) -> tuple[pd.DataFrame, pd.DataFrame, str]:
        """Predictions of all runs, all else that their results say but seconds, and the sweep's table.

        config.yaml names the folder of the sweep, so that its digest is another in every folder.
        """
        names = sorted({name for job in read_jobs(self.study) for name in job.runs})
        results = pd.DataFrame(read_results(self.runs, names)).drop(columns="seconds")
        results["files"] = [
            {file: seal for file, seal in files.items() if file != "config.yaml"} for files in results["files"]
        ]
        return read_predictions(self.runs, names), results, (self.study / "tables" / "scores.csv").read_text()


def assert_same_ledger(sweep: Sweep, other: Sweep) -> None:
    predictions, results, table = sweep.ledger()
    assert len(results) == 4
    expected = other.ledger()
    pd.testing.assert_frame_equal(predictions, expected[0], check_exact=True)
    pd.testing.assert_frame_equal(results, expected[1], check_exact=True)
    assert table == expected[2]


@contextmanager
def start_sweep(
    folder: Path, *words: str, python: Sequence[Path | str] = (sys.executable,), **environment: str
) -> Iterator[Sweep]:
    """`train -m` in a folder, with a relative `paths.output` and a thread per process; ended with the context.

    An empty string in `environment` stands for a variable that is not set.
    """
    folder.mkdir(exist_ok=True)
    settings = {"SER_OUTPUT": "out", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent.parent), **environment}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [*python, "-m", "ser_lightning.train", "-m", *SWEEP, *words],
            cwd=folder,
            env={name: value for name, value in {**os.environ, **settings}.items() if value},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Sweep(folder, process)
    finally:
        process.kill()
        process.wait()


@contextmanager
def start_cluster(*command: Path | str, log: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A script that says 'ready ...' when its cluster is there, and takes it along when its input ends."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The sweep as it is without a launcher, and in one process."""
    with start_sweep(tmp_path_factory.mktemp("home"), "trainer.workers=1") as sweep:
        assert sweep.end() == 0, sweep.said
    return sweep


@pytest.fixture
def away(tmp_path: Path, at_home: Sweep) -> Path:
    """A folder for the same sweep with the corpus and features that are there already."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cache").symlink_to(at_home.folder / "out" / "cache")
    return tmp_path
