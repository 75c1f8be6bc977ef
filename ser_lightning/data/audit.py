"""Leak audit: what a fold's test part shares with its training part, and what the recording alone gives away."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from ser_lightning.contents import read_sealed, write_sealed
from ser_lightning.corpora.manifest import SCENES, Manifest
from ser_lightning.data.leakage import FoldAudit
from ser_lightning.data.splits import Split
from ser_lightning.features.sound import CUES
from ser_lightning.files import read_only
from ser_lightning.identity import digest
from ser_lightning.metrics import confusion_counts, unweighted_accuracy

# Raised when a figure is computed differently.
VERSION = 4
# Training utterances of which each tree of the cues' forest sees so many at most: more take hundreds of megabytes, and
# are not needed to find what a recording's length and level tell
SEEN = 10_000


def audit_split(manifest: Manifest, sound: pd.DataFrame, split: Split) -> FoldAudit:
    """Audit one fold; `sound` as `measure_corpus` returns it."""
    from scipy.stats import ks_2samp

    described = manifest.table[["id", "label", "speaker", "dialogue", "text_id"]]
    table = split.table.merge(described, on="id").merge(sound, on="id", validate="1:1")
    if unmeasured := len(split.table) - len(table):
        raise ValueError(f"{unmeasured} utterances of {manifest.corpus} are used, and have not been measured")
    train, dev, test = (table[table["part"] == part] for part in ("train", "dev", "test"))
    classes = list(manifest.classes)
    text = _shared(train, test, "text_id")
    # Other lines of a scene are no takes of one sentence
    scenes = manifest.texts == SCENES
    shares = [part["label"].value_counts(normalize=True).reindex(classes, fill_value=0) for part in (train, test)]
    # Who is unknown may be anybody
    spoken = test[test["speaker"] != ""]
    return FoldAudit(
        utterances=len(test),
        speaker=_shared(train, spoken, "speaker"),
        dialogue=_shared(train, test, "dialogue"),
        sentence=None if scenes else text,
        audio=float(test["content"].isin(train["content"]).mean()),
        length_drift=float(ks_2samp(train["seconds"], test["seconds"]).statistic),
        class_drift=float((shares[0] - shares[1]).abs().sum() / 2),
        cue_ua=_cue_ua(train, test, classes),
        chance=1 / len(classes),
        copy=_shared(train, test, "original"),
        take=None if scenes else _takes(train, spoken),
        dev_speaker=_shared(dev, spoken, "speaker"),
        dev_take=None if scenes else _takes(dev, spoken),
        dev_copy=_shared(dev, test, "original"),
        dev_dialogue=_shared(dev, test, "dialogue"),
        scene=text if scenes else None,
    )


def audit_splits(manifest: Manifest, sound: pd.DataFrame, splits: Sequence[Split], cache: Path) -> list[FoldAudit]:
    """The audits of all splits, each computed once and then read from `cache`, unless that cannot be written."""
    folder = cache / "audit"
    contents = sound[["id", "content"]].to_numpy().tolist()
    key = digest([VERSION, manifest.digest, list(manifest.classes), contents])
    audits = []
    for split in splits:
        target = folder / f"{manifest.corpus}-{key}-{split.digest}.json"
        if kept := read_sealed(target):
            audits.append(FoldAudit(**kept))
            continue
        audits.append(audit_split(manifest, sound, split))
        try:
            write_sealed(target, asdict(audits[-1]))
        except OSError as error:
            # A cache that was made elsewhere for all to read may know other divisions than this one.
            if not read_only(error):
                raise
    return audits


def _shared(train: pd.DataFrame, test: pd.DataFrame, column: str) -> float | None:
    """Share of test utterances whose `column` occurs in training; those without an entry share nothing."""
    named = test[column] != ""
    if not named.any():
        return None
    return float((named & test[column].isin(train[column])).mean())


def _takes(train: pd.DataFrame, test: pd.DataFrame) -> float | None:
    """Share of test utterances whose speaker says their sentence in their class in training too."""
    identified = test["text_id"] != ""
    if not identified.any():
        return None
    columns = ["speaker", "text_id", "label"]
    present = pd.MultiIndex.from_frame(test[columns]).isin(pd.MultiIndex.from_frame(train[columns]))
    return float((identified & present).mean())


def _cue_ua(train: pd.DataFrame, test: pd.DataFrame, classes: list[str]) -> float:
    """UA on the test part of a random forest on `CUES`, in [0, 1]."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        100,
        min_samples_leaf=2,
        class_weight="balanced",
        max_samples=SEEN if len(train) > SEEN else None,
        random_state=0,
    )
    # scikit-learn takes labels such as "0" for numbers, and breaks ties by the order of names
    order = {name: number for number, name in enumerate(sorted(classes))}
    place = np.array([classes.index(name) for name in order])
    forest.fit(train[list(CUES)], train["label"].map(order))
    labels = place[test["label"].map(order)]
    predictions = place[forest.predict(test[list(CUES)])]
    return unweighted_accuracy(confusion_counts(labels, predictions, len(classes)))
