"""Reading runs: their results and their predictions. Needs neither torch nor Lightning."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from ser_lightning.errors import UserError
from ser_lightning.files import write_whole

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RESULT, PREDICTIONS, FEATURES = "result.json", "predictions.parquet", "features.parquet"
METRICS = "metrics.csv"
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
        code: version and digest of the code that made the run; empty where an earlier version did not say.
        schema: number of the form in which the file is written.
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
    code: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA
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

    def write(self, folder: Path) -> None:
        """Write result.json, the last file of a run, whole or not at all."""
        record = asdict(self)
        extra = record.pop("extra")
        write_whole(folder / RESULT, json.dumps({"schema": record.pop("schema"), **record, **extra}, indent=1))


def read_result(folder: Path) -> RunResult | None:
    """The result of a finished run; None where there is no result.json, and only there.

    Raises `UserError` where it is there and cannot be read: files are written whole, so that it is damaged, and a run
    that is paid for is not to be trained over silently.
    """
    file = folder / RESULT
    try:
        return _parse_result(json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); nothing is trained in its place") from error
    except ValueError as error:
        raise UserError(
            f"{file} cannot be read ({_reason(error)}); put back a copy of it, or move the folder {folder} "
            "elsewhere and repeat the command, which trains the run anew"
        ) from error


def set_aside(folder: Path) -> None:
    """Move the whole folder of a finished run to `.former/<signature>-<n>` beside it, in one step."""
    former = folder.parent / FORMER
    former.mkdir(exist_ok=True)
    places = (former / f"{folder.name}-{number}" for number in count())
    folder.rename(next(place for place in places if not place.exists()))


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
    return _read_parquet(folder / PREDICTIONS)


def read_features(folder: Path) -> "pd.DataFrame":
    """A run's features: id, part, label and z_0, z_1, ... of all utterances."""
    return _read_parquet(folder / FEATURES)


def feature_values(features: "pd.DataFrame") -> "np.ndarray":
    """The features z [utterances, features], float64, in a table as `read_features` gives it."""
    return features.filter(regex=r"^z_\d+$").to_numpy(dtype="float64")


def readout_file(folder: Path, name: str) -> Path:
    """Where a run keeps a read-out: id, part (dev, test), label and a logit_<class>, its score, per class."""
    return folder / READOUTS / f"{name}.parquet"


def read_readout(folder: Path, name: str) -> "pd.DataFrame | None":
    """A run's read-out of this name, see `readout_file`; None where it is not there."""
    file = readout_file(folder, name)
    return _read_parquet(file) if file.exists() else None


def damaged(folder: Path, file: str, error: Exception) -> UserError:
    """The error for a finished run of which a file cannot be read: which one, and what mends it."""
    reason = "is missing" if isinstance(error, FileNotFoundError) else f"is damaged ({' '.join(str(error).split())})"
    return UserError(f"{folder / file} {reason}; delete the folder {folder} and repeat the command: the run is redone")


def _read_parquet(file: Path) -> "pd.DataFrame":
    """A third of the time of pandas' own, which counts where a study has hundreds of runs."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(file) as parquet:
        return parquet.read().to_pandas()


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
    except ValueError as error:
        schema = record.get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise ValueError(
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
