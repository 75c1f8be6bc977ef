"""How long commands take to begin, and what a sweep adds to what its runs compute."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch

from benchmarks.training import BareLoop
from ser_lightning.config import compose
from ser_lightning.data.protocols import PARTS
from ser_lightning.training.network import use_bf16
from ser_lightning.training.plan import plan_job
from ser_lightning.training.run import fold_data

TINY = ("corpus.utterances=100", "trainer.max_steps=1", "trainer.workers=1", "logger=wandb")
# The default protocol's
FOLDS = 5
# Jobs enough that the report of a sweep has all its figures
FEW = 4


def measure_starts(output: Path, repeats: int, jobs: int) -> dict[str, float]:
    """Seconds of `train --help`, `train --cfg job` and `status --help`, medians; and of each further run of a sweep.

    The sweeps are of trainings of one step on 100 utterances of the demo, with the default logger, W&B, offline, all
    folds of a job, one after the other. Overhead is what the network's own work does not take, measured apart.
    """
    starts = {
        "help": ("train", "--help"),
        "cfg": ("train", "--cfg", "job"),
        "status": ("status", "--help"),
    }
    seconds = {
        f"{name}_seconds": median(_seconds(*words) for _ in range(repeats + 1)) for name, words in starts.items()
    }
    folder = output / f"sweep-{time.time_ns()}"
    _sweep(folder, 0.1, 1)  # makes the corpus and its features
    computing = _computing(folder, repeats)
    whole = _sweep(folder, 0.3, FEW + jobs) - _sweep(folder, 0.2, FEW)
    single = _sweep(folder, 0.5, FEW + jobs, "split.folds=[0]") - _sweep(folder, 0.4, FEW, "split.folds=[0]")
    shutil.rmtree(folder)
    run = whole / jobs / FOLDS
    return {
        **seconds,
        "sweep_seconds_per_run": run,
        "computing_seconds_per_run": computing,
        "overhead_seconds_per_run": run - computing,
        "overhead_seconds_per_job_of_one_run": single / jobs - computing,
    }


def _sweep(output: Path, lam: float, jobs: int, *words: str) -> float:
    """Seconds of a sweep of so many jobs, none of which was trained before."""
    lams = ",".join(f"{lam + 0.001 * number:.3f}" for number in range(jobs))
    return _seconds("train", "-m", *TINY, f"paths.output='{output}'", f"loss.lam={lams}", *words)


def _computing(output: Path, repeats: int) -> float:
    """Seconds of what the network does in such a run, bare: a step, dev, and all utterances once at the end."""
    run = plan_job(compose([*TINY, f"paths.output='{output}'", "trainer.accelerator=cpu"]))[0]
    data = fold_data(run, torch.device("cpu"))
    loop = BareLoop(run, data, use_bf16(run.config.trainer.precision, data.device))
    first = next(iter(data.train_dataloader()))
    evaluated = [batch for part in ("dev", *PARTS) for batch in data.evaluation_dataloader(part)]

    def once() -> float:
        start = time.perf_counter()
        loop.seconds([first])
        with torch.inference_mode():
            for batch in evaluated:
                loop.recognizer(batch)
        return time.perf_counter() - start

    return median([once() for _ in range(repeats + 1)][1:])


def _seconds(entry: str, *words: str) -> float:
    start = time.perf_counter()
    environment = {**os.environ, "WANDB_MODE": "offline"}
    command = [sys.executable, "-m", f"ser_lightning.{entry}", *words]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start
