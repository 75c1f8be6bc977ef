"""Faults of many kinds in turn, drawn at random from a seed, and how each of them ended."""

import contextlib
import io
import itertools
import logging
import random
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

import pandas as pd

from ser_lightning.errors import UserError

# A message may take so many lines
LINES = 2


class Ending(Enum):
    """How a fault ends, as the columns of the table call it; the last four must never be seen."""

    UNHARMED = "nothing was harmed"
    NAMED = "named, and the rest was right"
    REFUSED = "refused in one message"
    LOST = "something lost"
    WRONG = "wrong without a word"
    TRACEBACK = "traceback"
    LIED = "exit status lied"

    @property
    def bad(self) -> bool:
        """Whether it must never be seen."""
        return self in (Ending.LOST, Ending.WRONG, Ending.TRACEBACK, Ending.LIED)


@dataclass(frozen=True)
class Fault:
    """A fault that was met with.

    Attributes:
        kind: the name of its scene.
        description: what was done, so that it can be done again by hand.
        ending: how it ended.
        words: what was said.
    """

    kind: str
    description: str
    ending: Ending
    words: str = ""


class Scene(Protocol):
    """One kind of faults: what they are done to, made once, and judged by."""

    name: str

    def strike(self, draws: random.Random) -> tuple[str, Ending, str]:
        """Do one fault, and undo it; returns what it was, how it ended, what was said.

        An error that it lets through counts as refused, if it is a `UserError` of `LINES` lines, else as a traceback.
        """


class StruckError(Exception):
    """Carries the description of a fault whose error ends a scene's strike."""

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description


@contextlib.contextmanager
def described(description: str) -> Iterator[None]:
    """Names the fault of which an error comes."""
    try:
        yield
    except Exception as error:
        raise StruckError(description) from error


@dataclass
class Words:
    """What was logged, warned of and printed while it is entered."""

    lines: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(self.lines)


@contextlib.contextmanager
def listening() -> Iterator[Words]:
    """Catches what would be said to a user: log lines from warnings on, Python's warnings, stdout and stderr."""
    words = Words()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            words.lines.append(record.getMessage())

    ear, printed = Ear(logging.WARNING), io.StringIO()
    logger = logging.getLogger("ser_lightning")
    logger.addHandler(ear)
    try:
        with (
            warnings.catch_warnings(record=True) as caught,
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            warnings.simplefilter("always")
            yield words
    finally:
        logger.removeHandler(ear)
        words.lines += [str(one.message) for one in caught if not issubclass(one.category, DeprecationWarning)]
        words.lines += printed.getvalue().splitlines()


def meet(scene: Scene, draws: random.Random) -> Fault:
    """One fault of a scene."""
    try:
        return Fault(scene.name, *scene.strike(draws))
    except StruckError as struck:
        error = struck.__cause__
        message = str(error)
        if isinstance(error, UserError) and len(message.splitlines()) <= LINES:
            return Fault(scene.name, struck.description, Ending.REFUSED, message)
        trace = "".join(traceback.format_exception(error))
        return Fault(scene.name, struck.description, Ending.TRACEBACK, trace)


def run(
    scenes: Sequence[Scene], count: int, seed: int, tell: Callable[[Fault], object] = lambda fault: None
) -> list[Fault]:
    """As many faults as `count`, of every scene in turn; each depends on the seed and its own number alone.

    A scene whose faults take many seconds says by `every` in which rounds alone it takes its turn: each so-many-th.
    """
    faults = []
    for number, scene in zip(range(count), _turns(scenes), strict=False):
        fault = meet(scene, random.Random(f"{seed} {number}"))
        tell(fault)
        faults.append(fault)
    return faults


def _turns(scenes: Sequence[Scene]) -> Iterator[Scene]:
    for turn in itertools.count():
        yield from (scene for scene in scenes if turn % getattr(scene, "every", 1) == 0)


def table(faults: Sequence[Fault]) -> pd.DataFrame:
    """How often which kind ended how: a row per kind and one for all, a column per ending."""
    counts = pd.crosstab([fault.kind for fault in faults], [fault.ending.value for fault in faults])
    counts = counts.reindex(columns=[ending.value for ending in Ending], fill_value=0)
    counts.insert(0, "faults", counts.sum(axis=1))
    counts.loc["all"] = counts.sum()
    return counts.rename_axis(index="kind", columns=None)


def write_bytes(file: Path, content: bytes) -> None:
    """Put content in a file's place, whatever is there, e.g. a pipe."""
    file.unlink(missing_ok=True)
    file.write_bytes(content)
