"""Other classifiers on the features z, beside the network's own head."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.errors import UserError
from ser_lightning.metrics import confusion_counts, unweighted_accuracy, weighted_accuracy
from ser_lightning.report.document import Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.statistics import over_runs, paired
from ser_lightning.report.summary import ScoredRun, half_width, test_to_train
from ser_lightning.report.tables import with_half, with_halves
from ser_lightning.runs.ledger import read_readout, readout_file

EXPLAINED = (
    "A read-out is another classifier, fitted to the features z of a finished run's training part in place of the "
    "network's last layer, and scored on the same test part: it asks what the features hold, whatever the layer they "
    "were trained with makes of them. Differences are to that layer, softmax, paired by run."
)

# No choice can have this name
SOFTMAX = "network's softmax"
MEASURES: Mapping[str, Callable[[np.ndarray], float]] = {"ua": unweighted_accuracy, "wa": weighted_accuracy}


def section(material: Material) -> Section | None:
    """UA and WA of the read-outs that the study's jobs asked for; None where there are none yet."""
    rows = readout_rows(material)
    if rows.empty:
        return None
    table = Table("readouts", "UA and WA of read-outs, and of the network's own softmax", rows, _show(rows))
    return Section("Read-outs", [Text(EXPLAINED), table])


def readout_rows(material: Material) -> pd.DataFrame:
    """A row per job for its softmax, then one for each of its read-outs; none for jobs without.

    Columns: setting, readout, runs (that have it), and for ua and wa the mean over them, percent, half of its 95 %
    interval (ua_half), the mean of the difference to softmax in the same runs, points (ua_gain), and half of its
    interval (ua_gain_half). Raises `UserError` where a file is damaged.
    """
    rows: list[dict[str, Any]] = []
    for number, job in enumerate(material.jobs):
        runs = material.finished(number)
        confusions = {name: _confusions(material, runs, kept) for name, kept in job.readouts.items()}
        own = {run.result.signature: run.confusion for run in runs}
        if any(confusions.values()):
            for name, of_runs in {SOFTMAX: own, **confusions}.items():
                read = [run for run in runs if run.result.signature in of_runs]
                numbers = _numbers(read, of_runs, name == SOFTMAX)
                rows.append({"setting": material.names[number], "readout": name, "runs": len(read), **numbers})
    return pd.DataFrame(rows)


def readout_lines(material: Material) -> list[str]:
    """A line for the terminal per read-out: UA and WA, and the difference to softmax."""
    lines = []
    for row in readout_rows(material).to_dict("records"):
        if row["readout"] != SOFTMAX:
            scores = [
                f"{name.upper()} {with_half(row[name], row[f'{name}_half'])} % "
                f"({with_half(row[f'{name}_gain'], row[f'{name}_gain_half'], signed=True)} against softmax)"
                for name in MEASURES
            ]
            lines.append(f"readout={row['readout']}: {', '.join(scores)}")
    return lines


def _confusions(material: Material, runs: Sequence[ScoredRun], kept: str) -> dict[str, np.ndarray]:
    """The test part's confusion counts [classes, classes] by a read-out, of the runs that have it, by signature."""
    counts = {}
    for run in runs:
        folder, classes = material.folder(run), run.result.classes
        try:
            table = read_readout(folder, kept)
            if table is None:
                continue
            table = table[table["part"] == "test"]
            labels = pd.Index(classes).get_indexer(pd.Index(table["label"]))
            scores = table[[f"logit_{name}" for name in classes]].to_numpy()
        except (OSError, ValueError, KeyError) as error:
            file, reason = readout_file(folder, kept), " ".join(str(error).split())
            raise UserError(f"{file} is damaged ({reason}); delete it and repeat the study's command") from error
        counts[run.result.signature] = confusion_counts(labels, scores.argmax(axis=1), len(classes))
    return counts


def _numbers(runs: Sequence[ScoredRun], confusions: Mapping[str, np.ndarray], softmax: bool) -> dict[str, float]:
    share = test_to_train(runs)
    numbers: dict[str, float] = {}
    for name, measure in MEASURES.items():
        values = [100 * measure(confusions[run.result.signature]) for run in runs]
        interval = over_runs(values, share)
        gain = paired(values, [100 * measure(run.confusion) for run in runs], share)
        numbers |= {
            name: interval.mean,
            f"{name}_half": half_width(interval),
            f"{name}_gain": np.nan if softmax else gain.mean,
            f"{name}_gain_half": np.nan if softmax else half_width(gain),
        }
    return numbers


def _show(rows: pd.DataFrame) -> pd.DataFrame:
    shown = rows[["setting", "readout", "runs"]].astype(str).rename(columns={"readout": "read-out"})
    for name in MEASURES:
        shown[f"{name.upper()} (%)"] = with_halves(rows, name)
        shown[f"{name.upper()} against softmax"] = with_halves(rows, f"{name}_gain", signed=True)
    return shown
