"""What a front end is, and the frames that one makes of a corpus's recordings."""

import hashlib
from collections.abc import Iterator
from itertools import chain
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import joblib
import numpy as np
import torch

from ser_lightning.components import blamed
from ser_lightning.config import FeaturesConfig
from ser_lightning.crashes import CrashWatch
from ser_lightning.errors import UserError
from ser_lightning.features.audio import BadRecordingError, read_audio
from ser_lightning.memory import keep_memory
from ser_lightning.terminal import tracked

if TYPE_CHECKING:
    from ser_lightning.corpora import Manifest

# How many frames there may be for one that a front end's rate announces, or how many more, for its edges
ROOM, SLACK = 2, 3
# Waves that a front end is given at a time which takes several
TOGETHER = 16

# (id, hash of the file, frames [frames, stored] or the reason why there are none)
Frames = tuple[str, str, np.ndarray | str]
# (id, path)
Row = tuple[str, str]


class FrontEnd(Protocol):
    """From sound to frames, one utterance at a time, in several threads.

    One that is faster with several has `many(waves)` instead, which is given waves of one length, cut to
    `features.max_seconds`, and returns a list of their frames; an utterance's frames must not depend on what it was
    given with.

    One that stores more than the encoder is to see, such as several layers of a network, says how many numbers a
    `stored` frame has, and its `join()` makes the module that is trained with the encoder:
    frames [B, T, stored] to [B, T, bins], where zeros must give zeros.

    Attributes:
        sample_rate: Hz of the sound it is given.
        bins: numbers in a frame.
        rate: frames per second; None for one that gives a single row per utterance.
        shortest: fewest samples that it can do with.
        longest: optional; most seconds that it can do with: of a longer recording it is given the middle, and a
            `features.max_seconds` beyond it is refused.
        raw: optional; True where a frame is a stretch of the sound itself, which no augmentation of spectra suits.
        dtype: 'float32', or 'float16' for half of the disk; float32 where it says nothing.
    """

    sample_rate: int
    bins: int
    rate: float | None
    shortest: int

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """The frames [frames, bins] of mono sound [samples] in [-1, 1]; not asked for from one that has `many`."""
        ...


def longest_seconds(front_end: FrontEnd) -> float:
    """The most seconds that a front end can do with; infinite where it does not say."""
    return float(getattr(front_end, "longest", None) or inf)


def stored_bins(front_end: FrontEnd) -> int:
    """Numbers in a frame as it is stored."""
    return int(getattr(front_end, "stored", front_end.bins))


def stored_type(front_end: FrontEnd) -> np.dtype:
    """The type of numbers in a frame as it is stored."""
    return np.dtype(getattr(front_end, "dtype", "float32"))


def announced(front_end: FrontEnd, seconds: float) -> float:
    """How many frames a front end makes of so much sound by its `rate`."""
    return 1.0 if front_end.rate is None else seconds * front_end.rate


def transform(config: FeaturesConfig, front_end: FrontEnd, wave: np.ndarray, source: str) -> np.ndarray:
    """Frames [frames, stored] that a front end makes of a wave; `source` is what an error calls the wave.

    There may be none, or fewer than the front end's `rate` says, where it leaves silence out. Raises `UserError` for an
    array of another shape, for values that are not real and finite, and for more frames than that.
    """
    many = getattr(front_end, "many", None)
    with blamed(config):
        frames = np.asarray(many([wave])[0] if many else front_end(wave))
    return _checked(config, front_end, frames, wave, source)


def _checked(
    config: FeaturesConfig, front_end: FrontEnd, frames: np.ndarray, wave: np.ndarray, source: str
) -> np.ndarray:
    makes, bins = f"features={config.name} makes of {source}", stored_bins(front_end)
    if frames.dtype.kind not in "fiub":
        raise UserError(f"{makes} values of the type {frames.dtype} where real numbers are expected")
    with np.errstate(over="ignore"):
        frames = frames.astype(stored_type(front_end), copy=False)
    if frames.ndim != 2 or frames.shape[1] != bins or not np.isfinite(frames).all():
        raise UserError(f"{makes} an array {list(frames.shape)} where finite numbers [frames, {bins!r}] are expected")
    expected = announced(front_end, len(wave) / front_end.sample_rate)
    if len(frames) > (max(ROOM * expected, expected + SLACK) if front_end.rate else expected):
        raise UserError(f"{makes} {len(frames)} frames where its rate of {front_end.rate} means {expected:.0f}")
    return frames


def utterance_frames(config: FeaturesConfig, front_end: FrontEnd, wave: np.ndarray, source: str) -> np.ndarray:
    """The frames [frames, stored] of one wave [samples] as a store would have them: of a longer one the middle.

    Raises `BadRecordingError` where it has none, and `UserError` as `transform` does.
    """
    if reason := too_short(front_end, wave):
        raise BadRecordingError(reason)
    if hasattr(front_end, "many"):
        frames = transform(config, front_end, middle(wave, round(config.max_seconds * front_end.sample_rate)), source)
    else:
        frames = _middle_frames(config, front_end, wave, source)
    present = _present(config, frames)
    if isinstance(present, str):
        raise BadRecordingError(present)
    return present


