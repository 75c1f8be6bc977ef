"""Tables of a report: full numbers for machines, rounded ones for people."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.report.samples import SHORT
from ser_lightning.report.summary import setting_columns
from ser_lightning.runs.jobs import REFERENCE_SYSTEM
from ser_lightning.runs.varying import show_value, spell
from ser_lightning.terminal import console

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

DEV_COLUMN = f"dev {METRICS[HEADLINE].label} (%)"

# Settings that a table or a label can hold; where more vary, the names of jobs say which.
FEW = 3


def capitalised(words: str) -> str:
    """The words with a capital first, all else as it is."""
    return words[:1].upper() + words[1:]


def csv(table: pd.DataFrame, caption: str) -> str:
    """A table as CSV, its caption in a last column, since rows are copied without their file."""
    return table.assign(provenance=caption).to_csv(index=False, float_format="%.6g")


def markdown(shown: pd.DataFrame) -> str:
    """A table of text as Markdown."""

    # A bar would begin another cell
    def escape(word: object) -> str:
        return str(word).replace("|", r"\|")

    return str(shown.map(escape).rename(columns=escape).to_markdown(index=False, disable_numparse=True))


def print_table(summary: pd.DataFrame, caption: str) -> None:
    """Print a summary in the terminal, its caption below; a job is told by its settings where they tell jobs apart.

    Of several jobs the UA on dev, by which one may choose; the test part's scores are for the report, since whoever
    chooses by them reports the luckiest.
    """
    settings = show_settings(summary)
    if settings.empty or settings.duplicated().any():
        settings = summary[["name"]].rename(columns={"name": "job"})
    is_reference = summary["name"] == REFERENCE_SYSTEM
    settings[is_reference] = ""
    settings.loc[is_reference, settings.columns[0]] = REFERENCE_SYSTEM
    scores = show_scores(summary)
    shown = settings.join(scores if len(summary) == 1 else scores[["runs", DEV_COLUMN]])
    table = Table()
    for name in shown.columns:
        table.add_column(name, justify="right")
    for row in shown.itertuples(index=False):
        table.add_row(*row)
    terminal = console()
    terminal.print(table)
    terminal.print(caption, soft_wrap=True)


def show_settings(summary: pd.DataFrame) -> pd.DataFrame:
    """The settings in which the jobs of a summary differ, as text; no columns where they are more than a few."""
    columns = setting_columns(summary)
    shown = summary[columns if len(columns) <= FEW else []].map(_cell)
    return shown.rename(columns=spell)


def show_scores(summary: pd.DataFrame, metrics: Sequence[str] = ()) -> pd.DataFrame:
    """The scores of a summary as text: how many runs they are of; the mean of the headline score on dev, by which
    settings may be chosen; of each metric the mean with its 95 % interval, and of the first the spread.

    `metrics` are those shown; all, if none is named.
    """
    runs = [f"{done} of {planned}" for done, planned in zip(summary["runs"], summary["planned"], strict=True)]
    shown = pd.DataFrame({"runs": runs, DEV_COLUMN: summary[f"dev_{HEADLINE}"].map(show_number)}, index=summary.index)
    for metric in metrics or METRICS:
        shown[f"{METRICS[metric].label} (%)"] = with_halves(summary, metric)
        if metric == HEADLINE:
            shown[f"{METRICS[metric].label} s.d."] = summary[f"{metric}_sd"].map(show_number)
    return shown


def _cell(value: Any) -> str:
    return "–" if isinstance(value, float) and np.isnan(value) else show_value(value)


def class_columns(classes: Sequence[str], others: Collection[str]) -> list[str]:
    """The names of columns for classes in a table that has other columns, which keep their names.

    >>> class_columns(["true", "false"], ["true", "utterances"])
    ['true (class)', 'false']
    """
    return [f"{name} (class)" if name in others else name for name in classes]


def show_number(value: float, decimals: int = 2) -> str:
    """So many decimals, or a dash for what is not known."""
    return "–" if np.isnan(value) else f"{value:.{decimals}f}"


def show_p(value: float) -> str:
    """A p-value with two digits, or a dash for what is not known."""
    if np.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def say_p(value: float) -> str:
    """The same in a sentence: 'p = 0.012' or 'p < 0.001'."""
    return f"p {show_p(value)}" if value < 0.001 else f"p = {show_p(value)}"


def with_half(mean: float, half: float, signed: bool = False, decimals: int = 2) -> str:
    """A mean with half of its interval, where it has one.

    >>> with_half(63.8, 1.25), with_half(2.0, float("nan"), signed=True)
    ('63.80 ± 1.25', '+2.00')
    """
    shown = f"{mean:+.{decimals}f}" if signed and not np.isnan(mean) else show_number(mean, decimals)
    return shown if np.isnan(half) else f"{shown} ± {half:.{decimals}f}"


def show_intervals(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """The ends of the intervals of rows for each question, as text; a question without any has no column."""
    shown = pd.DataFrame(index=rows.index)
    for metric in metrics:
        label, decimals = METRICS[metric].label, METRICS[metric].decimals
        for question, word in SHORT.items():
            low, high = rows[f"{metric}_{word}_low"], rows[f"{metric}_{word}_high"]
            if low.notna().any():
                shown[f"{label}, {question}"] = [
                    "–" if np.isnan(one) else f"{one:.{decimals}f} to {other:.{decimals}f}"
                    for one, other in zip(low, high, strict=True)
                ]
    return shown


def with_halves(rows: pd.DataFrame, metric: str, signed: bool = False) -> list[str]:
    """A metric's means with half of their intervals."""
    pairs = zip(rows[metric], rows[f"{metric}_half"], strict=True)
    return [with_half(mean, half, signed, METRICS[metric].decimals) for mean, half in pairs]


def latex(table: pd.DataFrame, title: str, caption: str) -> str:
    """A table of text in LaTeX (booktabs), its title and provenance as the caption."""
    escaped = table.map(_tex).rename(columns=_tex)
    words = "".join("l" if escaped[name].str.fullmatch(r"[A-Za-z].*").any() else "r" for name in escaped)
    return escaped.to_latex(index=False, column_format=words, caption=_tex(f"{title}. {caption}."))


def _tex(text: Any) -> str:
    """Plain text for LaTeX; a hyphen before a number is a minus."""
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", str(text).translate(_TEX))
