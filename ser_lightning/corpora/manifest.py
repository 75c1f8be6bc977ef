"""The manifest: a table with a row per utterance, all that later rooms know of a corpus."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from ser_lightning.config import CorpusConfig
from ser_lightning.corpora.containers import BadHeaderError, duration, examine
from ser_lightning.corpora.names import doubts, kept_words, tidied, tidy
from ser_lightning.crashes import CrashWatch
from ser_lightning.errors import UserError, listing
from ser_lightning.identity import digest_rows

log = logging.getLogger(__name__)

DESCRIPTION = ("speaker", "gender", "session", "dialogue", "kind", "text_id")
# What divides a corpus beforehand; what comes of it stands in the divisions, so that no digest needs it
PARTITION = ("part", "corpus")
# What no protocol asks for: words spoken, evaluator -> raw labels chosen, means of the evaluators' ratings
RATINGS = ("valence", "activation", "dominance")
COLUMNS = ("id", "path", "raw_label", "label", *DESCRIPTION, *PARTITION, "transcript", "votes", *RATINGS, "seconds")

SENTENCES, SCENES = "sentences", "scenes"
ABSENT = "the file does not exist"
# Labels that may each be a class even of a small corpus
MANY = 10


@dataclass(frozen=True)
class Manifest:
    """A corpus's usable utterances.

    `table` has a row per utterance, sorted by id: `id`, `path` (absolute), `raw_label` (the corpus's own), `label` (the
    class), `speaker`, `gender`, `session`, `dialogue`, `kind`, `text_id`, `part` (of the corpus's own partition, e.g.
    test1), `corpus` (of several in one), `transcript` (each "" where unknown), `votes` (evaluator -> the raw labels
    chosen; empty where unknown), `valence`, `activation`, `dominance` (the evaluators' means on the corpus's scale; NaN
    where unknown), `seconds`. `left_out` says of the unusable ones why (id -> reason), `inexact` what in the header of
    a usable one does not fit its file. `texts` says what text ids name: sentences, or scenes.
    """

    corpus: str
    classes: tuple[str, ...]
    table: pd.DataFrame
    synthetic: bool = False
    left_out: dict[str, str] = field(default_factory=dict)
    inexact: dict[str, str] = field(default_factory=dict)
    texts: str = SENTENCES

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def digest(self) -> str:
        """Names the utterances, their labels and their strata; independent of where the corpus lies."""
        columns = ["id", "raw_label", "label", *DESCRIPTION]
        return digest_rows(self.table[columns].itertuples(index=False, name=None))

    def without(self, problems: Mapping[str, str], max_share: float) -> "Manifest":
        """The manifest less the utterances with a problem (id -> reason), which are named and counted in a warning.

        Raises `UserError` when more than `max_share` of all utterances would be left out.
        """
        if not problems:
            return self
        total = len(self) + len(self.left_out)
        left_out = {**self.left_out, **problems}
        listed = listing([_named(utterance, reason) for utterance, reason in sorted(left_out.items())], "; ")
        if len(left_out) > max_share * total:
            raise UserError(
                f"{self.corpus}: {len(left_out)} of {total} recordings cannot be used, more than "
                f"corpus.max_bad_share={max_share:g} allows. Mend or remove them, or raise that share. {listed}"
            )
        log.warning("%s: %d of %d recordings are left out. %s", self.corpus, len(left_out), total, listed)
        table = self.table[~self.table["id"].isin(list(problems))].reset_index(drop=True)
        return replace(self, table=table, left_out=left_out)


def _named(utterance: str, reason: str) -> str:
    """The reason with the utterance before it, unless it begins with a path that names it."""
    path, colon, _ = reason.partition(": ")
    is_named = bool(colon) and (path.endswith(utterance) or Path(path).stem == utterance)
    return reason if is_named else f"{utterance}: {reason}"


def refuse_other_rows(rows: object, source: str) -> None:
    """Raise `UserError`, with the `source` of the rows, where they are no table of ids, paths and labels in words."""
    if not isinstance(rows, pd.DataFrame):
        raise UserError(f"{source} gives a {type(rows).__name__} where a pandas.DataFrame is expected")
    if missing := {"id", "path", "raw_label"} - set(rows.columns):
        raise UserError(f"{source} gives no column {', '.join(sorted(missing))}")
    for column, kinds in (("id", str), ("path", (str, Path)), ("raw_label", str)):
        for place, value in enumerate(rows[column]):
            if not isinstance(value, kinds) or not str(value).strip():
                kind = "" if value == "" else f", of the type {type(value).__name__}"
                raise UserError(f"{source} gives in row {place} the {column} '{value}'{kind}; it must be text")


def build_manifest(
    rows: pd.DataFrame,
    config: CorpusConfig,
    shortest: float = 0.0,
    synthetic: bool = False,
    texts: str = SENTENCES,
) -> Manifest:
    """Map labels to classes, look at every file's header, and hand on what is usable.

    `rows` has the columns id, path, raw_label and any further ones of `COLUMNS`; what is shorter than `shortest`
    seconds cannot be used. Labels and descriptions are tidied (blanks around them, Unicode's form); which of them may
    be meant otherwise is said. Raises `UserError` for a duplicate id, a label that is neither mapped nor ignored, a
    class without utterances, a single class, as many labels as utterances, no recording where one should be, or too
    many unusable recordings.
    """
    rows, written = label_rows(rows, config)
    for column in RATINGS:
        rows[column] = rows[column].astype(float) if column in rows else np.nan
    votes = rows["votes"] if "votes" in rows else [None] * len(rows)
    rows["votes"] = pd.Series([one if isinstance(one, dict) else {} for one in votes], rows.index, dtype=object)
    rows = rows.sort_values("id", ignore_index=True)
    headers = _read_headers(rows["path"], shortest)
    if len(rows) > 1 and {header.problem for header in headers} == {ABSENT}:
        raise UserError(
            f"{config.name}: {len(rows)} of {len(rows)} recordings cannot be used, for none is there, such as "
            f"{rows['path'].iloc[0]}; check corpus.root, and that what should be paths of a table is paths"
        )
    rows["seconds"] = [header.seconds for header in headers]
    recordings = list(zip(rows["id"], rows["path"], headers, strict=True))
    problems = {name: f"{path}: {header.problem}" for name, path, header in recordings if header.problem}
    inexact = {name: f"{path}: {header.inexact}" for name, path, header in recordings if header.inexact}
    classes = tuple(config.classes or sorted(set(rows["label"])))
    if len(classes) == 1:
        raise UserError(
            f"{config.name}: {classes[0]} is the only class, and there must be two or more; see corpus.classes and "
            "corpus.ignore, or the labels that the corpus gives"
        )
    everything = Manifest(config.name, classes, rows[list(COLUMNS)], synthetic, inexact=inexact, texts=texts)
    manifest = everything.without(problems, config.max_bad_share)
    refuse_empty_classes(manifest)
    name_doubts(written, rows, config)
    return manifest


def label_rows(rows: pd.DataFrame, config: CorpusConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A corpus's rows with their classes, labels and descriptions tidied, and these as they were written.

    Raises `UserError` for a duplicate id, a label that is neither mapped nor ignored, and as many labels as utterances.
    """
    rows = rows.reset_index(drop=True)
    _refuse_duplicates(rows, config)
    for column in (*DESCRIPTION, *PARTITION, "transcript"):
        rows[column] = rows[column].astype(object).fillna("").astype(str) if column in rows else ""
    written = rows[["raw_label", *DESCRIPTION, *PARTITION]]
    tidy_columns: dict[str, pd.Series] = {str(column): tidied(values) for column, values in written.items()}
    rows = _map_labels(rows.assign(path=rows["path"].map(str), **tidy_columns), config)
    return rows, written.loc[rows.index]


def utterances_csv(manifest: Manifest) -> str:
    """What a report may ask of an utterance as a CSV: id, label, raw_label, who spoke, when and where, corpus, votes.

    Votes are JSON, evaluator -> the labels chosen, {} where unknown.
    """
    table = manifest.table[["id", "label", "raw_label", "speaker", "gender", "session", "kind", "corpus"]]
    return str(table.assign(votes=manifest.table["votes"].map(json.dumps)).to_csv(index=False))


def refuse_empty_classes(manifest: Manifest) -> None:
    """Raises `UserError` where a class has no utterance, or the corpus none at all."""
    counts = Counter(manifest.table["label"])
    missing = [name for name in manifest.classes if not counts[name]]
    if missing or not len(manifest):
        raise UserError(
            f"{manifest.corpus}: no usable utterance of class {listing(missing) or '(any)'}; found "
            f"{listing([f'{name} ({count})' for name, count in counts.items()]) or 'none'}. Check corpus.root and "
            "corpus.classes"
        )


def _refuse_duplicates(rows: pd.DataFrame, config: CorpusConfig) -> None:
    duplicates = rows.loc[rows["id"].duplicated(keep=False), ["id", "path"]]
    if len(duplicates):
        first = duplicates["id"].iloc[0]
        paths = listing(duplicates.loc[duplicates["id"] == first, "path"], " and ")
        raise UserError(
            f"{config.name}: {duplicates['id'].nunique()} ids occur more than once; '{first}' names {paths}. "
            "Give every utterance an id of its own; if the corpus lies there twice, point corpus.root at one copy"
        )


def _map_labels(rows: pd.DataFrame, config: CorpusConfig) -> pd.DataFrame:
    """Add the class of every row; drop the ignored labels."""
    ignored = [tidy(label) for label in config.ignore]
    if not config.classes:
        mapping = {label: label for label in set(rows["raw_label"]) - set(ignored)}
        _refuse_many_labels(rows["raw_label"], len(mapping), config)
    else:
        mapping = _class_of(config.classes, config.name)
    if both := [label for label in ignored if label in mapping]:
        name = mapping[both[0]]
        raise UserError(
            f"{config.name}: label '{both[0]}' is in corpus.ignore and belongs to the class {name} too; take it out of "
            f"one of the two, e.g. by '~corpus.classes.{name}'"
        )
    unknown = rows[~rows["raw_label"].isin([*mapping, *ignored])]
    if len(unknown):
        labels = listing([f"'{label}'" for label in sorted(set(unknown["raw_label"]))])
        raise UserError(
            f"{config.name}: unknown label {labels}, first at {unknown['path'].iloc[0]}. Map it to a class in "
            f"corpus.classes or name it in corpus.ignore"
        )
    rows = rows[rows["raw_label"].isin(list(mapping))]
    return rows.assign(label=rows["raw_label"].map(mapping))


def _refuse_many_labels(labels: pd.Series, number: int, config: CorpusConfig) -> None:
    """Raise `UserError` where labels name utterances rather than classes, as those of a shifted column do."""
    if number > MANY and 2 * number > len(labels):
        raise UserError(
            f"{config.name}: {number} labels for {len(labels)} utterances, such as '{labels.iloc[0]}', cannot each be "
            "a class; check which column holds the labels, or map them by corpus.classes"
        )


def _class_of(classes: Mapping[str, Sequence[str]], corpus: str) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for name, labels in classes.items():
        for label in map(tidy, labels):
            if label in mapping:
                raise UserError(f"{corpus}: label '{label}' stands under two classes, {mapping[label]} and {name}")
            mapping[label] = name
    return mapping


@dataclass(frozen=True)
class _Header:
    """A recording's length, why it cannot be used, and what in it is merely inexact; '' where nothing is."""

    seconds: float = 0.0
    problem: str = ""
    inexact: str = ""


def _read_headers(paths: Iterable[str], shortest: float) -> list[_Header]:
    # A task for each of 100,000 files costs more than looking at it
    files = list(paths)
    tasks = [files[first : first + 16] for first in range(0, len(files), 16)]
    with CrashWatch() as watch, ThreadPoolExecutor(8) as pool:

        def read(part: Sequence[str]) -> list[_Header]:
            headers = []
            for path in part:
                with watch.over(path):
                    headers.append(_read_header(Path(path), shortest))
            return headers

        return list(chain.from_iterable(pool.map(read, tasks)))


def _read_header(file: Path, shortest: float) -> _Header:
    try:
        if not file.is_file():
            return _Header(problem="it is not a regular file" if file.exists() else ABSENT)
        fault = examine(file)
        if fault.truncated:
            return _Header(problem=fault.truncated)
        seconds = duration(file)
    except BadHeaderError as error:
        return _Header(problem=str(error))
    except OSError as error:
        return _Header(problem=f"the file cannot be read ({error.strerror})")
    if seconds < shortest:
        return _Header(seconds, f"{seconds:.2f} s is shorter than the {shortest:g} s that the network needs")
    return _Header(seconds, inexact=fault.inexact)


def name_doubts(written: pd.DataFrame, rows: pd.DataFrame, config: CorpusConfig) -> None:
    """Say which names may be meant otherwise than they are read.

    `written` are the labels and descriptions before they were tidied, `rows` all there is, in any order.
    """
    sentences = doubts("label", written["raw_label"] if not config.classes else [])
    for column in ("speaker", "session", "gender", "kind", "corpus"):
        sentences += doubts(column, written[column])
    described = {column: rows[column] for column in (*DESCRIPTION, *PARTITION)}
    sentences += kept_words({"label": rows["raw_label"], **described})
    doubled = sorted(set(rows.loc[rows["path"].duplicated(), "path"]))
    if doubled:
        sentences.append(f"recordings that several utterances are: {listing(doubled)}")
    for sentence in sentences:
        log.warning("%s: %s", config.name, sentence)
