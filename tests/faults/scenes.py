"""The kinds of faults, in the order of the table."""

from tests.faults.study_files import StudyFiles
from tests.faults.tables import Tables

SCENES: tuple[type, ...] = (StudyFiles, Tables)
