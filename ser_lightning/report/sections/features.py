"""The features z, with a basis for every panel and on one basis, and how compact the classes are."""

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.errors import listing
from ser_lightning.report.chapter import Group
from ser_lightning.report.compactness import compactness
from ser_lightning.report.document import Block, Picture, Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.portraits import Cloud, feature_panels
from ser_lightning.report.samples import over_divisions
from ser_lightning.report.scored import ScoredRun
from ser_lightning.report.tables import with_half
from ser_lightning.runs.ledger import FEATURES, damaged, feature_values, read_features

# Settings whose features have room on a page, below each other
A_PAGE = 3

EXPLAINED = (
    "Within / between: root mean square distance of features from the mean of their class, over that between the means "
    "of classes, in all dimensions; the smaller, the more compact. Mean over runs, ± half of the 95 % interval if the "
    "same corpus were divided and trained anew."
)


def section(material: Material) -> Section:
    """Features of one fold on their principal components, twice, and the compactness over all runs."""
    groups = _groups(material)
    if lacking := _without_features(material, groups):
        words = f"The features z are left out, {FEATURES} being missing: {listing(lacking)}."
        return Section("Features", [Text(words)])
    blocks = [picture for group in groups for picture in _pictures(material, group)]
    if not blocks:
        words = "The features z are left out: the shown settings have no finished run of the same fold yet."
        return Section("Features", [Text(words)])
    tables = [_compactness(material, group) for group in groups]
    numbers, shown = (pd.concat(several, ignore_index=True) for several in zip(*tables, strict=True))
    table = Table("compactness", "Distance within classes over distance between classes", numbers, shown)
    return Section("Features", [*blocks, Text(EXPLAINED, aside=True), table])


def _groups(material: Material) -> list[Group]:
    """The settings whose features are shown side by side; of a study with references all that it has."""
    if not material.purpose.references or material.selection:
        return [material.shown[0]]
    jobs = [job for job in range(len(material.jobs)) if material.finished(job)]
    pages = [jobs[start : start + A_PAGE] for start in range(0, len(jobs), A_PAGE)]
    return [
        Group({job: material.label(job) for job in page}, suffix=f"_{number}" * (number > 1))
        for number, page in enumerate(pages, start=1)
    ]


def _without_features(material: Material, groups: list[Group]) -> list[str]:
    """The runs whose features were deleted, which a result does not depend on."""
    folders = [material.folder(run) for group in groups for job in group.jobs for run in material.finished(job)]
    return [folder.name for folder in folders if not (folder / FEATURES).exists()]


def _pictures(material: Material, group: Group) -> list[Block]:
    """The features of one fold, twice if all are of one length; nothing where the settings have no finished run of the
    same fold."""
    chosen = _same_fold(material, group.jobs)
    if not chosen:
        return []
    result = chosen[0].result
    features = {job: _features(material, run) for job, run in zip(group.jobs, chosen, strict=True)}
    panels = list(product(("train", "test"), group.labels.items()))
    if len(group.jobs) != 2 or material.purpose.references:
        # A row for each setting, in place of the paper's four panels
        panels.sort(key=lambda panel: group.jobs.index(panel[1][0]))
    clouds = [_cloud(material, label, part, *features[job][part]) for part, (job, label) in panels]
    # One run of each stands for all: runs have no common axes.
    place = f"repetition {result.repeat}, fold {result.fold}"
    caption = f"{material.facts.caption} | shown: {place}"
    title = f"Features z on their first two principal components{group.place}; {place}"
    draw = partial(feature_panels, clouds, material.classes, caption)
    blocks: list[Block] = [Picture(f"features{group.suffix}", f"{title}; a basis for every panel", draw)]
    if len({cloud.z.shape[1] for cloud in clouds}) > 1:
        return [*blocks, Text("No basis for all panels: the settings' features are of different lengths.", aside=True)]
    one = f"{title}; one basis for all panels"
    return [*blocks, Picture(f"features_common{group.suffix}", one, partial(draw, common=True))]


def _same_fold(material: Material, jobs: list[int]) -> list[ScoredRun]:
    """A finished run of each job, of the first division that all have."""
    runs = [{run.division: run for run in material.finished(job)} for job in jobs]
    common = sorted(set.intersection(*(set(divisions) for divisions in runs)))
    return [divisions[common[0]] for divisions in runs] if common else []


def _cloud(material: Material, label: str, part: str, z: np.ndarray, labels: np.ndarray) -> Cloud:
    title = f"{label}, {part} ({len(z)} utterances)"
    return Cloud(title, z, labels, compactness(z, labels, material.classes))


def _compactness(material: Material, group: Group) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean over all finished runs of each job, of the training and the test part."""
    rows: list[dict[str, Any]] = []
    for job, label in group.labels.items():
        runs = material.finished(job)
        features = [_features(material, run) for run in runs]
        row: dict[str, Any] = {"setting": label, "runs": len(runs)}
        for part in ("train", "test"):
            interval = over_divisions(runs, [compactness(*parts[part], material.classes) for parts in features])
            row |= {part: interval.mean, f"{part}_half": interval.high - interval.mean}
        rows.append(row)
    numbers = pd.DataFrame(rows)
    shown = numbers[["setting"]].assign(runs=numbers["runs"].astype(str))
    for part in ("train", "test"):
        shown[part] = [with_half(*pair) for pair in zip(numbers[part], numbers[f"{part}_half"], strict=True)]
    return numbers, shown


def _features(material: Material, run: ScoredRun) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Part -> its features [n, d] and labels [n]."""
    folder = material.folder(run)
    try:
        table = read_features(folder)
        z = feature_values(table)
        parts, labels = table["part"].to_numpy(), table["label"].to_numpy()
    except (OSError, ValueError, KeyError) as error:
        raise damaged(folder, FEATURES, error) from error
    return {part: (z[parts == part], labels[parts == part]) for part in ("train", "test")}
