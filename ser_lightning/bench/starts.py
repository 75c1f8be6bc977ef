"""How long commands take to begin, and what a run costs in a sweep besides its training."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

TINY = ("corpus.utterances=100", "trainer.max_steps=1", "trainer.workers=1", "split.folds=[0]", "logger=wandb")
# Enough that the report of the sweep has all its figures
FEW = 4


def measure_starts(output: Path, repeats: int, jobs: int) -> dict[str, float]:
    """Seconds of `train --help`, `train --cfg job` and `status --help`, medians; and of each further run of a sweep.

    The sweep is of trainings of one step on 100 utterances of the demo, with the default logger, W&B, offline.
    """
    starts = {
        "help": ("train", "--help"),
        "cfg": ("train", "--cfg", "job"),
        "status": ("status", "--help"),
    }
    seconds = {
        f"{name}_seconds": median(_seconds(*words) for _ in range(repeats + 1)) for name, words in starts.items()
    }
    sweep = output / f"sweep-{time.time_ns()}"
    _sweep(sweep, 0.1, 2)  # makes the corpus and its features
    few, many = _sweep(sweep, 0.2, FEW), _sweep(sweep, 0.3, FEW + jobs)
    shutil.rmtree(sweep)
    return {**seconds, "sweep_seconds_per_run": (many - few) / jobs}


def _sweep(output: Path, lam: float, jobs: int) -> float:
    """Seconds of a sweep of so many jobs, none of which was trained before."""
    lams = ",".join(f"{lam + 0.001 * number:.3f}" for number in range(jobs))
    return _seconds("train", "-m", *TINY, f"paths.output='{output}'", f"loss.lam={lams}")


def _seconds(entry: str, *words: str) -> float:
    begun = time.perf_counter()
    environment = {**os.environ, "WANDB_MODE": "offline"}
    command = [sys.executable, "-m", f"ser_lightning.{entry}", *words]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - begun
