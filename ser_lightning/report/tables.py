"""Tables of a report: full numbers for machines, rounded ones beside the paper's for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from ser_lightning.files import write_whole
from ser_lightning.report.figures import INPUTS
from ser_lightning.report.summary import further_settings


def write_table(stem: Path, numbers: pd.DataFrame, shown: pd.DataFrame, caption: str) -> str:
    """Write `stem`.csv with full numbers and `stem`.md as shown; returns the latter. Both carry the caption."""
    text = markdown(shown, caption)
    write_whole(stem.with_suffix(".csv"), csv(numbers, caption))
    write_whole(stem.with_suffix(".md"), f"{text}\n")
    return text


def csv(table: pd.DataFrame, caption: str) -> str:
    """A table as CSV, its caption in a last column, since rows are copied without their file."""
    return table.assign(provenance=caption).to_csv(index=False, float_format="%.6g")


def markdown(shown: pd.DataFrame, caption: str) -> str:
    """A table of text as Markdown, its caption below."""
    return f"{shown.to_markdown(index=False, disable_numparse=True)}\n\n*{caption}*"


def print_table(summary: pd.DataFrame, caption: str) -> None:
    """Print a summary in the terminal, its caption below; columns that say the same of all jobs are left out."""
    shown = show_jobs(summary).drop(columns="job")
    if summary["features"].nunique() == 1:
        shown = shown.drop(columns="features")
    table = Table()
    for name in shown.columns:
        table.add_column(name, justify="right")
    for row in shown.itertuples(index=False):
        table.add_row(*row)
    console = Console()
    console.print(table)
    for line in (caption, shared_runs(summary)):
        if line:
            console.print(line, soft_wrap=True, highlight=False)


def shared_runs(summary: pd.DataFrame) -> str:
    """Why several rows of a summary are equal, if they are."""
    if summary["alpha"].isna().sum() < 2:
        return ""
    return "With lambda = 0 alpha plays no part: jobs that differ in alpha alone share their runs there."


def show_jobs(summary: pd.DataFrame) -> pd.DataFrame:
    """A summary as text: job, features, lam, alpha, what else differs, UA and WA with 95 % interval, spread, runs."""
    named = summary[["name", "features", "lam", "alpha", *further_settings(summary)]]
    shown = named.map(_value).rename(columns={"name": "job"})
    for measure in ("ua", "wa"):
        shown[f"{measure.upper()} (%)"] = _with_interval(summary, measure)
    shown["UA s.d."] = summary["ua_sd"].map(show_number)
    shown["runs"] = [f"{done} of {planned}" for done, planned in zip(summary["runs"], summary["planned"], strict=True)]
    return shown


def show_beside_paper(rows: pd.DataFrame, named: Sequence[str]) -> pd.DataFrame:
    """Ours with 95 % interval beside paper_ua and paper_wa, as text; `named` are the columns that name a row."""
    shown = rows[list(named)].map(_value).rename(columns={"features": "input", "lam": "lambda"})
    shown["runs"] = rows["runs"].astype(str)
    for measure in ("ua", "wa"):
        shown[f"{measure.upper()} (%)"] = _with_interval(rows, measure)
    for measure in ("ua", "wa"):
        shown[f"{measure.upper()}, paper (IEMOCAP)"] = rows[f"paper_{measure}"].map(show_number)
    return shown


def show_number(value: float) -> str:
    """Two decimals, or a dash for what is not known."""
    return "–" if np.isnan(value) else f"{value:.2f}"


def show_p(value: float) -> str:
    """A p-value with two digits, or a dash for what is not known."""
    if np.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def _with_interval(rows: pd.DataFrame, measure: str) -> list[str]:
    pairs = zip(rows[measure], rows[f"{measure}_half"], strict=True)
    return [show_number(mean) + ("" if np.isnan(half) else f" ± {half:.2f}") for mean, half in pairs]


def _value(value: Any) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:g}"
    return INPUTS.get(str(value), str(value))
