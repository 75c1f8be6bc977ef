"""The figures of single settings: features, confusions, curves, calibration, speakers. Style: see `figures`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ser_lightning.drawing import (
    COLOURS,
    DASHES,
    MARKERS,
    STYLE,
    draw_confusion,
    draw_features,
    draw_fields,
    figure_size,
    name_columns,
    principal_axes,
    row_percent,
)
from ser_lightning.report.calibration import Reliability
from ser_lightning.report.figures import COLUMN, PAGE, foot
from ser_lightning.runs.varying import symbols

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

# Area of the mark of the fullest bin of probabilities, square points
LARGEST_BIN = 40


@dataclass(frozen=True)
class Cloud:
    """What a panel shows: features z [n, d] of a part, their labels [n], and within / between of them."""

    title: str
    z: np.ndarray
    labels: np.ndarray
    ratio: float


def feature_panels(clouds: Sequence[Cloud], classes: Sequence[str], caption: str, common: bool = False) -> Figure:
    """Features z on two principal components, with the compactness ratio on each panel.

    Args:
        clouds: the panels, row by row, two in each.
        classes: names of the classes.
        caption: the provenance.
        common: one basis, of all panels together, and one scale, so that panels can be compared; else, as the paper,
            a basis for every panel.
    """
    shared = principal_axes(np.concatenate([cloud.z for cloud in clouds])) if common else None
    rows = -(-len(clouds) // 2)
    with matplotlib.rc_context(STYLE):
        figure = Figure((PAGE, 0.4 + 3.1 * rows), layout="constrained")
        grid = figure.subplots(rows, 2, squeeze=False, sharex=common, sharey=common)
        for letter, axes, cloud in zip("abcdefgh", grid.flat, clouds, strict=False):
            basis = shared or principal_axes(cloud.z)
            draw_features(axes, basis.transform(cloud.z), cloud.labels, classes)
            _name_components(axes, basis, common)
            axes.set_title(f"({letter}) {symbols(cloud.title)}")
            corner: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "bottom", "size": 8}
            corner["bbox"] = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "boxstyle": "square,pad=0.15"}
            axes.text(0.99, 0.01, f"within / between = {cloud.ratio:.2f}", **corner)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        # A letter takes some 0.06 inches, a marker with its space 0.5
        fitting = int(PAGE // (0.5 + 0.06 * max(map(len, classes))))
        columns = min(len(classes), max(1, fitting))
        legend: Any = figure.legend(handles, labels, loc="outside upper center", ncols=columns, markerscale=1.8)
        for handle in legend.legend_handles:
            handle.set_alpha(1)
        note = "one basis and scale, of all panels together" if common else "principal components fitted per panel"
        lengths = " or ".join(str(length) for length in sorted({cloud.z.shape[1] for cloud in clouds}))
        foot(figure, PAGE, caption, f"{note}; ratio of distances in all {lengths} dimensions")
        return figure


def _name_components(axes: Axes, basis: "PCA", common: bool) -> None:
    if not common:
        axes.set_aspect("equal", adjustable="datalim")
    shares = [f" ({100 * share:.1f} % of variance)" for share in basis.explained_variance_ratio_]
    axes.set_xlabel(f"PC 1{shares[0]}")
    axes.set_ylabel(f"PC 2{shares[1]}")
    axes.tick_params(labelbottom=True, labelleft=True)


def confusion(matrices: Mapping[str, np.ndarray], classes: Sequence[str], caption: str) -> Figure:
    """Confusion matrices side by side, each row in percent of its true class; of two, the difference.

    Args:
        matrices: title -> counts [classes, classes], rows true, columns recognised, summed over runs.
    """
    with matplotlib.rc_context(STYLE):
        width = COLUMN * (len(matrices) + (len(matrices) == 2))
        figure = Figure((width, 3.8), layout="constrained")
        panels = figure.subplots(1, round(width / COLUMN), squeeze=False)[0]
        for letter, axes, (title, counts) in zip("abcd", panels, matrices.items(), strict=False):
            draw_confusion(axes, counts, classes)
            axes.set_title(f"({letter}) {symbols(title)}")
        if len(matrices) == 2:
            first, second = (row_percent(counts) for counts in matrices.values())
            _draw_change(panels[2], second - first, classes)
            panels[2].set_title("(b) minus (a), points")
        foot(figure, width, caption, "counts summed over runs, percent of the row")
        return figure


def _draw_change(axes: Axes, change: np.ndarray, classes: Sequence[str]) -> None:
    """Differences of confusions [classes, classes] in points; the sign is written, so that grey will do."""
    limit = max(5.0, float(np.abs(change).max()))
    draw_fields(axes, change, "PuOr_r", -limit, limit)
    for i, j in np.ndindex(change.shape):
        colour = "white" if abs(change[i, j]) > 0.7 * limit else "black"
        text = f"{change[i, j]:+.1f}".replace("-", "−")
        axes.text(j, i, text, ha="center", va="center", color=colour, size=figure_size(classes))
    name_columns(axes, classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("recognised")
    axes.set_aspect("equal")


def learning_curves(curves: Mapping[str, Mapping[str, pd.DataFrame]], caption: str) -> Figure:
    """Training loss (softmax part, logarithmic) and dev UA against steps: mean over runs, the band their range.

    Args:
        curves: job -> "train/softmax" and "dev/ua" -> a table [steps, runs] of values, its index the steps.
    """
    panels = {"train/softmax": "softmax loss, training", "dev/ua": "UA of dev (%)"}
    with matplotlib.rc_context(STYLE):
        figure = Figure((PAGE, 2.8), layout="constrained")
        for axes, (column, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            looks = zip(cycle(COLOURS), cycle(DASHES), strict=False)
            for (job, tables), (colour, dash) in zip(curves.items(), looks, strict=False):
                values = tables[column] * (100 if column == "dev/ua" else 1)
                steps = values.index.to_numpy()
                axes.plot(steps, values.mean(axis=1), color=colour, linestyle=dash, label=symbols(job))
                band: dict[str, Any] = {"color": colour, "alpha": 0.15, "linewidth": 0}
                axes.fill_between(steps, values.min(axis=1), values.max(axis=1), **band)
            axes.set_xlabel("steps")
            axes.set_ylabel(label)
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            if column == "train/softmax":
                axes.set_yscale("log")
                # Powers would be written in mathematics' notation, which `STYLE` does not read
                axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_locator(NullLocator())
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
        runs = max(tables["dev/ua"].shape[1] for tables in curves.values())
        foot(figure, PAGE, caption, f"mean and range over {runs} run{'s' if runs > 1 else ''}")
        return figure


def reliability_diagram(diagrams: Mapping[str, tuple[Reliability, Reliability]], caption: str) -> Figure:
    """How often a recognised class is right against the probability given to it, before and after scaling.

    A bin's mark is as large as it has utterances, for of few the share of right ones says little.

    Args:
        diagrams: job -> its reliability before and after temperature scaling.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure((PAGE, 3.3), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for side, (axes, title) in enumerate(zip(panels, ("as trained", "scaled by a temperature"), strict=True)):
            axes.plot([0, 100], [0, 100], color="0.6", linewidth=0.8, linestyle=(0, (1, 1.5)))
            looks = zip(cycle(COLOURS), cycle(MARKERS), cycle(DASHES), strict=False)
            for (job, pair), (colour, marker, dash) in zip(diagrams.items(), looks, strict=False):
                curve = pair[side]
                label = f"{symbols(job)}: ECE of all {100 * curve.error:.1f} %"
                axes.plot(100 * curve.confidence, 100 * curve.accuracy, color=colour, linestyle=dash, alpha=0.4)
                sizes = LARGEST_BIN * curve.count / curve.count.max()
                marks: dict[str, Any] = {"color": colour, "marker": marker, "linewidths": 0, "label": label}
                axes.scatter(100 * curve.confidence, 100 * curve.accuracy, sizes, **marks)
            axes.set_xlabel("probability of the recognised class (%)")
            axes.set_ylabel("recognised rightly (%)")
            axes.set_aspect("equal")
            axes.tick_params(labelleft=True)
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), title=title)
        note = "test utterances of all runs, marks as large as their number; below the diagonal: over-confident"
        foot(figure, PAGE, caption, note)
        return figure


