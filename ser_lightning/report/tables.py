"""Tables of a report: full numbers for machines, rounded ones beside the paper's for people."""

import re
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from ser_lightning.report.summary import further_settings

# Signs that LaTeX reads otherwise
_TEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "%&_#${}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "–": "--",
        "<": "$<$",
        ">": "$>$",
        "|": r"$\mid$",
    }
)

INPUTS = {"logmel": "log-Mel", "logstft": "log-STFT"}


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
    alone = summary.loc[summary["alpha"].isna(), ["features", "lam", *further_settings(summary)]]
    if not alone.astype(str).duplicated().any():
        return ""
    return "With lambda = 0 alpha plays no part: jobs that differ in alpha alone share their runs there."


def show_jobs(summary: pd.DataFrame) -> pd.DataFrame:
    """A summary as text: job, features, lam, alpha, what else differs, UA and WA with 95 % interval, spread, runs."""
    named = summary[["name", "features", "lam", "alpha", *further_settings(summary)]]
    shown = named.map(show_value).rename(columns={"name": "job"})
    for measure in ("ua", "wa"):
        shown[f"{measure.upper()} (%)"] = with_halves(summary, measure)
    shown["UA s.d."] = summary["ua_sd"].map(show_number)
    shown["runs"] = [f"{done} of {planned}" for done, planned in zip(summary["runs"], summary["planned"], strict=True)]
    return shown


def show_number(value: float) -> str:
    """Two decimals, or a dash for what is not known."""
    return "–" if np.isnan(value) else f"{value:.2f}"


def show_p(value: float) -> str:
    """A p-value with two digits, or a dash for what is not known."""
    if np.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def say_p(value: float) -> str:
    """The same in a sentence: 'p = 0.012' or 'p < 0.001'."""
    return f"p {show_p(value)}" if value < 0.001 else f"p = {show_p(value)}"


def with_half(mean: float, half: float, signed: bool = False) -> str:
    """A mean with half of its interval, where it has one.

    >>> with_half(63.8, 1.25), with_half(2.0, float("nan"), signed=True)
    ('63.80 ± 1.25', '+2.00')
    """
    shown = f"{mean:+.2f}" if signed and not np.isnan(mean) else show_number(mean)
    return shown if np.isnan(half) else f"{shown} ± {half:.2f}"


def with_ends(rows: pd.DataFrame, measure: str) -> list[str]:
    """The ends of the intervals by resampling speakers, or a dash."""
    ends = zip(rows[f"{measure}_speakers_low"], rows[f"{measure}_speakers_high"], strict=True)
    return ["–" if np.isnan(low) else f"{low:.2f} to {high:.2f}" for low, high in ends]


def with_halves(rows: pd.DataFrame, measure: str, signed: bool = False) -> list[str]:
    """A measure's means with half of their intervals."""
    return [with_half(*pair, signed) for pair in zip(rows[measure], rows[f"{measure}_half"], strict=True)]


def latex(table: pd.DataFrame, title: str, caption: str) -> str:
    """A table of text in LaTeX (booktabs), its title and provenance as the caption."""
    escaped = table.map(_tex).rename(columns=_tex)
    words = "".join("l" if escaped[name].str.fullmatch(r"[A-Za-z].*").any() else "r" for name in escaped)
    return escaped.to_latex(index=False, column_format=words, caption=_tex(f"{title}. {caption}."))


def _tex(text: Any) -> str:
    """Plain text for LaTeX; a hyphen before a number is a minus."""
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", str(text).translate(_TEX))


def show_value(value: Any) -> str:
    """A setting's value for reading."""
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:g}"
    return INPUTS.get(str(value), str(value))
