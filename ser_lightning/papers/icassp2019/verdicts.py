"""The paper's 22 numbers: is what we measured consistent with each, and how far away?"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ser_lightning.metrics import METRICS
from ser_lightning.papers.icassp2019.study import points, published
from ser_lightning.report.document import Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.statistics import LEVEL, Interval, holm, over_runs
from ser_lightning.report.summary import FEWEST, test_to_train
from ser_lightning.report.tables import show_number, show_p, with_half
from ser_lightning.runs.varying import show_value

EXPLAINED = (
    "Ours minus the paper's, in points. The paper gives no spread; its numbers, means of 25 runs, are taken to have "
    "ours, so that the standard error of a difference is √2 times our own (corrected: Nadeau and Bengio 2003). p, "
    "two-sided, is of no difference; for all: corrected for their number (Holm). A number is consistent unless p for "
    "all is below 0.05."
)


def section(material: Material) -> Section | None:
    """A verdict on each published number that a study has, which may stand beside it; None where it has none."""
    rows: list[dict[str, Any]] = []
    for job, row in points(material).iterrows():
        values, runs = published(row), material.finished(int(str(job)))
        if values and len(runs) >= FEWEST:
            setting = {"input": row["features"], "lam": row["lam"], "alpha": row["alpha"]}
            for metric, value in zip(("ua", "wa"), values, strict=True):
                measured = over_runs([run.score(metric) for run in runs], test_to_train(runs))
                rows.append({**setting, "measure": METRICS[metric].label, **compare(measured, value)})
    if not rows:
        return None
    numbers = pd.DataFrame(rows)
    numbers["p_holm"] = holm(numbers["p"].tolist())
    consistent = numbers["p_holm"] >= 0.05
    numbers["verdict"] = np.where(consistent, "consistent", np.where(numbers["difference"] > 0, "higher", "lower"))
    title = "Verdicts on the paper's numbers"
    words = (
        f"Of the paper's 22 numbers, {len(numbers)} were measured; {consistent.sum()} of them are consistent with ours."
    )
    return Section(title, [Text(words), Text(EXPLAINED, aside=True), Table("verdicts", title, numbers, _show(numbers))])


def compare(measured: Interval, value: float) -> dict[str, float]:
    """Our mean over runs against a published mean of as many, whose spread is taken to be ours.

    Keys: ours, paper, difference, half (of its 95 % interval), p.
    """
    error, freedom = np.sqrt(2) * measured.error, measured.count - 1
    difference = measured.mean - value
    p = 2 * stats.t.sf(abs(difference) / error, freedom) if error > 0 else float(difference == 0)
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * error
    return {"ours": measured.mean, "paper": value, "difference": difference, "half": float(half), "p": float(p)}


def _show(rows: pd.DataFrame) -> pd.DataFrame:
    shown = rows[["input", "lam", "alpha"]].map(show_value).rename(columns={"lam": "lambda"})
    shown["alpha"] = rows["alpha"].map(lambda value: "–" if np.isnan(value) else show_value(value))
    shown["measure"] = rows["measure"]
    shown["ours (%)"], shown["paper (%)"] = rows["ours"].map(show_number), rows["paper"].map(show_number)
    shown["difference"] = [
        with_half(mean, half, signed=True) for mean, half in zip(rows["difference"], rows["half"], strict=True)
    ]
    shown["p"], shown["p for all"] = rows["p"].map(show_p), rows["p_holm"].map(show_p)
    return shown.assign(verdict=rows["verdict"])
