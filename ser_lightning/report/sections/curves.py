"""Learning curves of the shown settings."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ser_lightning.report.document import Block, Picture, Section, Text
from ser_lightning.report.material import Material
from ser_lightning.report.portraits import learning_curves
from ser_lightning.report.tables import INPUTS
from ser_lightning.runs.ledger import METRICS

COLUMNS = ("train/softmax", "dev/ua")


def section(material: Material) -> Section:
    """Training loss and dev UA over steps; a run without curves is named."""
    blocks: list[Block] = []
    missing: list[str] = []
    for features, jobs in material.shown.items():
        curves = {}
        for job in jobs:
            tables = {}
            for run in material.finished(job):
                try:
                    tables[run.result.signature] = pd.read_csv(
                        material.folder(run) / METRICS, usecols=["step", *COLUMNS]
                    )
                except (OSError, ValueError):
                    missing.append(run.result.signature)
            if tables:
                whole = list(tables.values())
                curves[material.label(job)] = {column: on_common_steps(whole, column) for column in COLUMNS}
        if curves:
            name = "curves" if not blocks else f"curves_{features}"
            title = f"Learning curves on {INPUTS[features]}"
            blocks.append(Picture(name, title, learning_curves(curves, material.facts.caption)))
    if missing:
        listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        blocks.append(Text(f"Left out, their metrics.csv being missing or damaged: {listed}."))
    return Section("Learning curves", blocks)


def on_common_steps(tables: Sequence[pd.DataFrame], column: str) -> pd.DataFrame:
    """A column of several metrics.csv on the steps of the first, as far as all go: [steps, runs].

    Folds of unlike size end their epochs at unlike steps; between those a run's values are interpolated.
    """
    told = [table.dropna(subset=[column])[["step", column]].drop_duplicates("step", keep="last") for table in tables]
    steps = told[0]["step"].to_numpy()
    steps = steps[(steps >= max(of["step"].min() for of in told)) & (steps <= min(of["step"].max() for of in told))]
    values = [np.interp(steps, of["step"].to_numpy(), of[column].to_numpy()) for of in told]
    return pd.DataFrame(np.stack(values, axis=1), index=steps)
