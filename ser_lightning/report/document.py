"""What a report consists of, whatever it is written as: sections of text, tables and figures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Text:
    """A paragraph; of Markdown it uses nothing. `aside` ones explain, and a reader in a hurry skips them."""

    words: str
    aside: bool = False


@dataclass(frozen=True)
class Code:
    """Lines as they are typed or written in a file; with a `title` it may be folded away."""

    lines: str
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table: `numbers` in full for machines, `shown` as text for people, rows alike.

    A long one, or one that a figure before it shows too, may be `folded`.
    """

    name: str
    title: str
    numbers: pd.DataFrame
    shown: pd.DataFrame
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure and what it shows; `draw` makes it when it is needed, which may be in another process."""

    name: str
    title: str
    draw: Callable[[], Figure]

    @cached_property
    def figure(self) -> Figure:
        """The figure, drawn once."""
        return self.draw()


@dataclass(frozen=True)
class Image:
    """A figure as it stands in a page: a PNG, and its width in print, inches."""

    png: bytes
    inches: float


Block = Text | Code | Table | Picture


@dataclass(frozen=True)
class Panel:
    """A figure with the folded tables behind it."""

    picture: Picture
    tables: list[Table]


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def rows(self) -> list[Block | list[Panel]]:
        """The blocks in order; figures that follow each other, with the tables behind them, are one row."""
        rows: list[Block | list[Panel]] = []
        for block in self.blocks:
            row = rows[-1] if rows else None
            if isinstance(block, Picture):
                panel = Panel(block, [])
                if isinstance(row, list):
                    row.append(panel)
                else:
                    rows.append([panel])
            elif isinstance(block, Table) and block.folded and isinstance(row, list):
                row[-1].tables.append(block)
            else:
                rows.append(block)
        return rows


@dataclass(frozen=True)
class Report:
    """A study's report.

    Attributes:
        title: what was studied on what.
        claim: what is tested.
        answer: what the study says to it, a sentence each; the first is the answer itself.
        warnings: what a reader must know before believing a number.
        caption: corpus, protocol, runs, leak audit: ends every section, and stands in every file of a figure or table.
        facts: the same and more for machines.
        sections: in reading order.
        records: tables for machines alone, by name.
    """

    title: str
    claim: str
    answer: list[str]
    warnings: list[str]
    caption: str
    facts: dict[str, Any]
    sections: list[Section]
    records: dict[str, pd.DataFrame]

    @property
    def tables(self) -> list[Table]:
        """The tables of all sections."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Table)]

    @property
    def pictures(self) -> list[Picture]:
        """The figures of all sections."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]
