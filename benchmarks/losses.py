"""A training step with each loss beside one with centre loss."""

from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.corpus import plan
from benchmarks.training import BareLoop
from ser_lightning.config import choices
from ser_lightning.memory import keep_memory
from ser_lightning.training.network import use_bf16
from ser_lightning.training.run import fold_data

CENTRE = "center"


def measure_losses(output: Path, blocks: int, steps: int) -> dict[str, Any]:
    """Seconds of the same bare steps with each loss over those with centre loss, medians over blocks of `steps`.

    Heads with a margin count as losses: they are measured without another.
    """
    words = {name: [f"loss={name}", "loss.lam=0.3"] for name in choices()["loss"]}
    words["likelihood"].append("head=gaussian")
    words["head=cosine"] = ["loss.lam=0", "head=cosine"]
    words["softmax"] = ["loss.lam=0"]
    runs = {name: plan(output, "trainer.accelerator=cpu", *several) for name, several in words.items()}
    data = fold_data(runs[CENTRE], torch.device("cpu"))
    bf16 = use_bf16(runs[CENTRE].config.trainer.precision, data.device)
    keep_memory(True)
    loops = {name: BareLoop(run, data, bf16) for name, run in runs.items()}
    # Lengths of batches are those of a training, the same for all
    batches = list(islice(iter(data.train_dataloader()), steps))
    for loop in loops.values():
        loop.seconds(batches[:2])
    seconds = [{name: loop.seconds(batches) for name, loop in loops.items()} for _ in range(blocks)]
    times = {name: median(block[name] / block[CENTRE] for block in seconds) for name in loops}
    return {"times": times, "slowest": max(times.values()), "slowest_loss": max(times, key=lambda name: times[name])}
