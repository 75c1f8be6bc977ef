"""Odd tables of a corpus of one's own: what is read is what was meant, or it is said, or refused."""

import contextlib
import io
import json
import logging
import os
import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ser_lightning.config import compose
from ser_lightning.corpora import Manifest
from ser_lightning.doctor import load_tolerantly
from ser_lightning.errors import UserError
from ser_lightning.files import explain_file
from tests.faults.campaign import Ending, described, listening

PEOPLE = [["anna", "bob", "zo\u00eb", "\u674e"], ["03", "07", "10", "12"], ["s1", "s2", "s10", "s20"]]
FEELINGS = [["joy", "fear", "sad"], ["1", "2", "3"], ["fr\u00f6hlich", "w\u00fctend", "neutral"]]
WORDS_FOR_NOTHING = ["NA", "nan", "None", "null", "N/A", "#N/A", "<NA>"]
ODD_SIGNS = [
    *["\x1b[2J", "\x07", "a\x0bb", "a\x0cb", "a\x1cb", "a\x85b", "a\u2028b", "\u202eabc", "\ufeff", "\u200b", "a\rb"],
    *["[/b]", "[red]x", "%s", "{x}", "${oc.env:HOME}", "$(id)", "=1+1", "<i>", "#", "-", "'", "\\", "\\n", ":smile:"],
]


class Raw(str):
    """A cell that is written as it is, unquoted."""

    __slots__ = ()


@dataclass
class Draft:
    """A table before it is written.

    Attributes:
        kind: csv, tsv or jsonl.
        headings: of the columns.
        rows: their cells.
        truth: the path, label and speaker that each row means.
        doubts: what has to stand in what is said, a word each.
        refused: whether there is no right reading.
        struck: what was struck, as a message may name it: columns, cells, settings.
        struck_rows: the rows that were.
        signs: what stands in a struck row alone, by which its line is known though it has no path.
        cells: the identities of struck rows, None for all, and in which columns they were struck.
        whole: whether the file as a whole was.
        edits: what is done to the text, and to the bytes, at the end.
        has_row_names: whether rows begin with a name that has no heading.
        columns: corpus.columns.
        share: corpus.max_bad_share.
    """

    kind: str
    headings: list[str]
    rows: list[list[Any]]
    truth: list[list[str] | None]
    doubts: list[str] = field(default_factory=list)
    refused: bool = False
    struck: list[str] = field(default_factory=list)
    struck_rows: list[list[Any]] = field(default_factory=list)
    signs: list[str] = field(default_factory=list)
    cells: list[tuple[int | None, str]] = field(default_factory=list)
    whole: bool = False
    edits: list[Callable[[bytes], bytes]] = field(default_factory=list)
    has_row_names: bool = False
    columns: dict[str, str | None] = field(default_factory=dict)
    share: float = 0.05

    def place(self, draws: random.Random) -> int:
        """Any row that is still meant."""
        return draws.choice([place for place, row in enumerate(self.truth) if row])

    def set(self, place: int, column: str, written: Any, meant: str | None = None) -> None:
        """Write another cell; of path, label and speaker it is what it means too."""
        number = COLUMNS.index(column)
        if column == "path":
            # No other row has it any more
            former = str(self.rows[place][number]).removeprefix("./")
            self.doubts = [doubt for doubt in self.doubts if doubt != former]
        self.rows[place][number] = written
        self.strike(place, column)
        self.struck += [str(written)[:30]] if len(str(written).strip()) > 3 else [f"'{written}'"]
        row = self.truth[place]
        if number < 3 and row:
            row[number] = str(written) if meant is None else meant

    def strike(self, place: int, *columns: str) -> None:
        """Note that a row was struck, and in which columns."""
        self.struck_rows.append(self.rows[place])
        self._note(id(self.rows[place]), columns)

    def strike_columns(self, *columns: str) -> None:
        """Note that columns were struck."""
        self._note(None, columns)

    def _note(self, row: int | None, columns: Iterable[str]) -> None:
        for column in columns:
            self.cells.append((row, column))
            self.struck += [f"'{column}'", f"{column} '", f"column {column}", f"columns.{column}"]

    def is_struck_twice(self, former: int) -> bool:
        """Whether cells that were struck after the `former` first ones are among these."""
        return any(
            column == other and (row == another or None in (row, another))
            for row, column in self.cells[:former]
            for another, other in self.cells[former:]
        )

    def named_in(self, words: str, file: Path) -> bool:
        """Whether what was said names something that was struck."""
        if self.whole and str(file) in words:
            return True
        paths = [str(row[0]) for row in self.struck_rows if str(row[0]).strip()]
        written = [text.encode("utf-8", "surrogatepass") for text in [*paths, *self.signs]]
        lines = re.split(rb"\r\n|\r|\n", file.read_bytes())
        numbers = [number for number, line in enumerate(lines, 1) if any(text in line for text in written)]
        return any(name in words for name in [*self.struck, *paths]) or any(
            re.search(rf"\blines? (\d+ to )?{number}\b", words) for number in numbers
        )

    def lose(self, place: int) -> None:
        """A row's recording cannot be used."""
        self.doubts.append(str(self.rows[place][0])[:30])
        self.truth[place] = None

    def content(self) -> bytes:
        """The file's."""
        if self.kind == "jsonl":
            lines = [json.dumps(dict(zip(self.headings, row, strict=False)), ensure_ascii=False) for row in self.rows]
            text = "\n".join(lines) + "\n"
        else:
            mark = {"csv": ",", "tsv": "\t"}[self.kind]
            rows = [[str(number), *row] for number, row in enumerate(self.rows)] if self.has_row_names else self.rows
            text = "".join(mark.join(map(self._cell, row)) + "\n" for row in [self.headings, *rows])
        content = text.encode("utf-8", "surrogatepass")
        for edit in self.edits:
            content = edit(content)
        return content

    def _cell(self, cell: Any) -> str:
        text = "" if cell is None else str(cell)
        if isinstance(cell, Raw) or self.kind == "tsv" or not any(sign in text for sign in ',"\r\n'):
            return text
        return '"' + text.replace('"', '""') + '"'


