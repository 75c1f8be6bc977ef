"""Errors that a user can mend: their message says what is wrong, where, and what to do; shown without a traceback."""

import re
import sys
from collections.abc import Collection
from typing import NoReturn

# Of a list, a message shows so many
MOST = 10
# Characters that a word of it may have
LONGEST = 400


class UserError(Exception):
    """Something in the user's command, configuration or data stands in the way."""


class FailedRunsError(UserError):
    """Some runs of a job failed and the others went on; each has its reason in its own folder."""


class NoSpaceError(UserError):
    """The disk is full, so that no other run could be trained either."""


def ends_the_job(error: Exception) -> bool:
    """Whether an error is a launcher's way to end the job at its time limit, wherever the job is at the moment."""
    return type(error).__module__.partition(".")[0] == "submitit"


def listing(items: Collection[object], separator: str = ", ") -> str:
    """The first ten items one behind the other, and how many more there are.

    >>> listing(range(12))
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more'
    """
    shown = separator.join(str(item) for _, item in zip(range(MOST), items, strict=False))
    return shown + (f" and {len(items) - MOST} more" if len(items) > MOST else "")


def stop(message: object, status: int = 1) -> NoReturn:
    """End the program with one clear line on stderr, in which words of hundreds of characters are cut."""
    text = re.sub(rf"\S{{{LONGEST},}}", lambda word: f"{word[0][:100]}...{word[0][-60:]}", str(message))
    print(f"ser_lightning: {text}", file=sys.stderr)
    sys.exit(status)
