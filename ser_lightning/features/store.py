"""All frames of a corpus in one memory-mapped file, made once for a corpus and its feature settings.

`frames.npy` [total frames, bins] float32 in dB, `index.npz` (ids, offsets, per-utterance sums), `header.json`, and
`seal.json` with the hashes of these.
"""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Protocol

import joblib
import numpy as np
import torch

from ser_lightning.components import blamed
from ser_lightning.config import FeaturesConfig
from ser_lightning.contents import hash_files, make_sealed_folder
from ser_lightning.corpora import Manifest
from ser_lightning.crashes import CrashWatch
from ser_lightning.errors import UserError
from ser_lightning.features.audio import BadRecordingError, read_audio
from ser_lightning.features.spectrogram import middle
from ser_lightning.identity import digest, digest_rows
from ser_lightning.memory import keep_memory
from ser_lightning.terminal import tracked

log = logging.getLogger(__name__)

# Raised when frames are computed differently, so that a store of an older version is not taken for a new one.
VERSION = 2

# How many frames there may be for one that a front end's rate announces, or how many more, for its edges
ROOM, SLACK = 2, 3


@dataclass(frozen=True)
class FeatureStore:
    """The frames of a corpus.

    Attributes:
        folder: where it lies; another process opens it there instead of getting a copy.
        frames: [total frames, bins] float32 in dB, memory-mapped, read-only.
        offsets: [utterances + 1] int64; utterance i has the rows offsets[i]:offsets[i + 1].
        sums: [utterances, bins] float64, each bin's sum over the utterance's frames.
        squares: the same of squares.
        rows: id -> i.
        audio: names the content of all recordings, so that other sound under the same names is noticed.
        problems: id -> why this recording has no frames here.
    """

    folder: Path
    frames: np.ndarray
    offsets: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    rows: dict[str, int]
    audio: str
    problems: dict[str, str]

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return open_store, (self.folder,)

    @property
    def bins(self) -> int:
        return self.frames.shape[1]

    @property
    def lengths(self) -> np.ndarray:
        """Frames of each utterance [utterances], int64."""
        return np.diff(self.offsets)

    def of(self, row: int) -> np.ndarray:
        """The spectrogram [frames, bins] of an utterance."""
        return self.frames[self.offsets[row] : self.offsets[row + 1]]

    def on(self, device: torch.device) -> torch.Tensor:
        """The frames on a device, where a quarter of its free memory holds them; else mapped from disk, on the CPU."""
        return _on_gpu(self.folder, device) if device.type == "cuda" else _mapped(self.frames)

    def normalisation(self, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation [bins], float32, over all frames of these utterances, from their sums."""
        chosen = np.asarray(rows)
        count = self.lengths[chosen].sum()
        mean = self.sums[chosen].sum(axis=0) / count
        variance = self.squares[chosen].sum(axis=0) / count - mean**2
        # A bin that never changes (digital silence throughout) is only centred.
        deviation = np.sqrt(np.where(variance > 1e-6, variance, 1.0))
        return mean.astype(np.float32), deviation.astype(np.float32)


class FrontEnd(Protocol):
    """From sound to frames, one utterance at a time, in several threads.

    Attributes:
        sample_rate: Hz of the sound it is given.
        bins: numbers in a frame.
        rate: frames per second; None for one that gives a single row per utterance.
        shortest: fewest samples that it can do with.
    """

    sample_rate: int
    bins: int
    rate: float | None
    shortest: int

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """The frames [frames, bins], float32, of mono sound [samples] in [-1, 1]."""
        ...


def build_store(manifest: Manifest, config: FeaturesConfig, cache: Path) -> FeatureStore:
    """The corpus's store in `cache`, computed first if it is not there, or damaged; two processes compute it once.

    Recordings without usable sound are in `problems` instead of in the store.
    """
    contents = recording_hashes(manifest, cache)
    folder = cache / "features" / f"{manifest.corpus}-{config.name}-{_key(manifest, config, contents)}"
    make_sealed_folder(
        folder,
        lambda unfinished: _write(unfinished, manifest, config, contents),
        cache / "contents" / "features" / f"{folder.name}.json",
    )
    store = open_store(folder)
    # The store may have been made of equal recordings in another folder
    paths = dict(zip(manifest.table["id"], manifest.table["path"], strict=True))
    return replace(store, problems={name: f"{paths[name]}: {why}" for name, why in store.problems.items()})


def recording_hashes(manifest: Manifest, cache: Path) -> dict[str, str]:
    """id -> SHA-256 of its recording's bytes; see `hash_files` for what `cache` is told."""
    hashes = hash_files(manifest.table["path"].tolist(), cache / "contents" / f"{manifest.corpus}.json")
    return dict(zip(manifest.table["id"], hashes, strict=True))


def open_store(folder: Path) -> FeatureStore:
    """A finished store, its frames mapped and not read."""
    header = json.loads((folder / "header.json").read_text())
    with np.load(folder / "index.npz") as index:
        offsets, sums, squares, ids = index["offsets"], index["sums"], index["squares"], index["ids"]
    frames = np.load(folder / "frames.npy", mmap_mode="r")
    rows = {str(name): row for row, name in enumerate(ids)}
    return FeatureStore(folder, frames, offsets, sums, squares, rows, header["audio"], header["problems"])


def _mapped(frames: np.ndarray) -> torch.Tensor:
    with warnings.catch_warnings():
        # that torch knows no read-only tensors
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(frames)


@lru_cache(maxsize=2)
def _on_gpu(folder: Path, device: torch.device) -> torch.Tensor:
    """A store's frames, copied to a GPU once per process; log-Mel and log-STFT take turns in a study."""
    frames = _mapped(open_store(folder).frames)
    free, _ = torch.cuda.mem_get_info(device)
    return frames.to(device) if frames.nbytes < free / 4 else frames


def _key(manifest: Manifest, config: FeaturesConfig, contents: Mapping[str, str]) -> str:
    """Names the store: another recording, by its bytes, or another setting is another store."""
    rows = zip(manifest.table["id"], manifest.table["path"], strict=True)
    # What a file is called may decide how it is read
    files = [[name, Path(path).name, contents[name]] for name, path in rows]
    return digest([VERSION, config.target, config.code, config.content, config.max_seconds, files])


def _write(folder: Path, manifest: Manifest, config: FeaturesConfig, contents: Mapping[str, str]) -> None:
    front_end: FrontEnd = config.make()
    bins = front_end.bins
    offsets, sums, squares, ids, problems = [0], [], [], [], {}
    with (folder / "frames.npy").open("wb+") as file:
        _write_npy_header(file, 0, bins)
        for name, content, spectrogram in all_frames(manifest, front_end, config):
            if content != contents[name]:
                raise UserError(f"the recording of {name} has changed while it was read; give the command again")
            if isinstance(spectrogram, str):
                problems[name] = spectrogram
                continue
            # not tofile, which keeps to itself why it could not write
            file.write(spectrogram.data)
            wide = spectrogram.astype(np.float64)
            ids.append(name)
            offsets.append(offsets[-1] + len(spectrogram))
            sums.append(wide.sum(axis=0))
            squares.append((wide**2).sum(axis=0))
        _write_npy_header(file, offsets[-1], bins)
    shape = (len(ids), bins)
    np.savez(
        folder / "index.npz",
        ids=np.array(ids, dtype=str),
        offsets=np.array(offsets, dtype=np.int64),
        sums=np.array(sums).reshape(shape),
        squares=np.array(squares).reshape(shape),
    )
    header = {
        "corpus": manifest.corpus,
        "features": config.settings,
        "version": VERSION,
        "audio": digest_rows((name, contents[name]) for name in ids),
        "problems": problems,
    }
    (folder / "header.json").write_text(json.dumps(header, indent=1))


def _write_npy_header(file: IO[bytes], frames: int, bins: int) -> None:
    """At the file's start; NumPy pads it so that the number of rows can grow without moving the data."""
    file.seek(0)
    description = {"descr": "<f4", "fortran_order": False, "shape": (frames, bins)}
    np.lib.format.write_array_header_1_0(file, description)
    if frames:
        file.seek(0, os.SEEK_END)


def transform(config: FeaturesConfig, front_end: FrontEnd, wave: np.ndarray, source: str) -> np.ndarray:
    """Frames [frames, bins] that a front end makes of a wave, float32; `source` is what an error calls the wave.

    There may be none, or fewer than the front end's `rate` says, where it leaves silence out. Raises `UserError` for an
    array of another shape, for values that are not real and finite, and for more frames than that.
    """
    with blamed(config):
        frames = np.asarray(front_end(wave))
    makes = f"features={config.name} makes of {source}"
    if frames.dtype.kind not in "fiub":
        raise UserError(f"{makes} values of the type {frames.dtype} where real numbers are expected")
    with np.errstate(over="ignore"):
        frames = frames.astype(np.float32, copy=False)
    if frames.ndim != 2 or frames.shape[1] != front_end.bins or not np.isfinite(frames).all():
        raise UserError(
            f"{makes} an array {list(frames.shape)} where finite numbers [frames, {front_end.bins!r}] are expected"
        )
    announced = _announced(front_end, wave)
    if len(frames) > (max(ROOM * announced, announced + SLACK) if front_end.rate else announced):
        raise UserError(f"{makes} {len(frames)} frames where its rate of {front_end.rate} means {announced:.0f}")
    return frames


def _announced(front_end: FrontEnd, wave: np.ndarray) -> float:
    """How many frames a front end makes of a wave by its `rate`."""
    return 1.0 if front_end.rate is None else len(wave) / front_end.sample_rate * front_end.rate


def all_frames(
    manifest: Manifest, front_end: FrontEnd, config: FeaturesConfig, progress: bool = True
) -> Iterator[tuple[str, str, np.ndarray | str]]:
    """(id, hash of the file, frames [frames, bins] or the reason why there are none), utterance by utterance.

    Threads, for reading, resampling and transforms all release Python's lock. Raises `UserError` as `transform` does,
    and where there is no recording with half the frames that the front end's rate means.
    """
    sparse: dict[str, str] = {}
    longest = round(config.max_seconds * front_end.rate) if front_end.rate else 1

    def one(watch: CrashWatch, name: str, path: str) -> tuple[str, str, np.ndarray | str]:
        content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        try:
            with watch.over(path):
                wave = read_audio(path, front_end.sample_rate)
        except BadRecordingError as error:
            return name, content, str(error)
        if len(wave) < front_end.shortest:
            return name, content, f"{len(wave)} samples are fewer than the {front_end.shortest} of a frame"
        frames = transform(config, front_end, wave, path)
        if not len(frames):
            return name, content, f"features={config.name} makes no frames of it"
        announced = _announced(front_end, wave)
        if len(frames) < min(announced / ROOM, announced - SLACK):
            sparse[name] = f"of {path} {len(frames)} where {announced:.0f} are expected"
        return name, content, np.ascontiguousarray(middle(frames, longest))

    threads, workers = torch.get_num_threads(), joblib.cpu_count()
    torch.set_num_threads(1)
    keep_memory(True)
    rows = zip(manifest.table["id"], manifest.table["path"], strict=True)
    made = 0
    try:
        with CrashWatch() as watch:
            jobs = joblib.Parallel(workers, backend="threading", return_as="generator")
            results = jobs(joblib.delayed(one)(watch, *row) for row in rows)
            text = f"{config.name} of {manifest.corpus}"
            for row in tracked(results, text, len(manifest), progress):
                made += not isinstance(row[2], str)
                yield row
        if sparse and len(sparse) == made:
            raise UserError(
                f"features={config.name} makes of every recording far fewer frames than its rate of {front_end.rate} "
                f"means, e.g. {sparse[min(sparse)]}"
            )
    finally:
        keep_memory(False)
        torch.set_num_threads(threads)
