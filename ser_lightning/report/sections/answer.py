"""The claim, the answer, and the differences that it stands on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.report.chapter import Group
from ser_lightning.report.comparison import group_of
from ser_lightning.report.document import Block, Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.summary import FEWEST, counted
from ser_lightning.report.tables import say_p, show_number, show_p, with_ends, with_halves
from ser_lightning.runs.varying import spell

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
    reference = material.label(next(iter(material.compared.values())))
    if not material.against_baseline:
        baseline = " ".join(material.purpose.baseline)
        absent = f"; none has the study's baseline, {baseline}" if baseline else ""
        return f"Other settings change UA against the first, {reference}{absent}."
    if material.chapter and material.chapter.claim:
        return material.chapter.claim
    varied = ", ".join(spell(word) for word in material.columns.values()) or "settings"
    return (
        f"Another choice of {varied} recognises better than the baseline, {' '.join(material.purpose.baseline)}: the "
        "same utterances and divisions into parts, once with it and once without."
    )


def answer(material: Material) -> list[str]:
    """What the study says to its claim: a sentence for the best setting of each reference, then on all together."""
    if not material.compared:
        if len(material.jobs) > 1:
            return ["Not known yet: no two settings that could be compared have a finished run."]
        return ["None: a comparison needs settings that differ, such as loss.lam=0,0.3."]
    rows = {row["job"]: row for row in material.differences.to_dict("records")}
    sentences = []
    if material.against_baseline:
        sentences = [
            words for group in material.answered for words in _sentences(material, rows.get(group.jobs[1]), group)
        ]
    elif rows:
        largest = max(rows.values(), key=lambda row: abs(row[HEADLINE]))
        pair = [largest["reference"], largest["job"]]
        sentences = _sentences(material, largest, Group({job: material.label(job) for job in pair}))
    decided = sum(np.isfinite(row["ua_p_holm"]) for row in rows.values())
    if decided > 1:
        better, worse = (
            sum(row["ua_p_holm"] < SHOWN and sign * row["ua"] > 0 for row in rows.values()) for sign in (1, -1)
        )
        counts = (
            f"Of {decided} settings compared, {better} have a higher UA and {worse} a lower one, p below {SHOWN:g} "
            "after correction for their number (Holm)."
        )
        if material.against_baseline:
            return [*sentences, counts]
        return [counts, f"Farthest away: {sentences[1]}", sentences[0]]
    return sentences


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
        setting=[material.label(job) for job in rows["job"]],
        against=[material.label(job) for job in rows["reference"]],
    ).drop(columns=["job", "reference"])
    front = ["setting", "against", "runs"]
    numbers = numbers[[*front, *numbers.columns.drop(front)]]
    blocks.append(Table("differences", "Differences in points", numbers, _show(numbers, material.metrics, groups)))
    missing = [material.label(job) for job in material.compared if job not in set(rows["job"])]
    if missing:
        blocks.append(Text(f"Left out, without a division in common with their reference: {'; '.join(missing)}."))
    return Section("Differences", blocks)


def _sentences(material: Material, row: dict[Any, Any] | None, group: Group) -> list[str]:
    """The answer for one pair of settings, and what it is made of."""
    (reference, baseline), (other, label) = group.labels.items()
    place = group.place
    if row is None:
        return [f"Not known yet{place}: no division has been run with and without."]
    ua = material.summary["ua"]
    scores = f"UA{place} is {ua[other]:.1f} % with {label} and {ua[reference]:.1f} % with {baseline}"
    number = f"{counted(int(row['runs']), 'pair')} of runs"
    if np.isnan(row["ua_half"]):
        return [f"Not known{place}: {number}, too few for an interval, which needs {FEWEST}.", f"{scores}."]
    ends = f"{row['ua'] - row['ua_half']:+.1f} to {row['ua'] + row['ua_half']:+.1f}"
    several = len(material.differences) > 1
    p = say_p(row["ua_p"]) + (f", {show_p(row['ua_p_holm'])} for all comparisons" if several else "")
    numbers = f"{row['ua']:+.1f} points of UA (95 % interval {ends}; {p}; {number})."
    if row["ua_p_holm"] < SHOWN:
        return [f"{'Yes' if row['ua'] > 0 else 'No, it is worse'}{place}: {numbers}", f"{scores}."]
    power = f"a true difference of {row['ua_detectable']:.1f} points would have been found with a probability of 80 %"
    return [f"Not shown{place}: {numbers}", f"{scores}; {power}."]


def _show(rows: pd.DataFrame, metrics: Sequence[str], groups: str) -> pd.DataFrame:
    shown = rows[["setting"]].assign(pairs=rows["runs"].astype(str))
    if rows["against"].nunique() > 1:
        shown.insert(1, "against", rows["against"])
    for metric in metrics:
        label = METRICS[metric].label
        shown[label] = with_halves(rows, metric, signed=True)
        if metric != HEADLINE:
            shown[f"{label}, p"] = rows[f"{metric}_p"].map(show_p)
            continue
        shown["p"] = rows[f"{metric}_p"].map(show_p)
        if len(rows) > 1:
            shown["p for all"] = rows[f"{metric}_p_holm"].map(show_p)
        shown["detectable"] = rows[f"{metric}_detectable"].map(show_number)
        shown[f"{label} by {groups}"] = with_ends(rows, metric)
    return shown
