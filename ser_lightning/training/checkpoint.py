"""Checkpoints: whole files of tensors and plain types, written and read without Lightning."""

import csv
import io
import logging
import os
from itertools import count
from pathlib import Path
from typing import Any

import torch

from ser_lightning.errors import UserError
from ser_lightning.files import read_bytes, write_whole
from ser_lightning.runs.code import code_digest
from ser_lightning.runs.ledger import LAST, METRICS
from ser_lightning.runs.seal import check_archive, seal_archive

CODE = "code"

log = logging.getLogger(__name__)


class DamagedCheckpointError(UserError):
    """A file is not a checkpoint, or not as it was written."""


def write_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write tensors and plain types, whole or not at all, with a seal in the archive's comment."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, seal_archive(buffer.getvalue()))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU, by `torch.load(weights_only=True)`.

    Raises `DamagedCheckpointError` where the file is truncated, altered, or no checkpoint of this project, and another
    `UserError` where it is missing or cannot be read.
    """
    try:
        raw = read_bytes(path)
        check_archive(raw)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); mend that and repeat the command") from error
    except ValueError as error:
        raise DamagedCheckpointError(f"{path} is truncated, damaged, or no checkpoint ({error})") from error
    try:
        content = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no type of its own for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedCheckpointError(f"{path} is truncated, damaged, or no checkpoint ({reason})") from error
    if not isinstance(content, dict) or not {"state_dict", "recognizer"} <= content.keys():
        raise DamagedCheckpointError(f"{path} is not a checkpoint of ser_lightning: it has no recognizer")
    return content


def resumable(folder: Path, signature: str) -> dict[str, Any] | None:
    """The checkpoint that a run can go on from; None where there is none.

    With a warning also None where it is damaged or another run's, and is then set aside under another name, or of
    other code than the present: no run is of two codes. Raises `UserError` where it cannot be read at the moment.
    """
    path = folder / LAST
    if not os.path.lexists(path):
        return None
    try:
        content = read_checkpoint(path)
        if content["recognizer"].get("signature") != signature:
            raise DamagedCheckpointError(f"{path} is of another run")
    except DamagedCheckpointError as error:
        places = (path.with_name(f"{LAST}.damaged-{number}") for number in count())
        place = path.rename(next(place for place in places if not os.path.lexists(place)))
        log.warning("%s; it is now %s, and the run starts again", error, place.name)
        return None
    if content.get(CODE) != code_digest():
        log.warning("%s is of other code than the present; the run starts again", path)
        return None
    return content


def logged_rows(checkpoint: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The rows of metrics.csv as it was when the checkpoint was written."""
    if checkpoint is None:
        return []
    table = csv.DictReader(io.StringIO(checkpoint[METRICS]))
    return [{name: value for name, value in row.items() if value} for row in table]