def all_frames(
    manifest: "Manifest", front_end: FrontEnd, config: FeaturesConfig, progress: bool = True
) -> Iterator[Frames]:
    """Every utterance's frames, in the order of the manifest, or of length for a front end that is given several.

    Threads, for reading, resampling and transforms all release Python's lock. Raises `UserError` as `transform` does.
    """
    several = hasattr(front_end, "many")
    tasks = _tasks(manifest, several)
    make = _make_several if several else _make_one
    threads, workers = torch.get_num_threads(), joblib.cpu_count()
    torch.set_num_threads(1)
    keep_memory(True)
    try:
        with CrashWatch() as watch:
            jobs = joblib.Parallel(workers, backend="threading", return_as="generator")
            results = jobs(joblib.delayed(make)(config, front_end, watch, task) for task in tasks)
            frames = chain.from_iterable(results)
            yield from tracked(frames, f"{config.name} of {manifest.corpus}", len(manifest), progress)
    finally:
        keep_memory(False)
        torch.set_num_threads(threads)


def _tasks(manifest: "Manifest", several: bool) -> list[list[Row]]:
    """Which (id, path) are read together: each alone, or for a front end that is given several those of one length."""
    table = manifest.table
    if not several:
        return [[row] for row in zip(table["id"], table["path"], strict=True)]
    table = table.sort_values(["seconds", "id"])
    tasks = []
    for _, alike in table.groupby("seconds", sort=False):
        rows = list(zip(alike["id"], alike["path"], strict=True))
        tasks += [rows[start : start + TOGETHER] for start in range(0, len(rows), TOGETHER)]
    return tasks


def _make_one(config: FeaturesConfig, front_end: FrontEnd, watch: CrashWatch, task: list[Row]) -> list[Frames]:
    ((name, path),) = task
    content, wave = _read(front_end, watch, path)
    if isinstance(wave, str):
        return [(name, content, wave)]
    return [(name, content, _present(config, _middle_frames(config, front_end, wave, path)))]


def _middle_frames(config: FeaturesConfig, front_end: FrontEnd, wave: np.ndarray, source: str) -> np.ndarray:
    seconds = longest_seconds(front_end)
    if len(wave) > seconds * front_end.sample_rate:
        wave = middle(wave, round(seconds * front_end.sample_rate))
    longest = round(config.max_seconds * front_end.rate) if front_end.rate else 1
    return middle(transform(config, front_end, wave, source), longest)


def _make_several(config: FeaturesConfig, front_end: FrontEnd, watch: CrashWatch, task: list[Row]) -> list[Frames]:
    longest = round(config.max_seconds * front_end.sample_rate)
    contents: dict[str, str] = {}
    waves: dict[str, np.ndarray] = {}
    made: dict[str, np.ndarray | str] = {}
    for name, path in task:
        contents[name], wave = _read(front_end, watch, path)
        if isinstance(wave, str):
            made[name] = wave
        else:
            waves[name] = middle(wave, longest)
    # A header may be mistaken about the length
    for samples in sorted({len(wave) for wave in waves.values()}):
        alike = {name: wave for name, wave in waves.items() if len(wave) == samples}
        with blamed(config):
            several = list(front_end.many(list(alike.values())))  # type: ignore[attr-defined]
        if len(several) != len(alike):
            raise UserError(f"features={config.name}: many() makes {len(several)} arrays of {len(alike)} waves")
        paths = dict(task)
        for (name, wave), frames in zip(alike.items(), several, strict=True):
            made[name] = _present(config, _checked(config, front_end, np.asarray(frames), wave, paths[name]))
    return [(name, contents[name], made[name]) for name, _ in task]


def _read(front_end: FrontEnd, watch: CrashWatch, path: str) -> tuple[str, np.ndarray | str]:
    """The hash of a file, and its samples, or the reason why there are none."""
    content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    try:
        with watch.over(path):
            wave = read_audio(path, front_end.sample_rate)
    except BadRecordingError as error:
        return content, str(error)
    return content, too_short(front_end, wave) or wave


def too_short(front_end: FrontEnd, wave: np.ndarray) -> str:
    """Why a wave [samples] has no frames; '' where it is long enough."""
    few = len(wave) < front_end.shortest
    return f"{len(wave)} samples are fewer than the {front_end.shortest} of a frame" if few else ""


def _present(config: FeaturesConfig, frames: np.ndarray) -> np.ndarray | str:
    return np.ascontiguousarray(frames) if len(frames) else f"features={config.name} makes no frames of it"


def middle(rows: np.ndarray, longest: int) -> np.ndarray:
    """The middle `longest` rows of more [any, ...]; fewer whole."""
    start = max(0, (rows.shape[0] - longest) // 2)
    return rows[start : start + longest]