COLUMNS = ["path", "label", "speaker", "note"]
Oddity = Callable[[Draft, random.Random], str]


def quotation(draft: Draft, draws: random.Random) -> str:
    place = draws.randrange(len(draft.rows) - 1)
    draft.set(place, "note", Raw('"great'))
    last = ""
    if draws.random() < 0.5:
        last = draws.choice(['fine"', 'the "best"', '"'])
        draft.set(draws.randrange(place + 1, len(draft.rows)), "note", Raw(last))
    return f'"great in row {place}, then {last!r}'


def quoted_lines(draft: Draft, draws: random.Random) -> str:
    if draft.kind == "tsv":
        return quotation(draft, draws)
    draft.set(draft.place(draws), "note", 'one\n"two"\n')
    if draft.kind == "csv":
        draft.doubts.append("span lines")
    return "a note of several lines"


def blank(draft: Draft, draws: random.Random) -> str:
    place, column = draft.place(draws), draws.choice(COLUMNS)
    written = draws.choice(["", " ", "\u00a0", *([None, float("nan")] if draft.kind == "jsonl" else [])])
    draft.set(place, column, written, "")
    draft.refused |= column in ("path", "label")
    return f"{column} of row {place} is {written!r}"


def blank_column(draft: Draft, draws: random.Random) -> str:
    for place in range(len(draft.rows)):
        draft.set(place, "speaker", draws.choice(["", " "]), "")
    return "no speaker"


def word_for_nothing(draft: Draft, draws: random.Random) -> str:
    place, column, word = draft.place(draws), draws.choice(["label", "speaker"]), draws.choice(WORDS_FOR_NOTHING)
    draft.set(place, column, word)
    draft.doubts.append(f"{column} '{word}'")
    return f"{column} of row {place} is {word}"


def spelling(draft: Draft, draws: random.Random) -> str:
    """Another spelling of a name that other rows have: one that tidying makes the same, or one that stays another."""
    place, column = draft.place(draws), draws.choice(["label", "speaker"])
    number = COLUMNS.index(column)
    name = str(draft.rows[place][number])
    if (
        isinstance(draft.rows[place][number], str)
        and name.strip()
        and sum(row[number] == name for row in draft.rows) > 1
    ):
        same = [f" {name}", f"{name}\t", f"\u00a0{name}", f"{name}\u3000", unicodedata.normalize("NFD", name)]
        other = [name.upper(), name.title(), f"{name}\u200b", f"\ufeff{name}"]
        if name.isdecimal():
            other += [f"0{name}", f"{name}.0", f"{name}.00", f"+{name}"[1:].lstrip("0")]
        if name[0] == "s" and name[1:].isdecimal():
            other += [f"s0{name[1:]}", f"S{name[1:]}"]
        written = draws.choice([one for one in same + other if one != name])
        if draft.kind == "tsv":
            written = written.replace("\t", " ")
        draft.set(place, column, written, name if written in same or written == f"{name} " else written)
        draft.doubts.append(f"{column} '")
        return f"{column} of row {place} is {written!r}"
    return "nothing"


