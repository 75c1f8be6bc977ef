"""Who is taken for whom, and what a setting changes in it."""

from functools import partial

import numpy as np
import pandas as pd

from ser_lightning.drawing import row_percent
from ser_lightning.report.chapter import Group
from ser_lightning.report.document import Block, Picture, Section, Table
from ser_lightning.report.material import Material
from ser_lightning.report.portraits import confusion
from ser_lightning.report.tables import class_columns

# The columns of a confusion matrix beside the classes
OTHERS = ("true", "utterances")


def section(material: Material) -> Section:
    """A figure for each group of shown settings; behind it a table for each setting and for the difference of two."""
    return Section("Confusions", [block for group in material.shown for block in _blocks(material, group)])


def sum_confusions(material: Material, job: int) -> np.ndarray:
    """Confusion counts [classes, classes] of a job, summed over its finished runs."""
    return np.sum([run.confusion for run in material.finished(job)], axis=0)


def _blocks(material: Material, group: Group) -> list[Block]:
    name = f"confusions{group.suffix}"
    counts = {label: sum_confusions(material, job) for job, label in group.labels.items()}
    title = f"Confusions{group.place}, rows true, percent of the row"
    draw = partial(confusion, counts, material.classes, material.facts.caption)
    blocks: list[Block] = [Picture(name, title, draw)]
    for letter, (label, matrix) in zip("abcd", counts.items(), strict=False):
        blocks.append(_table(material, matrix, f"{name}_{letter}", f"Confusions{group.place}, {label}"))
    if len(counts) == 2:
        first, second = counts.values()
        change = row_percent(second) - row_percent(first)
        title = f"Confusions{group.place}, {' minus '.join(reversed(counts))}, points"
        blocks.append(_difference(material, change, f"{name}_difference", title))
    return blocks


def _table(material: Material, counts: np.ndarray, name: str, title: str) -> Table:
    """A confusion matrix in percent."""
    percent = pd.DataFrame(row_percent(counts), columns=class_columns(material.classes, OTHERS))
    shown = percent.map("{:.1f}".format)
    for table in (percent, shown):
        table.insert(0, "true", material.classes)
        table.insert(1, "utterances", counts.sum(axis=1))
    return Table(name, title, percent, shown.astype(str), folded=True)


def _difference(material: Material, points: np.ndarray, name: str, title: str) -> Table:
    change = pd.DataFrame(points, columns=class_columns(material.classes, OTHERS))
    shown = change.map("{:+.1f}".format)
    for table in (change, shown):
        table.insert(0, "true", material.classes)
    return Table(name, title, change, shown, folded=True)
