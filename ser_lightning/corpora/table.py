"""Any corpus that a table describes: CSV, TSV or JSON lines, a row per utterance."""

from pathlib import Path
from typing import Optional

import pandas as pd

from ser_lightning.corpora.manifest import DESCRIPTION
from ser_lightning.errors import UserError

JSON_LINES = (".jsonl", ".ndjson", ".json")
COLUMNS = ("id", "path", "label", *DESCRIPTION)


class Table:
    """Any corpus that a table describes.

    Args:
        table: CSV, TSV or JSON-lines file; relative paths start here or at corpus.root.
        columns: our column -> the table's column, null where it has none.
    """

    def __init__(self, *, table: str, columns: dict[str, Optional[str]]) -> None:
        self.table, self.columns = table, columns

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances in `table`, their audio paths relative to `root`.

        Raises `UserError` for a missing or unreadable table and for a column that is missing or has empty cells.
        """
        file = Path(self.table).expanduser()
        file = file if file.is_absolute() or file.is_file() else root / file
        return read_rows(file, root, self.columns)


def read_rows(file: Path, root: Path, columns: dict[str, str | None]) -> pd.DataFrame:
    """The table's rows under our column names, paths absolute."""
    table = _read_table(file)
    headings = {column: heading for column, heading in columns.items() if heading}
    has_ids = headings.get("id") in table.columns
    for column in ("path", "label", *["id"] * has_ids):
        _require_column(table, column, headings.get(column), file)
    # JSON has numbers too
    rows = pd.DataFrame({"raw_label": table[headings["label"]].map(str), "path": table[headings["path"]].map(str)})
    rows["id"] = table[headings["id"]].map(str) if has_ids else rows["path"]
    for column in DESCRIPTION:
        if headings.get(column) in table.columns:
            rows[column] = table[headings[column]]
    rows["path"] = [str((root / path).resolve()) for path in rows["path"]]
    return rows


def _read_table(file: Path) -> pd.DataFrame:
    if not file.is_file():
        raise UserError(f"there is no table {file}; corpus.table names a CSV, TSV or JSON-lines file")
    try:
        if file.suffix in JSON_LINES:
            table = pd.read_json(file, lines=True, dtype=False)
            return table.astype(object).where(table.notna(), None)
        # Everything is text: a speaker '03' must not become the number 3, nor a label 'null' a missing value.
        separator = "\t" if file.suffix in (".tsv", ".tab") else ","
        return pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as a table: {str(error).splitlines()[0]}") from error


def _require_column(table: pd.DataFrame, column: str, heading: str | None, file: Path) -> None:
    if heading is None or heading not in table.columns:
        raise UserError(
            f"{file} has no column '{heading}'; it has {', '.join(map(str, table.columns))}. "
            f"Say which one holds the {column}: corpus.columns.{column}=..."
        )
    empty = table[heading].isna() | (table[heading].astype(str).str.strip() == "")
    if empty.any():
        line = empty.argmax() + (1 if file.suffix in JSON_LINES else 2)
        raise UserError(f"{file}: column '{heading}' is empty in {empty.sum()} rows, first in line {line}")
