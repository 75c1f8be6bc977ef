"""Reading runs: their results and their predictions. Needs neither torch nor Lightning."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from ser_lightning.errors import UserError
from ser_lightning.files import read_bytes, read_json, write_whole
from ser_lightning.runs.seal import (
    FILES,
    SEAL,
    Seal,
    check_record,
    read_with_seal,
    record_seal,
    seal_files,
    write_with_seal,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

RESULT, PREDICTIONS, FEATURES = "result.json", "predictions.parquet", "features.parquet"
METRICS, CONFIG = "metrics.csv", "config.yaml"
# Parameters of the best dev UA, and of the last whole epoch of an unfinished run.
BEST, LAST = "best.ckpt", "last.ckpt"
# What a result seals beside itself.
SEALED = (CONFIG, METRICS, BEST, PREDICTIONS, FEATURES)
# Without one of these a run cannot be reported. The others may be deleted, which saves 99 % of its space.
NEEDED = (CONFIG, PREDICTIONS)
# The folder of a run's read-outs.
READOUTS = "readouts"
# Beside the runs' folders: those of runs that were trained anew since.
FORMER = ".former"
# Raised when a reader of before would misunderstand what is written now; a further field is no reason.
SCHEMA = 2


@dataclass(frozen=True)
class RunResult:
    """What `result.json` of a finished run says.

    A file is read whatever version wrote it: fields that it lacks get their defaults, fields that are not known here
    are kept in `extra` and written back.

    Attributes:
        scores: dev and test -> metric -> value, e.g. ua and wa in [0, 1].
        confusion, dev_confusion: counts [classes, classes] of test and dev, rows true, columns predicted.
        uses: what its numbers rest on beyond what the protocol tells, a phrase each: see `plan.uses`.
        sound: name of the folder, in the cache, of what was measured of its recordings; empty where an earlier
            version did not say.
        code: version and digest of the code that made the run; empty where an earlier version did not say.
        schema: number of the form in which the file is written.
        files: name -> seal of the run's other files; empty where an earlier version did not seal them.
        extra: fields that a later version wrote.
    """

    signature: str
    corpus: str
    synthetic: bool
    protocol: str
    repeat: int
    fold: int
    classes: list[str]
    scores: dict[str, dict[str, float]]
    confusion: list[list[int]]
    dev_confusion: list[list[int]]
    utterances: dict[str, int]
    left_out: int
    split: str
    audit: dict[str, Any]
    steps: int
    best_step: int
    seconds: float
    precision: str
    device: str
    settings: dict[str, Any]
    versions: dict[str, str]
    uses: list[str] = field(default_factory=list)
    sound: str = ""
    code: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA
    files: dict[str, Seal] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def ua(self) -> float:
        """UA of the test part, in [0, 1]."""
        return self.scores["test"]["ua"]

    @property
    def wa(self) -> float:
        """WA of the test part, in [0, 1]."""
        return self.scores["test"]["wa"]

    @property
    def dev_ua(self) -> float:
        """UA of the dev part, in [0, 1]."""
        return self.scores["dev"]["ua"]

    @property
    def dev_wa(self) -> float:
        """WA of the dev part, in [0, 1]."""
        return self.scores["dev"]["wa"]

    def sealed(self, folder: Path) -> "RunResult":
        """The same with the seals of the files that the run's folder has."""
        return replace(self, files=seal_files(folder, SEALED))

    def write(self, folder: Path) -> None:
        """Write result.json, the last file of a run, whole or not at all; with a seal of its own if others have one."""
        facts = asdict(self)
        extra = facts.pop("extra")
        record = {"schema": facts.pop("schema"), **facts, **extra}
        if not self.files:
            del record[FILES]
        else:
            # As a reader sees it, to whom e.g. a tuple is a list
            record[SEAL] = record_seal(json.loads(json.dumps(record)))
        write_whole(folder / RESULT, json.dumps(record, indent=1))


