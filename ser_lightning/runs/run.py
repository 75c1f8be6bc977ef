"""Train one run: from a fold's data to a folder with its result."""

import logging
import platform
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning import Callback, LightningModule, Trainer, seed_everything
from omegaconf import OmegaConf

from ser_lightning.config import Config, TrainerConfig
from ser_lightning.data.datamodule import SpectrogramDataModule
from ser_lightning.data.protocols import PARTS
from ser_lightning.errors import UserError
from ser_lightning.metrics import confusion_counts, unweighted_accuracy, weighted_accuracy
from ser_lightning.recognizer import EmotionRecognizer
from ser_lightning.runs.ledger import FEATURES, PREDICTIONS, RunResult
from ser_lightning.runs.loggers import log_result, run_loggers
from ser_lightning.runs.plan import PlannedRun
from ser_lightning.runs.signature import settings

BEST = "best.ckpt"
LIBRARIES = ("ser-lightning", "torch", "lightning", "torchaudio", "numpy")


class BestOnDev(Callback):
    """Keeps the parameters with the best dev UA, the first of equals, from `first_check` steps on."""

    def __init__(self, path: Path, first_check: int) -> None:
        self.path, self.first_check = path, first_check
        self.ua, self.step = -1.0, 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.callback_metrics["dev/loss"].isfinite():
            raise UserError(
                f"the loss is not a number after {trainer.global_step} steps; lower optimizer.learning_rate or loss.lam"
            )
        ua = float(trainer.callback_metrics["dev/ua"])
        if ua > self.ua and trainer.global_step >= self.first_check:
            self.ua, self.step = ua, trainer.global_step
            trainer.save_checkpoint(self.path, weights_only=True)


class Steps(Callback):
    """Calls `tick` with the run's signature after every training step."""

    def __init__(self, name: str, tick: Callable[[str], None]) -> None:
        self.name, self.tick = name, tick

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.tick(self.name)


def train_run(run: PlannedRun, tick: Callable[[str], None]) -> RunResult:
    """Train and test one configuration on one fold. What an earlier, unfinished try left goes.

    `tick` is called with the run's signature after every step.

    The folder `runs/<signature>/` gets the resolved configuration, metrics.csv, best.ckpt, predictions.parquet,
    features.parquet, and result.json last.
    """
    config, manifest, split, folder = run.config, run.manifest, run.split, run.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    OmegaConf.save(OmegaConf.structured(config), folder / "config.yaml")
    # The order of batches has a source of randomness of its own; this one is the initialisation's.
    seed_everything(_seed(config.seed, split.repeat, split.fold), verbose=False)
    tags = [_tag(config), config.corpus.name, config.features.name, f"repeat {split.repeat}", f"fold {split.fold}"]
    if manifest.synthetic:
        tags.append("synthetic demo")
    started = time.perf_counter()
    best = BestOnDev(folder / BEST, config.trainer.first_check)
    with run_loggers(config, folder, run.signature, tags) as loggers, _quiet():
        data = SpectrogramDataModule(manifest, run.store, split, config.batching, config.seed)
        trainer, recognizer = _fit(config, data, loggers, best, Steps(run.signature, tick))
        dev, test = _write_predictions(folder, trainer, recognizer, data)
        result = RunResult(
            signature=run.signature,
            corpus=manifest.corpus,
            synthetic=manifest.synthetic,
            protocol=split.protocol,
            repeat=split.repeat,
            fold=split.fold,
            classes=list(manifest.classes),
            ua=unweighted_accuracy(test),
            wa=weighted_accuracy(test),
            dev_ua=unweighted_accuracy(dev),
            dev_wa=weighted_accuracy(dev),
            confusion=test.tolist(),
            dev_confusion=dev.tolist(),
            utterances={part: len(data.parts[part]) for part in PARTS},
            left_out=len(manifest.left_out),
            split=split.digest,
            audit=asdict(run.audit),
            steps=config.trainer.max_steps,
            best_step=best.step,
            seconds=round(time.perf_counter() - started, 2),
            precision="bf16 convolutions" if recognizer.bf16 else "32",
            device=_device_name(trainer),
            settings=settings(config),
            versions={"python": platform.python_version(), **{library: version(library) for library in LIBRARIES}},
        )
        log_result(loggers, result)
    result.write(folder)
    return result