def numbers(draft: Draft, draws: random.Random) -> str:
    """Labels or speakers that JSON writes as numbers, all or one of them."""
    column = draws.choice(["label", "speaker"])
    names = [str(row[COLUMNS.index(column)]) for row in draft.rows]
    ordered = sorted(set(names))
    kind = draws.choice(["whole", "with a point", "one with a point", "truth", "list"])
    for place, name in enumerate(names):
        value: Any = ordered.index(name) + 1
        if kind == "with a point":
            value = float(value)
        if kind == "truth":
            value = value == 1
        draft.set(place, column, value)
    place = draft.place(draws)
    if kind == "one with a point":
        draft.set(place, column, float(draft.rows[place][COLUMNS.index(column)]))
        draft.doubts.append(f"{column} '")
    if kind == "list":
        draft.set(place, column, draws.choice([["x"], {"a": 1}]))
        draft.refused |= draft.kind == "jsonl"
    return f"{column} are numbers: {kind}"


def again(draft: Draft, draws: random.Random) -> str:
    place = draft.place(draws)
    row, meant = [*draft.rows[place]], draft.truth[place]
    other = draws.random() < 0.5
    if other:
        row[1] = "other"
    goal = draws.randrange(len(draft.rows) + 1)
    draft.rows.insert(goal, row)
    draft.struck_rows.append(row)
    draft.truth.insert(goal, [*meant] if meant else None)
    draft.doubts.append(str(row[0]))
    return f"row {place} again" + " with another label" * other


def same_recording(draft: Draft, draws: random.Random) -> str:
    one, other = draft.place(draws), draft.place(draws)
    path = str(draft.rows[one][0])
    if one != other:
        draft.set(other, "path", f"./{path}")
        draft.doubts.append(path)
    return f"row {other} has the recording of row {one}"


def absent_path(draft: Draft, draws: random.Random) -> str:
    place = draft.place(draws)
    paths = ["nowhere.wav", "folder", "loop/a.wav", "loop", "empty.wav", "pointer.wav", "text.wav", "pipe.wav", "."]
    path = draws.choice(
        [*paths, "x" * 300 + ".wav", "y/" * 3000, "~/a.wav", "http://a/b.wav", "\x1b[2J.wav", "[/b].wav"]
    )
    draft.set(place, "path", path)
    draft.share = draws.choice([0.05, 0.5])
    draft.lose(place)
    return f"path {path[:20]!r} in row {place}"


def other_path(draft: Draft, draws: random.Random) -> str:
    place = draft.place(draws)
    path = str(draft.rows[place][0])
    draft.set(place, "path", f"folder/../{path}")
    return f"path of row {place} by way of another folder"


def odd_name(draft: Draft, draws: random.Random) -> str:
    place, column, sign = draft.place(draws), draws.choice(["label", "speaker", "note"]), draws.choice(ODD_SIGNS)
    if draft.kind == "tsv" and "\r" in sign:
        sign = "\x1b[2J"
    whole = draws.random() < 0.5
    name = sign if whole else f"x{sign}y"
    draft.set(place, column, name, unicodedata.normalize("NFC", name).strip())
    draft.refused |= column == "label" and not name.strip()
    return f"{column} of row {place} is {name!r}"


def long_cell(draft: Draft, draws: random.Random) -> str:
    place, column, size = draft.place(draws), draws.choice(COLUMNS[1:]), draws.choice([1000, 131_072, 200_000])
    draft.set(place, column, "x" * size)
    return f"{column} of row {place} has {size} characters"


def half_character(draft: Draft, draws: random.Random) -> str:
    column = draws.choice(COLUMNS)
    draft.set(draft.place(draws), column, "a\ud800")
    draft.signs.append("a\ud800")
    # Of a column that is not read nobody need know
    draft.refused |= column != "note"
    return f"half a character in a {column}"