class DamagedRunError(UserError):
    """A file of a finished run is not what was written, so that the run is to be trained anew.

    Args:
        file: which.
        reason: what is wrong with it, in a few words.
        sealed: whether the commands that train see it by themselves.
    """

    def __init__(self, file: Path, reason: str, sealed: bool = True) -> None:
        mended = (
            "repeat the study's command, which sets the run's folder aside and trains it anew"
            if sealed
            else f"move the folder {file.parent} elsewhere and repeat the study's command, which trains the run anew"
        )
        super().__init__(f"{file} {reason}; {mended}")
        self.file, self.reason, self.sealed = file, reason, sealed

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.file, self.reason, self.sealed)


def read_result(folder: Path) -> RunResult | None:
    """The result of a finished run; None where there is no result.json, and only there.

    Raises `DamagedRunError` where it is there and is not what was written, or another run's; and `UserError` where it
    cannot be read for another reason, for which a run that is paid for is not to be trained over.
    """
    record = _read_record(folder)
    if record is None:
        return None
    try:
        return _parse_result({name: value for name, value in record.items() if name != SEAL})
    except _LaterSchemaError as error:
        raise UserError(f"{folder / RESULT} cannot be read ({error}); nothing is trained in its place") from error
    except ValueError as error:
        raise DamagedRunError(folder / RESULT, f"is damaged ({_reason(error)})") from error


def read_seals(folder: Path) -> dict[str, Seal]:
    """The seals of a run's files by their names; empty where it is unfinished or unsealed. Raises as `read_result`."""
    record = _read_record(folder) or {}
    return {name: Seal(seal["size"], seal["sha256"]) for name, seal in record.get(FILES, {}).items()}


def read_sealed(folder: Path, name: str) -> bytes:
    """A file of a run. Raises as `read_bytes`, and `ValueError` where its seal says that it is altered."""
    content = read_bytes(folder / name)
    if seal := read_seals(folder).get(name):
        seal.check(content)
    return content


def _read_record(folder: Path) -> dict[str, Any] | None:
    """The fields of result.json, unaltered as far as their seal tells, and of this run."""
    file = folder / RESULT
    try:
        record = read_json(file)
        if not isinstance(record, dict):
            raise ValueError("it holds no mapping")
        check_record(record, FILES)
        name = folder.name.rpartition("-")[0] if folder.parent.name == FORMER else folder.name
        if record.get("signature", name) != name:
            raise ValueError(f"it is of another run, {record['signature']}")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); nothing is trained in its place") from error
    except ValueError as error:
        raise DamagedRunError(file, f"is damaged ({error})") from error
    return record


def set_aside(folder: Path) -> Path:
    """Move the whole folder of a finished run to `.former/<signature>-<n>` beside it, in one step; returns that."""
    former = folder.parent / FORMER
    former.mkdir(exist_ok=True)
    places = (former / f"{folder.name}-{number}" for number in count())
    return folder.rename(next(place for place in places if not place.exists()))


def read_results(runs: Path, signatures: Iterable[str]) -> list[RunResult]:
    """The results of those of the runs that are finished, in the order given."""
    results = (read_result(runs / name) for name in signatures)
    return [result for result in results if result is not None]


def read_predictions(runs: Path, signatures: Iterable[str]) -> "pd.DataFrame":
    """The ledger: a row per (run, utterance) with signature, id, part, label and a logit_<class> per class."""
    import pandas as pd

    tables = [read_outputs(runs / name).assign(signature=name) for name in signatures]
    return pd.concat(tables, ignore_index=True)


def read_outputs(folder: Path) -> "pd.DataFrame":
    """A run's rows of the ledger: id, part (dev, test), label and a logit_<class> per class."""
    return read_table(folder, PREDICTIONS).to_pandas()


def read_features(folder: Path) -> "pd.DataFrame":
    """A run's features: id, part, label and z_0, z_1, ... of all utterances."""
    return read_table(folder, FEATURES).to_pandas()


def feature_values(features: "pd.DataFrame") -> "np.ndarray":
    """The features z [utterances, features], float64, in a table as `read_features` gives it."""
    return features.filter(regex=r"^z_\d+$").to_numpy(dtype="float64")


def readout_file(folder: Path, name: str) -> Path:
    """Where a run keeps a read-out: id, part (dev, test), label and a logit_<class>, its score, per class."""
    return folder / READOUTS / f"{name}.parquet"


