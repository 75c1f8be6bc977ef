"""Tables 1 and 2: who is taken for whom, and what centre loss changes in it."""

import numpy as np
import pandas as pd

from ser_lightning.drawing import row_percent
from ser_lightning.report import paper
from ser_lightning.report.document import Block, Picture, Section, Table
from ser_lightning.report.material import Material
from ser_lightning.report.portraits import confusion
from ser_lightning.report.tables import INPUTS

TABLES = {"logmel": "table1", "logstft": "table2"}


def section(material: Material) -> Section:
    """A figure for each input, and a table for each of its settings and for their difference."""
    blocks: list[Block] = []
    for features, jobs in material.shown.items():
        counts = {material.label(job): sum_confusions(material, job) for job in jobs}
        name = TABLES[features]
        title = f"Table {name[-1]}. Confusions on {INPUTS[features]}, rows true, percent of the row"
        figure = confusion(counts, material.classes, material.facts.caption)
        blocks.append(Picture(name, title, figure))
        for letter, job, of in zip("ab", jobs, counts.values(), strict=False):
            blocks.append(_table(material, job, of, f"{name}{letter}"))
        if len(jobs) == 2:
            first, second = counts.values()
            blocks.append(_difference(material, first, second, name))
    return Section("Confusions", blocks)


def sum_confusions(material: Material, job: int) -> np.ndarray:
    """Confusion counts [classes, classes] of a job, summed over its finished runs."""
    return np.sum([run.confusion for run in material.finished(job)], axis=0)


def _table(material: Material, job: int, counts: np.ndarray, name: str) -> Table:
    """A confusion matrix in percent, beside the paper's where that is of the same corpus."""
    percent = pd.DataFrame(row_percent(counts), columns=material.classes)
    shown = percent.map("{:.1f}".format)
    of = next((one for one in paper.SETTINGS if material.setting(one) == job), None)
    if of is not None and material.facts.like_the_paper and material.classes == list(paper.CLASSES):
        theirs = pd.DataFrame(paper.CONFUSIONS[of.table], columns=[f"{name}, paper" for name in material.classes])
        shown = shown.join((100 * theirs).map("{:.1f}".format))
    for table in (percent, shown):
        table.insert(0, "true", material.classes)
        table.insert(1, "utterances", counts.sum(axis=1))
    setting = f"setting {of.number}: " if of else ""
    features = INPUTS[material.summary["features"][job]]
    title = f"Table {name.removeprefix('table')}, {setting}{features}, {material.label(job)}"
    return Table(name, title, percent, shown.astype(str))


def _difference(material: Material, first: np.ndarray, second: np.ndarray, name: str) -> Table:
    change = pd.DataFrame(row_percent(second) - row_percent(first), columns=material.classes)
    shown = change.map("{:+.1f}".format)
    for table in (change, shown):
        table.insert(0, "true", material.classes)
    return Table(f"{name}_difference", f"Table {name[-1]}b minus {name[-1]}a, points", change, shown)
