"""The paper's settings among the jobs of a study, and whether its numbers may stand beside a study's."""

import numpy as np
import pandas as pd

from ser_lightning.metrics import METRICS
from ser_lightning.papers.icassp2019 import numbers
from ser_lightning.report.material import Material
from ser_lightning.report.scored import signatures
from ser_lightning.runs.jobs import REFERENCE_SYSTEM, Job
from ser_lightning.runs.signature import flat

# What the paper varies.
VARIED = {"features.name", "loss.lam", "loss.alpha"}

# The parts and settings that it has; those that a job does not name are the same, and with lambda = 0 there is no loss.
PARTS = {
    "features.name": ("logmel", "logstft"),
    "normalise.name": ("training",),
    "augment.name": ("none",),
    "model.name": ("crnn",),
    "head.name": ("linear",),
    "loss.name": ("center",),
    "loss.focal": (0,),
    "loss.smoothing": (0,),
    # By the text, and by the author's code
    "loss.class_weights": ("inverse", "smoothed"),
    "model.dropout": (0,),
    "optimizer.weight_decay": (0,),
}


def of_its_kind(material: Material) -> bool:
    """Whether a study varies nothing but what the paper does, with the paper's parts, on whatever corpus, and has
    finished a run of its own."""
    jobs = _own(material)
    tables = [flat(job.settings) for job in jobs]
    familiar = all(table.get(key, names[0]) in names for table in tables for key, names in PARTS.items())
    # Of what each division chooses there is no one value
    fixed = all(isinstance(table.get(key, 0), int | float) for table in tables for key in ("loss.lam", "loss.alpha"))
    begun = any(name in material.scored for name in signatures(jobs))
    return familiar and fixed and begun and set(material.columns) <= VARIED


def is_comparable(material: Material) -> bool:
    """Whether the numbers of such a study may stand beside the published ones: corpus, classes, protocol, all whole,
    and as many training steps of the same kind."""
    facts = material.facts
    jobs = _own(material)
    if any(flat(job.settings).get("split.max_train") for job in jobs):
        return False
    results = [material.scored[name].result for name in signatures(jobs) if name in material.scored]
    if any(result.steps != numbers.STEPS[result.settings["features"]["name"]] for result in results):
        return False
    if any(flat(result.settings).get(key) != value for result in results for key, value in numbers.TRAINING.items()):
        return False
    same = (facts.corpus, facts.protocol, facts.synthetic) == (numbers.CORPUS, numbers.PROTOCOL, False)
    return same and facts.class_counts == numbers.COUNTS


def points(material: Material) -> pd.DataFrame:
    """The scores of a study's jobs, a row per job, with features, lam, and alpha, which is NaN where lam is 0."""
    tables = [flat(job.settings) for job in _own(material)]
    scores = [column for metric in METRICS for column in (metric, f"{metric}_half")]
    # The reference system is the last
    rows = material.summary.loc[: len(tables) - 1, ["runs", "planned", *scores]].copy()
    rows["features"] = [table["features.name"] for table in tables]
    rows["lam"] = [float(table["loss.lam"]) for table in tables]
    rows["alpha"] = [float(table["loss.alpha"]) if table["loss.lam"] else np.nan for table in tables]
    return rows


def _own(material: Material) -> list[Job]:
    """The jobs of a study but its reference system, which may be anything."""
    return [job for job in material.jobs if job.name != REFERENCE_SYSTEM]


def published(row: pd.Series) -> tuple[float, float] | None:
    """The paper's UA and WA of a row of `points`, where it has them."""
    return numbers.published(row["features"], row["lam"], row["alpha"])


def setting_jobs(rows: pd.DataFrame) -> dict[int, numbers.Setting]:
    """The jobs with finished runs that are settings 1-4, in that order, from rows of `points`."""
    jobs: dict[int, numbers.Setting] = {}
    for setting in numbers.SETTINGS:
        alpha = rows["alpha"].isna() if setting.alpha is None else np.isclose(rows["alpha"], setting.alpha)
        same = (rows["features"] == setting.features) & np.isclose(rows["lam"], setting.lam) & alpha
        jobs |= {int(job): setting for job in np.flatnonzero(same & (rows["runs"] > 0))[:1]}
    return jobs
