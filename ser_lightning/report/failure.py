"""Why a study's report could not be made."""

import traceback
from contextlib import suppress
from pathlib import Path

from ser_lightning.errors import UserError
from ser_lightning.files import explain_file, write_whole
from ser_lightning.invocation import command_line

FAILURE = "report-failure.txt"


def keep_failure(study: Path, error: Exception) -> str:
    """Why there is no report, in a line; of what no user can mend the traceback is kept in the study's folder."""
    if isinstance(error, UserError):
        return str(error)
    reason = explain_file(error)
    if reason is None:
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        with suppress(OSError):
            write_whole(study / FAILURE, "".join(traceback.format_exception(error)))
            reason += f" ({study / FAILURE} has the traceback)"
    command = f"{command_line('report')} {study}"
    return f"there is no new report of {study.name}: {reason}; finished runs are kept, and {command} tries again"
