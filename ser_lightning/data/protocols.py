"""Evaluation protocols: the role of every utterance in every fold of one repetition."""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Optional, Protocol

import numpy as np
import pandas as pd
from pydantic import Field

from ser_lightning.corpora import Manifest
from ser_lightning.corpora.cells import Cells, read_cells
from ser_lightning.corpora.names import tidied
from ser_lightning.errors import UserError, listing

log = logging.getLogger(__name__)

PARTS = ("train", "dev", "test")
# The label first: the deal runs through all strata of a label before the next, so that each label is dealt evenly too.
STRATA = ["raw_label", "session", "kind", "gender"]
# How corpora call the parts that train and select, casefolded
NAMES = {"train": ("train", "training"), "dev": ("dev", "development", "devel", "validation", "valid", "val")}
# Of the factor by which an owner's size is mistaken in a deal, the logarithm's standard deviation
SHUFFLED = 0.5


class Division(Protocol):
    """Who trains, who selects (dev), who tests.

    It may say in `uses` what its name does not tell, a phrase for captions; or one for each fold, as it has divided.
    """

    def divide(self, manifest: Manifest, repeat: int) -> np.ndarray:
        """The roles [folds, utterances] of one repetition: "train", "dev", "test", or "" for what is not used.

        Raises `UserError` where the corpus does not tell what the protocol asks for.
        """
        ...


class Paper:
    """The paper's random, stratified, speaker-dependent division, PAPER 4.

    Ten parts; fold k takes part 2k as dev, 2k + 1 as test, the other eight for training.

    Args:
        reshuffle: a new division for every repetition (text) or one for all (author's code).
        seed: of the division.
        swap: five more folds, 5 to 9, in which dev and test of 0 to 4 are exchanged.
    """

    def __init__(self, *, reshuffle: bool = True, seed: Annotated[int, Field(ge=0)] = 0, swap: bool = False) -> None:
        self.reshuffle, self.seed, self.swap = reshuffle, seed, swap

    def divide(self, manifest: Manifest, repeat: int) -> np.ndarray:
        """The roles [folds, utterances] of one repetition."""
        parts = deal_utterances(manifest, 10, _rng(self.seed, repeat, self.reshuffle))
        pairs = [(2 * fold, 2 * fold + 1) for fold in range(5)]
        if self.swap:
            pairs += [(test, dev) for dev, test in pairs]
        return np.stack([_roles(parts == dev, parts == test) for dev, test in pairs])


class Session:
    """Leave one session out: fold k tests the k-th session and selects on the one after it.

    Args:
        dev: 'session': the next session selects, five folds; 'speaker': of the two speakers of the session left out one
            tests and the other selects, ten folds.
    """

    def __init__(self, *, dev: Literal["session", "speaker"] = "session") -> None:
        self.dev = dev

    def divide(self, manifest: Manifest, repeat: int) -> np.ndarray:
        """The roles [folds, utterances]; they are the same in every repetition.

        Raises `UserError` where sessions, or speakers in them, are unknown or too few.
        """
        sessions = _known(manifest, "session").to_numpy()
        names = sorted(set(sessions))
        if len(names) < 3:
            raise UserError(
                f"{manifest.corpus}: {len(names)} sessions are too few for split=session, which needs three"
            )
        if self.dev == "session":
            following = dict(zip(names, [*names[1:], names[0]], strict=True))
            return np.stack([_roles(sessions == following[name], sessions == name) for name in names])
        return np.stack([roles for name in names for roles in _speakers_apart(manifest, sessions == name, name)])


def _speakers_apart(manifest: Manifest, held_out: np.ndarray, session: str) -> list[np.ndarray]:
    """A fold per speaker of a session: it tests the speaker, selects on the session's others, trains on the rest."""
    speakers = _known(manifest, "speaker").to_numpy()
    present = sorted(set(speakers[held_out]))
    if len(present) < 2:
        raise UserError(
            f"{manifest.corpus}: session {session} has one speaker, so that none is left to select on; use "
            "split.dev=session"
        )
    return [_roles(held_out & (speakers != one), held_out & (speakers == one)) for one in present]


