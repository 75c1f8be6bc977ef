"""How time and memory grow with the corpus."""

import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback

from benchmarks.corpus import configuration, first_split, manifest, plan
from benchmarks.share import PeakMemory
from ser_lightning.data.batches import Batch, epoch_batches
from ser_lightning.memory import keep_memory
from ser_lightning.training.network import use_bf16
from ser_lightning.training.plan import PlannedRun
from ser_lightning.training.run import fold_data, make_recognizer, make_trainer

TIMES = (1, 2, 4, 8)
# Epochs of a whole run on IEMOCAP, which share one division
EPOCHS = 25.5


def measure_growth(output: Path, steps: int) -> dict[str, float | list[float]]:
    """For 1, 2, 4 and 8 IEMOCAPs: seconds of an epoch by some steps, most memory so far, share of dividing."""
    keep_memory(True)
    epochs, frames, peaks, shares = [], [], [], []
    with PeakMemory() as peak:
        for times in TIMES:
            run = plan(output, f"trainer.max_steps={steps}", "trainer.accelerator=cpu", times=times)
            per_frame = _seconds_per_frame(run, steps)
            train = fold_data(run, torch.device("cpu")).parts["train"].lengths
            epochs.append(float(train.sum() * per_frame))
            frames.append(int(train.sum()))
            peaks.append(peak.gigabytes)
            shares.append((_division_seconds(times) / EPOCHS + _order_seconds(train)) / epochs[-1])
    exponent = float(np.polyfit(np.log(frames), np.log(epochs), 1)[0])
    return {"exponent": exponent, "epoch_seconds": epochs, "peak_gigabytes": peaks, "division_and_order_share": shares}


def _seconds_per_frame(run: PlannedRun, steps: int) -> float:
    """Of training steps, the first quarter left out."""
    data = fold_data(run, torch.device("cpu"))
    recognizer = make_recognizer(run, data, use_bf16(run.config.trainer.precision, data.device))
    for _ in islice(data.train_dataloader(), steps):
        pass  # from the disk, which is not what is measured
    clock = Frames()
    schedule = replace(run.schedule, check_every=steps + 1)
    make_trainer(run.config.trainer, 1, schedule, callbacks=[clock]).fit(recognizer, data)
    kept = clock.steps[steps // 4 :]
    return sum(seconds for seconds, _ in kept) / sum(frames for _, frames in kept)


class Frames(Callback):
    """Seconds and real frames of every step."""

    def on_train_start(self, *arguments: Any) -> None:
        self.steps: list[tuple[float, int]] = []
        self.since = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        now = time.perf_counter()
        self.steps.append((now - self.since, int(batch.lengths.sum())))
        self.since = now


def _division_seconds(times: float) -> float:
    noise, config = manifest(times), configuration(Path("none"))
    start = time.perf_counter()
    first_split(noise, config)
    return time.perf_counter() - start


def _order_seconds(lengths: np.ndarray) -> float:
    start = time.perf_counter()
    epoch_batches(lengths, 32, "sorted", 20, np.random.default_rng(0))
    return time.perf_counter() - start