def heading(draft: Draft, draws: random.Random) -> str:
    column = draws.choice(["path", "label", "speaker"])
    number = COLUMNS.index(column)
    written = draws.choice([column.title(), f"\u200b{column}", f"my {column}", ""])
    draft.headings[number] = written
    draft.strike_columns(column)
    if column == "speaker":
        # Nobody is known, and the summary of what was read says which column was not
        draft.doubts += [written, "columns used: path, label"]
        for row in draft.truth:
            if row:
                row[2] = ""
    else:
        draft.refused = True
    return f"{column} is called {written!r}"


def blank_heading(draft: Draft, draws: random.Random) -> str:
    number = draws.randrange(3)
    draft.headings[number] = draws.choice([f" {COLUMNS[number]}", f"{COLUMNS[number]} ", f"\u00a0{COLUMNS[number]}"])
    draft.strike_columns(COLUMNS[number])
    return f"heading {draft.headings[number]!r}"


def doubled_heading(draft: Draft, draws: random.Random) -> str:
    number = draws.randrange(3)
    name = draws.choice([COLUMNS[number], f" {COLUMNS[number]}"])
    draft.strike_columns(COLUMNS[number])
    if draft.kind == "jsonl" and name == COLUMNS[number]:
        text = f'"{name}": "other", '.encode()
        draft.edits.append(lambda content: content.replace(b"{", b"{" + text, 1))
    else:
        draft.headings.insert(draws.choice([0, len(draft.headings)]), name)
        where = 0 if draft.headings[0] == name and len(draft.headings) > 4 and draft.headings.index(name) == 0 else 4
        for row in draft.rows:
            row.insert(where, "other")
    draft.refused = True
    return f"a second heading {name!r}"


def named_column(draft: Draft, draws: random.Random) -> str:
    column, name = draws.choice(["label", "speaker", "path", "id"]), draws.choice(["absent", None, "", " "])
    draft.columns[column] = name
    draft.strike_columns(column)
    if column in ("label", "path") or (name == "absent"):
        draft.refused = True
    elif column == "speaker":
        for row in draft.truth:
            if row:
                row[2] = ""
    return f"corpus.columns.{column}={name}"


def fewer_cells(draft: Draft, draws: random.Random) -> str:
    place, width = draft.place(draws), draws.randrange(1, 4)
    del draft.rows[place][width:]
    draft.strike(place, *COLUMNS[width:])
    row = draft.truth[place]
    if width < 3 and row:
        row[width:] = [""] * (3 - width)
    draft.refused |= width < 2
    if draft.kind != "jsonl":
        draft.doubts.append("fewer cells")
    return f"row {place} has {width} cells"


def more_cells(draft: Draft, draws: random.Random) -> str:
    place, kind = draft.place(draws), draws.choice(["blank", "full", "all", "comma"])
    if draft.kind == "jsonl":
        return "nothing"
    rows = range(len(draft.rows)) if kind == "all" else [place]
    for one in rows:
        draft.rows[one].append("" if kind in ("blank", "all") else "more")
        draft.strike(one)
    draft.refused |= kind in ("full", "comma")
    return f"cells too many: {kind}"


def row_names(draft: Draft, draws: random.Random) -> str:
    if draft.kind == "jsonl":
        return "nothing"
    draft.has_row_names = draft.whole = True
    draft.doubts.append("row's name")
    return "row names without a heading"


def heading_again(draft: Draft, draws: random.Random) -> str:
    if draft.kind == "jsonl":
        return "nothing"
    place = draws.randrange(len(draft.rows))
    draft.rows.insert(place, [*draft.headings])
    draft.truth.insert(place, None)
    draft.strike(place)
    draft.refused = True
    return f"the headings once more before row {place}"


def headings_alone(draft: Draft, draws: random.Random) -> str:
    draft.edits.append(lambda content: content.splitlines()[0] + b"\n" if content else b"")
    draft.refused = draft.whole = True
    # Of a table without headings one row is left, whose label is named
    draft.struck += [f"{label} is the only class" for label in {row[1] for row in draft.truth if row}]
    return "the first line alone"