class Speaker:
    """Leave speakers out: fold k tests the k-th group of speakers, selects on the next, trains on the others.

    Args:
        groups: groups that the speakers are dealt into; as many as there are speakers: leave one speaker out.
        dev: 'speakers': the next group selects; 'utterances': a tenth of the other speakers' utterances does, which
            leaves more to train on, and selects by voices that training knows.
        reshuffle: a new deal for every repetition.
        seed: of the deal.
    """

    def __init__(
        self,
        *,
        groups: Annotated[int, Field(ge=3)] = 5,
        dev: Literal["speakers", "utterances"] = "speakers",
        reshuffle: bool = True,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self.groups, self.dev, self.reshuffle, self.seed = groups, dev, reshuffle, seed

    @property
    def uses(self) -> str:
        """What the protocol's name does not tell."""
        return "" if self.dev == "speakers" else "selected on a tenth of the training speakers' utterances"

    def divide(self, manifest: Manifest, repeat: int) -> np.ndarray:
        """The roles [folds, utterances]. Raises `UserError` where speakers are unknown or fewer than groups."""
        speakers = _known(manifest, "speaker")
        _require(manifest, speakers, self.groups, "speakers", f"split.groups={self.groups}")
        repeat = repeat if self.reshuffle else 0
        group = deal(manifest, speakers, self.groups, self.seed, repeat)
        if self.dev == "speakers":
            return np.stack([_roles(group == (k + 1) % self.groups, group == k) for k in range(self.groups)])
        tenths = deal_utterances(manifest, 10, np.random.default_rng([self.seed, repeat]))
        # Of each fold another tenth
        return np.stack([_roles((group != k) & (tenths == k % 10), group == k) for k in range(self.groups)])


class Text(Speaker):
    """Leave speakers and sentences out: no voice and no sentence of a part occurs in another.

    Speakers and sentences are dealt into groups; fold k tests what the k-th group of speakers says of the k-th group
    of sentences, selects on the next of both, and trains on what is left of both. The other utterances are not used.
    Utterances without a text id (improvised speech) have words of their own, and go by their speaker alone.

    Args:
        groups: groups that the speakers, and the sentences, are dealt into.
        reshuffle: a new deal for every repetition.
        seed: of the deal.
    """

    def __init__(
        self,
        *,
        groups: Annotated[int, Field(ge=3)] = 5,
        reshuffle: bool = True,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        super().__init__(groups=groups, reshuffle=reshuffle, seed=seed)

    def divide(self, manifest: Manifest, repeat: int) -> np.ndarray:
        """The roles [folds, utterances].

        Raises `UserError` where speakers are unknown or fewer than groups, or where there are fewer than three
        sentences.
        """
        repeat = repeat if self.reshuffle else 0
        speakers, texts = _known(manifest, "speaker"), manifest.table["text_id"]
        free = (texts == "").to_numpy()
        if free.all():
            raise UserError(
                f"{manifest.corpus}: split=text needs a text_id, which this corpus does not have; use split=speaker"
            )
        _require(manifest, speakers, self.groups, "speakers", f"split.groups={self.groups}")
        _require(manifest, texts[~free], 3, "sentences", "split=text")
        sentences = min(self.groups, texts[~free].nunique())
        voice = deal(manifest, speakers, self.groups, self.seed, repeat)
        written = _part(manifest, ~free)
        words = np.full(len(manifest), -1)
        words[~free] = deal(written, written.table["text_id"], sentences, self.seed, repeat)
        folds = []
        for k in range(self.groups):
            after = (k + 1) % self.groups
            # where sentences are fewer than groups, the next one must still be another
            tested = k % sentences
            selected = (tested + 1) % sentences
            role = np.full(len(manifest), "", dtype="<U5")
            role[(voice == k) & (free | (words == tested))] = "test"
            role[(voice == after) & (free | (words == selected))] = "dev"
            role[(voice != k) & (voice != after) & (free | ((words != tested) & (words != selected)))] = "train"
            folds.append(role)
        return np.stack(folds)


def deal_utterances(manifest: Manifest, parts: int, rng: np.random.Generator) -> np.ndarray:
    """A part 0, 1, ... for every utterance [utterances]: shuffled inside strata, then dealt round-robin.

    The deal goes on where the stratum before ended, so that all parts have the same size to within one.
    """
    part = np.empty(len(manifest), dtype=np.int64)
    dealt = 0
    for _, members in sorted(manifest.table.groupby(STRATA).indices.items()):
        shuffled = rng.permutation(members)
        part[shuffled] = (dealt + np.arange(len(shuffled))) % parts
        dealt += len(shuffled)
    return part


def set_aside(manifest: Manifest, training: np.ndarray, share: float, seed: int, repeat: int) -> tuple[np.ndarray, str]:
    """Which of the training utterances select instead [utterances], and whether they are "speakers" or "utterances".

    They are whole speakers, dealt by `deal`, where each is known and there are enough for the share; else utterances,
    dealt by `deal_utterances`. The share is one of a whole number of parts, see `_part_share`.
    """
    own = _part(manifest, training)
    speakers, parts, rng = own.table["speaker"], round(1 / share), np.random.default_rng([seed, repeat])
    if (speakers != "").all() and speakers.nunique() >= parts:
        unit, part = "speakers", deal(own, speakers, parts, seed, repeat)
    else:
        unit, part = "utterances", deal_utterances(own, parts, rng)
    # Not every speaker has every class
    classes = own.table["label"].groupby(part).nunique()
    drawn = np.zeros(len(manifest), dtype=bool)
    drawn[np.flatnonzero(training)[part == rng.choice(classes.index[classes == classes.max()])]] = True
    return drawn, unit


def _known_voices(corpora: Collection[str]) -> str:
    """Of corpora whose utterances are set aside, and not their speakers; nothing of none."""
    return f"selected on utterances of the training speakers of {listing(sorted(corpora))}" if corpora else ""


def _part_share(share: float) -> str:
    """The share that one part has of as many as come nearest to a share: 0.4 would be one of two and a half."""
    return f"{1 / round(1 / share):.2g}"


def deal(manifest: Manifest, owner: pd.Series, groups: int, seed: int, repeat: int) -> np.ndarray:
    """A group for every utterance [utterances], equal for equal `owner` (speaker, sentence).

    Of many random deals that are balanced in number, class and gender as far as whole owners allow, the one whose
    groups earlier repetitions had least often; of those the one that is balanced best. So repetitions are other
    divisions as long as the corpus has others.
    """
    kinds = pd.concat([pd.get_dummies(manifest.table[column], dtype=float) for column in ("label", "gender")], axis=1)
    counts = kinds.groupby(owner.to_numpy()).sum()  # [owners, classes + genders]
    share = counts.to_numpy() / np.sqrt(counts.to_numpy().sum(axis=0))
    # Of thousands of owners few deals are as good as many
    number = int(np.clip(2000 // len(counts), 8, 100))
    uses: Counter[frozenset[int]] = Counter()
    for earlier in range(repeat + 1):
        rng = np.random.default_rng([seed, earlier])
        options = [_deal(share, groups, rng) for _ in range(number)]
        group = min(
            options, key=lambda option: (sum(uses[one] for one in _members(option)), _imbalance(option, share, groups))
        )
        uses.update(_members(group))
    return pd.Series(group, index=counts.index)[owner.to_numpy()].to_numpy()


def _deal(share: np.ndarray, groups: int, rng: np.random.Generator) -> np.ndarray:
    """A group for every owner [owners] by their shares of kinds [owners, kinds].

    Owners are dealt by size, the largest first, give or take a factor; each to the group whose shares, squared, grow
    least.
    """
    order = np.argsort(-share.sum(axis=1) * rng.lognormal(sigma=SHUFFLED, size=len(share)))
    load = np.zeros((groups, share.shape[1]))
    group = np.empty(len(share), dtype=np.int64)
    for one in order:
        growth = (share[one] * (2 * load + share[one])).sum(axis=1)
        group[one] = growth.argmin()
        load[group[one]] += share[one]
    return group


def _members(group: np.ndarray) -> set[frozenset[int]]:
    """Who shares a group, whatever its number."""
    return {frozenset(np.flatnonzero(group == number).tolist()) for number in set(group.tolist())}


def _imbalance(group: np.ndarray, share: np.ndarray, groups: int) -> float:
    load = np.eye(groups)[group].T @ share  # [groups, kinds]
    return float(np.square(load).sum())


class Official:
    """The corpus's own partition, in one fold.

    Its parts are known by the names that corpora give them, in any capitals: train or training trains; dev, devel,
    development, val, valid or validation selects; one of the others is tested. Utterances of the others, and of no
    part, are not used. Where the corpus has no part to select on, one is taken out of training, see `set_aside`.

    Args:
        test: the part that is tested; null: the first by name that begins with "test", e.g. test1 of test1 and test2.
        dev: share of training that selects instead, where the corpus has no part for that; drawn anew for every
            repetition.
        seed: of the draw.
    """

    def __init__(
        self,
        *,
        test: Optional[str] = None,
        dev: Annotated[float, Field(gt=0, le=0.5)] = 0.1,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self.test, self.dev, self.seed = test, dev, seed
        self._selects = ""

    @property
    def uses(self) -> str:
        """What the protocol's name does not tell; what selects is known once it has divided."""
        tested = f"tested on its part {self.test}" if self.test else ""
        return ", ".join(filter(None, (tested, self._selects)))

    def divide(self, manifest: Manifest, repeat: int) -> np.ndarray:
        """The roles [1, utterances]; they are the same in every repetition unless the dev part is drawn.

        Raises `UserError` where the corpus has no partition, no part to train on, or not the one to be tested.
        """
        parts = manifest.table["part"].str.casefold()
        if (parts == "").all():
            raise UserError(
                f"{manifest.corpus}: split=official needs a partition of the corpus's own, which this one does not "
                "have; use split=speaker, or split=file with a division of yours"
            )
        role = np.full(len(manifest), "", dtype="<U5")
        for name, spellings in NAMES.items():
            role[parts.isin(spellings)] = name
        listed = listing([f"{name or 'none'} ({count})" for name, count in parts.value_counts().items()])
        if "train" not in role:
            raise UserError(f"{manifest.corpus}: split=official finds no part named train; the parts are {listed}")
        tested = self._tested(sorted(set(parts[role == ""])), f"{manifest.corpus}: split=official", listed)
        role[parts == tested] = "test"
        if "dev" not in role:
            drawn, unit = set_aside(manifest, role == "train", self.dev, self.seed, repeat)
            role[drawn], self._selects = "dev", f"selected on a share of {_part_share(self.dev)} of the training {unit}"
        selects = self._selects or "selected on the dev part"
        log.info("%s: its parts are %s; tested on %s, %s", manifest.corpus, listed, tested, selects)
        return role[None]

    def _tested(self, others: Sequence[str], place: str, listed: str) -> str:
        """The part that is tested, of those that neither train nor select."""
        if self.test is not None:
            if self.test.casefold() in set(others) - {""}:
                return self.test.casefold()
            raise UserError(f"{place} has no part split.test={self.test} to be tested; the parts are {listed}")
        if tests := [name for name in others if name.startswith("test")]:
            return tests[0]
        raise UserError(f"{place} finds no part named test; say which is tested by split.test=..., of {listed}")


class AcrossCorpora:
    """Test a corpus whose recordings no training has; fold k tests the k-th.

    A share of what trains selects: of each corpus whole speakers, or utterances, see `set_aside`.

    Args:
        train: the corpora that train; []: in each fold all that it does not test, or that `test` does not name.
        test: the corpora that are tested, one a fold; []: each that `train` does not name.
        dev: share of each training corpus that selects, drawn anew for every repetition.
        seed: of the draw.
    """

    def __init__(
        self,
        *,
        train: list[str] = [],  # noqa: B006
        test: list[str] = [],  # noqa: B006
        dev: Annotated[float, Field(gt=0, le=0.5)] = 0.1,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self.train, self.test, self.dev, self.seed = train, test, dev, seed
        self.uses: list[str] = []

    def divide(self, manifest: Manifest, repeat: int) -> np.ndarray:
        """The roles [folds, utterances].

        Raises `UserError` where the corpus is one, lacks those that are named, or none is left to train or be tested.
        """
        names = _several(manifest, "split=corpus")
        for key, chosen in (("train", self.train), ("test", self.test)):
            if foreign := sorted(set(chosen) - set(names)):
                raise UserError(f"{manifest.corpus}: split.{key}: {foreign[0]} is none of {listing(names)}")
        if both := sorted(set(self.train) & set(self.test)):
            raise UserError(f"{manifest.corpus}: split=corpus: {both[0]} cannot both train and be tested")
        tested = self.test or [name for name in names if name not in self.train]
        training = {one: self.train or [name for name in names if name not in (one, *self.test)] for one in tested}
        if not all(training.values()) or not tested:
            raise UserError(f"{manifest.corpus}: split=corpus: none of {listing(names)} is left to train or be tested")
        folds = [self._fold(manifest, one, training[one], repeat) for one in tested]
        self.uses = [known_voices for _, known_voices in folds]
        return np.stack([roles for roles, _ in folds])

    def _fold(self, manifest: Manifest, tested: str, training: Sequence[str], repeat: int) -> tuple[np.ndarray, str]:
        """The roles [utterances] of one fold, and of which corpora known voices select in it."""
        corpora = manifest.table["corpus"].to_numpy()
        role = np.where(corpora == tested, "test", "").astype("<U5")
        selecting: dict[str, list[str]] = {}
        for name in training:
            role[corpora == name] = "train"
            drawn, unit = set_aside(manifest, corpora == name, self.dev, self.seed, repeat)
            role[drawn] = "dev"
            selecting.setdefault(unit, []).append(name)
        words = ", and of the ".join(f"{unit} of {listing(names)}" for unit, names in sorted(selecting.items()))
        share = _part_share(self.dev)
        log.info("%s: tested on %s; a share of %s of the %s selects", manifest.corpus, tested, share, words)
        return role, _known_voices(selecting.get("utterances", []))


class CorpusPairs:
    """Each corpus is tested after training on each other one; of three or more also on all others; and within itself.

    The folds go through the tested corpora by name. Of each there are first those of `Speaker` within it, then one for
    each other corpus, as `AcrossCorpora` divides, then, where there are several, one for all others together.

    Args:
        within: groups of speakers that a corpus is divided into to be trained and tested by itself; 0: it is not.
        dev: share of each training corpus that selects where another is tested, drawn anew for every repetition.
        seed: of all draws.

    Raises `UserError` for one or two groups, of which none would be left to select.
    """

    def __init__(
        self,
        *,
        within: Annotated[int, Field(ge=0)] = 5,
        dev: Annotated[float, Field(gt=0, le=0.5)] = 0.1,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        if within in (1, 2):
            raise UserError(f"split.within={within}: testing, selecting and training need 3 groups; 0 leaves it out")
        self.within, self.dev, self.seed = within, dev, seed
        self.uses: list[str] = []

    def divide(self, manifest: Manifest, repeat: int) -> np.ndarray:
        """The roles [folds, utterances]; those of other corpora than a fold's are not used.

        Raises `UserError` as `AcrossCorpora` and, where corpora are tested within themselves, as `Speaker`.
        """
        names, folds = _several(manifest, "split=pairs"), list[np.ndarray]()
        self.uses = []
        for tested in names:
            if self.within:
                folds += self._within(manifest, tested, repeat)
                self.uses += [""] * self.within
            others = [name for name in names if name != tested]
            for training in [[name] for name in others] + [others] * (len(others) > 1):
                pair = AcrossCorpora(train=training, test=[tested], dev=self.dev, seed=self.seed)
                folds += [*pair.divide(manifest, repeat)]
                self.uses += pair.uses
        return np.stack(folds)

    def _within(self, manifest: Manifest, name: str, repeat: int) -> list[np.ndarray]:
        """The roles [utterances] of each fold of one corpus."""
        own = (manifest.table["corpus"] == name).to_numpy()
        alone = replace(_part(manifest, own), corpus=name)
        speakers = alone.table["speaker"]
        if (speakers == "").any() or speakers.nunique() < self.within:
            known = "some are unknown" if (speakers == "").any() else f"there are {speakers.nunique()}"
            raise UserError(
                f"{manifest.corpus}: split.within={self.within} divides each corpus by speakers, and of {name} "
                f"{known}; split.within=0 tests no corpus within itself"
            )
        folds = []
        for roles in Speaker(groups=self.within, seed=self.seed).divide(alone, repeat):
            folds.append(np.full(len(manifest), "", dtype="<U5"))
            folds[-1][own] = roles
        return folds


class File:
    """A division that a table holds: a row per (repeat, fold, id), or per id where there is one fold.

    Args:
        table: CSV with the columns id and part (train, dev, test), and repeat and fold if there are several.
    """

    def __init__(self, *, table: Path) -> None:
        self.table = table
        self._cells: Cells | None = None

    def divide(self, manifest: Manifest, repeat: int) -> np.ndarray:
        """The roles [folds, utterances]; utterances of the corpus that the table does not name are not used.

        Raises `UserError` for a table that cannot be read, lacks a column, names a part or utterance that there is not,
        names one twice, or lacks the repetition.
        """
        path = Path(self.table).expanduser()
        if self._cells is None:
            self._cells = _read_division(path)
        table = _check_division(self._cells, path, manifest)
        chosen = table[table["repeat"] == repeat]
        folds = sorted(set(chosen["fold"]))
        if folds != list(range(len(folds))) or not folds:
            numbers = listing(folds) or "none"
            raise UserError(f"{self.table}: repetition {repeat} has the folds {numbers}; number them from 0")
        position = pd.Series(np.arange(len(manifest)), index=manifest.table["id"])
        roles = np.full((len(folds), len(manifest)), "", dtype="<U5")
        roles[chosen["fold"], position[chosen["id"]]] = chosen["part"].to_numpy(dtype=str)
        return roles


def _read_division(path: Path) -> Cells:
    if not path.is_file():
        raise UserError(f"there is no table {path}; split.table names a CSV with the columns id and part")
    cells = read_cells(path)
    missing = {"id", "part"} - set(cells.table.columns)
    if missing:
        raise UserError(
            f"{path} has no column {' and no column '.join(sorted(missing))}; it has {listing(cells.table.columns)}"
        )
    for doubt in cells.doubts:
        log.warning("%s: %s", path, doubt)
    return cells


def _check_division(cells: Cells, path: Path, manifest: Manifest) -> pd.DataFrame:
    columns = {
        column: cells.column(column, path) for column in ("id", "part", "repeat", "fold") if column in cells.table
    }
    table = pd.DataFrame(columns)
    table["part"] = table["part"].str.strip()
    # An id is what the corpus calls it, blanks and all; only one that it has not may be meant without them
    foreign = ~table["id"].isin(manifest.table["id"])
    table.loc[foreign, "id"] = tidied(table.loc[foreign, "id"])
    for column in ("repeat", "fold"):
        values = table.get(column, pd.Series("0", index=table.index)).str.strip()
        _refuse(path, table[~values.str.fullmatch("[0-9]{1,9}")], column, "a whole number from 0 is expected")
        table[column] = values.astype(int)
    _refuse(path, table[~table["part"].isin(PARTS)], "part", f"the parts are {', '.join(PARTS)}")
    unusable = table["id"].isin(list(manifest.left_out))
    if unusable.any():
        log.warning("%s: %d rows name recordings that were left out", path, unusable.sum())
        table = table[~unusable]
    _refuse(path, table[~table["id"].isin(manifest.table["id"])], "id", f"{manifest.corpus} has no such utterance")
    _refuse(path, table[table.duplicated(["repeat", "fold", "id"])], "id", "it stands twice in one fold")
    return table


def _refuse(path: Path, rows: pd.DataFrame, column: str, why: str) -> None:
    if len(rows):
        first = rows.iloc[0]
        raise UserError(f"{path}, line {rows.index[0]}: {column} '{first[column]}': {why} ({len(rows)} such rows)")


def _roles(dev: np.ndarray, test: np.ndarray) -> np.ndarray:
    return np.where(test, "test", np.where(dev, "dev", "train"))


def _several(manifest: Manifest, words: str) -> list[str]:
    """The corpora of a manifest, by name. Raises `UserError` where there is one, or that of an utterance is unknown."""
    names = sorted(set(manifest.table["corpus"]))
    if len(names) < 2 or "" in names:
        raise UserError(
            f"{manifest.corpus}: {words} needs several corpora, and of each utterance its own: corpus=mixed, or a "
            "table with a column corpus"
        )
    return names


def _part(manifest: Manifest, chosen: np.ndarray) -> Manifest:
    """The manifest of the chosen utterances [utterances] alone."""
    return replace(manifest, table=manifest.table[chosen].reset_index(drop=True))


def _known(manifest: Manifest, column: str) -> pd.Series:
    """A column of the manifest that must not be empty anywhere."""
    values = manifest.table[column]
    if (values == "").any():
        first = manifest.table.loc[values == "", "id"].iloc[0]
        raise UserError(
            f"{manifest.corpus}: the {column} of {(values == '').sum()} utterances is unknown, first of {first}; this "
            f"protocol needs it; split=paper divides at random, and of a table corpus.columns.{column} names the column"
        )
    return values


def _require(manifest: Manifest, owners: pd.Series, number: int, noun: str, asker: str) -> None:
    if owners.nunique() < number:
        raise UserError(f"{manifest.corpus}: {asker} needs at least {number} {noun}, and there are {owners.nunique()}")


def _rng(seed: int, repeat: int, reshuffle: bool) -> np.random.Generator:
    return np.random.default_rng([seed, repeat if reshuffle else 0])
