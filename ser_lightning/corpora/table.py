"""Any corpus that a table describes: CSV, TSV or JSON lines, a row per utterance."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

import pandas as pd

from ser_lightning.corpora.cells import Cells, read_cells
from ser_lightning.corpora.manifest import DESCRIPTION, PARTITION
from ser_lightning.corpora.names import likeness, tidy
from ser_lightning.errors import UserError, listing

REQUIRED = ("path", "label")
COLUMNS = ("id", *REQUIRED, *DESCRIPTION, *PARTITION)


class Table:
    """Any corpus that a table describes.

    Args:
        table: CSV, TSV or JSON-lines file; relative paths start here or at corpus.root.
        columns: our column -> the table's column, null where it has none.

    Attributes:
        summary: what `load` has read: rows, columns used, columns that are not.
        doubts: what it may have read otherwise than it is meant, a sentence each.
    """

    def __init__(self, *, table: str, columns: dict[str, Optional[str]]) -> None:
        self.table, self.columns = table, columns
        self.summary, self.doubts = "", list[str]()

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances in `table`, their audio paths absolute.

        Raises `UserError` for a missing or unreadable table, for a column that is missing, there twice or has empty
        cells, and for rows that a quotation mark makes one.
        """
        file = Path(self.table).expanduser()
        file = file if file.is_absolute() or file.is_file() else root / file
        cells = _read(file)
        headings = _headings(cells, self.columns, file)
        _refuse_swallowed_rows(cells, cells.column(headings["path"], file), file)
        self.summary = f"{file}: {_describe(cells.table, headings)}"
        self.doubts = [f"{file}: {doubt}" for doubt in cells.doubts]
        return _rows(cells, headings, root, file)


def read_rows(file: Path, root: Path, columns: dict[str, str | None]) -> pd.DataFrame:
    """The table's rows under our column names, paths absolute."""
    cells = _read(file)
    return _rows(cells, _headings(cells, columns, file), root, file)


def _read(file: Path) -> Cells:
    if not file.is_file():
        raise UserError(f"there is no table {file}; corpus.table names a CSV, TSV or JSON-lines file")
    return read_cells(file)


def _rows(cells: Cells, headings: dict[str, str], root: Path, file: Path) -> pd.DataFrame:
    columns = {column: cells.column(heading, file) for column, heading in headings.items()}
    for column in {"id", *REQUIRED} & columns.keys():
        _refuse_blank(columns[column], file)
    rows = pd.DataFrame({"raw_label": columns["label"], "path": columns["path"]})
    rows["id"] = columns.get("id", columns["path"])
    for column in (*DESCRIPTION, *PARTITION):
        if column in columns:
            rows[column] = columns[column]
    rows["path"] = _absolute(rows["path"], root)
    return rows.reset_index(drop=True)


def _headings(cells: Cells, columns: dict[str, str | None], file: Path) -> dict[str, str]:
    """Our columns that the table has -> their headings in it."""
    if unknown := sorted(set(columns) - set(COLUMNS)):
        raise UserError(f"corpus.columns.{unknown[0]} is none of the columns, which are {', '.join(COLUMNS)}")
    named = {column: tidy(columns.get(column) or "") for column in COLUMNS}
    present = {column: heading for column, heading in named.items() if heading and heading in cells.table}
    for column, heading in named.items():
        # What is called as it is by default may be absent
        if column not in present and (column in REQUIRED or heading not in ("", column)):
            raise UserError(_missing_column(cells.table, column, heading, file))
    return present


def _missing_column(table: pd.DataFrame, column: str, heading: str, file: Path) -> str:
    has = f"{file} has no column '{heading}'; it has {listing(table.columns)}"
    only = table.columns[0]
    if len(table.columns) == 1 and (marks := re.findall(r"[,;|\t]", only)):
        mark = {"\t": "a tab", ",": "a comma", ";": "a semicolon"}.get(marks[0], marks[0])
        return f"{has}. Its cells seem to be parted by {mark}; a .csv has commas there, a .tsv tabs"
    return f"{has}. Say which one holds the {column}: corpus.columns.{column}=..."


def _refuse_blank(values: pd.Series, file: Path) -> None:
    blank = values.str.strip() == ""
    if blank.any():
        raise UserError(
            f"{file}: column '{values.name}' is empty in {blank.sum()} rows, first in line {blank.idxmax()}"
        )


def _refuse_swallowed_rows(cells: Cells, paths: pd.Series, file: Path) -> None:
    """Raise `UserError` where a cell has lines that hold a file of the same kind as the row's own: rows themselves."""
    spanning = cells.table[cells.table.index.isin(list(cells.spans))]
    for begin, name, row in zip(spanning.index, paths[spanning.index], spanning.to_numpy(), strict=True):
        suffix, lines = Path(name).suffix, f"{begin} to {cells.spans[begin]}"
        inside = [one.strip() for value in row for line in value.splitlines()[1:] for one in line.split(",")]
        if suffix and any(one.endswith(suffix) for one in inside):
            raise UserError(
                f"{file}: a quotation mark in line {begin} makes lines {lines} one row, though there are further rows "
                'among them; close the quotation, or double every " that is a character'
            )


def _describe(table: pd.DataFrame, headings: dict[str, str]) -> str:
    """What was read of a table, in a line.

    >>> _describe(pd.DataFrame(columns=["file", "label", "Speaker", "age"]), {"path": "file", "label": "label"})
    '0 rows; columns used: file as path, label; not used: Speaker (perhaps corpus.columns.speaker=Speaker), age'
    """
    used = [column if heading == column else f"{heading} as {column}" for column, heading in headings.items()]
    absent = {likeness(column): column for column in COLUMNS if column not in headings}
    hints = {column: absent[likeness(column)] for column in table.columns if likeness(column) in absent}
    ignored = [
        f"{column} (perhaps corpus.columns.{hints[column]}={column})" if column in hints else column
        for column in table.columns
        if column and column not in headings.values()
    ]
    unused = f"; not used: {listing(ignored)}" if ignored else ""
    return f"{len(table)} rows; columns used: {', '.join(used)}{unused}"


def _absolute(paths: Iterable[str], root: Path) -> list[str]:
    """The paths below `root`, without links; of many files in a folder the folder's links are followed once."""
    folders: dict[Path, Path] = {}
    absolute = []
    for path in paths:
        place = root / path
        if place.parent not in folders:
            # unlike Path.resolve, no error for a loop of links: the recordings there do not exist
            folders[place.parent] = Path(os.path.realpath(place.parent))
        file = str(folders[place.parent] / place.name)
        # unlike Path.is_symlink, no error for a name too long
        absolute.append(os.path.realpath(file) if place.name == ".." or os.path.islink(file) else file)  # noqa: PTH114
    return absolute
