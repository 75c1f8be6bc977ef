"""What a recording is besides its words: format, length, silence, level, clipping, and a name for its samples."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from ser_lightning.contents import make_sealed_folder
from ser_lightning.corpora import Manifest
from ser_lightning.crashes import CrashWatch
from ser_lightning.features.audio import BadRecordingError, decode, name_samples
from ser_lightning.features.fingerprint import BANDS, MOMENTS, fingerprint, number_originals
from ser_lightning.features.integrity import find_damage
from ser_lightning.features.store import recording_hashes
from ser_lightning.identity import digest_rows
from ser_lightning.terminal import tracked

# Raised when a column is computed differently.
VERSION = 5
TABLE, PROBLEMS = "sound.parquet", "problems.json"
BLOCK = 0.01  # seconds
# Below the loudest block by more than this is silence.
SILENCE = 40.0  # dB
# A peak below is no level at which one speaks to a microphone
QUIET = -60  # dB below full scale
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
        unread: seconds that the file's header, or the frames of an MP3, mean beyond those that can be read.
        damage: what seems wrong inside the file, though it can be decoded; '' where nothing does.
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
    unread: float
    damage: str
    digital: float
    clipped: float
    content: str
    fingerprint: np.ndarray


MEASURES = [field.name for field in fields(Sound) if field.name != "fingerprint"]
# What tells nothing of the voice, so that a model that gets by on these has learned the recording, not the emotion.
CUES = ("seconds", "lead", "trail", "peak", "level")


def measure(path: str | Path) -> Sound:
    """Measure a recording. Raises `BadRecordingError` where it cannot be decoded or holds no sound."""
    recording = decode(path)
    wave, rate = recording.wave, recording.rate  # [n, channels]
    mono = wave.mean(axis=1)  # [n]
    # The squares of what float32 can hold are beyond it
    wide = mono.astype(np.float64)
    sounding = np.flatnonzero(mono)
    lead, trail = _silence(wide, rate)
    ends = sounding[0] + len(mono) - 1 - sounding[-1]
    return Sound(
        rate=rate,
        channels=wave.shape[1],
        seconds=len(mono) / rate,
        lead=lead,
        trail=trail,
        peak=20 * float(np.log10(np.abs(wide).max())),
        level=10 * float(np.log10(np.dot(wide, wide) / len(wide))),
        unread=recording.unread / rate,
        damage=find_damage(Path(path), recording),
        digital=float(ends / len(mono)),
        clipped=float(np.mean(np.abs(wave) >= FULL_SCALE)),
        content=name_samples(mono),
        fingerprint=fingerprint(mono, rate),
    )


def measure_corpus(manifest: Manifest, cache: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """A row per usable utterance, and of the others why there is none: id -> reason.

    The row has its id, the fields of `Sound` but the fingerprint, and `original`: equal for copies of one recording.
    Measured once for the bytes of the recordings, then read from `cache`.
    """
    folder = sound_folder(manifest, cache)
    make_sealed_folder(
        folder,
        lambda unfinished: _measure_all(unfinished, manifest),
        cache / "contents" / "sound" / f"{folder.name}.json",
    )
    paths = dict(zip(manifest.table["id"], manifest.table["path"], strict=True))
    reasons = json.loads((folder / PROBLEMS).read_text())
    return pd.read_parquet(folder / TABLE), {name: f"{paths[name]}: {why}" for name, why in reasons.items()}


def sound_folder(manifest: Manifest, cache: Path) -> Path:
    """Where `measure_corpus` keeps its table, by the bytes of the recordings."""
    contents = recording_hashes(manifest, cache)
    return cache / "sound" / f"{manifest.corpus}-{digest_rows([(VERSION,), *contents.items()])}"


def remarks(manifest: Manifest, sound: pd.DataFrame) -> dict[str, list[str]]:
    """What should be said of usable recordings: a few words -> the recordings, each with what is the matter.

    `sound` as `measure_corpus` returns it.
    """
    short, quiet = sound[sound["unread"] > 0], sound[sound["peak"] < QUIET]
    gaps = zip(short["id"], short["unread"], strict=True)
    unread = [f"{name}: {gap:.2f} s less can be read than it announces" for name, gap in gaps]
    damaged = sound[sound["damage"] != ""]
    lists = {
        "Headers that are inexact": [*manifest.inexact.values(), *unread],
        "Perhaps damaged, and used as far as they can be read": [
            f"{name}: {damage}" for name, damage in zip(damaged["id"], damaged["damage"], strict=True)
        ],
        "Other sample rates or channels than most": _unlike_most(sound),
        f"Very quiet (peak more than {-QUIET} dB below full scale)": quiet["id"].tolist(),
    }
    return {what: names for what, names in lists.items() if names}


def _unlike_most(sound: pd.DataFrame) -> list[str]:
    """The recordings that have not the rate and number of channels of more than half of all."""
    counts = sound.value_counts(["rate", "channels"])
    if not len(counts) or 2 * counts.iloc[0] <= len(sound):
        return []
    rate, channels = counts.index[0]
    unlike = sound[(sound["rate"] != rate) | (sound["channels"] != channels)]
    kinds = zip(unlike["id"], unlike["rate"], unlike["channels"], strict=True)
    return [f"{name}: {rate} Hz, channels: {channels}" for name, rate, channels in kinds]


def _measure_all(folder: Path, manifest: Manifest) -> None:
    # Threads, for reading, hashing and NumPy's sums all release Python's lock.
    with CrashWatch() as watch, ThreadPoolExecutor(joblib.cpu_count()) as pool:

        def one(path: str) -> Sound | str:
            try:
                with watch.over(path):
                    return measure(path)
            except BadRecordingError as error:
                return str(error)

        sounds = tracked(
            pool.map(one, manifest.table["path"]),
            f"sound of {manifest.corpus}",
            total=len(manifest),
        )
        # In one array, for fingerprints are most of what is measured
        prints = np.zeros((len(manifest), BANDS * MOMENTS), dtype=np.float32)
        rows: list[dict[str, Any]] = []
        problems: dict[str, str] = {}
        for name, sound in zip(manifest.table["id"], sounds, strict=True):
            if isinstance(sound, str):
                problems[name] = sound
                continue
            prints[len(rows)] = sound.fingerprint
            rows.append({"id": name, **{column: getattr(sound, column) for column in MEASURES}})
    table = pd.DataFrame(rows, columns=["id", *MEASURES])
    table["original"] = number_originals(prints[: len(rows)], table["content"].tolist())
    table.to_parquet(folder / TABLE, index=False)
    (folder / PROBLEMS).write_text(json.dumps(problems))


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
