"""Which utterances share a batch, and what a batch is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler

from ser_lightning.data.augment import Checked, mix, mixed_in, utterance_rng
from ser_lightning.features import FeatureStore

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Batch:
    """Padded spectrograms of some utterances, longest first but for what augmentation does to their lengths.

    Attributes:
        spectrogram: [B, T, bins] float32, normalised; zero, the mean, behind an utterance's end.
        lengths: [B] int64, valid frames; stays on the CPU, where the network needs it.
        labels: [B] int64, class indices.
        speakers: [B] int64, a number for each speaker of the corpus; -1 where unknown.
        ids: names of the utterances.
        whole: utterances of the whole batch, of which other ranks may have some.
        mixed: what augmentation mixed into the utterances: class indices [B] int64, and how much of each utterance is
            that, [B] float32, a half at most; None without mixup.

    A rank for which nothing is left of a batch gets an utterance to compute on, but no labels and no ids.
    """

    spectrogram: Tensor
    lengths: Tensor
    labels: Tensor
    speakers: Tensor
    ids: tuple[str, ...]
    whole: int
    mixed: tuple[Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device, its lengths still on the CPU."""
        tensors = {name: getattr(self, name).to(device) for name in ("spectrogram", "labels", "speakers")}
        mixed = self.mixed and (self.mixed[0].to(device), self.mixed[1].to(device))
        return replace(self, **tensors, mixed=mixed)


