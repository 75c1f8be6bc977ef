"""Runs per hour on a GPU, several at once, and what the paper's 275 would take."""

import time
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from lightning import Callback

from benchmarks.corpus import STEPS, plan
from ser_lightning.training.last_epoch import LastEpoch
from ser_lightning.training.loggers import run_loggers
from ser_lightning.training.run import fit, make_trainer, quiet, write_predictions

# Of the paper: lambda and alpha on log-Mel, lambda 0 and 0.3 on log-STFT, 25 runs each.
RUNS = {"logmel": 225, "logstft": 50}
# Parts of the corpus are enough: what comes once per epoch weighs more in them than in all of it
TIMES = {"logmel": 0.5, "logstft": 0.25}


@dataclass
class Epochs(Callback):
    """Seconds from the end of the first epoch, when all processes are there, to the end of the last."""

    barrier: Any
    seconds: float = 0.0
    start: float = 0.0

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            self.barrier.wait()
            self.start = time.perf_counter()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.seconds = time.perf_counter() - self.start


def measure_side_by_side(
    output: Path, features: str, workers: int, epochs: int, times: float, accelerator: str = "gpu"
) -> dict[str, float]:
    """So many processes that each train on the same corpus: seconds of a step with all that comes per epoch, and once.

    All runs per hour follow from the time that the slowest needs.
    """
    spawn = get_context("spawn")
    barrier, queue = spawn.Barrier(workers), spawn.Queue()
    arguments = (output, features, epochs, times, accelerator, barrier, queue)
    processes = [spawn.Process(target=_train, args=(number, *arguments)) for number in range(workers)]
    for process in processes:
        process.start()
    measured = [queue.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    step, once = (max(column) for column in zip(*measured, strict=True))
    run = step * STEPS[features] + once
    row = {"workers": workers, "step_ms": 1000 * step, "once_seconds": once, "runs_per_hour": 3600 * workers / run}
    print(
        f"  {features}, {workers} at once: {row['step_ms']:.1f} ms a step, {row['runs_per_hour']:.0f} runs per hour",
        flush=True,
    )
    return row


def measure_gpu(output: Path, workers: tuple[int, ...], epochs: int) -> dict[str, Any]:
    """Both inputs, with so many processes at once, and the hours of all 275 runs at the best number of them."""
    # Once, before several processes want it
    for features, times in TIMES.items():
        plan(output, f"features={features}", times=times)
    trials = {
        features: [measure_side_by_side(output, features, count, epochs, times) for count in workers]
        for features, times in TIMES.items()
    }
    best = {features: max(rows, key=lambda row: row["runs_per_hour"]) for features, rows in trials.items()}
    hours = sum(RUNS[features] / row["runs_per_hour"] for features, row in best.items())
    return {**trials, "hours_of_275_runs": hours}


def _train(
    number: int,
    output: Path,
    features: str,
    epochs: int,
    times: float,
    accelerator: str,
    barrier: Barrier,
    queue: "Queue[tuple[float, float]]",
) -> None:
    run = plan(output, f"features={features}", f"trainer.accelerator={accelerator}", times=times)
    epoch_steps = run.schedule.epoch_steps
    schedule = replace(run.schedule, max_steps=epochs * epoch_steps)
    run = replace(run, schedule=schedule, signature=f"side-by-side-{number}")
    run.folder.mkdir(parents=True, exist_ok=True)
    clock = Epochs(barrier)
    with quiet(), run_loggers(run.config, run.folder, run.signature, [], []) as loggers:
        data, recognizer, _ = fit(run, 1, loggers, [LastEpoch(run.folder), clock], resume=False)
        start = time.perf_counter()
        write_predictions(run.folder, make_trainer(run.config.trainer, 1), recognizer, data)
    queue.put((clock.seconds / ((epochs - 1) * epoch_steps), time.perf_counter() - start))
