"""Splits: which utterances train, select (dev) and test. A split is a table and depends on no order of files."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.components import blamed
from ser_lightning.config import SplitConfig
from ser_lightning.corpora import Manifest
from ser_lightning.data.protocols import PARTS, Division
from ser_lightning.errors import UserError, listing
from ser_lightning.files import write_whole
from ser_lightning.identity import digest_rows


@dataclass(frozen=True)
class Split:
    """One fold of one repetition: `table` has the columns id and part ("train", "dev", "test"), sorted by id; `uses` is
    what the protocol says for captions."""

    protocol: str
    repeat: int
    fold: int
    table: pd.DataFrame
    uses: str = ""

    def ids(self, part: str) -> list[str]:
        """The utterances of a part, sorted."""
        return self.table.loc[self.table["part"] == part, "id"].tolist()

    @cached_property
    def digest(self) -> str:
        """Names the division."""
        return digest_rows(self.table[["id", "part"]].itertuples(index=False, name=None))


def make_splits(manifest: Manifest, config: SplitConfig) -> list[Split]:
    """The configured folds of the configured repetitions, repetition by repetition.

    Raises `UserError` for a fold that the protocol does not have, where a class is absent from a part, and where the
    corpus does not tell what the protocol asks for (see `protocols`).
    """
    protocol: Division = config.make()
    splits = []
    for repeat in config.repeats:
        # A copy: what a protocol writes into it must not reach the next one's
        own = replace(manifest, table=manifest.table.copy())
        with blamed(config):
            roles = np.asarray(protocol.divide(own, repeat))  # [folds, utterances]
        if roles.ndim != 2 or roles.shape[1] != len(manifest) or not {*PARTS, ""}.issuperset(np.unique(roles)):
            raise UserError(
                f"split={config.name}: it divides into an array {list(roles.shape)}, where [folds, {len(manifest)}] of "
                f"{', '.join(PARTS)} or '' is expected"
            )
        with blamed(config):
            uses = _uses(protocol, config.name, len(roles))
        for fold in range(len(roles)) if config.folds is None else config.folds:
            if fold >= len(roles):
                there = "fold 0 alone" if len(roles) == 1 else f"the folds 0 to {len(roles) - 1}"
                raise UserError(
                    f"split.folds={fold}: the {config.name} protocol has {there} here; split.folds=null takes all"
                )
            role = roles[fold]
            if config.max_train is not None:
                role = limit_training(manifest, role, config.max_train, np.random.default_rng([repeat, fold]))
            split = _split(manifest, config.name, repeat, fold, role)
            splits.append(replace(split, uses=uses[fold]))
    return splits


def _uses(protocol: Any, name: str, folds: int) -> list[str]:
    """What each fold rests on beside the protocol, for captions."""
    uses = getattr(protocol, "uses", "")
    each = [uses] * folds if isinstance(uses, str) else uses
    if not isinstance(each, list) or len(each) != folds or not all(isinstance(phrase, str) for phrase in each):
        raise UserError(f"split={name}: `uses` is {uses!r}, where a phrase is expected, or a list of one for each fold")
    return each


def limit_training(manifest: Manifest, role: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """The roles [utterances] with at most so many in training, of each class its share; the others are not used.

    What a protocol is worth is else mixed with how much it leaves for training. Raises `UserError` where a class would
    have none.
    """
    train = np.flatnonzero(role == "train")
    # Class by class, each shuffled, at even places: any first part has each class in its share
    labels = pd.Series(manifest.table["label"].to_numpy()[train])
    shuffled = rng.permutation(len(train))
    rank = labels.iloc[shuffled].groupby(labels.iloc[shuffled]).cumcount().sort_index()
    place = (rank + 0.5) / labels.groupby(labels).transform("size")
    order = np.argsort(place.to_numpy(), kind="stable")
    if absent := set(labels) - set(labels.iloc[order[:most]]):
        raise UserError(
            f"split.max_train={most} leaves no utterance of {listing(sorted(absent))} to train on; give more, or drop "
            "the class"
        )
    dropped = train[order[most:]]
    limited = role.copy()
    limited[dropped] = ""
    return limited


def write_splits(splits: Sequence[Split], path: Path) -> None:
    """Write the splits as a CSV with the columns of `split_table`, which `split=file` reads."""
    write_whole(path, split_table(splits).to_csv(index=False))


def split_table(splits: Sequence[Split]) -> pd.DataFrame:
    """The splits one below the other: repeat, fold, id, part."""
    tables = [split.table.assign(repeat=split.repeat, fold=split.fold) for split in splits]
    return pd.concat(tables)[["repeat", "fold", "id", "part"]]


def _split(manifest: Manifest, protocol: str, repeat: int, fold: int, role: np.ndarray) -> Split:
    used = role != ""
    table = pd.DataFrame({"id": manifest.table["id"][used], "part": role[used]}).reset_index(drop=True)
    present = manifest.table["label"][used].groupby(role[used]).agg(set)
    for part in PARTS:
        missing = set(manifest.classes) - present.get(part, set())
        if missing:
            raise UserError(
                f"{manifest.corpus}: no utterance of {listing(sorted(missing))} in the {part} part of fold {fold} of "
                f"the {protocol} protocol; {_remedy(manifest.table[role == part], manifest.table, missing)}"
            )
    return Split(protocol, repeat, fold, table)


def _remedy(part: pd.DataFrame, table: pd.DataFrame, missing: Set[str]) -> str:
    """Why a part lacks classes, and how it would have them: of corpora that are joined one may have none at all."""
    having = {name: set(own) for name, own in table.groupby("corpus")["label"]}
    corpora = sorted(set(part["corpus"]))
    if len(having) > 1 and corpora and all(missing.isdisjoint(having[name]) for name in corpora):
        have = "has" if len(corpora) == 1 else "have"
        return f"{listing(corpora)} {have} no such recordings. Drop the class, or leave the corpus out"
    return (
        f"{len(table)} utterances are too few for parts with every class. Add recordings, drop a class, or divide into "
        "fewer groups"
    )
