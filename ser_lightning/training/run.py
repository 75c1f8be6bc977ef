"""Train one run: from a fold's data to a folder with its result."""

import logging
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from lightning import Callback, LightningModule, Trainer, seed_everything
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy

from ser_lightning.config import TrainerConfig
from ser_lightning.data.datamodule import SpectrogramDataModule
from ser_lightning.data.protocols import PARTS
from ser_lightning.errors import UserError
from ser_lightning.files import UNFINISHED, write_whole
from ser_lightning.identity import digest
from ser_lightning.metrics import confusion_counts, scores
from ser_lightning.runs.attempt import Watch
from ser_lightning.runs.code import present_code, present_versions
from ser_lightning.runs.ledger import BEST, CONFIG, FEATURES, LAST, PREDICTIONS, READOUTS, RESULT, SEALED, RunResult
from ser_lightning.runs.schedule import Schedule
from ser_lightning.runs.signature import settings
from ser_lightning.training.assembly import assemble
from ser_lightning.training.checkpoint import CODE, logged_rows, resumable, write_checkpoint
from ser_lightning.training.last_epoch import LastEpoch, WholeCheckpoints
from ser_lightning.training.loggers import log_result, run_loggers, run_tags
from ser_lightning.training.network import use_bf16
from ser_lightning.training.plan import PlannedRun, uses
from ser_lightning.training.ranks import PATIENCE, choose_devices, ranks
from ser_lightning.training.recognizer import EmotionRecognizer


class BestOnDev(Callback):
    """Keeps the parameters with the best dev UA, the first of equals, from `first_check` steps on."""

    def __init__(self, first_check: int) -> None:
        self.first_check = first_check
        self.ua, self.step = -1.0, 0
        self.parameters: dict[str, torch.Tensor] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.callback_metrics["dev/loss"].isfinite():
            assert isinstance(pl_module, EmotionRecognizer)
            raise UserError(_not_finite(trainer, pl_module))
        ua = float(trainer.callback_metrics["dev/ua"])
        if ua > self.ua and trainer.global_step >= self.first_check:
            self.ua, self.step = ua, trainer.global_step
            self.parameters = {name: tensor.detach().clone() for name, tensor in pl_module.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"ua": self.ua, "step": self.step, "parameters": self.parameters}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.ua, self.step, self.parameters = state_dict["ua"], state_dict["step"], state_dict["parameters"]


def _not_finite(trainer: Trainer, recognizer: EmotionRecognizer) -> str:
    """What to say where the joint loss of dev is not finite: whose fault it is, if that of training is."""
    steps = trainer.global_step
    # Of an epoch's steps so far; and if none has been made, what earlier ones left
    in_training = [recognizer.train_losses.sums, *recognizer.parameters()]
    if not all(tensor.isfinite().all() for tensor in in_training):
        return f"the loss is not a number after {steps} steps; lower optimizer.learning_rate or loss.lam"
    if trainer.callback_metrics["dev/softmax"].isfinite():
        term, parts = f"the loss that is added, {type(recognizer.loss.term).__name__},", "it does"
    else:
        term, parts = "the softmax term", "encoder and head do"
    return (
        f"{term} is not a number on dev after {steps} steps, though it is one in training; see what {parts} in "
        "evaluation, where self.training is False, and with utterances of dev"
    )


