"""Two configurations, or two people's studies, side by side: `python -m ser_lightning.report compare A B`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ser_lightning.errors import UserError
from ser_lightning.report.material import Material
from ser_lightning.report.statistics import LEVEL, holm, over_runs
from ser_lightning.report.summary import (
    ScoredRun,
    half_width,
    on_same_divisions,
    paired_difference,
    test_to_train,
)
from ser_lightning.report.tables import show_number, show_p, with_half
from ser_lightning.runs.study import Job


@dataclass(frozen=True)
class Side:
    """One of the two: a study, or one job of it."""

    name: str
    material: Material
    jobs: list[int]


def choose(name: str, material: Material, job: str | None) -> Side:
    """A side of the comparison. Raises `UserError` where the study has no such job, or it has no finished run."""
    jobs = [number for number, of in enumerate(material.jobs) if job in (None, of.name)]
    if not jobs:
        known = "; ".join(of.name for of in material.jobs)
        raise UserError(f"{material.study.name} has no setting '{job}'; it has: {known}")
    jobs = [number for number in jobs if material.finished(number)]
    if not jobs:
        raise UserError(f"{name}: no run of this setting has finished yet")
    # Of jobs that share their runs, as those with lambda = 0 do, the first stands for all
    distinct: dict[tuple[str, ...], int] = {}
    for number in jobs:
        distinct.setdefault(tuple(material.jobs[number].runs), number)
    return Side(name, material, list(distinct.values()))


def compare(first: Side, second: Side) -> tuple[pd.DataFrame, list[str]]:
    """A row per pair of settings, the second minus the first, and remarks.

    Columns: first, second (names of the settings), pairs (runs on the same division; 0 where there are none, and the
    means are compared as of independent runs), for ua and wa the two means, the difference, half of its corrected 95 %
    interval and p, for all rows by Holm's method; same (runs of which both made the very same predictions).

    Raises `UserError` where the corpora, their utterances, classes or protocols differ, and where no setting of one
    has its like in the other.
    """
    _refuse_unlike(first.material, second.material)
    matched = _matched(first, second)
    rows = [_row(first, i, second, j) for i, j in matched]
    table = pd.DataFrame(rows)
    for measure in ("ua", "wa"):
        table[f"{measure}_p_holm"] = holm(table[f"{measure}_p"].tolist())
    return table, _remarks(first, second, matched, table)


def show(table: pd.DataFrame) -> pd.DataFrame:
    """The comparison as text."""
    named = table["first"] if (table["first"] == table["second"]).all() else table["first"] + " | " + table["second"]
    shown = pd.DataFrame({"setting": named, "pairs": table["pairs"].astype(str)})
    for measure in ("ua", "wa"):
        name = measure.upper()
        shown[f"{name}, A"], shown[f"{name}, B"] = (table[f"{measure}_{side}"].map(show_number) for side in "ab")
        both = zip(table[measure], table[f"{measure}_half"], strict=True)
        shown[f"{name}, B - A"] = [with_half(mean, half, signed=True) for mean, half in both]
        shown["p" if measure == "ua" else "WA, p"] = table[f"{measure}_p"].map(show_p)
        if measure == "ua" and len(table) > 1:
            shown["p for all"] = table["ua_p_holm"].map(show_p)
    return shown


def _refuse_unlike(first: Material, second: Material) -> None:
    kinds = [
        f"{of.facts.corpus}, {of.facts.utterances} utterances of {' '.join(of.classes)}, {of.facts.protocol} protocol"
        for of in (first, second)
    ]
    if kinds[0] != kinds[1]:
        raise UserError(f"these cannot be compared: {kinds[0]} against {kinds[1]}")


def _matched(first: Side, second: Side) -> list[tuple[int, int]]:
    """Settings that belong together: the only ones, else those with equal settings, else those of equal name."""
    if len(first.jobs) == len(second.jobs) == 1:
        return [(first.jobs[0], second.jobs[0])]
    for key in (lambda job: str(job.settings), lambda job: job.name):
        like: Mapping[str, int] = {key(second.material.jobs[j]): j for j in second.jobs}
        found = [(i, like[of]) for i in first.jobs if (of := key(first.material.jobs[i])) in like]
        if found:
            return found
    raise UserError(f"{first.name} and {second.name} have no setting in common; name one of each, as STUDY:SETTING")


def _row(first: Side, i: int, second: Side, j: int) -> dict[str, Any]:
    theirs, ours = first.material.finished(i), second.material.finished(j)
    common = on_same_divisions(ours, theirs)
    row: dict[str, Any] = {"first": first.material.jobs[i].name, "second": second.material.jobs[j].name}
    row["pairs"] = len(common)
    row["same"] = sum(_same(*pair) for pair in common)
    if common:
        ours, theirs = ([pair[side] for pair in common] for side in (0, 1))
        row |= paired_difference(common)
    share = test_to_train([*ours, *theirs])
    for measure in ("ua", "wa"):
        b, a = ([getattr(run, measure) for run in side] for side in (ours, theirs))
        row |= {f"{measure}_a": np.mean(a), f"{measure}_b": np.mean(b)}
        if not common:
            row |= _unpaired(measure, b, a, share)
    return row


def _unpaired(measure: str, ours: list[float], theirs: list[float], share: float) -> dict[str, float]:
    """Means of unlike divisions: their corrected variances add up; freedom as of the side with fewer runs."""
    b, a = over_runs(ours, share), over_runs(theirs, share)
    error, freedom = np.hypot(a.error, b.error), min(a.count, b.count) - 1
    difference = b.mean - a.mean
    half = half_width(a) + half_width(b)  # NaN where either has too few runs
    if np.isnan(half):
        return {measure: difference, f"{measure}_half": np.nan, f"{measure}_p": np.nan}
    half = stats.t.ppf((1 + LEVEL) / 2, freedom) * error
    p = 2 * stats.t.sf(abs(difference) / error, freedom) if error else float(difference == 0)
    return {measure: difference, f"{measure}_half": float(half), f"{measure}_p": float(p)}


def _same(one: ScoredRun, other: ScoredRun) -> bool:
    return np.array_equal(one.test.ids, other.test.ids) and np.array_equal(one.test.logits, other.test.logits)


def _remarks(first: Side, second: Side, matched: list[tuple[int, int]], table: pd.DataFrame) -> list[str]:
    remarks = []
    if table["same"].any():
        remarks.append(f"{table['same'].sum()} of {table['pairs'].sum()} pairs made the very same predictions.")
    if (table["pairs"] == 0).any():
        remarks.append("Where there are no pairs, the divisions differ: the means are compared as of independent runs.")
    for side, place in ((first, 0), (second, 1)):
        alone = [side.material.jobs[job] for job in side.jobs if job not in {pair[place] for pair in matched}]
        if alone:
            remarks.append(f"In {side.name} alone: {_names(alone)}.")
    return remarks


def _names(jobs: list[Job]) -> str:
    return "; ".join(job.name for job in jobs)
