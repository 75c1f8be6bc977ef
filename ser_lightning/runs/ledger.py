"""Reading runs: their results and their predictions. Needs neither torch nor Lightning."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_lightning.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

RESULT, PREDICTIONS, FEATURES = "result.json", "predictions.parquet", "features.parquet"
METRICS = "metrics.csv"


@dataclass(frozen=True)
class RunResult:
    """What `result.json` of a finished run says; UA and WA in [0, 1], of the test part unless named dev."""

    signature: str
    corpus: str
    synthetic: bool
    protocol: str
    repeat: int
    fold: int
    classes: list[str]
    ua: float
    wa: float
    dev_ua: float
    dev_wa: float
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

    def write(self, folder: Path) -> None:
        """Write result.json, the last file of a run, whole or not at all."""
        write_whole(folder / RESULT, json.dumps(asdict(self), indent=1))


def read_result(folder: Path) -> RunResult | None:
    """The result of a finished run; None where the run is not finished."""
    try:
        return RunResult(**json.loads((folder / RESULT).read_text()))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


def read_results(runs: Path, signatures: Iterable[str]) -> list[RunResult]:
    """The results of those of the runs that are finished, in the order given."""
    found = (read_result(runs / name) for name in signatures)
    return [result for result in found if result is not None]


def read_predictions(runs: Path, signatures: Iterable[str]) -> "pd.DataFrame":
    """The ledger: a row per (run, utterance) with signature, id, part, label and a logit_<class> per class."""
    import pandas as pd

    tables = [read_outputs(runs / name).assign(signature=name) for name in signatures]
    return pd.concat(tables, ignore_index=True)


def read_outputs(folder: Path) -> "pd.DataFrame":
    """A run's rows of the ledger: id, part (dev, test), label and a logit_<class> per class."""
    return _read_parquet(folder / PREDICTIONS)


def read_features(folder: Path) -> "pd.DataFrame":
    """A run's features: id, part, label and z_0..z_63 of all utterances."""
    return _read_parquet(folder / FEATURES)


def _read_parquet(file: Path) -> "pd.DataFrame":
    """A third of the time of pandas' own, which counts where a study has hundreds of runs."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(file) as parquet:
        return parquet.read().to_pandas()