class Steps(Callback):
    """Tells how many steps have been made."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.watch.step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.watch.step = trainer.global_step


def train_run(run: PlannedRun, watch: Watch, number: int = 0) -> RunResult:
    """Train and test one configuration on one fold; a run that was interrupted goes on after its last whole epoch.

    On one CPU it ends with the same predictions, bit for bit, as if never interrupted. `watch` is told of the steps;
    `number` is the run's among those that are trained side by side.

    The folder `runs/<signature>/` gets the resolved configuration, code/ with the user's own parts, metrics.csv,
    best.ckpt, predictions.parquet, features.parquet, and result.json last; last.ckpt and attempt.json lie in it only
    until then.
    """
    config, manifest, split, folder = run.config, run.manifest, run.split, run.folder
    # Now, when it is loaded: the files may be other ones when the training ends.
    code = present_code()
    checkpoint = resumable(folder, run.signature)
    _clear(folder, keep=(LAST,) if checkpoint else ())
    if config.code:
        shutil.copytree(config.code, folder / CODE)
    write_whole(folder / CONFIG, yaml.safe_dump(config.described, sort_keys=False, allow_unicode=True))
    tags = run_tags(config, split, manifest.synthetic)
    devices = choose_devices(config.trainer, number)
    last = LastEpoch(folder)
    with quiet(), run_loggers(config, folder, run.signature, tags, logged_rows(checkpoint)) as loggers:
        resume = checkpoint is not None
        with ranks(config.trainer.devices, partial(_follow, run, devices, resume)):
            data, recognizer, best = fit(run, devices, loggers, [last, Steps(watch)], resume)
        _write_best(folder, recognizer, best)
        trainer = make_trainer(config.trainer, devices[:1] if isinstance(devices, list) else 1)
        dev, test = write_predictions(folder, trainer, recognizer, data)
        result = RunResult(
            signature=run.signature,
            corpus=manifest.corpus,
            synthetic=manifest.synthetic,
            protocol=split.protocol,
            repeat=split.repeat,
            fold=split.fold,
            classes=list(manifest.classes),
            scores={part: scores(confusion) for part, confusion in (("test", test), ("dev", dev))},
            confusion=test.tolist(),
            dev_confusion=dev.tolist(),
            utterances={part: len(data.parts[part]) for part in PARTS},
            left_out=len(manifest.left_out),
            split=split.digest,
            audit=asdict(run.audit),
            steps=run.schedule.max_steps,
            best_step=best.step,
            seconds=round(last.elapsed(), 2),
            precision="bf16 convolutions" if recognizer.bf16 else "32",
            device=_device_name(trainer, config.trainer.devices),
            settings=settings(config),
            uses=uses(config, split),
            sound=run.sound,
            versions=present_versions(),
            code=code,
        )
        log_result(loggers, result, folder)
    # Only now have all curves been written
    result = result.sealed(folder)
    result.write(folder)
    (folder / LAST).unlink(missing_ok=True)
    return result


def _clear(folder: Path, keep: Iterable[str] = ()) -> None:
    """Remove from a run's folder what an earlier try has written there, but for some files; what is not of a run stays.

    Raises `UserError` where it has a result: it is never cleared.
    """
    if (folder / RESULT).exists():
        raise UserError(f"{folder} has a {RESULT}, so that it is not cleared; repeat the command, which keeps it")
    folder.mkdir(parents=True, exist_ok=True)
    for name in {*SEALED, LAST, READOUTS, CODE} - {*keep}:
        for path in (folder / name, *folder.glob(f"{name}.*.{UNFINISHED}")):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _follow(run: PlannedRun, devices: list[int] | int, resume: bool) -> None:
    """What the ranks other than 0 do: train, and write nothing."""
    with quiet():
        fit(run, devices, [], [LastEpoch(run.folder)], resume)


def fit(
    run: PlannedRun, devices: list[int] | int, loggers: list[Any], callbacks: Iterable[Callback], resume: bool
) -> tuple[SpectrogramDataModule, EmotionRecognizer, BestOnDev]:
    """Train; returns the data, the recognizer with the parameters of the best dev UA, and when that was.

    Where no step is made, dev is looked at once, for which the head is fitted.
    """
    config, split, schedule = run.config, run.split, run.schedule
    # By default cuDNN computes what is said to be float32 with ten bits of mantissa.
    torch.backends.cudnn.allow_tf32 = False
    # The order of batches has a source of randomness of its own; this one is the initialisation's.
    seed_everything(_seed(config.seed, split.repeat, split.fold), verbose=False)
    best = BestOnDev(schedule.first_check)
    trains = schedule.max_steps > 0
    trainer = make_trainer(config.trainer, devices, schedule if trains else None, loggers, [best, *callbacks])
    data = fold_data(run, trainer.strategy.root_device)
    recognizer = make_recognizer(run, data, use_bf16(config.trainer.precision, data.device))
    try:
        if trains:
            trainer.fit(recognizer, data, ckpt_path=run.folder / LAST if resume else None, weights_only=True)
        if not trains or trainer.global_step % schedule.check_every:
            # The last steps belong to no full interval, yet may be the best
            trainer.validate(recognizer, data, verbose=False)
    except SystemExit as error:
        # Lightning ends the process at Ctrl-C, with status 1 and not a word.
        raise KeyboardInterrupt if error.code == 1 else error from None
    recognizer.load_state_dict(best.parameters)
    return data, recognizer, best


def fold_data(run: PlannedRun, device: torch.device) -> SpectrogramDataModule:
    """The batches of a run's fold, made on this device."""
    config = run.config
    return SpectrogramDataModule(
        run.manifest, run.store, run.split, config.normalise, config.augment, config.batching, config.seed, device
    )


def make_recognizer(run: PlannedRun, data: SpectrogramDataModule, bf16: bool) -> EmotionRecognizer:
    """A run's recognizer before its training; torch's random state decides its weights."""
    parts = run.config.parts
    settings = {group: parts[group].settings for group in ("features", "normalise")}
    targets = {group: parts[group].target for group in (*settings, "model", "head")}
    table = run.manifest.table
    trained = table["id"].isin(run.split.ids("train"))
    front_end = {
        **settings,
        "targets": targets,
        "signature": run.signature,
        # Of what its settings name, such as a pretrained network's weights, which may be other ones later
        "content": digest(run.config.features.content),
        # Of a training utterance: about what the network is used to
        "typical_seconds": float(table.loc[trained, "seconds"].median()),
        **data.normalisation,
    }
    seed = _seed(run.config.seed, run.split.repeat, run.split.fold, 1)
    return assemble(run.config, data.classes, data.bins, data.class_counts, seed, bf16, front_end)


