"""What is to be answered: recordings by their paths, in folders, or in a table; read one after the other, ahead."""

import csv
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from ser_lightning.errors import UserError, listing
from ser_lightning.features.audio import NOTHING, BadRecordingError, Mono, SilentRecordingError, read_mono
from ser_lightning.files import absolute, read_text

Task = TypeVar("Task")
Result = TypeVar("Result")

TABLE = ".csv"
# What a folder is searched for: libsndfile's formats, by the usual ends of their files' names
SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats()} | {".opus", ".oga", ".aif"}
SUFFIXES -= {".raw"}
DAYS = re.compile(r"(\d+) days? (\d+):(\d+):(\d+(?:\.\d*)?)")
# The speaker of `--one-speaker`
ONE = "one"


@dataclass(frozen=True)
class Item:
    """A recording, or a part of one.

    Attributes:
        file: as the user names it.
        path: where it lies.
        start, end: seconds; None: from its beginning, to its end.
        speaker: who speaks; '' where that is unknown.
    """

    file: str
    path: Path
    start: float | None = None
    end: float | None = None
    speaker: str = ""


@dataclass(frozen=True)
class Sound:
    """The samples of an item.

    Attributes:
        item: which.
        wave: [samples] mono, at the rate that the network takes.
        start: seconds in the file where it begins.
        seconds: its length.
        content: a name for the samples of the whole file; '' where it is silent.
        problem: why there are none; '' where there are.
    """

    item: Item
    wave: np.ndarray
    start: float
    seconds: float
    content: str = ""
    problem: str = ""


def find_items(words: Sequence[str], one_speaker: bool = False) -> list[Item]:
    """The items that are meant by words, each a recording, a folder of recordings, or a table (CSV) of them.

    A table has a column `file`, relative to its own folder, and perhaps `start`, `end` (seconds, or as audformat writes
    times: 0 days 00:00:01.5) and `speaker`. Folders are searched to any depth, in order of name.

    Raises `UserError` where something is not there, or a folder or table has no recordings; a recording that cannot be
    read is found out when it is its turn.
    """
    items: list[Item] = []
    for word in words:
        place = absolute(word)
        if place.is_dir():
            items += _in_folder(word, place)
        elif not place.exists():
            raise UserError(f"{word}: there is no such file or folder")
        elif place.suffix.lower() == TABLE:
            items += _in_table(word, place)
        else:
            items.append(Item(in_utf8(word), place))
    if one_speaker:
        if any(item.speaker not in ("", ONE) for item in items):
            raise UserError("--one-speaker: a table has a column speaker, which says it already")
        items = [Item(item.file, item.path, item.start, item.end, ONE) for item in items]
    return items


def _in_folder(word: str, folder: Path) -> list[Item]:
    # ._NAME.wav are macOS's resource forks
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not paths:
        kinds = ", ".join(sorted(suffix for suffix in SUFFIXES if suffix in (".wav", ".flac", ".mp3", ".ogg", ".opus")))
        raise UserError(f"{word}: the folder has no recordings in it ({kinds}, ...); a table of recordings is a .csv")
    return [Item(in_utf8(str(Path(word) / path.relative_to(folder))), path) for path in paths]


def in_utf8(name: str) -> str:
    """A file's name as tables can hold it: bytes that are no UTF-8 as \\x and two digits."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _in_table(word: str, place: Path) -> list[Item]:
    try:
        text = read_text(place).removeprefix("\ufeff")
    except (OSError, ValueError) as error:
        raise UserError(f"{word} cannot be read ({error})") from error
    # Lines may end in any of three ways
    first = next(StringIO(text, newline=""), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records, last = [], 0
    try:
        for cells in reader:
            last = reader.line_num
            if cells:
                records.append((last, cells))
    except csv.Error as error:
        raise UserError(
            f"{word}, line {last + 1}: the row that begins there cannot be read ({error}); see whether its quotation "
            "marks are closed"
        ) from error
    columns = [name.strip() for name in records[0][1]] if records else []
    if "file" not in columns:
        raise UserError(f"{word}: it needs a column file; its columns are {listing(columns)}")
    items = []
    for number, cells in records[1:]:
        line, row = f"{word}, line {number}", dict(zip(columns, cells, strict=False))
        values = {name: (row.get(name) or "").strip() for name in ("file", "start", "end", "speaker")}
        if not values["file"]:
            raise UserError(f"{line}: it names no file")
        start, end = (_seconds(values[name], f"{line}: {name}") for name in ("start", "end"))
        if end is not None and end <= (start or 0):
            raise UserError(f"{line}: it ends at {end:g} s, before it starts")
        path = absolute(place.parent / values["file"])
        items.append(Item(values["file"], path, start, end, values["speaker"]))
    if not items:
        raise UserError(f"{word}: the table has no rows")
    return items


def _seconds(text: str, place: str) -> float | None:
    """Seconds, from a number or a time; None where nothing, or audformat's NaT, stands."""
    if text in ("", "NaT"):
        return None
    if days := DAYS.fullmatch(text):
        count, hours, minutes, seconds = map(float, days.groups())
        return ((24 * count + hours) * 60 + minutes) * 60 + seconds
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UserError(f"{place}={text} is no time; write seconds, e.g. 1.5")
    return value


def read_item(item: Item, rate: int) -> Sound:
    """The samples of an item at `rate` Hz, or why there are none."""
    start = item.start or 0.0
    try:
        mono = read_mono(item.path, rate)
    except SilentRecordingError as error:
        mono = Mono(np.zeros(round(error.seconds * rate), dtype=np.float32), error.seconds, "")
    except (BadRecordingError, OSError) as error:
        reason = str(error) if item.path.exists() else "there is no such file"
        return Sound(item, NOTHING, start, 0.0, problem=reason)
    if start >= mono.seconds:
        problem = f"it starts at {start:g} s, and the file has {mono.seconds:.2f} s"
        return Sound(item, NOTHING, start, 0.0, problem=problem)
    end = min(mono.seconds, item.end or mono.seconds)
    return Sound(item, mono.wave[round(start * rate) : round(end * rate)], start, end - start, mono.content)


def ahead(
    function: Callable[[Task], Result], tasks: Iterable[Task], pool: ThreadPoolExecutor, depth: int
) -> Iterator[Result]:
    """What a function makes of each task, in their order; up to `depth` are made before they are asked for."""
    left = iter(tasks)
    waiting: deque[Future[Result]] = deque(pool.submit(function, task) for task in islice(left, depth))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(function, task) for task in islice(left, 1))
        yield result
