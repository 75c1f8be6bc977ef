"""Checkpoints: whole files of tensors and plain types, and what a run keeps to go on after an interruption."""

import csv
import io
import logging
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO

from ser_lightning.errors import UserError
from ser_lightning.files import write_whole
from ser_lightning.runs.code import code_digest

BEST, LAST, METRICS, CODE = "best.ckpt", "last.ckpt", "metrics.csv", "code"

log = logging.getLogger(__name__)


def write_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write tensors and plain types, whole or not at all."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU, by `torch.load(weights_only=True)`.

    Raises `UserError` where the file is missing, truncated, or no checkpoint of this project.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except Exception as error:  # torch has no type of its own for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} is truncated, damaged, or no checkpoint ({reason})") from error
    if not isinstance(content, dict) or not {"state_dict", "recognizer"} <= content.keys():
        raise UserError(f"{path} is not a checkpoint of ser_lightning: it has no recognizer")
    return content


def resumable(folder: Path, signature: str) -> dict[str, Any] | None:
    """The checkpoint that a run can go on from; None where there is none.

    With a warning also None where it is damaged, or of other code than the present: no run is of two codes.
    """
    path = folder / LAST
    if not path.exists():
        return None
    try:
        content = read_checkpoint(path)
        if content["recognizer"].get("signature") != signature:
            raise UserError(f"{path} is of another run")
        if content.get(CODE) != code_digest():
            raise UserError(f"{path} is of other code than the present")
    except UserError as error:
        log.warning("%s; the run starts again", error)
        return None
    return content


def logged_rows(checkpoint: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The rows of metrics.csv as it was when the checkpoint was written."""
    if checkpoint is None:
        return []
    table = csv.DictReader(io.StringIO(checkpoint[METRICS]))
    return [{name: value for name, value in row.items() if value} for row in table]


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, written whole or not at all."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_checkpoint(checkpoint, Path(path))


class LastEpoch(Callback):
    """Keeps all that a run needs to go on as if never interrupted, as it was after the last whole epoch.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.seconds, self.saved_at = folder, 0.0, 0
        self.started = time.perf_counter()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Lightning takes every checkpoint of a training by steps for one from the midst of an epoch, and would skip
        # the batches that the epoch before it had.
        trainer.fit_loop.epoch_loop.restarting = False
        self.saved_at = trainer.global_step

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Only here, not at an epoch's end, have all of the last epoch's values been logged.
        if trainer.global_step > self.saved_at:
            for logger in trainer.loggers:
                logger.save()
            trainer.save_checkpoint(self.folder / LAST)
            self.saved_at = trainer.global_step

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.is_global_zero:
            checkpoint[METRICS] = (self.folder / METRICS).read_text()
            checkpoint[CODE] = code_digest()

    def elapsed(self) -> float:
        """Seconds of training, those before an interruption included."""
        return self.seconds + time.perf_counter() - self.started

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.elapsed()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds = state_dict["seconds"]