def epoch_batches(lengths: np.ndarray, size: int, order: str, pool: int, rng: np.random.Generator) -> list[np.ndarray]:
    """An epoch's batches of positions in `lengths` [utterances], every position once.

    "sorted": shuffle, cut into pools of `pool` batches, sort each pool by length, cut into batches, shuffle the
    batches. A pool is at most half of the epoch: were it all of a small corpus, each epoch would have the same
    batches. "random": shuffle and cut. Inside a batch the longest comes first.
    """
    shuffled = rng.permutation(len(lengths))
    if order == "random":
        batches = _cut(shuffled, size)
    else:
        pool = max(1, min(pool, len(lengths) // size // 2))
        pools = [_by_length(one, lengths) for one in _cut(shuffled, size * pool)]
        batches = [batch for one in pools for batch in _cut(one, size)]
        batches = [batches[i] for i in rng.permutation(len(batches))]
    return [_by_length(batch, lengths) for batch in batches]


def evaluation_batches(lengths: np.ndarray, size: int, rank: int = 0, ranks: int = 1) -> list[np.ndarray]:
    """Batches of positions for evaluation, in order of length, longest first: all ranks together have each once."""
    return _cut(_by_length(np.arange(len(lengths)), lengths)[rank::ranks], size)


def _cut(positions: np.ndarray, size: int) -> list[np.ndarray]:
    return [positions[start : start + size] for start in range(0, len(positions), size)]


def _by_length(positions: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return positions[np.argsort(-lengths[positions], kind="stable")]


class Share(NamedTuple):
    """A rank's positions of a batch of `whole` utterances, in an epoch of training; None in evaluation."""

    positions: list[int]
    whole: int
    epoch: int | None = None


class EpochBatches(Sampler[Share]):
    """Training batches; their order depends on (seed, repeat, fold, epoch) and nothing else.

    Args:
        lengths: frames of each training utterance [utterances].
        size, order, pool: see `epoch_batches`.
        key: (seed, repeat, fold).
        epoch: called at the start of every pass.
        rank: which share of every batch, of `ranks` as equal as can be.
        ranks: how many processes share the batches.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        size: int,
        order: str,
        pool: int,
        key: Sequence[int],
        epoch: Callable[[], int],
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.lengths, self.size, self.order, self.pool = lengths, size, order, pool
        self.key, self.epoch = tuple(key), epoch
        self.rank, self.ranks = rank, ranks

    def __iter__(self) -> Iterator[Share]:
        epoch = self.epoch()
        rng = np.random.default_rng([*self.key, epoch])
        for batch in epoch_batches(self.lengths, self.size, self.order, self.pool, rng):
            # Every ranks-th, so that shares are of like length as the batch is
            yield Share(batch[self.rank :: self.ranks].tolist(), len(batch), epoch)

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.size)


class UtteranceDataset(Dataset[Batch]):
    """Utterances of one part; an item is a whole `Batch`, asked for by a `Share` of positions.

    Batches are made on the device that has the frames, without a loop over utterances.

    Args:
        store: the corpus's frames.
        ids: the part's utterances.
        labels: class index of each.
        speakers: number of the speaker of each, -1 where unknown.
        mean: [bins], or [utterances, bins], what is taken away from frames; see `normalise`.
        deviation: the same, by which they are then divided.
        device: where batches are wanted; frames that do not fit there are read from the disk.
        augmentation: what utterances are changed into in an epoch of training; None: nothing.
        own: shift and scale [utterances, bins] each, the part of that which is an utterance's own; it is taken away
            before the augmentation, so that none of it is left in what that makes; None: nothing is.
        seed: of what it draws.
    """

    def __init__(
        self,
        store: FeatureStore,
        ids: Sequence[str],
        labels: Sequence[int],
        speakers: Sequence[int],
        mean: np.ndarray,
        deviation: np.ndarray,
        device: torch.device = CPU,
        augmentation: Checked | None = None,
        own: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> None:
        self.augmentation, self.seed = augmentation, seed
        self.store, self.ids = store, tuple(ids)
        self.rows = np.array([store.rows[name] for name in ids], dtype=np.int64)
        self.lengths = store.lengths[self.rows]
        self.frames = store.on(device)  # [total frames, bins]
        self._labels, self._speakers, self._lengths, self._starts, self._mean, self._deviation = (
            torch.as_tensor(np.asarray(values), device=self.frames.device)
            for values in (labels, speakers, self.lengths, store.offsets[self.rows], mean, deviation)
        )
        self._own = own and tuple(torch.from_numpy(values).to(self.frames.device) for values in own)

    @property
    def labels(self) -> np.ndarray:
        """Class index of each utterance [utterances]."""
        return self._labels.cpu().numpy()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, share: Share) -> Batch:
        positions, whole, epoch = share
        shown, mixed = positions or [0], None
        chosen = torch.tensor(shown).to(self.frames.device, non_blocking=True)
        if self.augmentation is None or epoch is None:
            lengths = torch.from_numpy(self.lengths[shown])
            spectrogram = self._padded(chosen, int(lengths.max()))
        else:
            spectrograms = [self._augmented(position, epoch, self.augmentation) for position in shown]
            if self.augmentation.mixup:
                spectrograms, mixed = self._mixed(spectrograms, positions, epoch, self.augmentation)
            lengths = torch.tensor([len(one) for one in spectrograms])
            spectrogram = nn.utils.rnn.pad_sequence(spectrograms, batch_first=True)
        return Batch(
            spectrogram,
            lengths,
            self._labels[chosen[: len(positions)]],
            self._speakers[chosen[: len(positions)]],
            tuple(self.ids[position] for position in positions),
            whole,
            mixed,
        )

    def _mixed(
        self, spectrograms: list[Tensor], positions: list[int], epoch: int, augmentation: Checked
    ) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
        """Spectrograms mixed with another utterance's each, and the others' class indices and shares [positions]."""
        others, shares = [], []
        for place, position in enumerate(positions):
            # A source of its own, whatever an augmentation draws
            (rng,) = utterance_rng(self.seed, epoch, self.ids[position]).spawn(1)
            others.append(int(rng.integers(len(self))))
            shares.append(mixed_in(augmentation.mixup, rng))
            other = self._augmented(others[-1], epoch, augmentation)
            spectrograms[place] = mix(spectrograms[place], other, shares[-1], rng)
        device = self.frames.device
        labels = self._labels[torch.tensor(others, dtype=torch.int64, device=device)]
        return spectrograms, (labels, torch.tensor(shares, dtype=torch.float32, device=device))

    def _augmented(self, position: int, epoch: int, augmentation: Checked) -> Tensor:
        """The normalised spectrogram [frames, bins] of what an utterance is changed into in an epoch."""
        start, length = int(self.store.offsets[self.rows[position]]), int(self.lengths[position])
        # A copy: the store's own frames are read by all epochs, and cannot be written to
        frames = self.frames[start : start + length].to(torch.float32, copy=True)
        mean, deviation = self._moments(position)
        if self._own is not None:
            shift, scale = (values[position] for values in self._own)
            frames, mean, deviation = (frames - shift) / scale, (mean - shift) / scale, deviation / scale
        changed = augmentation(frames, mean, utterance_rng(self.seed, epoch, self.ids[position]))
        # A network may need as many as the shortest has
        return ((changed if len(changed) >= self.lengths.min() else frames) - mean) / deviation

    def _moments(self, chosen: Any) -> tuple[Tensor, Tensor]:
        """Mean and deviation, those of all utterances [bins] or at these places of [utterances, bins]."""
        mean, deviation = (values if values.ndim == 1 else values[chosen] for values in (self._mean, self._deviation))
        return mean, deviation

    def _padded(self, chosen: Tensor, longest: int) -> Tensor:
        """The normalised spectrograms [B, longest, bins] of the utterances at these positions [B]."""
        time = torch.arange(longest, device=chosen.device)
        behind = time >= self._lengths[chosen, None]  # [B, longest]
        rows = (self._starts[chosen, None] + time).masked_fill_(behind, 0)  # [B, longest]
        # In float32, whatever is stored
        padded = self.frames.index_select(0, rows.flatten()).float()  # [B * longest, bins]
        mean, deviation = self._moments((chosen, None))
        padded = padded.view(*rows.shape, -1).sub_(mean).div_(deviation)  # [B, longest, bins]
        # not masked_fill_, which takes five times as long on a CPU
        return padded.mul_(~behind[:, :, None])
