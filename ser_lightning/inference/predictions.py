"""Answers as a table, a row for each stretch; and what is kept of them until all are there."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from ser_lightning.errors import UserError
from ser_lightning.files import write_whole
from ser_lightning.identity import digest
from ser_lightning.inference.ensemble import Answer
from ser_lightning.inference.recordings import Item, in_utf8

JOURNAL = ".unfinished.jsonl"
FORMATS = (".csv", ".jsonl", ".parquet")

Row = dict[str, Any]


def rows_of(item: Item, answers: Sequence[Answer], classes: Sequence[str]) -> list[Row]:
    """A row for each answer on a recording; what there is none of is None.

    Columns: file, start, end (seconds), class, for each class `p_<class>`, its probability, and `sd_<class>`, that
    probability's standard deviation over the networks, then `networks`, how many answered, and `note`.
    """
    return [
        {
            "file": item.file,
            "start": round(one.start, 3),
            "end": round(one.end, 3),
            "class": one.label or None,
            **{f"p_{name}": _rounded(one.probabilities, name) for name in classes},
            **{f"sd_{name}": _rounded(one.spread, name) for name in classes},
            "networks": one.networks,
            "note": one.note or None,
        }
        for one in answers
    ]


def _rounded(values: Mapping[str, float], name: str) -> float | None:
    return round(values[name], 4) if name in values else None


def columns(classes: Sequence[str]) -> list[str]:
    """The names of a row's columns."""
    return list(rows_of(Item("", Path()), [Answer(0.0, 0.0)], classes)[0])


def format_of(out: Path) -> str:
    """The format of a file by its suffix. Raises `UserError` where that is none of csv, jsonl and parquet."""
    suffix = out.suffix.lower()
    if suffix not in FORMATS:
        raise UserError(f"--out {out}: the suffix says the format; give one of {', '.join(FORMATS)}")
    return suffix


def write_rows(out: Path, rows: Sequence[Row], names: Sequence[str]) -> None:
    """Write a table, whole or not at all, in the format of its suffix."""
    suffix = format_of(out)
    if suffix == ".jsonl":
        write_whole(out, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    elif suffix == ".csv":
        text = io.StringIO()
        table = csv_writer(text, names)
        table.writeheader()
        table.writerows(rows)
        write_whole(out, text.getvalue())
    else:
        write_whole(out, _parquet(rows, names))


def csv_writer(stream: IO[str], names: Sequence[str]) -> "csv.DictWriter[str]":
    """Writes rows as CSV to a stream."""
    return csv.DictWriter(stream, list(names), lineterminator="\n")


def _parquet(rows: Sequence[Row], names: Sequence[str]) -> memoryview:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    texts, counts = ("file", "class", "note"), ("networks",)
    kinds = {name: pa.string() if name in texts else pa.int64() if name in counts else pa.float64() for name in names}
    table = pa.Table.from_pylist(list(rows), schema=pa.schema(list(kinds.items())))
    buffer = pa.BufferOutputStream()
    write_table(table, buffer)
    return memoryview(buffer.getvalue())


class Journal:
    """The rows of recordings that are done, kept beside the table that is to be, until that is written.

    In a context. What an interrupted command has noted is taken over by the next of the same networks and options, for
    recordings that have not changed since.

    Args:
        out: the table.
        key: what the answers depend on beside the recordings.
    """

    def __init__(self, out: Path, key: Any) -> None:
        self.file, self.key = out.with_name(f"{out.name}{JOURNAL}"), digest(key)
        self.rows: dict[str, list[Row]] = {}

    def __enter__(self) -> Self:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        lines = self._kept()
        write_whole(self.file, "".join([f"{json.dumps(self.key)}\n", *lines]))
        self._stream = self.file.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        # Nothing is kept that is not worth being gone on from
        if kind is None or not self.rows:
            self.file.unlink(missing_ok=True)

    def known(self, item: Item) -> list[Row] | None:
        """The rows of an item that is done."""
        return self.rows.get(_name(item))

    def note(self, item: Item, rows: list[Row]) -> None:
        """Keep the rows of an item."""
        name = _name(item)
        self.rows[name] = rows
        self._stream.write(f"{json.dumps([name, rows])}\n")
        self._stream.flush()

    def _kept(self) -> list[str]:
        """The lines of a former journal of the same key, up to the first that is not whole."""
        lines: list[str] = []
        with suppress(OSError, ValueError):
            first, *others = self.file.read_text(encoding="utf-8").splitlines(keepends=True)
            if json.loads(first) != self.key:
                return lines
            for line in others:
                name, rows = json.loads(line)
                self.rows[name] = rows
                lines.append(line)
        return lines


def _name(item: Item) -> str:
    """Names an item and the bytes of its recording, as far as size and time tell."""
    facts: list[Any] = [in_utf8(str(value)) for value in asdict(item).values()]
    with suppress(OSError):
        status = item.path.stat()
        facts += [status.st_size, status.st_mtime_ns]
    return digest(facts)
