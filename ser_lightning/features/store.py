"""All frames of a corpus in one memory-mapped file, made once for a corpus and its feature settings.

`frames.npy` [total frames, bins] float32 or float16, `index.npz` (ids, offsets, per-utterance sums), `header.json`, and
`seal.json` with the hashes of these.
"""

import json
import logging
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ser_lightning.config import FeaturesConfig
from ser_lightning.contents import hash_files, make_sealed_folder
from ser_lightning.corpora import Manifest
from ser_lightning.errors import UserError
from ser_lightning.features.front_end import (
    ROOM,
    SLACK,
    FrontEnd,
    all_frames,
    announced,
    stored_bins,
    stored_type,
)
from ser_lightning.features.statistics import Statistics
from ser_lightning.features.writing import FRAMES, INDEX, FrameWriter
from ser_lightning.identity import digest, digest_rows

log = logging.getLogger(__name__)

# Raised when frames are computed differently, so that a store of an older version is not taken for a new one.
VERSION = 2

# Bytes of frames that are worth a word before they are made
MUCH = 1e9


@dataclass(frozen=True)
class FeatureStore:
    """The frames of a corpus.

    Attributes:
        folder: where it lies; another process opens it there instead of getting a copy.
        frames: [total frames, bins] float32 or float16, memory-mapped, read-only.
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
        """The frames [frames, bins] of an utterance."""
        return self.frames[self.offsets[row] : self.offsets[row + 1]]

    def on(self, device: torch.device) -> torch.Tensor:
        """The frames on a device, where a quarter of its free memory holds them; else mapped from disk, on the CPU."""
        return _on_gpu(self.folder, device) if device.type == "cuda" else _mapped(self.frames)

    def statistics(self, rows: Sequence[int]) -> Statistics:
        """Sums over the frames of these utterances."""
        return Statistics(self.lengths, self.sums, self.squares).of(rows)


def build_store(manifest: Manifest, config: FeaturesConfig, cache: Path) -> FeatureStore:
    """The corpus's store in `cache`, computed first if it is not there, or damaged; two processes compute it once.

    Recordings without usable sound are in `problems` instead of in the store.
    """
    contents = recording_hashes(manifest, cache)
    folder = cache / "features" / f"{manifest.corpus}-{config.name}-{_key(manifest, config, contents)}"
    unfinished = folder.with_name(f"{folder.name}.partial")
    make_sealed_folder(
        folder,
        lambda new: _write(new, unfinished, manifest, config, contents),
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
    with np.load(folder / INDEX) as index:
        offsets, sums, squares, ids = index["offsets"], index["sums"], index["squares"], index["ids"]
    frames = np.load(folder / FRAMES, mmap_mode="r")
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


def _write(
    folder: Path, unfinished: Path, manifest: Manifest, config: FeaturesConfig, contents: Mapping[str, str]
) -> None:
    """Fill the new folder of a store; what an interruption leaves in the `unfinished` one is used the next time."""
    front_end: FrontEnd = config.make()
    _refuse_small_disk(unfinished, manifest, front_end, config)
    with FrameWriter(unfinished, stored_bins(front_end), stored_type(front_end), contents) as writer:
        left = replace(manifest, table=manifest.table[~manifest.table["id"].isin(list(writer.known))])
        for name, content, frames in all_frames(left, front_end, config):
            if content != contents[name]:
                raise UserError(f"the recording of {name} has changed while it was read; give the command again")
            writer.add(name, frames)
        _refuse_sparse(writer.lengths, manifest, front_end, config)
        writer.finish(folder)
    header = {
        "corpus": manifest.corpus,
        "features": config.settings,
        "version": VERSION,
        "audio": digest_rows((name, contents[name]) for name in sorted(writer.lengths)),
        "problems": dict(sorted(writer.problems.items())),
    }
    (folder / "header.json").write_text(json.dumps(header, indent=1))


def _refuse_small_disk(unfinished: Path, manifest: Manifest, front_end: FrontEnd, config: FeaturesConfig) -> None:
    """Say how much disk the frames will take, where that is much.

    Raises `UserError` where there is not as much as they need beyond those in the `unfinished` folder.
    """
    seconds = manifest.table["seconds"].clip(upper=config.max_seconds)
    frames = announced(front_end, float(seconds.sum())) if front_end.rate else len(seconds)
    size = frames * stored_bins(front_end) * stored_type(front_end).itemsize
    written = (unfinished / FRAMES).stat().st_size if (unfinished / FRAMES).exists() else 0
    free = shutil.disk_usage(unfinished.parent).free
    if size > MUCH:
        log.info("%s of %s will take %.0f MB of disk", config.name, manifest.corpus, size / 1e6)
    if size - written > free:
        further = "another " if written else ""
        raise UserError(
            f"{config.name} of {manifest.corpus} takes {further}{(size - written) / 1e6:.0f} MB of disk, and "
            f"{unfinished.parent} has only {free / 1e6:.0f} MB; paths.output=FOLDER, or $SER_OUTPUT, names another "
            "place for all that is written"
        )


def _refuse_sparse(lengths: Mapping[str, int], manifest: Manifest, front_end: FrontEnd, config: FeaturesConfig) -> None:
    """Raise `UserError` where there is no recording with half the frames that the front end's rate means."""
    sparse = {}
    for name, path, seconds in manifest.table[["id", "path", "seconds"]].itertuples(index=False):
        expected = announced(front_end, min(seconds, config.max_seconds))
        if lengths.get(name, np.inf) < min(expected / ROOM, expected - SLACK):
            sparse[name] = f"of {path} {lengths[name]} where {expected:.0f} are expected"
    if sparse and len(sparse) == len(lengths):
        raise UserError(
            f"features={config.name} makes of every recording far fewer frames than its rate of {front_end.rate} "
            f"means, e.g. {sparse[min(sparse)]}"
        )
