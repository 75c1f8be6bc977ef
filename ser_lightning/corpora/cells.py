"""A table's cells as they are written in a CSV, TSV or JSON-lines file, and the line on which each row begins."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ser_lightning.corpora.containers import LFS
from ser_lightning.corpora.names import tidy
from ser_lightning.errors import UserError, listing

JSON_LINES = (".jsonl", ".ndjson", ".json")
TABS = (".tsv", ".tab")
# One cell in quotation marks, at its begin and end or at those of the line, with doubled ones inside
QUOTED = re.compile(r'"((?:[^"]|"")*)"([^\t]*)(?:\t|$)')
CELL = r'(?:"(?:[^"]|"")*"|[^",\r\n][^,\r\n]*|)'
CLOSED = re.compile(rf"{CELL}(?:,{CELL})*(?:\r\n|\r|\n)?")
# of a character that JSON writes as a surrogate pair
HALF = re.compile("[\ud800-\udfff]")

Record = tuple[int, list[Any]]


@dataclass(frozen=True)
class Cells:
    """A table as it is written.

    Attributes:
        table: text, "" where a cell is blank; of JSON, other types than text and numbers too. Its index is the line on
            which each row begins.
        doubts: what may be meant otherwise than it is read, a sentence each.
        spans: first line -> last, of the rows that have several.
    """

    table: pd.DataFrame
    doubts: list[str] = field(default_factory=list)
    spans: dict[int, int] = field(default_factory=dict)

    def column(self, heading: str, file: Path) -> pd.Series:
        """One column's cells, by line. Raises `UserError` where it stands there twice or holds what is no text."""
        if (self.table.columns == heading).sum() > 1:
            raise UserError(f"{file} has several columns '{heading}'; rename all but one")
        values = self.table[heading]
        for line, value in values.items():
            if not isinstance(value, str):
                kind = "list" if isinstance(value, list) else "mapping"
                raise UserError(f"{file}, line {line}: column '{heading}' holds a {kind}, where text is expected")
        _refuse_undisplayable(values, file)
        return values


def read_cells(file: Path) -> Cells:
    """The cells of a table. Which format it has is told by its suffix; a suffix that is not known is a CSV's.

    Raises `UserError` for a file that cannot be read, is not UTF-8, has no rows, or has rows that do not fit its
    headings.
    """
    text = _read_text(file)
    if file.suffix.lower() in JSON_LINES:
        cells = _read_objects(text, file)
    elif file.suffix.lower() in TABS:
        cells = _arrange(list(_records_by_tab(text)), file)
    else:
        spans: dict[int, int] = {}
        cells = _arrange(list(_records_by_comma(text, file, spans)), file, spans)
    if cells.table.empty:
        raise UserError(f"{file} has headings and no rows")
    return cells


def _read_text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from error
    if content.startswith(LFS):
        raise UserError(f"{file} is a Git LFS pointer, not the table itself; fetch it by: git lfs pull")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{file} is not UTF-8 text: byte 0x{content[error.start]:02x} in line {line}; save it as a CSV, TSV or "
            "JSON-lines file in UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{file} is not text: it has a zero byte in line {line}; save it as a table in UTF-8")
    if not text.strip():
        raise UserError(f"{file} is empty")
    return text


def _records_by_comma(text: str, file: Path, spans: dict[int, int]) -> Iterator[Record]:
    """The line on which each row begins, and its cells; rows of several lines are added to `spans`."""
    lines: list[str] = []

    def remembered() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            lines.append(line)
            yield line

    reader = csv.reader(remembered())
    begin, last, row = 1, 0, ""
    try:
        for cells in reader:
            begin, last, row = last + 1, reader.line_num, "".join(lines)
            lines.clear()
            if last > begin:
                if not CLOSED.fullmatch(row):
                    raise _unclosed(file, begin, last)
                spans[begin] = last
            if len(cells) > 1 or any(map(str.strip, cells)):
                yield begin, cells
    except csv.Error as error:
        if "field larger" in str(error) and '"' not in "".join(lines):
            raise UserError(
                f"{file}, line {last + 1}: a cell has more than {csv.field_size_limit()} characters; shorten it"
            ) from error
        raise _unclosed(file, last + 1, last + len(lines)) from error
    # At the file's end the reader itself closes what is open
    if len(list(csv.reader([row.rstrip("\r\n") + "\n", "another row"]))) < 2:
        raise _unclosed(file, begin, last)


def _unclosed(file: Path, begin: int, last: int) -> UserError:
    return UserError(
        f"{file}: a quotation mark that opens a cell in line {begin} is not closed by its end"
        + (f", so that lines {begin} to {last} would be one row" if last > begin else "")
        + '; close it, or double every " that is a character'
    )


