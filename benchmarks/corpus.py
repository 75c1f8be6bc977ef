"""A corpus of noise with the lengths and classes of IEMOCAP, of any size, for timing."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from ser_lightning.config import Config, FeaturesConfig, compose
from ser_lightning.corpora import Manifest
from ser_lightning.corpora.manifest import DESCRIPTION
from ser_lightning.data.leakage import FoldAudit
from ser_lightning.data.splits import Split, make_splits
from ser_lightning.features import FeatureStore
from ser_lightning.features.store import open_store
from ser_lightning.files import make_folder_once
from ser_lightning.papers.icassp2019.numbers import CLASSES, COUNTS
from ser_lightning.runs.schedule import make_schedule
from ser_lightning.training.plan import PlannedRun

# Frames of IEMOCAP's 5,531 utterances, cut at 14 s: the quantiles at 0, 2.5, ... 100 %. Their mean is 449.
FRAMES = (
    *(59, 124, 139, 153, 169, 181, 192, 203, 214, 224, 233, 243, 256, 268, 278, 288, 301, 314, 329, 341, 358),
    *(372, 389, 406, 425, 445, 469, 492, 519, 548, 578, 613, 653, 689, 737, 802, 869, 965, 1106, 1324, 1400),
)
UTTERANCES = sum(COUNTS.values())
# Of a whole run on IEMOCAP, by features; parts of the corpus are measured for runs on all of it
STEPS = {"logmel": 3520, "logstft": 2920}


def configuration(output: Path, *overrides: str) -> Config:
    """IEMOCAP's settings, as `python -m ser_lightning.train corpus=iemocap` has them, with metrics.csv alone."""
    return compose(["corpus=iemocap", "corpus.root=none", f"paths.output='{output}'", "logger=csv", *overrides])


def manifest(times: float = 1) -> Manifest:
    """So many times IEMOCAP, in its proportions of classes, sessions and speakers."""
    count = round(UTTERANCES * times)
    number = np.arange(count)
    labels = [name for name, utterances in COUNTS.items() for _ in range(math.ceil(utterances * times))]
    label = np.random.default_rng(0).permutation(labels)[:count]
    session = np.char.mod("%d", 1 + number % 5)
    gender = np.where(number // 5 % 2, "male", "female")
    columns = dict.fromkeys(("path", "transcript", *DESCRIPTION), "")
    description = {"session": session, "gender": gender, "speaker": np.char.add(session, gender)}
    table = pd.DataFrame(
        {
            "id": np.char.mod("%06d", number),
            **columns,
            "raw_label": label,
            "label": label,
            **description,
            "votes": "",
            # Of IEMOCAP, on average
            "seconds": 4.5,
        }
    )
    return Manifest("noise of IEMOCAP's lengths", CLASSES, table, synthetic=True)


def store(cache: Path, features: FeaturesConfig, times: float = 1) -> FeatureStore:
    """Frames of noise for `manifest(times)`; more than a whole IEMOCAP goes on with zeros, which take no disk."""
    folder = cache / f"{features.name}-{times:g}"
    make_folder_once(folder, lambda unfinished: _write(unfinished, features.load().bins, times))
    return open_store(folder)


def frozen_store(cache: Path, times: float = 1) -> FeatureStore:
    """Like a small pretrained network's frames of the same utterances: 384 numbers in float16, 50 a second."""
    folder = cache / f"frozen-{times:g}"
    make_folder_once(folder, lambda unfinished: _write(unfinished, 384, times, stride=2, dtype=np.float16))
    return open_store(folder)


def plan(output: Path, *overrides: str, times: float = 1) -> PlannedRun:
    """A run on the noise, trained like any other."""
    config = configuration(output, *overrides)
    noise = manifest(times)
    split = first_split(noise, config)
    frames = store(output / "cache", config.features, times)
    nothing = FoldAudit(len(split.ids("test")), None, None, None, 0, 0, 0, 0, 0)
    schedule = make_schedule(config, split)
    name = f"{config.features.name}-{times:g}-{schedule.max_steps}"
    return PlannedRun(config, noise, frames, "", split, nothing, schedule, name)


def first_split(noise: Manifest, config: Config) -> Split:
    """Fold 0 under the paper's protocol."""
    return make_splits(noise, config.split)[0]


def _write(folder: Path, bins: int, times: float, stride: int = 1, dtype: type = np.float32) -> None:
    count = round(UTTERANCES * times)
    places = (np.arange(count) + 0.5) / count
    lengths = np.interp(places, np.linspace(0, 1, len(FRAMES)), FRAMES).round().astype(np.int64)
    lengths = np.random.default_rng(1).permutation(lengths) // stride
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    frames = np.lib.format.open_memmap(folder / "frames.npy", mode="w+", dtype=dtype, shape=(int(offsets[-1]), bins))
    rng = np.random.default_rng(2)
    for start in range(0, min(len(frames), round(UTTERANCES * 449)), 100_000):
        part = frames[start : start + 100_000]
        part[:] = 12 * rng.standard_normal(part.shape, dtype=np.float32) - 30
    frames.flush()
    # What the noise is drawn from; measured sums would have to read all of it
    sums, squares = (np.outer(lengths, np.full(bins, value)).astype(np.float64) for value in (-30, 30**2 + 12**2))
    ids = np.char.mod("%06d", np.arange(count))
    np.savez(folder / "index.npz", ids=ids, offsets=offsets, sums=sums, squares=squares)
    (folder / "header.json").write_text(json.dumps({"audio": "", "problems": {}}))
