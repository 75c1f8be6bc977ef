"""What a run spends on training, and what on everything else; its memory."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

from lightning import Callback

from benchmarks.corpus import STEPS, plan
from ser_lightning.memory import keep_memory
from ser_lightning.training.last_epoch import LastEpoch
from ser_lightning.training.loggers import run_loggers
from ser_lightning.training.run import fit, make_trainer, write_predictions


@dataclass
class Clock(Callback):
    """Seconds of training steps, their batches included, and of dev evaluations."""

    steps: float = 0.0
    dev: float = 0.0
    since: float = field(default_factory=time.perf_counter)

    def on_train_epoch_start(self, *arguments: Any) -> None:
        self.since = time.perf_counter()

    def on_train_batch_end(self, *arguments: Any) -> None:
        now = time.perf_counter()
        self.steps, self.since = self.steps + now - self.since, now

    def on_validation_start(self, *arguments: Any) -> None:
        self.since = time.perf_counter()

    def on_validation_end(self, *arguments: Any) -> None:
        now = time.perf_counter()
        self.dev, self.since = self.dev + now - self.since, now


def measure_run(output: Path, times: float, epochs: int) -> dict[str, float]:
    """Train and test a run on so many IEMOCAPs; its shares are projected to the 3,520 steps of a whole run.

    What comes once per epoch (dev, logging, checkpoint) is projected with the number of epochs, what comes once per
    run (start, predictions of all utterances, its result) is counted once.
    """
    keep_memory(True)
    run = plan(output, "trainer.accelerator=cpu", times=times)
    steps = epochs * run.schedule.epoch_steps
    passes = STEPS["logmel"] / steps
    run = replace(run, schedule=replace(run.schedule, max_steps=steps))
    run.folder.mkdir(parents=True, exist_ok=True)
    clock, last = Clock(), LastEpoch(run.folder)
    with PeakMemory() as peak:
        start = time.perf_counter()
        with run_loggers(run.config, run.folder, run.signature, [], []) as loggers:
            data, recognizer, _ = fit(run, 1, loggers, [clock, last], resume=False)
            fit_seconds = time.perf_counter() - start
            write_predictions(run.folder, make_trainer(run.config.trainer, 1), recognizer, data)
    total = time.perf_counter() - start
    parts = {
        "training": clock.steps * passes,
        "dev": clock.dev * passes,
        "logging_and_checkpoints": (fit_seconds - clock.steps - clock.dev) * passes,
        "predictions_and_result": total - fit_seconds,
    }
    return {
        **{f"share_of_{name}": seconds / sum(parts.values()) for name, seconds in parts.items()},
        "share_of_all_but_training": 1 - parts["training"] / sum(parts.values()),
        "seconds_of_a_run": sum(parts.values()),
        "peak_gigabytes": peak.gigabytes,
    }


class PeakMemory:
    """The most memory of its own that the process had above what it had at the start; mapped files are the system's."""

    def __enter__(self) -> "PeakMemory":
        self._base = self._most = _own_memory()
        self._done = Event()
        self._thread = Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *arguments: Any) -> None:
        self._done.set()
        self._thread.join()

    @property
    def gigabytes(self) -> float:
        return (self._most - self._base) / 1e9

    def _follow(self) -> None:
        while not self._done.wait(0.02):
            self._most = max(self._most, _own_memory())


def _own_memory() -> int:
    """Bytes of anonymous memory in use."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0
