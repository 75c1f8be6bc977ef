"""Training steps of this project beside plain ones, beside the bare loop, and beside the machine's matrix product."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from benchmarks.corpus import plan
from benchmarks.plain import PlainCRNN, PlainTraining, plain_batches
from benchmarks.work import convolved_frames, matmul_seconds, seen, training_flops
from ser_lightning.data.batches import Batch
from ser_lightning.data.datamodule import SpectrogramDataModule
from ser_lightning.losses import class_weights
from ser_lightning.memory import keep_memory
from ser_lightning.models.crnn import GROUP, SHAPES, output_length, seen_frames
from ser_lightning.training.network import use_bf16
from ser_lightning.training.plan import PlannedRun
from ser_lightning.training.recognizer import EmotionRecognizer
from ser_lightning.training.run import fold_data, make_recognizer, make_trainer

MATRIX = 2048


@dataclass
class Block:
    """Some steps of each kind, timed one kind after the other: seconds and real frames."""

    training: float = 0.0
    limit: float = 0.0
    plain: float = 0.0
    matmul: float = 0.0
    frames: int = 0
    convolved: int = 0
    seen: int = 0
    flops: float = 0.0
    plain_frames: int = 0


@dataclass
class Interleaved(Callback):
    """Stops a training after every few steps, to make the same steps bare and some plain ones."""

    steps: int
    plain: Iterator[tuple[float, int]]
    limit: "BareLoop"
    bf16: bool
    blocks: list[Block] = field(default_factory=list)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.batches: list[Batch] = []
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append(batch)
        if len(self.batches) < self.steps:
            return
        block = Block(training=time.perf_counter() - self.start)
        block.limit = self.limit.seconds(self.batches)
        keep_memory(False)
        block.plain, block.plain_frames = next(self.plain)
        keep_memory(True)
        block.matmul = median(matmul_seconds(MATRIX, self.bf16) for _ in range(9))
        for batch in self.batches:
            frames = batch.lengths.tolist()
            block.frames += sum(frames)
            block.convolved += convolved_frames(batch.lengths)
            block.seen += seen(batch.lengths)
            block.flops += sum(training_flops(length, batch.spectrogram.shape[2]) for length in frames)
        self.blocks.append(block)
        # What plain steps gave back to the system, and pushed out of oneDNN's memory of shapes, is there in a training
        self.limit.warm()
        self.batches = []
        self.start = time.perf_counter()


class BareLoop:
    """The least that these steps can take: batches ready in memory, forward, backward, step."""

    def __init__(self, run: PlannedRun, data: SpectrogramDataModule, bf16: bool) -> None:
        self.bins = data.bins
        self.recognizer: EmotionRecognizer = make_recognizer(run, data, bf16)
        self.optimizer: Any = self.recognizer.configure_optimizers()

    def warm(self) -> None:
        """Convolve every length, since the first of its kind takes its preparation."""
        self.seconds(all_shapes(self.bins))

    def seconds(self, batches: list[Batch]) -> float:
        start = time.perf_counter()
        for batch in batches:
            z, logits = self.recognizer(batch)
            loss = self.recognizer.loss(z, logits, batch.labels, batch.speakers).total
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return time.perf_counter() - start


def all_shapes(bins: int) -> list[Batch]:
    """A batch of every length that is convolved."""
    some = torch.zeros(GROUP, dtype=torch.int64)
    return [
        Batch(torch.zeros(GROUP, frames, bins), some + frames, some, some, (), GROUP)
        for frames in map(seen_frames, range(SHAPES, output_length(1400) + SHAPES, SHAPES))
    ]


def plain_steps(run: PlannedRun, data: SpectrogramDataModule, steps: int) -> Iterator[tuple[float, int]]:
    """Seconds and real frames of every few plain steps, without end."""
    config, part, store = run.config, data.parts["train"], run.store
    weights = class_weights(data.class_counts)
    assert weights is not None
    network = PlainCRNN(store.bins, len(data.classes))
    training = PlainTraining(
        network, weights, config.loss.lam, config.loss.own["alpha"], config.optimizer.own["learning_rate"]
    )
    # A fifth of the corpus: as one list of arrays it would take as much memory again
    rows = part.rows[::5]
    normalised = data.normalised
    spectrograms = [(store.of(row) - normalised.mean) / normalised.deviation for row in rows]
    batches = plain_batches(spectrograms, part.labels[::5].tolist())
    while True:
        start, frames = time.perf_counter(), 0
        for x, lengths, labels in islice(batches, steps):
            training.step(x, lengths, labels)
            frames += int(lengths.sum())
        yield time.perf_counter() - start, frames


def measure_training(output: Path, blocks: int, steps: int, plain: int) -> dict[str, float]:
    """Medians over blocks of `steps` of our steps, the same bare, and `plain` plain ones; the first is left out."""
    run = plan(output, f"trainer.max_steps={(blocks + 1) * steps}", "trainer.accelerator=cpu")
    data = fold_data(run, torch.device("cpu"))
    bf16 = use_bf16(run.config.trainer.precision, data.device)
    recognizer = make_recognizer(run, data, bf16)
    keep_memory(True)
    limit = BareLoop(run, data, bf16)
    limit.warm()
    watch = Interleaved(steps, plain_steps(run, data, plain), limit, bf16)
    # No dev evaluation in between
    schedule = replace(run.schedule, check_every=run.schedule.max_steps + 1)
    trainer = make_trainer(run.config.trainer, 1, schedule, callbacks=[watch])
    trainer.fit(recognizer, data)
    done = watch.blocks[1:]
    rates = np.array([block.frames / block.training for block in done])
    plain_rates = np.array([block.plain_frames / block.plain for block in done])
    utterance = run.store.lengths.mean()
    return {
        "threads": torch.get_num_threads(),
        "bf16": bf16,
        "frames_per_second": float(np.median(rates)),
        "utterances_per_second": float(np.median(rates) / utterance),
        "plain_utterances_per_second": float(np.median(plain_rates) / utterance),
        "against_plain": float(np.median(rates) / np.median(plain_rates)),
        "against_limit": median(block.limit / block.training for block in done),
        "gflops": median(block.flops / block.training for block in done) / 1e9,
        "matmul_gflops": median(2 * MATRIX**3 / block.matmul for block in done) / 1e9,
        "share_of_matmul": median(block.flops / block.training / (2 * MATRIX**3 / block.matmul) for block in done),
        "padding": 1 - sum(block.seen for block in done) / sum(block.convolved for block in done),
    }
