"""The scores of all settings: the table, and the curves and map of a sweep."""

import numpy as np

from ser_lightning.metrics import HEADLINE, METRICS, recalls
from ser_lightning.report.document import Block, Picture, Section, Table, Text
from ser_lightning.report.figures import grids, heat_map, sweep_curves
from ser_lightning.report.material import Material
from ser_lightning.report.tables import show_scores, show_settings, with_ends
from ser_lightning.runs.varying import spell

INTERVALS = (
    "± is half of the 95 % interval of the mean over runs, corrected for the training utterances that runs share "
    "(Nadeau and Bengio 2003); two runs are too few for one. By speakers: the 95 % interval if other people had "
    "spoken, by resampling them (utterances, where speakers are unknown). "
)


def section(material: Material) -> Section:
    """The table of all settings and whatever figures they make."""
    meanings = ", ".join(f"{METRICS[metric].label} is {METRICS[metric].title}" for metric in material.metrics)
    blocks: list[Block] = [Text(f"{INTERVALS}{meanings}, all of the test part.", aside=True), _table(material)]
    blocks += [Text(words) for words in (_shared_runs(material), _absent_classes(material)) if words]
    return Section("Scores", [*blocks, *_figures(material)])


def _table(material: Material) -> Table:
    rows = material.summary.assign(name=material.names)
    shown = rows[["name"]].rename(columns={"name": "setting"}).join(show_settings(material.summary))
    scores = show_scores(rows, material.metrics)
    shown.insert(len(shown.columns), "runs", scores.pop("runs"))
    shown = shown.join(scores)
    if HEADLINE in material.metrics:
        label = METRICS[HEADLINE].label
        place = list(shown.columns).index(f"{label} (%)")
        shown.insert(place + 1, f"{label} by speakers", with_ends(rows, HEADLINE))
    labels = ", ".join(METRICS[metric].label for metric in material.metrics)
    return Table("scores", f"{labels} of all settings", rows, shown)


def _shared_runs(material: Material) -> str:
    """Which rows stand for several jobs of the study."""
    several = [
        f"{name} stands for {'; '.join(members)}"
        for name, members in zip(material.names, material.members, strict=True)
        if len(members) > 1
    ]
    return f"Jobs that share their runs are one row: {', and '.join(several)}." if several else ""


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
    """Curves of a sweep, and a map of two settings that make a grid."""
    blocks: list[Block] = []
    labels = ", ".join(METRICS[metric].label for metric in material.metrics)
    curves = sweep_curves(material.summary, material.axes, material.facts.caption, material.metrics)
    if curves:
        blocks.append(Picture("sweep", f"{labels} of the sweep", curves))
    if grid := grids(material.summary, material.axes):
        x, y, panels = grid
        title = f"{METRICS[HEADLINE].label} by {spell(y)} and {spell(x)}"
        blocks.append(Picture("grid", title, heat_map(x, y, panels, material.facts.caption)))
    return blocks
