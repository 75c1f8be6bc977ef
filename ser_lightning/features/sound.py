"""What a recording is besides its words: format, length, silence, level, clipping, and a name for its samples."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from rich.progress import track

from ser_lightning.corpora import Manifest
from ser_lightning.features.audio import BadRecordingError, decode
from ser_lightning.features.fingerprint import fingerprint
from ser_lightning.files import make_once, write_whole
from ser_lightning.identity import digest_rows

# Raised when a column is computed differently.
VERSION = 2
BLOCK = 0.01  # seconds
# Below the loudest block by more than this is silence.
SILENCE = 40.0  # dB
FULL_SCALE = 1 - 2**-15


@dataclass(frozen=True)
class Sound:
    """One recording as it lies on disk, channels averaged, before any resampling.

    Attributes:
        rate: samples per second.
        channels: of the file.
        seconds: length.
        lead: seconds of silence at the start: blocks of 10 ms more than 40 dB below the loudest.
        trail: the same at the end.
        peak: dB below full scale.
        level: RMS, dB below full scale.
        digital: share of samples that are exactly zero at the two ends.
        clipped: share of samples at full scale.
        content: names the samples; equal for equal sound under whatever name.
        fingerprint: by which a copy is known that is not equal, see `fingerprint`.
    """

    rate: int
    channels: int
    seconds: float
    lead: float
    trail: float
    peak: float
    level: float
    digital: float
    clipped: float
    content: str
    fingerprint: list[float]


# What tells nothing of the voice, so that a model that gets by on these has learned the recording, not the emotion.
CUES = ("seconds", "lead", "trail", "peak", "level")


def measure(path: str | Path) -> Sound:
    """Measure a recording. Raises `BadRecordingError` where it cannot be decoded or holds no sound."""
    wave, rate = decode(path)  # [n, channels]
    mono = wave.mean(axis=1)  # [n]
    sounding = np.flatnonzero(mono)
    lead, trail = _silence(mono, rate)
    peak = float(np.abs(mono).max())
    ends = sounding[0] + len(mono) - 1 - sounding[-1]
    return Sound(
        rate=rate,
        channels=wave.shape[1],
        seconds=len(mono) / rate,
        lead=lead,
        trail=trail,
        peak=20 * float(np.log10(peak)),
        level=10 * float(np.log10(np.dot(mono, mono) / len(mono))),
        digital=float(ends / len(mono)),
        clipped=float(np.mean(np.abs(wave) >= FULL_SCALE)),
        content=hashlib.sha256(mono.tobytes()).hexdigest()[:16],
        fingerprint=fingerprint(mono, rate).tolist(),
    )


def measure_corpus(manifest: Manifest, cache: Path) -> pd.DataFrame:
    """A row per usable utterance: id and the fields of `Sound`; measured once, then read from `cache`.

    Recordings that cannot be measured have no row; the feature store names them.
    """
    # not the whole path: a cache may be reached by several
    files = [
        (name, Path(path).name, *_stamp(path))
        for name, path in zip(manifest.table["id"], manifest.table["path"], strict=True)
    ]
    target = cache / "sound" / f"{manifest.corpus}-{digest_rows([(VERSION,), *files])}.parquet"
    make_once(target, lambda: write_whole(target, _measure_all(manifest).to_parquet(index=False)))
    return pd.read_parquet(target)


def _measure_all(manifest: Manifest) -> pd.DataFrame:
    def one(path: str) -> Sound | None:
        try:
            return measure(path)
        except BadRecordingError:
            return None

    # Threads, for reading, hashing and NumPy's sums all release Python's lock.
    with ThreadPoolExecutor(joblib.cpu_count()) as pool:
        sounds = track(
            pool.map(one, manifest.table["path"]),
            f"sound of {manifest.corpus}",
            total=len(manifest),
        )
        pairs = zip(manifest.table["id"], sounds, strict=True)
        rows = [{"id": name, **asdict(sound)} for name, sound in pairs if sound]
    return pd.DataFrame(rows, columns=["id", *(field.name for field in fields(Sound))])


def _silence(mono: np.ndarray, rate: int) -> tuple[float, float]:
    """Seconds of silence at both ends of samples [n]."""
    size = max(1, round(BLOCK * rate))
    blocks = len(mono) // size
    if not blocks:
        return 0.0, 0.0
    squares = np.square(mono[: blocks * size]).reshape(blocks, size)
    energy = squares.mean(axis=1)  # [blocks]
    loud = np.flatnonzero(energy >= energy.max() * 10 ** (-SILENCE / 10))
    return float(loud[0] * size / rate), float((blocks - 1 - loud[-1]) * size / rate)


def _stamp(path: str) -> tuple[int, int]:
    """Size and time of change, by which a replaced recording is noticed."""
    facts = Path(path).stat()
    return facts.st_size, facts.st_mtime_ns