def _fit(
    config: Config, data: SpectrogramDataModule, loggers: list[Any], best: BestOnDev, steps: Steps
) -> tuple[Trainer, EmotionRecognizer]:
    """Train, and return the recognizer with the parameters of the best dev UA."""
    interval = min(config.trainer.check_every or len(data.train_dataloader()), config.trainer.max_steps)
    trainer = _trainer(config.trainer, interval, loggers, [best, steps])
    recognizer = EmotionRecognizer(
        data.classes,
        data.bins,
        data.class_counts,
        config.model,
        config.loss,
        config.optimizer.learning_rate,
        use_bf16(config.trainer.precision, trainer.strategy.root_device),
        front_end={"features": asdict(config.features), **data.normalisation},
    )
    trainer.fit(recognizer, data)
    if trainer.global_step % interval:
        # the last steps belong to no full interval, yet may be the best
        trainer.validate(recognizer, data, verbose=False)
    recognizer.load_state_dict(torch.load(best.path, weights_only=True)["state_dict"])
    return trainer, recognizer


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether convolutions run in bfloat16; "auto" is yes where the hardware computes it natively."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False


def _trainer(config: TrainerConfig, interval: int, loggers: list[Any], callbacks: Iterable[Callback]) -> Trainer:
    return Trainer(
        max_steps=config.max_steps,
        max_epochs=-1,
        val_check_interval=interval,
        check_val_every_n_epoch=None,
        accelerator=config.accelerator,
        devices=1,
        logger=loggers,
        callbacks=list(callbacks),
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _write_predictions(
    folder: Path, trainer: Trainer, recognizer: EmotionRecognizer, data: SpectrogramDataModule
) -> tuple[np.ndarray, np.ndarray]:
    """Write the features of all parts and the logits of dev and test; returns the confusion counts of dev and test."""
    z_tables, logit_tables = zip(*(_predict(trainer, recognizer, data, part) for part in PARTS), strict=True)
    predictions = pd.concat([table for part, table in zip(PARTS, logit_tables, strict=True) if part != "train"])
    pd.concat(z_tables).to_parquet(folder / FEATURES, index=False)
    predictions.to_parquet(folder / PREDICTIONS, index=False)
    dev, test = (_confusion(predictions[predictions["part"] == part], data.classes) for part in ("dev", "test"))
    return dev, test


def _predict(
    trainer: Trainer, recognizer: EmotionRecognizer, data: SpectrogramDataModule, part: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A part's features (id, part, label, z_0...) and predictions (id, part, label, logit_<class>...), sorted by id."""
    batches = trainer.predict(recognizer, data.evaluation_dataloader(part))
    assert batches is not None
    dataset = data.parts[part]
    label_of = {name: data.classes[int(label)] for name, label in zip(dataset.ids, dataset.labels, strict=True)}
    ids = [name for names, _, _ in batches for name in names]
    facts = pd.DataFrame({"id": ids, "part": part, "label": [label_of[name] for name in ids]})
    z = np.concatenate([z for _, z, _ in batches])  # [utterances, 64]
    logits = np.concatenate([one for _, _, one in batches])  # [utterances, classes]
    z_table = facts.join(pd.DataFrame(z).add_prefix("z_"))
    logit_table = facts.join(pd.DataFrame(logits, columns=list(data.classes)).add_prefix("logit_"))
    return z_table.sort_values("id"), logit_table.sort_values("id")


def _confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    labels = predictions["label"].map({name: i for i, name in enumerate(classes)}).to_numpy()
    logits = predictions[[f"logit_{name}" for name in classes]].to_numpy()
    return confusion_counts(labels, logits.argmax(axis=1), len(classes))


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _tag(config: Config) -> str:
    return f"lam {config.loss.lam:g}" + (f" alpha {config.loss.alpha:g}" if config.loss.lam else "")


def _device_name(trainer: Trainer) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type}, {threads} thread{'s' if threads > 1 else ''}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences what Lightning says about every Trainer; its errors and our own lines remain."""
    lightning = logging.getLogger("lightning.pytorch")
    level = lightning.level
    lightning.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            yield
    finally:
        lightning.setLevel(level)
