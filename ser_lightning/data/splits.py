"""Protocols: which utterances train, select (dev) and test. A split is a table and depends on no order of files."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ser_lightning.config import SplitConfig
from ser_lightning.corpora import Manifest
from ser_lightning.errors import UserError
from ser_lightning.identity import digest_rows

PARTS = ("train", "dev", "test")
# The label first: the deal runs through all strata of a label before the next, so that each label is dealt evenly too.
STRATA = ["raw_label", "session", "kind", "gender"]


@dataclass(frozen=True)
class Split:
    """One fold of one repetition: `table` has the columns id and part ("train", "dev", "test"), sorted by id."""

    protocol: str
    repeat: int
    fold: int
    table: pd.DataFrame

    def ids(self, part: str) -> list[str]:
        """The utterances of a part, sorted."""
        return self.table.loc[self.table["part"] == part, "id"].tolist()

    @property
    def digest(self) -> str:
        """Names the division."""
        return digest_rows(self.table[["id", "part"]].itertuples(index=False, name=None))


def make_split(manifest: Manifest, config: SplitConfig, repeat: int, fold: int) -> Split:
    """The paper's random, stratified, speaker-dependent division, PAPER 4.

    Ten parts; fold k takes part 2k as dev, 2k + 1 as test, the other eight for training. With `reshuffle` every
    repetition divides anew; without, all repetitions share one division (author's code).

    Raises `UserError` where a class is absent from a part.
    """
    parts = tenths(manifest, np.random.default_rng([config.seed, repeat if config.reshuffle else 0]))
    role = np.where(parts == 2 * fold, "dev", np.where(parts == 2 * fold + 1, "test", "train"))
    table = pd.DataFrame({"id": manifest.table["id"], "part": role})
    _require_all_classes(manifest, table, fold)
    return Split(config.protocol, repeat, fold, table)


def tenths(manifest: Manifest, rng: np.random.Generator) -> np.ndarray:
    """A part 0..9 for every utterance [utterances]: shuffled inside strata, then dealt round-robin.

    The deal goes on where the stratum before ended, so that all parts have the same size to within one.
    """
    parts = np.empty(len(manifest), dtype=np.int64)
    dealt = 0
    for _, members in sorted(manifest.table.groupby(STRATA).indices.items()):
        shuffled = rng.permutation(members)
        parts[shuffled] = (dealt + np.arange(len(shuffled))) % 10
        dealt += len(shuffled)
    return parts


def _require_all_classes(manifest: Manifest, table: pd.DataFrame, fold: int) -> None:
    present = manifest.table["label"].groupby(table["part"]).agg(set)
    for part in PARTS:
        missing = set(manifest.classes) - present.get(part, set())
        if missing:
            raise UserError(
                f"{manifest.corpus}: no utterance of {', '.join(sorted(missing))} in the {part} part of fold {fold}; "
                f"{len(manifest)} utterances are too few for ten parts with every class. Add recordings or drop a class"
            )
