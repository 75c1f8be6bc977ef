"""Network, joint loss and optimiser as one LightningModule."""

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from ser_lightning.config import LossConfig, ModelConfig
from ser_lightning.data.batches import Batch
from ser_lightning.losses import JointLoss, LossParts, class_weights
from ser_lightning.metrics import recalls, unweighted_accuracy, weighted_accuracy
from ser_lightning.models import CRNN
from ser_lightning.models.crnn import FEATURES


class EmotionRecognizer(LightningModule):
    """The paper's system: CRNN, weighted softmax + lambda centre loss, Adam with a constant learning rate.

    Logs once per epoch `train/loss`, `train/softmax`, `train/center`, and at every dev evaluation the same of dev,
    `dev/ua`, `dev/wa` and each class's recall.

    Args:
        classes: names of the classes, in the order of logits.
        bins: frequency bins of the spectrograms.
        class_counts: training utterances of each class.
        model: network switches.
        loss: loss settings.
        learning_rate: Adam's step size.
        bf16: run the convolutions in bfloat16.
        front_end: what turns sound into the network's input (plain types and tensors); kept in checkpoints.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        bins: int,
        class_counts: list[int],
        model: ModelConfig,
        loss: LossConfig,
        learning_rate: float,
        bf16: bool = False,
        front_end: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.front_end = front_end or {}
        self.classes, self.learning_rate, self.bf16 = classes, learning_rate, bf16
        self.network = CRNN(bins, len(classes), model.tied, model.reset)
        self.loss = JointLoss(
            len(classes),
            FEATURES,
            loss.lam,
            loss.alpha,
            loss.rule,
            class_weights(class_counts, loss.class_weights),
            loss.warm_up,
        )
        self.dev_confusion = MulticlassConfusionMatrix(len(classes), validate_args=False)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Feature z [B, 64] and logits [B, classes]."""
        with torch.autocast(batch.spectrogram.device.type, torch.bfloat16, enabled=self.bf16):
            z, logits = self.network(batch.spectrogram, batch.lengths)
        return z, logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        z, logits = self(batch)
        parts = self.loss(z, logits, batch.labels)
        self._log_loss("train", parts, len(batch))
        return parts.total

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        z, logits = self(batch)
        self.dev_confusion.update(logits, batch.labels)
        self._log_loss("dev", self.loss(z, logits, batch.labels), len(batch))

    def on_validation_epoch_end(self) -> None:
        confusion = self.dev_confusion.compute().cpu().numpy()
        self.dev_confusion.reset()
        self.log("dev/ua", unweighted_accuracy(confusion))
        self.log("dev/wa", weighted_accuracy(confusion))
        for name, recall in zip(self.classes, recalls(confusion), strict=True):
            self.log(f"dev/recall_{name}", float(recall))

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> tuple[tuple[str, ...], Any, Any]:
        """Ids, features z [B, 64] and logits [B, classes] as NumPy arrays."""
        z, logits = self(batch)
        return batch.ids, _numpy(z), _numpy(logits)

    @property
    def description(self) -> dict[str, Any]:
        """What a checkpoint says of itself, in plain types and tensors: class order, package version, front end."""
        return {"classes": list(self.classes), "package": version("ser-lightning"), **self.front_end}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["recognizer"] = self.description

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)

    def _log_loss(self, part: str, parts: LossParts, size: int) -> None:
        values = {f"{part}/loss": parts.total, f"{part}/softmax": parts.softmax, f"{part}/center": parts.center}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=size)


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
