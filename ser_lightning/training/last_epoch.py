"""What a run keeps to go on after an interruption, as Lightning has it written."""

import time
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO

from ser_lightning.runs.code import code_digest
from ser_lightning.runs.ledger import LAST, METRICS
from ser_lightning.training.checkpoint import CODE, write_checkpoint


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
