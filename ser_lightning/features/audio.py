"""From a file on disk to mono samples at 16 kHz."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16_000


class BadRecordingError(Exception):
    """A recording that holds nothing to learn from; the message says why."""


def read_audio(path: str | Path, sample_rate: int = RATE) -> np.ndarray:
    """The samples [n] of a recording, float32 in [-1, 1], channels averaged, resampled to `sample_rate` in Hz.

    Raises `BadRecordingError` as `decode` does.
    """
    wave, rate = decode(path)  # [n, channels]
    mono = wave.mean(axis=1)  # [n]
    return mono if rate == sample_rate else soxr.resample(mono, rate, sample_rate)


def decode(path: str | Path) -> tuple[np.ndarray, int]:
    """The samples [n, channels] of a recording as they lie in the file, float32 in [-1, 1], and their rate in Hz.

    Raises `BadRecordingError` for a file that cannot be decoded, has no samples, or is zero throughout.
    """
    try:
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)  # [n, channels]
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise BadRecordingError(f"not readable as audio ({str(error).split(': ')[-1].rstrip('.')})") from error
    if not len(wave):
        raise BadRecordingError("no samples")
    if not np.isfinite(wave).all():
        raise BadRecordingError("samples that are not numbers")
    if not wave.mean(axis=1).any():
        raise BadRecordingError("all samples are zero")
    return wave, rate
