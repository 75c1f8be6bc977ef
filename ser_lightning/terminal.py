"""Where commands print: what goes wrong there ends no work, and no name that is printed moves the cursor.

A reader that has gone (`... | head -1`) is no error. Any other loss, as on a full disk, is told once at the end.
"""

import errno
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Item = TypeVar("Item")

# What a terminal obeys instead of showing it, what reverses the direction of text, and halves of a character
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Text in which control characters but for line ends and tabs are written as Python writes them.

    >>> visible("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return _CONTROL.sub(lambda sign: sign[0].encode("unicode_escape", "surrogatepass").decode(), text)


class Lasting:
    """A stream of text that takes whatever is written to it, though what it stands for may be gone, full or closed.

    Attributes:
        raw: the same without making control characters visible, for who writes such on purpose.
        lost: why something could not be written; None where all could be, or nobody reads any more.
    """

    def __init__(self, stream: TextIO | None, whole: "Lasting | None" = None) -> None:
        self._stream, self._whole = stream, whole or self
        self._ended = stream is None
        self.lost = os.strerror(errno.EBADF) if stream is None else None
        self.raw: Lasting = self if whole else Lasting(stream, whole=self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write as much as can be; returns the length of the text."""
        if not self._whole._ended:
            try:
                self._stream.write(text if self is self.raw else visible(text))  # type: ignore[union-attr]
            except OSError as error:
                self._end(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if not self._whole._ended:
            try:
                self._stream.flush()  # type: ignore[union-attr]
            except OSError as error:
                self._end(error)

    def _end(self, error: OSError) -> None:
        self._whole._ended = True
        if error.errno != errno.EPIPE:
            self._whole.lost = error.strerror or str(error)
        # What is left in its buffer would be tried again when the program ends
        with suppress(OSError, ValueError, AttributeError):
            _to_nowhere(self._stream.fileno())  # type: ignore[union-attr]


class LogFile(logging.FileHandler):
    """A log whose disk may be full or away: that ends nothing, and is told once at the end."""

    def _open(self) -> TextIOWrapper:
        try:
            return super()._open()
        except OSError as error:
            _lost_files.setdefault(self.baseFilename, error.strerror or str(error))
            return TextIOWrapper(BytesIO())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            _lost_files.setdefault(self.baseFilename, error.strerror or str(error))
        else:
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()


_lost_files: dict[str, str] = {}


@contextmanager
def lasting_output() -> Iterator[None]:
    """stdout and stderr as `Lasting` streams; where something could not be written, the end is an error.

    Inside of itself it does nothing. Raises `SystemExit` with status 1, after one line on stderr.
    """
    if isinstance(sys.stdout, Lasting):
        yield
        return
    before = sys.stdout, sys.stderr
    for number, stream in enumerate(before, start=1):
        if stream is None:
            # Else the next file that is opened would take its place, and what is printed by C libraries
            _to_nowhere(number)
    sys.stdout, sys.stderr = (Lasting(stream) for stream in before)
    end: SystemExit | None = None
    try:
        with _legible(before[0]), _legible(before[1]):
            try:
                yield
            except SystemExit as error:
                end = error
            _tell_losses(end)
    finally:
        sys.stdout, sys.stderr = before
    if end is not None:
        raise end


def last_in_worker() -> None:
    """The same in a process that a launcher started, until it ends; its command tells what could not be written."""
    if not isinstance(sys.stdout, Lasting):
        sys.stdout, sys.stderr = (Lasting(stream) for stream in (sys.stdout, sys.stderr))


def console(stderr: bool = False) -> "Console":
    """A console on which text is text: brackets, colons and escape sequences in names mean nothing.

    Where nobody looks on, lines have room for wide tables.
    """
    from rich.console import Console, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class PlainConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(visible(text), **options)

        def render(self, renderable: RenderableType, options: Any = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=visible(segment.text))

    stream: Any = sys.stderr if stderr else sys.stdout
    made = PlainConsole(file=getattr(stream, "raw", stream), markup=False, emoji=False, highlight=False)
    if not made.is_terminal:
        made.width = 240
    return made


def tell(line: object) -> None:
    """Say a line beside what a command writes to stdout, at once."""
    print(line, file=sys.stderr, flush=True)


def tracked(
    items: Iterable[Item], description: str, total: int, shown: bool = True, stderr: bool = False
) -> Iterator[Item]:
    """The items, with a bar that goes on with them, on stdout or stderr."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    title = TextColumn("{task.description}", markup=False)
    columns = title, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    with Progress(*columns, console=console(stderr), disable=not shown) as bars:
        yield from bars.track(items, total, description=visible(description))


@contextmanager
def _legible(stream: TextIO | None) -> Iterator[None]:
    """Characters that a stream's encoding lacks are written as Python writes them."""
    if not isinstance(stream, TextIOWrapper) or stream.errors != "strict":
        yield
        return
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            stream.reconfigure(errors="strict")


def _tell_losses(end: SystemExit | None) -> None:
    """End in error where something could not be written, unless the program does so already."""
    sys.stdout.flush()
    losses = dict(_lost_files)
    _lost_files.clear()
    if lost := getattr(sys.stdout, "lost", None):
        losses["stdout"] = lost
    if losses and (end is None or not end.code):
        places = ", ".join(f"{name} ({reason})" for name, reason in losses.items())
        print(f"ser_lightning: what was printed or logged could not all be written: {places}", file=sys.stderr)
        sys.stderr.flush()
        raise SystemExit(1)


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
