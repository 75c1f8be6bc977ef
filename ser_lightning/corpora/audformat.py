"""A database in audformat (audEERING): db.yaml, tables in CSV or Parquet, recordings; read without its own library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd

from ser_lightning.corpora.columns import read_columns, read_parquet
from ser_lightning.corpora.containers import BadHeaderError, duration
from ser_lightning.corpora.manifest import DESCRIPTION, PARTITION
from ser_lightning.errors import UserError, listing
from ser_lightning.files import read_yaml

COLUMNS = ("label", *DESCRIPTION, *PARTITION, "transcript")
# A column may be absent where it is named as it is by default: by our own name, or these
USUAL = {"text_id": "transcription", "transcript": "transcription", "part": "split"}
CUT = "cut them, e.g. by ffmpeg -i FILE -ss START -to END NEW.wav, and describe the new ones in a table, corpus=table"
# Seconds by which a segment may end before its recording does, since times are written rounded
ROUNDED = 0.01

Facts = Mapping[str, Any]


class Audformat:
    """A database in audformat.

    Args:
        tables: those whose labels are read; []: all that have the label, of whole files if there are such.
        columns: our column -> the database's column or scheme, or what it tells of speakers; null where it has none.

    Attributes:
        summary: what `load` has read.
    """

    def __init__(self, *, tables: list[str] = [], columns: dict[str, Optional[str]]) -> None:  # noqa: B006
        self.tables, self.columns = tables, columns
        self.summary = ""

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of the database whose db.yaml is in `root`: the files that have a label.

        `part` is a column's or, without one, of the splits of the tables that have the label: train, dev, or the name
        of a test split. A transcript that is a code of its scheme is what the scheme says of the code.

        Raises `UserError` where db.yaml or a table cannot be read, where a table or column that is named is not there,
        where a file has two labels, and where labels are of segments of files.
        """
        if unknown := sorted(set(self.columns) - set(COLUMNS)):
            raise UserError(f"corpus.columns.{unknown[0]} is none of the columns, which are {', '.join(COLUMNS)}")
        names = {column: self.columns.get(column) or "" for column in COLUMNS}
        database = _open(root)
        tables = _choose(database, self.tables, names["label"])
        labels = database.cells(names["label"], tables)
        rows = pd.DataFrame({"id": labels.index, "raw_label": labels.to_numpy()})
        rows["path"] = [str(root / file) for file in rows["id"]]
        for column in COLUMNS[1:]:
            values = database.described(names[column], names["speaker"], tables)
            if values is None and column == "part":
                values = database.parts(tables)
            if values is not None:
                rows[column] = rows["id"].map(values).fillna("")
            elif names[column] not in ("", USUAL.get(column, column)):
                raise UserError(f"{database.file} has no {names[column]}, which corpus.columns.{column} names")
        if "transcript" in rows:
            words = database.labels(names["transcript"])
            rows["transcript"] = rows["transcript"].replace(_texts(words) if isinstance(words, dict) else {})
        others = [column for column in rows if column not in ("id", "raw_label", "path")]
        self.summary = f"{database.file}: {len(rows)} labels of {listing(tables)}; also {listing(others) or 'nothing'}"
        return rows


