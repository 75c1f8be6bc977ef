"""The scores of all settings: the table, and the curves and map of a sweep."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from ser_lightning.metrics import HEADLINE, METRICS, recalls
from ser_lightning.report.document import Block, Picture, Section, Table, Text
from ser_lightning.report.figures import grids, has_curves, heat_map, sweep_curves
from ser_lightning.report.material import Material
from ser_lightning.report.samples import SHORT, refusals
from ser_lightning.report.statistics import QUESTIONS
from ser_lightning.report.tables import capitalised, show_intervals, show_scores, show_settings
from ser_lightning.runs.jobs import REFERENCE_SYSTEM
from ser_lightning.runs.varying import spell

INTERVALS = (
    "± is half of the 95 % interval for {meaning}. Below: the intervals for each question that the study can answer. "
)


def section(material: Material) -> Section:
    """The table of all settings, their intervals for each question, and whatever figures they make."""
    meanings = ", ".join(f"{METRICS[metric].label} is {METRICS[metric].title}" for metric in material.metrics)
    words = (
        f"{INTERVALS.format(meaning=QUESTIONS[material.question])}{meanings}, all of the test part; dev "
        f"{METRICS[HEADLINE].label} is what one may choose by."
    )
    blocks: list[Block] = [Text(words, aside=True), _table(material)]
    blocks += [Text(words) for words in (_uses(material), _shared_runs(material), _absent_classes(material)) if words]
    most = max((material.finished(job) for job in range(len(material.jobs))), key=len)
    reasons = refusals(most, material.speaker_of)
    blocks += intervals("score", material.names, material.summary, reasons, material.metrics)
    return Section("Scores", [*blocks, *_figures(material)])


def intervals(
    noun: str, settings: Sequence[str], rows: pd.DataFrame, reasons: Mapping[str, str], metrics: Sequence[str]
) -> list[Block]:
    """The table of the intervals of scores or differences for each question, and why UA has none for some."""
    shown = show_intervals(rows, metrics)
    answered = [
        question
        for question, word in SHORT.items()
        if rows[[f"{metric}_{word}_low" for metric in METRICS]].notna().any(axis=None)
    ]
    words = "; ".join(f"{question} ({reason})" for question, reason in reasons.items())
    blocks: list[Block] = [Text(f"No interval of a {noun} for: {words}.")] if words else []
    if shown.empty:
        return blocks
    meanings = "; ".join(f"{question}: {QUESTIONS[question]}" for question in answered)
    columns = [f"{key}_{word}_{end}" for key in METRICS for word in SHORT.values() for end in ("low", "high")]
    numbers = rows[columns].assign(setting=settings)
    numbers.insert(0, "setting", numbers.pop("setting"))
    shown.insert(0, "setting", settings)
    title = f"95 % intervals of each {noun}, by question ({meanings})"
    return [Table(f"{noun}_intervals", title, numbers, shown, folded=True), *blocks]


def _table(material: Material) -> Table:
    rows = material.summary.assign(name=material.names)
    settings = rows[["name"]].rename(columns={"name": "setting"}).join(show_settings(material.summary))
    shown = settings.join(show_scores(rows, material.metrics))
    labels = ", ".join(METRICS[metric].label for metric in material.metrics)
    return Table("scores", f"{labels} of all settings", rows, shown)


def _uses(material: Material) -> str:
    """What rows rest on beyond the protocol, and not all of them, such as pretraining."""
    rows: dict[str, list[str]] = {}
    for job, name in enumerate(material.names):
        for phrase in dict.fromkeys(phrase for run in material.finished(job) for phrase in run.result.uses):
            rows.setdefault(phrase, []).append(name)
    some = {phrase: names for phrase, names in rows.items() if len(names) < len(material.names)}
    return " ".join(f"{capitalised(phrase)}: {', '.join(names)}." for phrase, names in some.items())


def _shared_runs(material: Material) -> str:
    """Which rows stand for several jobs of the study."""
    several: dict[str, list[str]] = {}
    for name, job, members in zip(material.names, material.jobs, material.members, strict=True):
        if len(members) > 1:
            reason = "share their runs" if "seed" in job.settings else "differ in the seed alone"
            several.setdefault(reason, []).append(f"{name} stands for {'; '.join(members)}")
    return " ".join(f"Jobs that {reason} are one row: {', and '.join(rows)}." for reason, rows in several.items())


def _absent_classes(material: Material) -> str:
    """Which runs have no UA because a class is absent from their test part."""
    absences = []
    for run in material.scored.values():
        absent = [
            name for name, recall in zip(material.classes, recalls(run.confusion), strict=True) if np.isnan(recall)
        ]
        if absent:
            absences.append(f"{', '.join(absent)} in repetition {run.result.repeat}, fold {run.result.fold}")
    if not absences:
        return ""
    listed = "; ".join(dict.fromkeys(absences))
    return f"UA is unknown where a class is absent from a test part: {listed}."


def _figures(material: Material) -> list[Block]:
    """Curves of a sweep, and a map of two settings that make a grid; none of settings that are no sweep."""
    blocks: list[Block] = []
    if material.purpose.references:
        return blocks
    labels = ", ".join(METRICS[metric].label for metric in material.metrics)
    swept = material.summary[material.summary["name"] != REFERENCE_SYSTEM]
    if has_curves(swept, material.axes):
        draw = partial(sweep_curves, swept, material.axes, material.facts.caption, material.metrics)
        blocks.append(Picture("sweep", f"{labels} of the sweep", draw))
    if grid := grids(swept, material.axes):
        x, y, panels = grid
        title = f"{METRICS[HEADLINE].label} by {spell(y)} and {spell(x)}"
        blocks.append(Picture("grid", title, partial(heat_map, x, y, panels, material.facts.caption)))
    return blocks
