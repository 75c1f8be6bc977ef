"""Fig. 4: the features z, as the paper shows them and on one basis, and how compact the classes are."""

from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.report.compactness import compactness
from ser_lightning.report.document import Block, Picture, Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.portraits import Cloud, feature_panels
from ser_lightning.report.statistics import over_runs
from ser_lightning.report.summary import ScoredRun, damaged, half_width, pairs, test_to_train
from ser_lightning.report.tables import INPUTS, with_half
from ser_lightning.runs.ledger import FEATURES, read_features

EXPLAINED = (
    "Within / between: root mean square distance of features from the mean of their class, over that between the means "
    "of classes, in all 64 dimensions; the smaller, the more compact. Mean over runs with 95 % interval."
)


def section(material: Material) -> Section:
    """Features of one fold on their principal components, twice, and the compactness over all runs."""
    features, jobs = next(iter(material.shown.items()))
    chosen = _same_fold(material, jobs)
    if not chosen:
        return Section(
            "Features", [Text("Fig. 4 is left out: its settings have no finished run of the same fold yet.")]
        )
    result = chosen[0].result
    told = {job: _features(material, run) for job, run in zip(jobs, chosen, strict=True)}
    clouds = [_cloud(material, job, part, *of[part]) for part in ("train", "test") for job, of in told.items()]
    # One run of each stands for all: runs have no common axes.
    where = f"repetition {result.repeat}, fold {result.fold}"
    caption = f"{material.facts.caption} | shown: {where}"
    title = f"Fig. 4. Features z on their first two principal components; {INPUTS[features]}, {where}"
    ours, shared = (feature_panels(clouds, material.classes, caption, common) for common in (False, True))
    numbers, shown = _compactness(material, jobs)
    blocks: list[Block] = [
        Picture("fig4", f"{title}; a basis for every panel, as in the paper", ours),
        Picture("fig4_common", f"{title}; one basis for all panels", shared),
        Text(EXPLAINED, aside=True),
        Table("compactness", "Distance within classes over distance between classes", numbers, shown),
    ]
    return Section("Features", blocks)


def _same_fold(material: Material, jobs: list[int]) -> list[ScoredRun]:
    """A finished run of each job, of the first division that all have."""
    if len(jobs) == 1:
        return material.finished(jobs[0])[:1]
    common = pairs(material.jobs[jobs[0]], material.jobs[jobs[1]], material.scored)
    return list(common[0]) if common else []


def _cloud(material: Material, job: int, part: str, z: np.ndarray, labels: np.ndarray) -> Cloud:
    title = f"{material.label(job)}, {part} ({len(z)} utterances)"
    return Cloud(title, z, labels, compactness(z, labels, material.classes))


def _compactness(material: Material, jobs: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean over all finished runs of each job, of the training and the test part."""
    rows: list[dict[str, Any]] = []
    for job in jobs:
        runs = material.finished(job)
        found = {"train": [], "test": []}  # type: dict[str, list[float]]
        for run in runs:
            of = _features(material, run)
            for part, values in found.items():
                values.append(compactness(*of[part], material.classes))
        row: dict[str, Any] = {"setting": material.label(job), "runs": len(runs)}
        for part, values in found.items():
            row |= {part: np.mean(values), f"{part}_half": half_width(over_runs(values, test_to_train(runs)))}
        rows.append(row)
    numbers = pd.DataFrame(rows)
    shown = numbers[["setting"]].assign(runs=numbers["runs"].astype(str))
    for part in ("train", "test"):
        shown[part] = [with_half(*pair) for pair in zip(numbers[part], numbers[f"{part}_half"], strict=True)]
    return numbers, shown


def _features(material: Material, run: ScoredRun) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Part -> its features [n, 64] and labels [n]."""
    folder = material.folder(run)
    try:
        table = read_features(folder)
        z = table.filter(regex=r"^z_\d+$").to_numpy(dtype=np.float64)
        parts, labels = table["part"].to_numpy(), table["label"].to_numpy()
    except (OSError, ValueError, KeyError) as error:
        raise damaged(folder, FEATURES, error) from error
    return {part: (z[parts == part], labels[parts == part]) for part in ("train", "test")}