def _records_by_tab(text: str) -> Iterator[Record]:
    """As by comma; a row is a line, and a quotation mark that is not closed on it is a character."""
    for number, raw in enumerate(io.StringIO(text, newline=""), 1):
        line = raw.rstrip("\r\n")
        if line.strip() or "\t" in line:
            yield number, _split_quoted(line) if '"' in line else line.split("\t")


def _split_quoted(line: str) -> list[str]:
    cells, place = [], 0
    while place <= len(line):
        if quoted := QUOTED.match(line, place):
            cells.append(quoted[1].replace('""', '"') + quoted[2])
            end = quoted.end() - line[: quoted.end()].endswith("\t")
        else:
            end = line.find("\t", place)
            end = len(line) if end < 0 else end
            cells.append(line[place:end])
        place = end + 1
    return cells


def _arrange(records: list[Record], file: Path, spans: dict[int, int] | None = None) -> Cells:
    """The rows below their headings, in spite of separators at the ends of lines and of row names without heading."""
    headings = [tidy(heading) for heading in records[0][1]]
    lines, rows = [line for line, _ in records[1:]], [cells for _, cells in records[1:]]
    width = len(headings)
    doubts = []
    if rows and all(len(cells) == width + 1 for cells in rows) and any(cells[-1].strip() for cells in rows):
        rows = [cells[1:] for cells in rows]
        doubts.append("rows have a cell more than headings; the first is taken as the row's name, as R writes it")
    few = [line for line, cells in zip(lines, rows, strict=True) if len(cells) < width]
    if few:
        doubts.append(
            f"{len(few)} rows have fewer cells than headings, first in line {few[0]}; what lacks is taken as blank"
        )
    for line, cells in zip(lines, rows, strict=True):
        if cells[0].strip() == headings[0] and [*map(tidy, cells)] == headings:
            raise UserError(f"{file}, line {line} has the headings once more; remove it")
        if any(cell.strip() for cell in cells[width:]):
            raise UserError(
                f"{file}, line {line} has {len(cells)} cells, and there are {width} headings; put a cell that holds "
                "the separator between quotation marks"
            )
        cells[width:] = [""] * (width - len(cells))
    if spans:
        places = [f"{begin} to {last}" for begin, last in spans.items()]
        doubts.append(
            f"rows whose quoted cells span lines: {listing(places)}; if they are not meant to, close or double their "
            "quotation marks"
        )
    return Cells(pd.DataFrame(rows, lines, headings, dtype=object), doubts, spans or {})


def _read_objects(text: str, file: Path) -> Cells:
    """The objects of JSON lines; a number is the text by which it is written."""
    if text.lstrip().startswith("["):
        raise UserError(
            f"{file} is one JSON array, where JSON lines are expected, an object per line; "
            f"make them by: jq -c '.[]' {file.name} > {file.stem}.jsonl"
        )
    lines, rows = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(
                line,
                parse_int=str,
                parse_float=str,
                parse_constant=lambda name: "" if name == "NaN" else name,
                object_pairs_hook=_tidy_keys,
            )
        except UserError as error:
            raise UserError(f"{file}, line {number} has {error}; give one of them another name") from error
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
            raise UserError(
                f"{file} cannot be read as a table: line {number} is not JSON ({reason}); JSON lines have an object "
                "per line"
            ) from error
        if not isinstance(row, dict):
            raise UserError(f'{file}, line {number} is no JSON object, such as {{"path": "a.wav", "label": "joy"}}')
        lines.append(number)
        rows.append({key: _plain(value) for key, value in row.items()})
    headings = list(Counter(key for row in rows for key in row))
    return Cells(pd.DataFrame([[row.get(key, "") for key in headings] for row in rows], lines, headings, dtype=object))


def _tidy_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, its keys tidied. Raises `UserError` where two are then one, of which JSON would keep the last."""
    tidied = [(tidy(key), value) for key, value in pairs]
    counts = Counter(key for key, _ in tidied)
    if twice := [key for key, count in counts.items() if count > 1]:
        raise UserError(f"the key '{twice[0]}' twice")
    return dict(tidied)


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    return str(value) if isinstance(value, bool) else value


def _refuse_undisplayable(values: pd.Series, file: Path) -> None:
    """What JSON can write and no file system or UTF-8 file can hold."""
    for line, value in values.items():
        if "\0" in value or HALF.search(value):
            raise UserError(f"{file}, line {line}: column '{values.name}' holds half a character or a zero byte")
