"""What a paper adds to the report of a study of its kind: the door between this room and those of `papers`."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ser_lightning.errors import UserError
from ser_lightning.report.document import Section
from ser_lightning.runs.study import STUDY, known_papers

if TYPE_CHECKING:
    from ser_lightning.report.material import Material


@dataclass(frozen=True)
class Group:
    """Jobs that figures of single settings show side by side.

    Attributes:
        labels: number of a job -> what it is called beside the others; the reference is the first.
        title: what they have in common and the rest of the study has not, e.g. log-Mel; may be empty.
        suffix: ends the names of this group's figures, e.g. _logstft; empty for the first group.
        rivals: the numbers of the jobs of which the last was chosen by its UA on dev; none where it was not.
    """

    labels: Mapping[int, str]
    title: str = ""
    suffix: str = ""
    rivals: Sequence[int] = ()

    @property
    def jobs(self) -> list[int]:
        """Their numbers."""
        return list(self.labels)

    @property
    def place(self) -> str:
        """The title in a sentence, or nothing: ' on log-Mel', ' with seed = 1'."""
        return f" {'with' if '=' in self.title else 'on'} {self.title}" if self.title else ""


@dataclass(frozen=True)
class Chapter:
    """A paper's part in a report.

    Attributes:
        title: what the study is about.
        claim: what it tests; empty where the report's own words do.
        groups: what figures of single settings show.
        revise: from the report's sections to those that the paper would have: with its names of figures and tables,
            its numbers beside them, its own sections.
        warnings: what a reader must know.
        facts: for results.json.
    """

    title: str
    claim: str
    groups: list[Group]
    revise: Callable[[list[Section]], list[Section]]
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def open_chapter(material: "Material") -> Chapter | None:
    """The chapter of the paper that the study names, by that room's function `chapter`; None where it has none.

    Raises `UserError` where there is no such paper.
    """
    name = material.purpose.paper
    if name is None:
        return None
    if name not in known_papers():
        raise UserError(
            f"{material.study / STUDY}: there is no paper {name}; choose one of {', '.join(known_papers())}, or null"
        )
    # By name, since a paper's room is above this one
    chapter: Chapter | None = importlib.import_module(f"ser_lightning.papers.{name}").chapter(material)
    return chapter
