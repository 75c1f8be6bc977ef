"""The claim, the answer, and the differences that it stands on."""

from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.report import paper
from ser_lightning.report.comparison import group_of
from ser_lightning.report.document import Block, Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.summary import FEWEST, counted
from ser_lightning.report.tables import INPUTS, say_p, show_number, show_p, with_ends, with_halves

# Below this a difference is said to be shown.
SHOWN = 0.05

EXPLAINED = (
    "Differences are paired: both runs of a pair are trained and tested on the same division. ± is half of the 95 % "
    "interval over runs, corrected for the training utterances that runs share (Nadeau and Bengio 2003), and p, "
    "two-sided, is of no difference under the same correction; p for all is corrected for the number of rows (Holm). "
    "Detectable: the smallest true difference that so many runs of this spread would have found with a probability of "
    "80 %. By {groups}: 95 % interval if other {groups} were drawn, by resampling them, paired by utterance."
)


def claim(material: Material) -> str:
    """What the study tests."""
    if not material.compared:
        several = len(material.jobs) > 1
        return "None yet." if several else "None: the study has a single setting."
    if material.against_softmax:
        return (
            "Centre loss recognises better than softmax alone: the same network, utterances and divisions into parts, "
            "once with lambda = 0 and once with lambda above it."
        )
    return f"Other settings change UA against {material.label(next(iter(material.compared.values())))}."


def answer(material: Material) -> list[str]:
    """What the study says to its claim: a sentence for the shown settings of each input, then on all together."""
    if not material.compared:
        if len(material.jobs) > 1:
            return ["Not known yet: no two settings that could be compared have a finished run."]
        return ["None: a comparison needs settings that differ, such as loss.lam=0,0.3."]
    rows = {row["job"]: row for row in material.differences.to_dict("records")}
    told = []
    if material.against_softmax:
        shown = [jobs for jobs in material.shown.values() if len(jobs) == 2]
        told = [sentence for jobs in shown for sentence in _sentences(material, rows.get(jobs[1]), jobs)]
    elif rows:
        largest = max(rows.values(), key=lambda row: abs(row["ua"]))
        told = _sentences(material, largest, [largest["reference"], largest["job"]])
    if len(rows) > 1:
        better, worse = (
            sum(row["ua_p_holm"] < SHOWN and sign * row["ua"] > 0 for row in rows.values()) for sign in (1, -1)
        )
        counts = (
            f"Of {len(rows)} settings compared, {better} have a higher UA and {worse} a lower one, p below {SHOWN:g} "
            "after correction for their number (Holm)."
        )
        told = [*told, counts] if material.against_softmax else [counts, f"Farthest away: {told[1]}", told[0]]
    return told


def section(material: Material) -> Section:
    """All differences from the reference."""
    blocks: list[Block] = []
    rows = material.differences
    if rows.empty:
        words = (
            "No two settings have a finished run on the same division yet."
            if material.compared
            else answer(material)[0]
        )
        return Section("Differences", [Text(words)])
    groups = "speakers" if group_of(material.utterances) else "utterances"
    blocks.append(Text(EXPLAINED.format(groups=groups), aside=True))
    numbers = rows.assign(
        setting=[material.full_label(job) for job in rows["job"]],
        against=[material.full_label(job) for job in rows["reference"]],
        paper_ua=[_papers_difference(material, *pair) for pair in zip(rows["job"], rows["reference"], strict=True)],
    ).drop(columns=["job", "reference"])
    front = ["setting", "against", "runs"]
    numbers = numbers[[*front, *numbers.columns.drop(front)]]
    blocks.append(Table("differences", "Differences in points", numbers, _show(numbers, groups)))
    missing = [material.full_label(job) for job in material.compared if job not in set(rows["job"])]
    if missing:
        blocks.append(Text(f"Left out, without a division in common with their reference: {'; '.join(missing)}."))
    return Section("Differences", blocks)


def _sentences(material: Material, row: dict[Any, Any] | None, jobs: list[int]) -> list[str]:
    """The answer for one pair of settings, and what it is made of."""
    reference, other = jobs
    where = f" on {INPUTS[material.summary['features'][other]]}" if len(material.shown) > 1 else ""
    if row is None:
        return [f"Not known yet{where}: no division has been run with and without."]
    ua = material.summary["ua"]
    scores = (
        f"UA{where} is {ua[other]:.1f} % with {material.label(other)} and {ua[reference]:.1f} % with "
        f"{material.label(reference)}"
    )
    number = f"{counted(int(row['runs']), 'pair')} of runs"
    if np.isnan(row["ua_half"]):
        return [f"Not known{where}: {number}, too few for an interval, which needs {FEWEST}.", f"{scores}."]
    ends = f"{row['ua'] - row['ua_half']:+.1f} to {row['ua'] + row['ua_half']:+.1f}"
    several = len(material.differences) > 1
    p = say_p(row["ua_p"]) + (f", {show_p(row['ua_p_holm'])} for all comparisons" if several else "")
    numbers = f"{row['ua']:+.1f} points of UA (95 % interval {ends}; {p}; {number})."
    if row["ua_p_holm"] < SHOWN:
        return [f"{'Yes' if row['ua'] > 0 else 'No, it is worse'}{where}: {numbers}", f"{scores}."]
    seen = f"a true difference of {row['ua_detectable']:.1f} points would have been found with a probability of 80 %"
    return [f"Not shown{where}: {numbers}", f"{scores}; {seen}."]


def _papers_difference(material: Material, job: int, reference: int) -> float:
    columns = [material.summary[name] for name in ("features", "lam", "alpha")]
    ours, theirs = (paper.published(*(column[number] for column in columns)) for number in (job, reference))
    # Equal where the two differ in something that the paper does not vary
    return ours[0] - theirs[0] if ours and theirs and ours != theirs else np.nan


def _show(rows: pd.DataFrame, groups: str) -> pd.DataFrame:
    shown = rows[["setting"]].assign(pairs=rows["runs"].astype(str))
    if rows["against"].nunique() > 1:
        shown.insert(1, "against", rows["against"])
    shown["UA"] = with_halves(rows, "ua", signed=True)
    shown["p"] = rows["ua_p"].map(show_p)
    if len(rows) > 1:
        shown["p for all"] = rows["ua_p_holm"].map(show_p)
    shown["detectable"] = rows["ua_detectable"].map(show_number)
    shown[f"UA by {groups}"] = with_ends(rows, "ua")
    shown["WA"] = with_halves(rows, "wa", signed=True)
    shown["WA, p"] = rows["wa_p"].map(show_p)
    if rows["paper_ua"].notna().any():
        shown["UA, paper (IEMOCAP)"] = [_signed(value) for value in rows["paper_ua"]]
    return shown


def _signed(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:+.2f}"
