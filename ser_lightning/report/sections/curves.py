"""Learning curves of the shown settings."""

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ser_lightning.errors import listing
from ser_lightning.report.document import Block, Picture, Section, Text
from ser_lightning.report.material import Material
from ser_lightning.report.portraits import learning_curves
from ser_lightning.runs.ledger import METRICS, read_sealed

COLUMNS = ("train/softmax", "dev/ua")


def section(material: Material) -> Section | None:
    """Training loss and dev UA over steps; a trained run without curves is named. None where there is nothing of it."""
    blocks: list[Block] = []
    missing: list[str] = []
    for group in material.shown:
        curves = {}
        for job, label in group.labels.items():
            tables = {}
            for run in material.finished(job):
                if not run.result.steps:
                    continue
                try:
                    tables[run.result.signature] = _read_curves(material.folder(run))
                except (OSError, ValueError):
                    missing.append(run.result.signature)
            if tables:
                whole = list(tables.values())
                columns = {column: on_common_steps(whole, column) for column in COLUMNS}
                # Short runs of unlike folds may have no step in common
                if all(len(values) for values in columns.values()):
                    curves[label] = columns
        if curves:
            title = f"Learning curves{group.place}"
            draw = partial(learning_curves, curves, material.facts.caption)
            blocks.append(Picture(f"curves{group.suffix}", title, draw))
    if missing:
        blocks.append(Text(f"Left out, their metrics.csv being missing or damaged: {listing(missing)}."))
    return Section("Learning curves", blocks) if blocks else None


def _read_curves(folder: Path) -> pd.DataFrame:
    """Raises `OSError` or `ValueError` where a run's curves are damaged or missing, or lack a column of numbers."""
    content = io.BytesIO(read_sealed(folder, METRICS))
    table = pd.read_csv(content, usecols=["step", *COLUMNS], dtype=np.float64)
    if not table.notna().any().all():
        raise ValueError("a column has no value")
    return table


def on_common_steps(tables: Sequence[pd.DataFrame], column: str) -> pd.DataFrame:
    """A column of several metrics.csv on the steps of the first, as far as all go: [steps, runs].

    Folds of unlike size end their epochs at unlike steps; between those a run's values are interpolated.
    """
    curves = [_curve(table, column) for table in tables]
    first, last = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    steps, _ = curves[0]
    common = steps[(steps >= first) & (steps <= last)]
    return pd.DataFrame(np.stack([np.interp(common, *curve) for curve in curves], axis=1), index=common)


def _curve(table: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps at which a column has a value, in order, and the values; of two at one step the last."""
    steps, values = table["step"].to_numpy(), table[column].to_numpy(dtype=np.float64)
    steps, values = steps[np.isfinite(values)], values[np.isfinite(values)]
    unique, place = np.unique(steps[::-1], return_index=True)
    return unique, values[::-1][place]
