"""Network, joint loss and optimiser as one LightningModule."""

from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from ser_lightning import __version__
from ser_lightning.config import LossConfig, ModelConfig
from ser_lightning.data.batches import Batch
from ser_lightning.losses import JointLoss, class_weights
from ser_lightning.losses.diagnostics import (
    CenterGradientShare,
    MeanLosses,
    SummedClasses,
    center_drift,
    class_distances,
    softmax_gradients,
)
from ser_lightning.metrics import recalls, unweighted_accuracy, weighted_accuracy
from ser_lightning.models import CRNN
from ser_lightning.models.crnn import FEATURES


class EmotionRecognizer(LightningModule):
    """The paper's system: CRNN, weighted softmax + lambda centre loss, Adam with a constant learning rate.

    Logs once per epoch `train/loss`, `train/softmax`, `train/center`, the learning rate, how far the centres moved and
    what share of the gradient at z is the centre loss's; at every dev evaluation the losses of dev, `dev/ua`, `dev/wa`,
    each class's recall, and the distances of z within and between classes. See `losses.diagnostics`, on which no
    trained number depends.

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
        self.dev_features = SummedClasses(len(classes), FEATURES)
        self.train_losses, self.dev_losses = MeanLosses(), MeanLosses()
        self.gradient_share = CenterGradientShare()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Feature z [B, 64] and logits [B, classes]."""
        with torch.autocast(batch.spectrogram.device.type, torch.bfloat16, enabled=self.bf16):
            z, logits = self.network(batch.spectrogram, batch.lengths)
        return z, logits

    def on_train_epoch_start(self) -> None:
        self._centers_at_start = self.loss.center.centers.clone()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        z, logits = (output[: len(batch)] for output in self(batch))
        # Before the loss, which moves the centres.
        self._sum_gradients(z, logits, batch.labels)
        parts = self.loss(z, logits, batch.labels)
        self.train_losses.update(parts, batch.whole)
        return parts.total

    def on_train_epoch_end(self) -> None:
        self._log_losses("train", self.train_losses)
        self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        self.log("train/center_drift", center_drift(self._centers_at_start, self.loss.center.centers))
        self.log("train/center_gradient", self.gradient_share.compute() if self.loss.lam else 0.0)
        self.gradient_share.reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        z, logits = self(batch)
        self.dev_confusion.update(logits, batch.labels)
        self.dev_features.update(z - self.loss.center.centers[batch.labels], batch.labels)
        self.dev_losses.update(self.loss(z, logits, batch.labels), len(batch))

    def on_validation_epoch_end(self) -> None:
        self._log_losses("dev", self.dev_losses)
        confusion = self.dev_confusion.compute().cpu().numpy()
        self.dev_confusion.reset()
        self.log("dev/ua", unweighted_accuracy(confusion))
        self.log("dev/wa", weighted_accuracy(confusion))
        for name, recall in zip(self.classes, recalls(confusion), strict=True):
            self.log(f"dev/recall_{name}", float(recall))
        within, between = class_distances(self.dev_features.compute(), self.loss.center.centers)
        self.dev_features.reset()
        self.log("dev/within_classes", within)
        self.log("dev/between_classes", between)

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> tuple[tuple[str, ...], Any, Any]:
        """Ids, features z [B, 64] and logits [B, classes] as NumPy arrays."""
        z, logits = self(batch)
        return batch.ids, _numpy(z), _numpy(logits)

    @property
    def description(self) -> dict[str, Any]:
        """What a checkpoint says of itself, in plain types and tensors: class order, package version, front end."""
        return {"classes": list(self.classes), "package": __version__, **self.front_end}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["recognizer"] = self.description

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate, fused=True)

    @torch.no_grad()
    def _sum_gradients(self, z: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch to the centre loss's share of the gradient at z; with lambda 0 it has none."""
        loss = self.loss
        if loss.lam == 0:
            return
        lam = loss.lam * (loss.steps >= loss.warm_up)
        softmax = softmax_gradients(logits, labels, self.network.fc2.weight)
        center = 2 * lam * (z - loss.center.centers[labels])
        self.gradient_share.update(softmax, center, None if loss.weights is None else loss.weights[labels])

    def _log_losses(self, part: str, losses: MeanLosses) -> None:
        for name, value in losses.compute()._asdict().items():
            self.log(f"{part}/{'loss' if name == 'total' else name}", value)
        losses.reset()


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