def without_headings(draft: Draft, draws: random.Random) -> str:
    if draft.kind != "jsonl":
        draft.headings, draft.rows, draft.truth = [*map(str, draft.rows[0])], draft.rows[1:], draft.truth[1:]
        draft.refused = draft.whole = True
    return "no headings"


def _edited(name: str, edit: Callable[[bytes], bytes], refused: bool = False) -> Oddity:
    def oddity(draft: Draft, draws: random.Random) -> str:
        draft.edits.append(edit)
        draft.whole = True
        draft.refused |= refused
        return name

    return oddity


def latin(draft: Draft, draws: random.Random) -> str:
    draft.set(0, "note", "gr\u00fc\u00dfe")
    code = draws.choice(["latin-1", "utf-16", "utf-16-le", "utf-32", "cp437"])
    draft.edits.append(lambda content: content.decode("utf-8", "replace").encode(code, "replace"))
    draft.refused = draft.whole = True
    return code


def array(draft: Draft, draws: random.Random) -> str:
    if draft.kind == "jsonl":
        draft.edits.append(lambda content: b"[" + b",".join(content.splitlines()) + b"]")
        draft.refused = draft.whole = True
        return "one array"
    return "nothing"


def cut(draft: Draft, draws: random.Random) -> str:
    """The last row ends in its path or label, so that cells lack."""
    draft.strike(len(draft.rows) - 1)
    if draft.kind == "jsonl":
        draft.refused = True
        draft.edits.append(lambda content: content[:-5])
        return "cut off in the last object"
    mark = {"csv": b",", "tsv": b"\t"}[draft.kind]
    draft.edits.append(lambda content: content.rpartition(mark)[0])
    draft.doubts.append("fewer cells")
    return "cut off in the last row"


def deep(draft: Draft, draws: random.Random) -> str:
    if draft.kind == "jsonl":
        text = b'{"x": ' * 50_000 + b"\n"
        draft.edits.append(lambda content: content + text)
        draft.refused = draft.whole = True
        return "nested too deep"
    return "nothing"


def other_marks(draft: Draft, draws: random.Random) -> str:
    mark = draws.choice([b";", b"|", b"\t" if draft.kind == "csv" else b","])
    before = {"csv": b",", "tsv": b"\t"}.get(draft.kind)
    if before:
        draft.edits.append(lambda content: content.replace(before, mark))
        draft.refused = draft.whole = True
    return f"cells parted by {mark!r}"


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"

ODDITIES: tuple[Oddity, ...] = (
    *(quotation, quotation, quoted_lines, blank, blank_column, word_for_nothing, spelling, spelling, spelling, numbers),
    *(same_recording, absent_path, absent_path, other_path, again, odd_name, odd_name, long_cell, half_character),
    *(heading, heading, blank_heading, doubled_heading, named_column, fewer_cells, more_cells, row_names),
    *(heading_again, headings_alone, without_headings, latin, array, cut, deep, other_marks),
    _edited("BOM", lambda content: b"\xef\xbb\xbf" + content),
    _edited("CRLF", lambda content: content.replace(b"\n", b"\r\n")),
    _edited("CR", lambda content: content.replace(b"\n", b"\r")),
    _edited("NUL", lambda content: content[:40] + b"\0" + content[41:], refused=True),
    _edited("NULs at the end", lambda content: content + bytes(100), refused=True),
    _edited("blank lines", lambda content: content.replace(b"\n", b"\n\n") + b"\n \n"),
    _edited("no last line end", lambda content: content.rstrip(b"\n")),
    _edited("Git LFS pointer", lambda content: LFS_POINTER, refused=True),
    _edited("empty", lambda content: b"", refused=True),
    _edited("blank", lambda content: b"\n \n", refused=True),
    _edited("conflict", lambda content: content.replace(b"\n", b"\n<<<<<<< HEAD\n", 1), refused=True),
    _edited("a comment above", lambda content: b"# made by hand\n" + content, refused=True),
    _edited("an end of file of DOS", lambda content: content.rstrip(b"\r\n") + b"\n\x1a", refused=True),
)


@contextlib.contextmanager
def summarised() -> Iterator[io.StringIO]:
    """The log lines that only inform, among them what was read of a table."""
    logger, text = logging.getLogger("ser_lightning.corpora"), io.StringIO()
    ear, level = logging.StreamHandler(text), logger.level
    logger.addHandler(ear)
    logger.setLevel(logging.INFO)
    try:
        yield text
    finally:
        logger.setLevel(level)
        logger.removeHandler(ear)


