"""The kinds of faults, in the order of the table."""

from tests.faults.study_files import StudyFiles

SCENES: tuple[type, ...] = (StudyFiles,)
