"""Augmentation: training utterances as they might have been said otherwise, drawn anew in every epoch."""

import math
import zlib
from typing import Annotated, Protocol

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.components import blamed
from ser_lightning.config import AugmentConfig
from ser_lightning.errors import UserError

# Masks of each kind
MASKS = 2
# Where the vocal-tract warp bends back, as a share of the bins: 4.8 of 8 kHz in the original
BEND = 0.6


class Augmentation(Protocol):
    """What an utterance of the training part is changed into; dev and test never are.

    What `normalise=` takes away from it is gone by then, its own mean for instance, and the training part's mean and
    deviation follow.

    It may have `mixup`, a number: alpha, with which utterances are then mixed with others, see `Distortion`. One that
    does nothing to an utterance of a single row, as functionals are, says `needs_frames = True`, and one that is
    meaningless where a frame is a stretch of the sound itself `needs_spectra = True`.

    Attributes:
        changes: optional; False where it changes nothing.
    """

    def __call__(self, frames: Tensor, mean: Tensor, rng: np.random.Generator) -> Tensor:
        """Other frames [T', bins], float32, for frames [T, bins] of an utterance.

        Fewer frames than the shortest training utterance has are not taken, and it stays as it was.

        Args:
            frames: on any device; a copy, which may be written to.
            mean: [bins] what becomes 0 in the end.
            rng: all that is drawn is drawn from it; it is a function of seed, epoch and utterance.
        """
        ...


class Checked:
    """The augmentation of a configuration; what a user's own gets wrong is named.

    Raises `UserError` for a `mixup` that is no number from 0 on, and, when called, for what is no finite tensor
    [frames, bins], or an exception of a user's own.
    """

    def __init__(self, part: AugmentConfig) -> None:
        self.part = part
        self.augmentation: Augmentation = part.make()
        with blamed(part):
            self.changes = getattr(self.augmentation, "changes", True)
            self.mixup = getattr(self.augmentation, "mixup", 0.0)
        if not isinstance(self.mixup, int | float) or not 0 <= self.mixup < math.inf:
            raise UserError(f"{part.place}: its `mixup`, alpha, should be a number from 0 on; it is {self.mixup}")

    def __call__(self, frames: Tensor, mean: Tensor, rng: np.random.Generator) -> Tensor:
        """What the augmentation makes of frames [T, bins]."""
        with blamed(self.part):
            changed = self.augmentation(frames, mean, rng)
        bins = frames.shape[1]
        if not isinstance(changed, Tensor) or changed.ndim != 2 or changed.shape[1] != bins or not len(changed):
            shape = list(getattr(changed, "shape", [])) or type(changed).__name__
            raise UserError(
                f"{self.part.place}: it makes {shape} of frames [{len(frames)}, {bins}]; expected [any, {bins}]"
            )
        if not changed.isfinite().all():
            raise UserError(f"{self.part.place}: it makes values that are not finite")
        return changed.float()


