"""A training step on stored frames of a pretrained front end beside one of the paper's network on log-Mel."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median

import torch

from benchmarks.corpus import frozen_store, plan
from benchmarks.training import BareLoop
from ser_lightning.memory import keep_memory
from ser_lightning.training.network import use_bf16
from ser_lightning.training.run import fold_data

ENCODERS = ("statistics", "attentive")


def measure_frozen(output: Path, blocks: int, steps: int, times: float) -> dict[str, float]:
    """Milliseconds of a bare step of the CRNN on log-Mel, and over it those of encoders on frozen frames of the same
    utterances: medians over blocks of `steps`, one after the other, of so many times IEMOCAP.
    """
    paper = plan(output, "trainer.accelerator=cpu", times=times)
    frozen = frozen_store(output / "cache", times)
    runs = {"crnn": paper}
    for name in ENCODERS:
        runs[name] = replace(plan(output, "trainer.accelerator=cpu", f"model={name}", times=times), store=frozen)
    keep_memory(True)
    loops, batches = {}, {}
    for name, run in runs.items():
        data = fold_data(run, torch.device("cpu"))
        loops[name] = BareLoop(run, data, use_bf16(run.config.trainer.precision, data.device))
        batches[name] = list(islice(iter(data.train_dataloader()), steps))
        loops[name].seconds(batches[name])
    seconds = [{name: loop.seconds(batches[name]) for name, loop in loops.items()} for _ in range(blocks)]
    measured = {f"{name}_step_ms": 1000 * median(block[name] for block in seconds) / steps for name in loops}
    return measured | {f"{name}_faster": median(block["crnn"] / block[name] for block in seconds) for name in ENCODERS}