class Tables:
    """A folder of twelve recordings, and a table of them that is written anew for each fault."""

    name = "tables of a corpus of one's own"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "sub").mkdir(parents=True)
        self.paths = [f"{'sub/' * (number % 4 == 3)}{number:02d}.wav" for number in range(12)]
        noise = np.random.default_rng(0)
        for path in self.paths:
            soundfile.write(folder / path, 0.1 * noise.standard_normal(16_000), 16_000)
        (folder / "folder").mkdir()
        (folder / "loop").symlink_to("loop")
        (folder / "empty.wav").touch()
        (folder / "pointer.wav").write_bytes(LFS_POINTER)
        (folder / "text.wav").write_text("no sound")
        os.mkfifo(folder / "pipe.wav")
        self.config = compose(["corpus=table", f"corpus.root={folder}", "corpus.table=table.csv", "study.name=tables"])

    def strike(self, draws: random.Random) -> tuple[str, Ending, str]:
        draft = self._draft(draws)
        first, *others = draws.sample(ODDITIES, draws.choice([1, 1, 2]))
        # What changes single cells has to know where they are
        oddities = sorted([first, *others], key=ODDITIES.index)
        suffix = draws.choice(
            {"csv": ["csv", "csv", "CSV", "txt"], "tsv": ["tsv", "tab"], "jsonl": ["jsonl", "json"]}[draft.kind]
        )
        done = []
        for oddity in oddities:
            former, before = len(draft.cells), deepcopy(draft)
            description = oddity(draft, draws)
            if draft.is_struck_twice(former):
                # What the first means is no more to be told
                draft = before
            else:
                done.append(description)
        description = f"{suffix}: " + "; ".join(done)
        file = self.folder / f"table.{suffix}"
        file.write_bytes(draft.content())
        try:
            with described(description):
                return description, *self._judge(draft, file)
        finally:
            file.unlink()

    def _draft(self, draws: random.Random) -> Draft:
        kind = draws.choice(["csv", "csv", "tsv", "jsonl"])
        people, feelings = draws.choice(PEOPLE), draws.choice(FEELINGS)
        rows = [[path, feelings[place % 3], people[place % 4], "fine"] for place, path in enumerate(self.paths)]
        return Draft(kind, [*COLUMNS], [[*row] for row in rows], [row[:3] for row in rows])

    def _judge(self, draft: Draft, file: Path) -> tuple[Ending, str]:
        with listening() as heard:
            try:
                manifest, ills, summary = self._load(draft, file)
            except UserError as error:
                if not draft.named_in(str(error), file):
                    return Ending.WRONG, f"refused, and what was struck is not named: {error}"
                raise
        words = "\n".join([str(heard), *ills])
        meant = sorted(
            (row[0], os.path.realpath(self.folder / row[0]), row[1], row[2]) for row in draft.truth if row is not None
        )
        table = manifest.table
        read = sorted(zip(table["id"], table["path"], table["raw_label"], table["speaker"], strict=True))
        lacking = [doubt for doubt in draft.doubts if doubt not in words + summary]
        if lacking or ((read != meant or draft.refused) and not draft.named_in(words, file)):
            different = [f"read {row}" for row in read if row not in meant]
            different += [f"meant {row}" for row in meant if row not in read]
            return Ending.WRONG, "\n".join([*different, f"not said: {lacking}", words, summary])
        same = read == meant and not draft.doubts and not draft.refused
        return (Ending.UNHARMED if same else Ending.NAMED), words

    def _load(self, draft: Draft, file: Path) -> tuple[Manifest, list[str], str]:
        """What `ser doctor` loads: as `train` does, and if that is refused, with whatever can be used."""
        corpus = self.config.corpus
        own = {**corpus.own, "table": str(file), "columns": {**corpus.own["columns"], **draft.columns}}
        corpus = corpus.model_copy(update={"own": own, "max_bad_share": draft.share})
        with summarised() as summary:
            try:
                manifest, ills = load_tolerantly(self.config.model_copy(update={"corpus": corpus}), self.folder)
            except OSError as error:
                # As the command says it
                if (message := explain_file(error)) is None:
                    raise
                raise UserError(message) from error
        return manifest, ills, summary.getvalue()
