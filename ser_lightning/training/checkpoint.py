"""Checkpoints: whole files of tensors and plain types, and what a run keeps to go on after an interruption."""

import csv
import io
import logging
import os
import time
from itertools import count
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO

from ser_lightning.errors import UserError
from ser_lightning.files import read_bytes, write_whole
from ser_lightning.runs.code import code_digest
from ser_lightning.runs.ledger import LAST, METRICS
from ser_lightning.runs.seal import check_archive, seal_archive

CODE = "code"

log = logging.getLogger(__name__)


class DamagedCheckpointError(UserError):
    """A file is not a checkpoint, or not as it was written."""


def write_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write tensors and plain types, whole or not at all, with a seal in the archive's comment."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, seal_archive(buffer.getvalue()))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU, by `torch.load(weights_only=True)`.

    Raises `DamagedCheckpointError` where the file is truncated, altered, or no checkpoint of this project, and another
    `UserError` where it is missing or cannot be read.
    """
    try:
        raw = read_bytes(path)
        check_archive(raw)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); mend that and repeat the command") from error
    except ValueError as error:
        raise DamagedCheckpointError(f"{path} is truncated, damaged, or no checkpoint ({error})") from error
    try:
        content = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no type of its own for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedCheckpointError(f"{path} is truncated, damaged, or no checkpoint ({reason})") from error
    if not isinstance(content, dict) or not {"state_dict", "recognizer"} <= content.keys():
        raise DamagedCheckpointError(f"{path} is not a checkpoint of ser_lightning: it has no recognizer")
    return content


def resumable(folder: Path, signature: str) -> dict[str, Any] | None:
    """The checkpoint that a run can go on from; None where there is none.

    With a warning also None where it is damaged or another run's, and is then set aside under another name, or of
    other code than the present: no run is of two codes. Raises `UserError` where it cannot be read at the moment.
    """
    path = folder / LAST
    if not os.path.lexists(path):
        return None
    try:
        content = read_checkpoint(path)
        if content["recognizer"].get("signature") != signature:
            raise DamagedCheckpointError(f"{path} is of another run")
    except DamagedCheckpointError as error:
        places = (path.with_name(f"{LAST}.damaged-{number}") for number in count())
        place = path.rename(next(place for place in places if not os.path.lexists(place)))
        log.warning("%s; it is now %s, and the run starts again", error, place.name)
        return None
    if content.get(CODE) != code_digest():
        log.warning("%s is of other code than the present; the run starts again", path)
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