@dataclass(frozen=True)
class _Database:
    """What db.yaml says of its schemes, splits, tables, and tables of other things than files."""

    file: Path
    schemes: Facts
    splits: Facts
    tables: Facts
    others: Facts

    def described(self, name: str, speaker: str, labelled: Sequence[str]) -> pd.Series | None:
        """File -> cell of a column, or of what is told of the file's speaker; None where there is neither.

        Of tables of whole files, or else of those that have the labels, whose segments are whole files.
        """
        if tables := self._telling(name, labelled):
            return self.cells(name, tables)
        speakers = self._telling(speaker, labelled)
        facts = self._of_labels(self.labels(speaker), name) if name and speakers else None
        return None if facts is None else self.cells(speaker, speakers).map(facts).fillna("")

    def _telling(self, name: str, labelled: Sequence[str]) -> list[str]:
        holders = self.holders(name)
        return self.whole(holders) or [table for table in holders if table in labelled]

    def cells(self, name: str, tables: Sequence[str]) -> pd.Series:
        """File -> cell of a column, that is not blank, in one of the tables."""
        series = []
        for table in tables:
            column = _column(self.tables[table], name, table) or ""
            cells = self._read(table, column)
            series.append(pd.Series(cells[column].to_numpy(), cells["file"], dtype=object))
        return _merge(series, f"{self.file.parent}: {name}")

    def parts(self, tables: Sequence[str]) -> pd.Series | None:
        """File -> part, of the splits of the tables; None where they have none."""
        series = []
        for table in tables:
            if split := str(self.tables[table].get("split_id") or ""):
                kind = self.splits.get(split, {}).get("type")
                part = kind if kind in ("train", "dev") else split
                series.append(pd.Series(part, self._read(table)["file"], dtype=object))
        return _merge(series, f"{self.file.parent}: split") if series else None

    def holders(self, name: str) -> list[str]:
        """The tables that have a column of this name or scheme."""
        return [table for table, facts in self.tables.items() if name and _column(facts, name, table)]

    def whole(self, tables: Sequence[str]) -> list[str]:
        """Those of the tables that are of whole files."""
        return [table for table in tables if self.tables[table].get("type") != "segmented"]

    def labels(self, name: str) -> Any:
        """What the scheme of a column has for labels: a list, a mapping, the name of a table; None for nothing."""
        for table in self.holders(name):
            column = _column(self.tables[table], name, table) or ""
            scheme = _entries(self.tables[table], "columns")[column].get("scheme_id")
            return self.schemes.get(str(scheme), {}).get("labels")
        return None

    def _of_labels(self, labels: Any, name: str) -> dict[str, str] | None:
        """Label -> what is said of it under this name, where a scheme describes its labels."""
        if isinstance(labels, dict):
            facts = {label: fact[name] for label, fact in labels.items() if isinstance(fact, dict) and name in fact}
            return _texts(facts) or None
        table = self.others.get(labels, {}) if isinstance(labels, str) else {}
        column = _column(table, name, str(labels))
        if column is None:
            return None
        level = str(next(iter(table.get("levels") or [labels])))
        cells = _read_table(self.file.parent, labels, [level], [column])
        return dict(zip(cells[level], cells[column], strict=True))

    def _read(self, table: str, *columns: str) -> pd.DataFrame:
        """Files and columns of a table. Raises `UserError` for one of segments that are not whole files."""
        if self.tables[table].get("type") != "segmented":
            return _read_table(self.file.parent, table, ["file"], columns)
        cells = _read_table(self.file.parent, table, ["file", "start"], ["end", *columns])
        whole = self.whole(self.holders(columns[0])) if columns else []
        remedy = f"choose {' or '.join(whole)} by corpus.tables" if whole else CUT
        _refuse_segments(cells, self.file.parent, table, remedy)
        return cells


def _open(root: Path) -> _Database:
    file = root / "db.yaml"
    try:
        header = read_yaml(file)
    except FileNotFoundError as error:
        raise UserError(f"there is no {file}; corpus.root is the folder of a database in audformat") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
    if not isinstance(header, dict) or not header.get("tables"):
        raise UserError(f"{file} names no tables; it must be the header of a database in audformat")
    return _Database(file, *(_entries(header, name) for name in ("schemes", "splits", "tables", "misc_tables")))


def _entries(facts: Facts, name: str) -> dict[str, dict[str, Any]]:
    """Name -> what is said of it, in a section of db.yaml."""
    section = facts.get(name) or {}
    return {str(key): value if isinstance(value, dict) else {} for key, value in section.items()}


def _column(table: Facts, name: str, title: str) -> str | None:
    """A table's column of this name, or else of the scheme of this name. Raises `UserError` where it has two."""
    columns = _entries(table, "columns")
    same = [column for column, facts in columns.items() if facts.get("scheme_id") == name]
    if name not in columns and len(same) > 1:
        raise UserError(f"the table {title} has several columns of the scheme {name}; name {' or '.join(same)}")
    return name if name in columns else next(iter(same), None)