class Distortion:
    """Speed, vocal tract, masks and another utterance, each by its own draw; 0 leaves that out.

    With mixup (Zhang et al. 2018, arXiv 1710.09412) an utterance a and a drawn one b of the training part, of any
    class, both normalised and distorted as they are in this epoch, become one of both classes:

        x = (1 - m) x_a + m x_b,  1 - m = max(l, 1 - l),  l ~ Beta(alpha, alpha)

    so that a, whose length x has, is at least half of it; of pairs that are drawn in either order the loss's expected
    value is that of the original, but for lengths. Frames are mixed as they are: of a spectrogram in dB the decibels,
    not the sound. What becomes of the labels says `JointLoss`.

    Args:
        speed: an utterance takes 1/a of its time, a between 1 - speed and 1 + speed, at the same pitch: frames between
            frames are interpolated, since the sound itself is no longer there.
        warp: VTLP, Jaitly and Hinton 2013: bin b of the result is bin b/a of the utterance, a between 1 - warp and
            1 + warp, from 60 % of the bins on bent so that the last stays the last. In the original the axis is in Hz,
            here it is whatever the bins are; those of pretrained networks and of functionals are in no order.
        time: SpecAugment, Park et al. 2019: two masks over at most this share of the frames each, filled with the mean.
        frequency: the same over bins.
        mixup: alpha; of 0.2 a third of the utterances are more than a tenth another, of 1 four fifths.
    """

    def __init__(
        self,
        *,
        speed: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        warp: Annotated[float, Field(ge=0, le=0.4)] = 0.0,
        time: Annotated[float, Field(ge=0, le=1)] = 0.0,
        frequency: Annotated[float, Field(ge=0, le=1)] = 0.0,
        mixup: Annotated[float, Field(ge=0)] = 0.0,
    ) -> None:
        self.speed, self.warp, self.time, self.frequency, self.mixup = speed, warp, time, frequency, mixup
        self.changes = any((speed, warp, time, frequency, mixup))
        self.needs_frames, self.needs_spectra = bool(speed or time), bool(speed or warp or frequency)

    def __call__(self, frames: Tensor, mean: Tensor, rng: np.random.Generator) -> Tensor:
        """The frames [T', bins] of one drawn distortion of frames [T, bins]."""
        # All four are drawn, so that one is the same with and without the others
        speed, warp = rng.uniform(-1, 1, 2)
        places = rng.uniform(size=(2, MASKS, 2))
        frames = resample(frames, 1 + self.speed * speed) if self.speed else frames
        frames = warp_bins(frames, 1 + self.warp * warp) if self.warp else frames
        if self.time or self.frequency:
            masked = [
                mask(size, share, draws)
                for size, share, draws in zip(frames.shape, (self.time, self.frequency), places, strict=True)
            ]
            hidden = torch.from_numpy(masked[0][:, None] | masked[1][None]).to(frames.device)  # [T, bins]
            frames = torch.where(hidden, mean, frames)
        return frames


def resample(frames: Tensor, speed: float) -> Tensor:
    """Frames [T', bins], T' = T / speed, between which of [T, bins] is interpolated linearly; first and last stay."""
    count = max(1, round(len(frames) / speed))
    return _between(frames, np.linspace(0, len(frames) - 1, count), 0)


def warp_bins(frames: Tensor, factor: float) -> Tensor:
    """Frames [T, bins] whose bin b is that at b / factor, up to a bend from which on it goes straight to the last."""
    last = frames.shape[1] - 1
    # Of the result, and of the utterance; the bend lies where neither is beyond the last
    bend = BEND * last * min(factor, 1)
    return _between(frames, np.interp(np.arange(last + 1), [0, bend, last], [0, bend / factor, last]), 1)


def mask(size: int, share: float, draws: np.ndarray) -> np.ndarray:
    """Which of `size` places are hidden, by masks that are drawn [masks, (width, begin)] in [0, 1)."""
    hidden = np.zeros(size, dtype=bool)
    for width, begin in draws:
        length = int(width * (int(share * size) + 1))
        start = int(begin * (size - length + 1))
        hidden[start : start + length] = True
    return hidden


def mixed_in(alpha: float, rng: np.random.Generator) -> float:
    """How much of another utterance one is mixed with, m = min(l, 1 - l), l ~ Beta(alpha, alpha)."""
    share = rng.beta(alpha, alpha)
    return float(min(share, 1 - share))


def mix(frames: Tensor, other: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """(1 - share) of normalised frames [T, bins] and share of another's [T', bins], at a place that is drawn.

    A longer one loses what lies beyond it, a shorter one has zero, the mean, before and behind.
    """
    gap = len(frames) - len(other)
    before = int(rng.integers(abs(gap) + 1)) * (1 if gap > 0 else -1)
    # Cut where that is negative
    return torch.lerp(frames, nn.functional.pad(other, (0, 0, before, gap - before)), share)


def utterance_rng(seed: int, epoch: int, name: str) -> np.random.Generator:
    """The source of what is drawn for an utterance in an epoch."""
    return np.random.default_rng([seed, epoch, zlib.crc32(name.encode())])


def _between(frames: Tensor, places: np.ndarray, axis: int) -> Tensor:
    """Frames at places along an axis that may lie between two."""
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, frames.shape[axis] - 1)
    share = torch.from_numpy((places - below).astype(np.float32)).to(frames.device)
    first, second = (frames.index_select(axis, torch.from_numpy(one).to(frames.device)) for one in (below, above))
    return torch.lerp(first, second, share[:, None] if axis == 0 else share)