def speaker_recalls(tables: Mapping[str, pd.DataFrame], caption: str, note: str) -> Figure:
    """Recall of each class and UA by speaker, a panel per job.

    Args:
        tables: job -> percent [speakers, classes and UA], NaN where a speaker has no utterance of a class.
        note: of what and how many the rows are.
    """
    rows, columns = next(iter(tables.values())).shape
    with matplotlib.rc_context(STYLE):
        width = min(PAGE, len(tables) * (0.9 + 0.55 * columns))
        figure = Figure((width, 1.3 + 0.22 * rows), layout="constrained")
        panels = figure.subplots(1, len(tables), squeeze=False)[0]
        for axes, (title, percent) in zip(panels, tables.items(), strict=True):
            values = percent.to_numpy()
            draw_fields(axes, values, "Blues", 0, 100)
            for i, j in np.ndindex(values.shape):
                colour = "white" if values[i, j] > 55 else "black"
                text = "–" if np.isnan(values[i, j]) else f"{values[i, j]:.0f}"
                axes.text(j, i, text, ha="center", va="center", color=colour, size=7)
            axes.axvline(columns - 1.5, color="white", linewidth=2)
            name_columns(axes, list(percent.columns))
            axes.set_yticks(range(rows), list(percent.index))
            axes.set_title(symbols(title))
        foot(figure, width, caption, note)
        return figure