def _choose(database: _Database, tables: Sequence[str], label: str) -> list[str]:
    """The tables that have the labels."""
    holders = database.holders(label)
    for table in tables:
        if table not in holders:
            raise UserError(f"corpus.tables: {database.file} has no table {table} with a column or scheme '{label}'")
    if not holders:
        columns = [f"{table}: {', '.join(_entries(facts, 'columns'))}" for table, facts in database.tables.items()]
        raise UserError(
            f"no table of {database.file} has a column or scheme '{label}'; say which is the label by "
            f"corpus.columns.label=..., of {listing(columns, '; ')}"
        )
    return list(tables) or database.whole(holders) or holders


def _read_table(root: Path, table: str, filled: Sequence[str], others: Sequence[str]) -> pd.DataFrame:
    places = {suffix: root / f"db.{table}.{suffix}" for suffix in ("parquet", "csv", "pkl")}
    if places["parquet"].is_file():
        return read_parquet(places["parquet"], filled, others)
    if places["csv"].is_file() or not places["pkl"].is_file():
        return read_columns(places["csv"], filled, others)
    raise UserError(
        f"{places['pkl']} is not read, since a pickle may run code; save the database once more as CSV or Parquet: "
        f'audformat.Database.load(FOLDER).save(FOLDER, storage_format="csv")'
    )


def _merge(series: Sequence[pd.Series], name: str) -> pd.Series:
    """The cells of several tables that are not blank. Raises `UserError` where a file has two."""
    cells = pd.concat(series)
    cells = cells[cells != ""]
    distinct = cells[~pd.MultiIndex.from_arrays([cells.index, cells]).duplicated()]
    twice = distinct.index.duplicated()
    if twice.any():
        file = distinct.index[twice][0]
        raise UserError(f"{name} of {file} is {listing(distinct[[file]], ' and ')} in its tables; mend or choose them")
    return distinct


def _texts(facts: Mapping[Any, Any]) -> dict[str, str]:
    """What YAML may have taken for numbers, as text."""
    return {str(key): str(value) for key, value in facts.items() if not isinstance(value, dict)}


def _refuse_segments(cells: pd.DataFrame, root: Path, table: str, remedy: str) -> None:
    """Raise `UserError` where rows are parts of their files."""
    begins, ends = (_seconds(cells[column], table).to_numpy() for column in ("start", "end"))
    whole = (begins == 0) & ~cells["file"].duplicated(keep=False).to_numpy()
    doubtful = whole & ~np.isnan(ends)
    lengths = [_length(root / file) if doubt else 0 for file, doubt in zip(cells["file"], doubtful, strict=True)]
    whole &= ~(ends < np.array(lengths) - ROUNDED)
    if not whole.all():
        row = int(whole.argmin())
        file, end = cells["file"].iloc[row], "its end" if np.isnan(ends[row]) else f"{ends[row]:g} s"
        raise UserError(
            f"{(~whole).sum()} of {len(cells)} rows of the table {table} are segments, such as {file} from "
            f"{begins[row]:g} s to {end}; utterances are whole files here: {remedy}"
        )


def _seconds(times: pd.Series, table: str) -> pd.Series:
    """Times such as 1.5 or 0 days 00:00:01.500000 in seconds; NaN where there is none."""
    numbers = pd.to_numeric(times, errors="coerce").astype(float)
    words = times.where(numbers.isna() & ~times.isin(["", "NaT"]))
    seconds: pd.Series = numbers.fillna(pd.to_timedelta(words, errors="coerce").dt.total_seconds())
    wrong = times[words.notna() & seconds.isna()]
    if len(wrong):
        raise UserError(f"the table {table} has the {times.name} '{wrong.iloc[0]}', which is no time")
    return seconds


def _length(file: Path) -> float:
    """Seconds of a recording; 0 of one that cannot be read, which is told later."""
    try:
        return duration(file)
    except (BadHeaderError, OSError):
        return 0.0