def _write_best(folder: Path, recognizer: EmotionRecognizer, best: BestOnDev) -> None:
    parameters = {name: tensor.cpu() for name, tensor in best.parameters.items()}
    content = {"state_dict": parameters, "recognizer": recognizer.description, "step": best.step}
    write_checkpoint(content, folder / BEST)


def make_trainer(
    config: TrainerConfig,
    devices: list[int] | int,
    schedule: Schedule | None = None,
    loggers: Sequence[Any] = (),
    callbacks: Iterable[Callback] = (),
) -> Trainer:
    """Lightning's Trainer as runs use it; without a schedule, one that only evaluates."""
    count = devices if isinstance(devices, int) else len(devices)
    # Centres are equal on all ranks by themselves; sharing buffers out would wait for ranks that have no more batches.
    shared = DDPStrategy(broadcast_buffers=False, timeout=timedelta(seconds=PATIENCE))
    return Trainer(
        max_steps=schedule.max_steps if schedule else -1,
        max_epochs=-1,
        val_check_interval=schedule.check_every if schedule else 1,
        check_val_every_n_epoch=None,
        accelerator=config.accelerator,
        devices=devices,
        strategy=shared if count > 1 else "auto",
        # One process by itself also inside a Slurm job, which Lightning would take for its own
        plugins=[LightningEnvironment(), WholeCheckpoints()],
        logger=list(loggers),
        callbacks=list(callbacks),
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def write_predictions(
    folder: Path, trainer: Trainer, recognizer: EmotionRecognizer, data: SpectrogramDataModule
) -> tuple[np.ndarray, np.ndarray]:
    """Write the features of all parts and the logits of dev and test; returns the confusion counts of dev and test."""
    # One call: each would set the trainer up anew
    outputs = trainer.predict(recognizer, [data.evaluation_dataloader(part) for part in PARTS])
    assert outputs is not None
    tables = [_tables(data, part, batches) for part, batches in zip(PARTS, outputs, strict=True)]
    z_tables, logit_tables = zip(*tables, strict=True)
    predictions = pd.concat([table for part, table in zip(PARTS, logit_tables, strict=True) if part != "train"])
    write_whole(folder / FEATURES, pd.concat(z_tables).to_parquet(index=False))
    write_whole(folder / PREDICTIONS, predictions.to_parquet(index=False))
    dev, test = (_confusion(predictions[predictions["part"] == part], data.classes) for part in ("dev", "test"))
    return dev, test


def _tables(data: SpectrogramDataModule, part: str, batches: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A part's features (id, part, label, z_0...) and predictions (id, part, label, logit_<class>...), sorted by id.

    `batches` are what the recognizer predicted: ids, z and logits of each.
    """
    dataset = data.parts[part]
    label_of = {name: data.classes[int(label)] for name, label in zip(dataset.ids, dataset.labels, strict=True)}
    ids = [name for names, _, _ in batches for name in names]
    facts = pd.DataFrame({"id": ids, "part": part, "label": [label_of[name] for name in ids]})
    z = np.concatenate([z for _, z, _ in batches])  # [utterances, 64]
    logits = np.concatenate([one for _, _, one in batches])  # [utterances, classes]
    if wrong := [name for name, *values in zip(ids, z, logits, strict=True) if not all(map(_is_finite, values))]:
        raise UserError(
            f"z or a logit is not a number for {len(wrong)} of {len(ids)} utterances of {part}, such as {wrong[0]}; "
            "see what encoder and head do with it in evaluation, where self.training is False"
        )
    z_table = facts.join(pd.DataFrame(z).add_prefix("z_"))
    logit_table = facts.join(pd.DataFrame(logits, columns=list(data.classes)).add_prefix("logit_"))
    return z_table.sort_values("id"), logit_table.sort_values("id")


def _is_finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all())


def _confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    labels = predictions["label"].map({name: i for i, name in enumerate(classes)}).to_numpy()
    logits = predictions[[f"logit_{name}" for name in classes]].to_numpy()
    return confusion_counts(labels, logits.argmax(axis=1), len(classes))


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _device_name(trainer: Trainer, count: int) -> str:
    times = f"{count} x " if count > 1 else ""
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return times + torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{times}{device.type}, {threads} thread{'s' if threads > 1 else ''}"


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Lightning says about every Trainer; its errors and our own lines remain."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            # The GRU's are put together at every step; cuDNN's copy of them is small
            warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
