"""Read-outs of a finished run: fitted on the training part's features z, scored on dev and test, kept beside them.

They lie in `runs/<signature>/readouts/`, in files named by the read-out's class, settings and code, so that each is
computed once, whichever command asks for it; a run's signature knows nothing of them.
"""

import inspect
import json
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ser_lightning.components import blamed
from ser_lightning.errors import NoSpaceError, UserError, ends_the_job
from ser_lightning.files import no_space, read_json, write_whole
from ser_lightning.identity import digest
from ser_lightning.runs.attempt import reason_for, run_lock
from ser_lightning.runs.ledger import (
    FEATURES,
    READOUTS,
    damaged,
    feature_values,
    read_features,
    read_result,
    readout_file,
    write_readout,
)
from ser_lightning.runs.signature import part_identity

if TYPE_CHECKING:
    import pandas as pd

    from ser_lightning.config import Config, ReadoutConfig

# Raised when the same settings would give other numbers.
SCHEMA = 1


def readout_names(config: "Config") -> dict[str, str]:
    """What a configuration's read-outs are kept as: name -> <name>-<digest of class, settings and code>."""
    return {name: f"{name}-{digest([SCHEMA, part_identity(part)])}" for name, part in config.readout.items()}


def missing_readouts(folder: Path, config: "Config") -> dict[str, str]:
    """Those of the names that the run's folder does not have."""
    names = readout_names(config)
    return {name: stem for name, stem in names.items() if not readout_file(folder, stem).exists()}


def read_out(folder: Path, config: "Config") -> list[str]:
    """Compute what is missing of a configuration's read-outs of a finished run; returns why those failed that did.

    A failure is also kept beside the others, with its traceback, until it is mended. Raises `NoSpaceError` on a full
    disk.
    """
    with run_lock(folder, wait=True):
        names = missing_readouts(folder, config)
        reasons = (_attempt(folder, config.readout[name], stem) for name, stem in names.items())
        return [reason for reason in reasons if reason is not None]


def read_failures(folder: Path, names: Iterable[str]) -> Iterator[str]:
    """Why those of the read-outs that are kept by these names failed when last tried."""
    for stem in names:
        with suppress(FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            yield str(read_json(_failure_file(folder, stem))["failure"])


def fit_and_score(
    part: "ReadoutConfig",
    z: np.ndarray,
    labels: np.ndarray,
    dev: tuple[np.ndarray, np.ndarray],
    others: np.ndarray,
    classes: int,
) -> np.ndarray:
    """Scores [others, classes] of features `others`, by a read-out of z [utterances, features] and class indices.

    `dev` are the features and class indices that one that takes them may choose its settings by.

    Raises `UserError` where they are of another shape, no real numbers or not finite, and for whatever a user's own
    raises.
    """
    readout = part.make(classes=classes)
    with blamed(part):
        chooses = "dev" in inspect.signature(readout.fit).parameters
        readout.fit(z, labels, **({"dev": dev} if chooses else {}))
        scores = np.asarray(readout.scores(others))
    if problem := _problem(scores, [len(others), classes]):
        raise UserError(f"readout={part.name}: {_place(part, readout.scores)}scores(z) has {problem}")
    return scores


def _problem(scores: np.ndarray, shape: Sequence[int]) -> str | None:
    """What keeps values from being scores [utterances, classes]."""
    if list(scores.shape) != list(shape):
        return f"the shape {list(scores.shape)}, and should have [utterances, classes], {list(shape)}"
    if scores.dtype.kind not in "fiub":
        return f"values of the type {type(scores.flat[0]).__name__}, and should have real numbers"
    return None if np.isfinite(scores).all() else "values that are not finite"


def _place(part: "ReadoutConfig", method: Any) -> str:
    """Where a method stands in a user's own code, e.g. 'mine.py:11: '; empty where it does not."""
    code = getattr(inspect.unwrap(method), "__code__", None)
    if code is None or part.folder is None or not Path(code.co_filename).is_relative_to(part.folder):
        return ""
    return f"{Path(code.co_filename).relative_to(part.folder)}:{code.co_firstlineno}: "


def _attempt(folder: Path, part: "ReadoutConfig", stem: str) -> str | None:
    try:
        write_readout(folder, stem, _scores(folder, part).to_parquet(index=False))
    except Exception as error:
        if ends_the_job(error):
            raise
        if no_space(error):
            raise NoSpaceError(reason_for(error)) from error
        failure = _failure_file(folder, stem)
        reason = reason_for(error, trace=f"{READOUTS}/{failure.name}")
        if not isinstance(error, UserError):
            reason = f"readout={part.name}: {reason}"
        record = {"failure": reason, "trace": "".join(traceback.format_exception(error))}
        write_whole(failure, json.dumps(record, indent=1))
        return reason
    _failure_file(folder, stem).unlink(missing_ok=True)
    return None


def _failure_file(folder: Path, stem: str) -> Path:
    return readout_file(folder, stem).with_suffix(".json")


def _scores(folder: Path, part: "ReadoutConfig") -> "pd.DataFrame":
    """What a read-out says of dev and test: id, part, label and a logit_<class>, its score, per class."""
    import pandas as pd

    classes, table = _run(folder)
    z = feature_values(table)  # [utterances, features]
    labels = pd.Index(classes).get_indexer(pd.Index(table["label"]))
    training, dev = ((table["part"] == name).to_numpy() for name in ("train", "dev"))
    scores = fit_and_score(part, z[training], labels[training], (z[dev], labels[dev]), z[~training], len(classes))
    facts = table.loc[~training, ["id", "part", "label"]].reset_index(drop=True)
    return facts.join(pd.DataFrame(scores, columns=list(classes)).add_prefix("logit_"))


def _run(folder: Path) -> tuple[Sequence[str], "pd.DataFrame"]:
    """The classes of a finished run, and its features."""
    result = read_result(folder)
    if result is None:
        raise UserError(f"{folder} has no result any more; repeat the command")
    try:
        return result.classes, read_features(folder)
    except (OSError, ValueError) as error:
        raise damaged(folder, FEATURES, error) from error
