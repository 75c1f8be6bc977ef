"""UA and WA of all settings: the table, Fig. 5, Fig. 3, and the curves and map of other sweeps."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ser_lightning.metrics import recalls
from ser_lightning.report import paper
from ser_lightning.report.document import Block, Picture, Section, Table, Text
from ser_lightning.report.figures import heat_map, sensitivity, setting_bars, sweep_curves
from ser_lightning.report.material import Material
from ser_lightning.report.summary import further_settings
from ser_lightning.report.tables import INPUTS, shared_runs, show_number, show_value, with_ends, with_halves

INTERVALS = (
    "± is half of the 95 % interval of the mean over runs, corrected for the training utterances that runs share "
    "(Nadeau and Bengio 2003); two runs are too few for one. By speakers: the 95 % interval if other people had "
    "spoken, by resampling them (utterances, where speakers are unknown). UA is the mean of the class recalls, WA the "
    "share of utterances recognised, both of the test part."
)


def section(material: Material) -> Section:
    """The table of all settings and whatever figures they make."""
    blocks: list[Block] = [Text(INTERVALS, aside=True), _table(material)]
    blocks += [Text(words) for words in (shared_runs(material.summary), _absent_classes(material)) if words]
    blocks += _settings(material)
    lams, alphas = _sensitive_to(material)
    title_a = f"Fig. 3(a). UA and WA against alpha; log-Mel, lambda = {paper.LAM:g}"
    title_b = f"Fig. 3(b). UA and WA against lambda; log-Mel, alpha = {paper.ALPHA:g}"
    blocks += _sensitivity(material, "alpha", alphas, paper.FIG3A, "fig3a", title_a)
    blocks += _sensitivity(material, "lam", lams, paper.FIG3B, "fig3b", title_b)
    return Section("Scores", [*blocks, *_grid(material)])


def _table(material: Material) -> Table:
    rows = material.summary.assign(name=material.names)
    theirs = [
        paper.published(*of) or (np.nan, np.nan)
        for of in zip(rows["features"], rows["lam"], rows["alpha"], strict=True)
    ]
    rows["paper_ua"], rows["paper_wa"] = (list(of) for of in zip(*theirs, strict=True))
    shown = rows[["name", "features", "lam", "alpha"]].map(show_value)
    shown.columns = ["setting", "input", "lambda", "alpha"]
    shown["runs"] = [f"{done} of {planned}" for done, planned in zip(rows["runs"], rows["planned"], strict=True)]
    shown["UA (%)"] = with_halves(rows, "ua")
    shown["UA by speakers"] = with_ends(rows, "ua")
    shown["UA s.d."] = rows["ua_sd"].map(show_number)
    shown["WA (%)"] = with_halves(rows, "wa")
    if rows["paper_ua"].notna().any():
        shown["UA, paper (IEMOCAP)"] = rows["paper_ua"].map(show_number)
        shown["WA, paper (IEMOCAP)"] = rows["paper_wa"].map(show_number)
    return Table("scores", "UA and WA of all settings", rows, shown)


def _absent_classes(material: Material) -> str:
    """Which runs have no UA because a class is absent from their test part."""
    found = []
    for run in material.scored.values():
        absent = [
            name for name, recall in zip(material.classes, recalls(run.confusion), strict=True) if np.isnan(recall)
        ]
        if absent:
            found.append(f"{', '.join(absent)} in repetition {run.result.repeat}, fold {run.result.fold}")
    if not found:
        return ""
    listed = "; ".join(dict.fromkeys(found))
    return f"UA is unknown where a class is absent from a test part: {listed}."


def _settings(material: Material) -> list[Block]:
    """Fig. 5, where the study has settings of both inputs, as the paper's has."""
    summary = material.summary
    number_of = {material.setting(of): of.number for of in paper.SETTINGS}
    rows = summary.loc[[job for job in number_of if job is not None]]
    if rows["features"].nunique() < 2 or further_settings(summary):
        return []
    rows = rows.assign(setting=[number_of[job] for job in rows.index])
    published = {of.number: (of.ua, of.wa) for of in paper.SETTINGS} if material.facts.like_the_paper else None
    figure = setting_bars(rows, material.facts.caption, published)
    numbers = ", ".join(map(str, rows["setting"]))
    return [Picture("fig5", f"Fig. 5. UA and WA of settings {numbers}", figure)]


def _sensitive_to(material: Material) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of Fig. 3(b) and of Fig. 3(a)."""
    mel = material.summary[material.summary["features"] == "logmel"]
    if further_settings(material.summary):
        mel = mel[:0]
    lams = mel[(mel["lam"] == 0) | np.isclose(mel["alpha"], paper.ALPHA)]
    return lams, mel[np.isclose(mel["lam"], paper.LAM)]


def _sensitivity(
    material: Material,
    x: str,
    rows: pd.DataFrame,
    published: Mapping[float, tuple[float, float]],
    name: str,
    title: str,
) -> list[Block]:
    """One half of Fig. 3, where the study varies what is on its axis."""
    if rows[x].nunique() < 2:
        return []
    points = rows[rows["runs"] > 0].drop_duplicates(x).sort_values(x)
    if points.empty:
        return [Text(f"{title}: left out, none of its settings has a finished run yet.")]
    figure = sensitivity(points, x, material.facts.caption, published if material.facts.like_the_paper else None)
    return [Picture(name, title, figure)]


def _grid(material: Material) -> list[Block]:
    """Curves of any sweep that is more than the paper's, and a map of alpha and lambda where they make a grid."""
    blocks: list[Block] = []
    rows = material.summary[material.summary["runs"] > 0]
    settings = zip(rows["features"], rows["lam"], rows["alpha"], strict=True)
    if further_settings(rows) or not all(paper.published(*of) for of in settings):
        figure = sweep_curves(rows, material.facts.caption)
        blocks += [Picture("sweep", "UA and WA of the sweep", figure)] if figure else []
    if further_settings(rows):
        return blocks
    grids = {}
    for features, of in rows.drop_duplicates(["features", "lam", "alpha"]).groupby("features", sort=False):
        crossed = of["alpha"].nunique() * of.loc[of["lam"] > 0, "lam"].nunique()
        if of["alpha"].nunique() > 1 and of["lam"].nunique() > 2 and of["alpha"].notna().sum() >= 0.75 * crossed:
            grids[INPUTS[str(features)]] = of
    if grids:
        blocks.append(Picture("grid", "UA by alpha and lambda", heat_map(grids, material.facts.caption)))
    return blocks
