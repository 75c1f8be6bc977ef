"""The LightningDataModule: padded, normalised spectrogram batches of one fold."""

import numpy as np
import pandas as pd
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from ser_lightning.config import AugmentConfig, BatchingConfig, NormaliseConfig
from ser_lightning.corpora import Manifest
from ser_lightning.data.augment import Checked
from ser_lightning.data.batches import CPU, Batch, EpochBatches, Share, UtteranceDataset, evaluation_batches
from ser_lightning.data.normalise import normalise
from ser_lightning.data.protocols import PARTS
from ser_lightning.data.splits import Split
from ser_lightning.features import FeatureStore

# Of no effect on any number: an utterance's output does not depend on its batch.
EVALUATION_SIZE = 32


class SpectrogramDataModule(LightningDataModule):
    """Train, dev and test batches of one split, normalised by its training part.

    Args:
        manifest: the corpus's utterances.
        store: their frames.
        split: who trains, who tests.
        normalisation: what is taken away from each utterance's frames before that.
        augmentation: what training utterances are changed into.
        batching: size and order of training batches.
        seed: of the order of training batches, with the split's repeat and fold, and of what augmentation draws.
        device: where batches are made.
    """

    def __init__(
        self,
        manifest: Manifest,
        store: FeatureStore,
        split: Split,
        normalisation: NormaliseConfig,
        augmentation: AugmentConfig,
        batching: BatchingConfig,
        seed: int,
        device: torch.device = CPU,
    ) -> None:
        super().__init__()
        self.split, self.batching, self.seed, self.device = split, batching, seed, device
        self.classes, self.bins = manifest.classes, store.bins
        table = manifest.table
        statistics = store.statistics([store.rows[name] for name in table["id"]])
        train = table["id"].isin(split.ids("train")).to_numpy()
        self.normalised = normalise(normalisation, statistics, table["speaker"].to_numpy(dtype=str), train)
        codes = pd.DataFrame(
            {
                "label": pd.Index(manifest.classes).get_indexer(pd.Index(manifest.table["label"])),
                # "", an unknown speaker, is none of the categories: -1
                "speaker": pd.Categorical(manifest.table["speaker"].replace("", None)).codes.astype(np.int64),
            },
            index=manifest.table["id"],
        ).assign(row=range(len(table)))
        changer = Checked(augmentation)
        self.augmentation = changer if changer.changes else None
        self.parts = {part: self._dataset(codes.loc[split.ids(part)], store) for part in PARTS}

    def _dataset(self, codes: pd.DataFrame, store: FeatureStore) -> UtteranceDataset:
        """The utterances that index `codes`, which has their labels and speakers as numbers, and their rows."""
        labels, speakers = codes["label"].tolist(), codes["speaker"].tolist()
        rows = codes["row"].to_numpy()
        mean, deviation = self.normalised.of(rows)
        return UtteranceDataset(
            store,
            codes.index.tolist(),
            labels,
            speakers,
            mean,
            deviation,
            device=self.device,
            augmentation=self.augmentation,
            own=self.normalised.own(rows) if self.augmentation else None,
            seed=self.seed,
        )

    @property
    def normalisation(self) -> dict[str, torch.Tensor]:
        """Mean and deviation [bins] of the training part, of what is left of its frames."""
        tensors = {"mean": self.normalised.mean, "deviation": self.normalised.deviation}
        return {name: torch.from_numpy(values) for name, values in tensors.items()}

    @property
    def class_counts(self) -> list[int]:
        """Training utterances of each class."""
        return np.bincount(self.parts["train"].labels, minlength=len(self.classes)).tolist()

    def train_dataloader(self) -> DataLoader[Batch]:
        batches = EpochBatches(
            self.parts["train"].lengths,
            self.batching.size,
            self.batching.order,
            self.batching.pool,
            key=(self.seed, self.split.repeat, self.split.fold),
            epoch=self._epoch,
            **self._rank,
        )
        return DataLoader(self.parts["train"], sampler=batches, batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self.evaluation_dataloader("dev", **self._rank)

    def evaluation_dataloader(self, part: str, rank: int = 0, ranks: int = 1) -> DataLoader[Batch]:
        """All utterances of a part ("train", "dev", "test") once, in order of length; or a rank's share of them."""
        batches = evaluation_batches(self.parts[part].lengths, EVALUATION_SIZE, rank, ranks)
        shares = [Share(batch.tolist(), len(batch)) for batch in batches]
        return DataLoader(self.parts[part], sampler=shares, batch_size=None)

    def _epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    @property
    def _rank(self) -> dict[str, int]:
        """Which of how many processes this one is in the training that it takes part in."""
        return {"rank": self.trainer.global_rank, "ranks": self.trainer.world_size} if self.trainer else {}
