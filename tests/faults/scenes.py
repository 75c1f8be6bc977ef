"""The kinds of faults, in the order of the table."""

from typing import Any

from tests.faults.caches import Caches
from tests.faults.command_lines import CommandLines
from tests.faults.environments import Environments
from tests.faults.recordings import Recordings
from tests.faults.study_files import StudyFiles
from tests.faults.tables import Tables
from tests.faults.trainings import Trainings

SCENES: tuple[Any, ...] = (StudyFiles, Tables, Caches, CommandLines, Trainings, Environments, Recordings)


def lacking_for(kind: Any) -> str | None:
    """What a scene needs and is not here."""
    lacking = getattr(kind, "lacking", None)
    return lacking() if lacking else None
