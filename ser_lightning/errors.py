"""Errors that a user can mend: their message says what is wrong, where, and what to do; shown without a traceback."""

import sys
from typing import NoReturn


class UserError(Exception):
    """Something in the user's command, configuration or data stands in the way."""


class FailedRunsError(UserError):
    """Some runs of a job failed and the others went on; each has its reason in its own folder."""


class NoSpaceError(UserError):
    """The disk is full, so that no other run could be trained either."""


def ends_the_job(error: Exception) -> bool:
    """Whether an error is a launcher's way to end the job at its time limit, wherever the job is at the moment."""
    return type(error).__module__.partition(".")[0] == "submitit"


def stop(message: object, status: int = 1) -> NoReturn:
    """End the program with one clear line on stderr."""
    print(f"ser_lightning: {message}", file=sys.stderr)
    sys.exit(status)
