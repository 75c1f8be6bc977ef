"""From a file on disk to mono samples at 16 kHz."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ser_lightning.corpora.containers import UNKNOWN, BadHeaderError, Stream, refuse_other_rates
from ser_lightning.corpora.mpeg import mpeg_samples

RATE = 16_000
# Samples beyond, +20 dB above full scale, are on another scale than [-1, 1], such as that of 16-bit integers
LOUDEST = 10.0
# Lossy codecs pad, and no header counts that exactly
INEXACT = 0.1  # seconds
BLOCK = 2**22  # samples that are read at a time, whatever a header promises
NOTHING = np.zeros(0, dtype=np.float32)


class BadRecordingError(Exception):
    """A recording that holds nothing to learn from; the message says why."""


class SilentRecordingError(BadRecordingError):
    """A recording that is zero throughout.

    Args:
        seconds: its length.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__("all samples are zero")
        self.seconds = seconds


@dataclass(frozen=True)
class Recording:
    """A recording as it lies in its file.

    Attributes:
        wave: samples [n, channels], float32, full scale is 1.
        rate: samples per second.
        unread: how many more samples the file's header, or the frames of an MP3, mean.
        container, subtype: the file's format, as soundfile calls it.
    """

    wave: np.ndarray
    rate: int
    unread: int
    container: str
    subtype: str


def read_audio(path: str | Path, sample_rate: int = RATE) -> np.ndarray:
    """The samples [n] of a recording, float32 in [-1, 1], channels averaged, resampled to `sample_rate` in Hz.

    Raises `BadRecordingError` as `decode` does.
    """
    recording = decode(path)
    return resample(recording.wave.mean(axis=1), recording.rate, sample_rate)


def resample(mono: np.ndarray, rate: int, sample_rate: int = RATE) -> np.ndarray:
    """Samples [n] at `rate` as samples [m] at `sample_rate`, in Hz."""
    return mono if rate == sample_rate else soxr.resample(mono, rate, sample_rate)


def name_samples(mono: np.ndarray) -> str:
    """A name for the samples [n], float32, of a recording as it lies in its file: equal for equal sound."""
    return hashlib.sha256(np.ascontiguousarray(mono).data).hexdigest()[:16]


@dataclass(frozen=True)
class Mono:
    """A recording without the memory that its file's own rate and channels take.

    Attributes:
        wave: samples [n] at the rate that was asked for, float32, channels averaged.
        seconds: its length.
        content: see `name_samples`.
    """

    wave: np.ndarray
    seconds: float
    content: str


def read_mono(path: str | Path, sample_rate: int = RATE) -> Mono:
    """As `read_audio`, block by block, for recordings of hours; its samples are the same."""
    content, blocks, samples, peak, sounding, finite = hashlib.sha256(), [], 0, 0.0, False, True
    with _explained(), Stream(os.fsencode(path)) as file:
        refuse_other_rates(file.samplerate)
        rate = file.samplerate
        stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
        for block in _blocks(file):
            mono = block.mean(axis=1)  # [samples]
            content.update(np.ascontiguousarray(mono).data)
            blocks.append(mono if rate == sample_rate else stream.resample_chunk(mono))
            samples += len(mono)
            finite = finite and bool(np.isfinite(block).all())
            peak, sounding = max(peak, float(np.abs(block).max(initial=0))), sounding or bool(mono.any())
        _unread(file, samples)
        if rate != sample_rate:
            blocks.append(stream.resample_chunk(NOTHING, last=True))
    _refuse_unusable(samples / rate, finite, sounding, peak)
    return Mono(np.concatenate(blocks), samples / rate, content.hexdigest()[:16])


def decode(path: str | Path) -> Recording:
    """The samples of a recording as they lie in the file.

    Raises `BadRecordingError` for a file that cannot be decoded or ends before its header says, one that has no
    samples, is zero throughout, or is not on the scale of [-1, 1].
    """
    with _explained(), Stream(os.fsencode(path)) as file:
        refuse_other_rates(file.samplerate)
        blocks = list(_blocks(file)) or [np.zeros((0, file.channels), dtype=np.float32)]
        wave = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)  # [n, channels]
        recording = Recording(wave, file.samplerate, _unread(file, len(wave)), file.format, file.subtype)
    finite, peak = bool(np.isfinite(wave).all()), float(np.abs(wave).max(initial=0))
    _refuse_unusable(len(wave) / recording.rate, finite, bool(wave.mean(axis=1).any()), peak)
    return recording


@contextmanager
def _explained() -> Iterator[None]:
    """Makes a `BadRecordingError` of what stands in the way of decoding."""
    try:
        yield
    # TypeError: a name that ends in .raw
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise BadRecordingError(f"not readable as audio ({str(error).split(': ')[-1].rstrip('.')})") from error
    except BadHeaderError as error:
        raise BadRecordingError(str(error)) from error
    except MemoryError as error:
        raise BadRecordingError("longer than what fits into memory") from error


def _refuse_unusable(seconds: float, finite: bool, sounding: bool, peak: float) -> None:
    """Raise `BadRecordingError` where samples hold nothing to learn from; `sounding`: whether one is not zero."""
    if not seconds:
        raise BadRecordingError("no samples")
    if not finite:
        raise BadRecordingError("samples that are not numbers")
    if not sounding:
        raise SilentRecordingError(seconds)
    if peak > LOUDEST:
        raise BadRecordingError(
            f"samples {20 * np.log10(peak):.0f} dB above full scale; write them again on the scale of -1 to 1"
        )


def _blocks(file: Stream) -> Iterator[np.ndarray]:
    """All samples, block by block [n, channels], for a header may promise more than fits into memory."""
    left = file.frames
    while left > 0:
        block = file.read(min(left, BLOCK), dtype="float32", always_2d=True)
        yield block
        if len(block) < min(left, BLOCK):
            return
        left -= len(block)


def _unread(file: Stream, samples: int) -> int:
    """How many samples there should be beside those that were read; raises `BadRecordingError` where they are cut."""
    promised, beyond = file.frames, 0
    # No header of a lossy codec counts what it pads; other formats' containers have been looked at before
    margin = {"FLAC": 0, "MP3": round(INEXACT * file.samplerate), "OGG": round(INEXACT * file.samplerate)}
    if file.format == "MP3":
        announced, counted = mpeg_samples(Path(os.fsdecode(file.name)).read_bytes()) or (0, 0)
        promised = promised if announced else samples
        beyond = counted - (announced or samples)
    if promised >= UNKNOWN:
        promised = samples
    if promised - samples > margin.get(file.format, promised):
        raise BadRecordingError(
            f"truncated: {samples / file.samplerate:.2f} s of the {promised / file.samplerate:.2f} s that its header "
            "announces can be decoded"
        )
    return max(0, promised - samples, beyond)
