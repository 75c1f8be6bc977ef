"""Encoder, head, joint loss and optimiser as one LightningModule."""

import inspect
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor, distributed, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from ser_lightning import __version__
from ser_lightning.data.batches import Batch
from ser_lightning.losses import JointLoss, LossParts
from ser_lightning.losses.diagnostics import ClassDistances, GradientShare, MeanLosses
from ser_lightning.metrics import recalls, scores


def fit_head(head: nn.Module, features: Callable[[str], tuple[Tensor, Tensor]]) -> None:
    """Fit a head with `fit` to z and labels of "train", which `features` returns, and of "dev" if it asks for it."""
    fit = getattr(head, "fit", None)
    if fit is not None:
        chooses = "dev" in inspect.signature(fit).parameters
        fit(*features("train"), **({"dev": features("dev")} if chooses else {}))


class EmotionRecognizer(LightningModule):
    """An encoder, a head, and the joint loss that trains them; whichever these are.

    Logs once per epoch `train/loss`, `train/softmax`, `train/term`, the learning rate, what share of the gradient at z
    is the term's, and whatever scalars the loss tells of itself; at every dev evaluation the losses of dev, all metrics
    (`dev/ua`, ...), each class's recall, and the distances of z within and between classes. See `losses.diagnostics`,
    on which no trained number depends.

    Where several devices share a training, each has its share of a batch; their features are gathered, with a gradient,
    and every device computes logits and loss of the whole batch, so that a head or loss need not know of it.

    What parts draw in a training step from the generators of torch, NumPy and Python is a function of the seed and the
    step, so that it is the same after an interruption, and however often dev is looked at. A head and a loss draw the
    same on all devices, an encoder on each its own.

    Args:
        classes: names of the classes, in the order of logits.
        encoder: frames [B, T, bins] and lengths [B] to z [B, features].
        head: z to logits [B, classes].
        loss: the joint loss.
        optimizer: makes the optimiser of the parameters it is called with.
        bf16: run the encoder under bfloat16 autocast.
        front_end: what turns sound into the encoder's input (plain types and tensors); kept in checkpoints.
        seed: of what is drawn in training.
    """

    def __init__(
        self,
        classes: Sequence[str],
        encoder: nn.Module,
        head: nn.Module,
        loss: JointLoss,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        bf16: bool = False,
        front_end: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.front_end, self.seed = front_end or {}, seed
        self.classes, self.bf16, self.make_optimizer = tuple(classes), bf16, optimizer
        self.encoder, self.head, self.loss = encoder, head, loss
        self.dev_confusion = MulticlassConfusionMatrix(len(classes), validate_args=False)
        self.dev_distances = ClassDistances(len(classes))
        self.train_losses, self.dev_losses = MeanLosses(), MeanLosses()
        self.gradient_share = GradientShare()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Feature z [B, features] and logits [B, classes], float32."""
        z = self._encode(batch)
        return z, self.head(z)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self._seed_step(1 + self.global_rank)
        shares = (self._encode(batch)[: len(batch)], batch.labels, batch.speakers)
        z, labels, speakers = (gather(share, batch.whole) for share in shares)
        mixed = batch.mixed and (gather(batch.mixed[0], batch.whole), gather(batch.mixed[1], batch.whole))
        self._seed_step(0)
        parts = self.loss(z, self.head(z), labels, speakers, mixed)
        self.gradient_share.update(z, parts, self.loss.lam, self.loss.softmax)
        self.train_losses.update(parts, batch.whole)
        return parts.total

    def on_train_epoch_end(self) -> None:
        self._log_losses("train", self.train_losses)
        self.log("train/lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        self.log("train/term_gradient", self.gradient_share.compute())
        self.gradient_share.reset()
        for name, value in self.loss.tell().items():
            if value.numel() == 1:
                self.log(f"train/{name}", value)

    def on_validation_epoch_start(self) -> None:
        fit_head(self.head, self._features)

    def _features(self, part: str) -> tuple[Tensor, Tensor]:
        """z [utterances, features] and labels [utterances] of a part; each rank has all, so that heads are equal."""
        batches = self.trainer.datamodule.evaluation_dataloader(part)  # type: ignore[attr-defined]
        pairs = [(self._encode(one), one.labels) for one in (batch.to(self.device) for batch in batches)]
        z, labels = (torch.cat(several) for several in zip(*pairs, strict=True))
        return z, labels

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        z, logits = self(batch)
        self.dev_confusion.update(logits, batch.labels)
        self.dev_distances.update(z, batch.labels)
        self.dev_losses.update(self.loss(z, logits, batch.labels, batch.speakers), len(batch))

    def on_validation_epoch_end(self) -> None:
        self._log_losses("dev", self.dev_losses)
        confusion = self.dev_confusion.compute().cpu().numpy()
        self.dev_confusion.reset()
        for name, score in scores(confusion).items():
            self.log(f"dev/{name}", score)
        for name, recall in zip(self.classes, recalls(confusion), strict=True):
            self.log(f"dev/recall_{name}", float(recall))
        within, between = self.dev_distances.compute()
        self.dev_distances.reset()
        self.log("dev/within_classes", within)
        self.log("dev/between_classes", between)

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> tuple[tuple[str, ...], Any, Any]:
        """Ids, features z [B, features] and logits [B, classes] as NumPy arrays."""
        z, logits = self(batch)
        return batch.ids, _numpy(z), _numpy(logits)

    @property
    def description(self) -> dict[str, Any]:
        """What a checkpoint says of itself, in plain types and tensors: class order, package version, front end."""
        return {"classes": list(self.classes), "package": __version__, **self.front_end}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["recognizer"] = self.description

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.make_optimizer(self.parameters())

    def _seed_step(self, place: int) -> None:
        seed = int(np.random.SeedSequence((self.seed, self.global_step, place)).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        # not torch.manual_seed, which takes a hundred times as long
        torch.default_generator.manual_seed(seed)
        if self.device.type != "cpu":
            getattr(torch, self.device.type).manual_seed(seed)

    def _encode(self, batch: Batch) -> Tensor:
        with torch.autocast(batch.spectrogram.device.type, torch.bfloat16, enabled=self.bf16):
            z: Tensor = self.encoder(batch.spectrogram, batch.lengths)
        return z.float()

    def _log_losses(self, part: str, losses: MeanLosses) -> None:
        means: LossParts = losses.compute()
        for name, value in means._asdict().items():
            self.log(f"{part}/{'loss' if name == 'total' else name}", value)
        losses.reset()


def gather(share: Tensor, whole: int) -> Tensor:
    """The whole batch [whole, ...] of which each process (rank) of a training has a share [B, ...], B perhaps 0.

    Rank r of R has the r-th, (r + R)-th, (r + 2 R)-th of it. The result is in the order of the batch, with a gradient
    to every rank's share, so that DDP's gradients, which are means over ranks of those of one and the same loss, are
    the gradients of a single process. Without other ranks it is the share itself.
    """
    if not distributed.is_available() or not distributed.is_initialized():
        return share
    # Shares differ by one at most; those that are gathered must be alike
    missing = -(-whole // distributed.get_world_size()) - len(share)
    padded = torch.cat([share, share.new_zeros(missing, *share.shape[1:])])
    shares: Tensor = _Gather.apply(padded)
    return shares.transpose(0, 1).flatten(0, 1)[:whole]  # [ranks, B, ...] -> [B * ranks, ...] -> [whole, ...]


class _Gather(torch.autograd.Function):
    """The tensors of all ranks, [ranks, ...]; the gradient of each is the sum of those that the ranks have for it."""

    @staticmethod
    def forward(context: Any, share: Tensor) -> Tensor:
        shares = [torch.empty_like(share) for _ in range(distributed.get_world_size())]
        distributed.all_gather(shares, share)
        return torch.stack(shares)

    @staticmethod
    def backward(context: Any, gradients: Tensor) -> Tensor:
        total = gradients.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[distributed.get_rank()]


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