def write_readout(folder: Path, name: str, content: bytes) -> None:
    """Keep a read-out, and its seal beside it."""
    write_with_seal(readout_file(folder, name), content)


def read_readout(folder: Path, name: str) -> "pd.DataFrame | None":
    """A run's read-out of this name, see `readout_file`; None where it is not there.

    Raises `OSError` where it cannot be read, and `ValueError` where it is not what was written.
    """
    table = read_readout_table(readout_file(folder, name))
    return None if table is None else table.to_pandas()


def read_readout_table(file: Path) -> "pa.Table | None":
    """As `read_readout`, from its file."""
    try:
        content = read_with_seal(file)
    except FileNotFoundError:
        return None
    return _parse_parquet(content)


def damaged(folder: Path, file: str, error: Exception) -> UserError:
    """The error for a finished run of which a file cannot be read: which one, and what mends it."""
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return UserError(
            f"{folder / file} cannot be read ({error.strerror or error}); mend that and repeat the command"
        )
    missing = isinstance(error, FileNotFoundError)
    reason = "is missing" if missing else f"is damaged ({' '.join(str(error).split())})"
    trained_anew = file in NEEDED or not missing
    return DamagedRunError(folder / file, reason, sealed=trained_anew and bool(read_seals(folder)))


def read_table(folder: Path, name: str) -> "pa.Table":
    """A parquet file of a run. Raises as `read_sealed`, and `ValueError` where it is no parquet."""
    return _parse_parquet(read_sealed(folder, name))


def _parse_parquet(content: bytes) -> "pa.Table":
    """A third of the time of pandas' own, which counts where a study has hundreds of runs."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(pa.BufferReader(content)) as parquet:
            return parquet.read()
    except (pa.ArrowException, OSError, MemoryError, OverflowError) as error:
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from error


class _LaterSchemaError(ValueError):
    """A result is of a later form than any that is known here."""


def _parse_result(record: Any) -> RunResult:
    """A result from what its file holds. Raises `ValueError` where that lacks what no rule can supply."""
    if not isinstance(record, dict):
        raise ValueError("it holds no mapping")
    if "schema" not in record:
        record = _from_first_schema(record)
    names = {item.name for item in fields(RunResult)} - {"extra"}
    extra = {name: value for name, value in record.items() if name not in names}
    try:
        result = _adapter().validate_python({**{name: record[name] for name in names & record.keys()}, "extra": extra})
        for part in ("dev", "test"):
            if missing := {"ua", "wa"} - result.scores.get(part, {}).keys():
                raise ValueError(f"scores.{part} has no {' and no '.join(sorted(missing))}")
            for metric in ("ua", "wa"):
                if not 0 <= result.scores[part][metric] <= 1:
                    raise ValueError(f"scores.{part}.{metric} is not in [0, 1]")
        if not (result.seconds >= 0 and math.isfinite(result.seconds)):
            raise ValueError("seconds is no duration")
    except ValueError as error:
        schema = record.get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise _LaterSchemaError(
                f"a later version of ser_lightning wrote it, schema {schema}, and can read it; here: {_reason(error)}"
            ) from error
        raise
    return result


def _from_first_schema(record: dict[str, Any]) -> dict[str, Any]:
    """The form of before schemas were numbered, which had UA and WA in fields of their own."""
    places = {"ua": ("test", "ua"), "wa": ("test", "wa"), "dev_ua": ("dev", "ua"), "dev_wa": ("dev", "wa")}
    if missing := places.keys() - record.keys():
        raise ValueError(f"it has no {' and no '.join(sorted(missing))}")
    scores: dict[str, dict[str, Any]] = {"test": {}, "dev": {}}
    for name, (part, metric) in places.items():
        scores[part][metric] = record[name]
    return {**{name: value for name, value in record.items() if name not in places}, "scores": scores}


@cache
def _adapter() -> TypeAdapter[RunResult]:
    return TypeAdapter(RunResult)


def _reason(error: ValueError) -> str:
    """Why a file cannot be read, in a line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
    return str(error)
