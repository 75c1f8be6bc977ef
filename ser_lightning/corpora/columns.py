"""Columns of a table that a corpus comes with, all of it at once: of hundreds of thousands of rows in a second.

A table of the user's own, in which more may be wrong, is read row by row: see `cells`.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ser_lightning.errors import UserError, listing


def read_columns(file: Path, filled: Sequence[str], others: Sequence[str] = ()) -> pd.DataFrame:
    """Columns of a CSV in UTF-8, as text without blanks around it; what is no UTF-8 becomes a replacement character.

    Raises `UserError` where the file cannot be read as a table, lacks a column, or has no rows, and for a blank cell in
    one of the columns that must be `filled`.
    """
    try:
        table = pd.read_csv(file, dtype=str, na_filter=False, encoding="utf-8-sig", encoding_errors="replace")
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from error
    except pd.errors.EmptyDataError as error:
        raise UserError(f"{file} is empty; copy it anew from where it came from") from error
    except (pd.errors.ParserError, ValueError) as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise UserError(f"{file} cannot be read as a CSV ({reason}); copy it anew from where it came from") from error
    table.columns = table.columns.str.strip()
    # Pandas takes what lies before the headings' first for names of rows
    if not isinstance(table.index, pd.RangeIndex):
        raise UserError(f"{file} has more cells in its rows than headings; copy it anew from where it came from")
    _refuse_missing(table.columns, file, filled, others)
    return _tidied(table, file, filled, others)


def read_parquet(file: Path, filled: Sequence[str], others: Sequence[str] = ()) -> pd.DataFrame:
    """The same of a Parquet file: numbers as text, durations in seconds.

    Raises `UserError` as `read_columns`, and for a column of other than plain values.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(file)
        _refuse_missing(table.column_names, file, filled, others)
        columns = {name: _text(table[name]) for name in (*filled, *others)}
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file} cannot be read as Parquet ({str(error).splitlines()[0]})") from error
    return _tidied(pd.DataFrame(columns), file, filled, others)


def _text(column: Any) -> pd.Series:
    """A column of Arrow's as text, "" where it has no value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_duration(column.type):
        column = pc.divide(column.cast(pa.duration("ns")).cast(pa.int64()).cast(pa.float64()), 1e9)
    text: pd.Series = column.cast(pa.string()).to_pandas().fillna("").astype(str)
    return text


def _refuse_missing(columns: Collection[str], file: Path, filled: Sequence[str], others: Sequence[str]) -> None:
    if missing := [name for name in (*filled, *others) if name not in columns]:
        raise UserError(f"{file} has no column {', '.join(missing)}; it has {listing(columns)}")


def _tidied(table: pd.DataFrame, file: Path, filled: Sequence[str], others: Sequence[str]) -> pd.DataFrame:
    """The columns without blanks around their cells. Raises `UserError` for a blank one where it may not be."""
    if table.empty:
        raise UserError(f"{file} has headings and no rows; copy it anew from where it came from")
    table = table[[*filled, *others]].apply(lambda column: column.str.strip())
    for name in filled:
        blank = (table[name] == "").to_numpy()
        if blank.any():
            raise UserError(f"{file}: {name} is blank in {blank.sum()} rows, first in row {blank.argmax() + 1}")
    return table


def read_numbers(cells: pd.Series, file: Path) -> pd.Series:
    """A column's cells as numbers, NaN where they are blank. Raises `UserError` for one that is none."""
    numbers = pd.to_numeric(cells, errors="coerce").astype(float)
    wrong = (numbers.isna() & ~cells.str.lower().isin(["", "nan"])).to_numpy()
    if wrong.any():
        row = wrong.argmax()
        raise UserError(f"{file}, row {row + 1}: {cells.name} '{cells.iloc[row]}' is no number")
    return numbers
