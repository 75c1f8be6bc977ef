"""The figures: each a matplotlib `Figure` of its own, at the size at which it is printed.

All are drawn in one style: colours that the colour-blind tell apart (Okabe and Ito), and a marker, dash or hatch of
their own for each, so that they can be read in grey. UA and WA in percent. `caption`, the provenance, stands at the
foot of every figure.
"""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ser_lightning.drawing import (
    BLUE,
    COLOURS,
    DASHES,
    MARKERS,
    ORANGE,
    STYLE,
    VERMILLION,
    draw_confusion,
    draw_features,
    principal_axes,
)
from ser_lightning.report.summary import FEWEST, further_settings

# Widths of a column and of a page of the proceedings, inches.
COLUMN, PAGE = 3.4, 7.0

# Characters of the foot per inch.
CHARACTERS = 23

LABELS = {"alpha": r"$\alpha$", "lam": r"$\lambda$", "ua": "UA (%)", "wa": "WA (%)"}
INPUTS = {"logmel": "log-Mel", "logstft": "log-STFT"}


def sensitivity(
    points: pd.DataFrame, x: str, caption: str, published: Mapping[float, tuple[float, float]] | None = None
) -> Figure:
    """Fig. 3: UA and WA against alpha or lambda, mean and 95 % interval.

    Args:
        points: rows of a summary in which only `x` differs.
        x: "alpha", on a linear axis, or "lam", its values evenly spaced, since 0 has no logarithm.
        published: the paper's x -> (UA, WA), drawn hollow and dashed beside ours.
    """
    points = points[points["runs"] > 0].sort_values(x)
    place = _places(x, [*points[x], *(published or {})])
    with matplotlib.rc_context(STYLE):
        figure = Figure((COLUMN, 2.7), layout="constrained")
        axes = figure.subplots()
        series = (("ua", BLUE, "o", -1), ("wa", VERMILLION, "s", 1))
        for i, (measure, colour, marker, side) in enumerate(series):
            # Set apart by a little, so that error bars of equal height stay two.
            shift = side * 0.006 * _extent(place)
            at = [place[value] + shift for value in points[x]]
            name = measure.upper()
            axes.errorbar(at, points[measure], points[f"{measure}_half"], **_line(colour, marker), label=name)
            if published:
                at = [place[value] + shift for value in published]
                theirs = [pair[i] for pair in published.values()]
                axes.plot(at, theirs, **_hollow(colour, marker), label=f"{name}, paper")
        axes.set_xlabel(LABELS[x])
        axes.set_ylabel("UA, WA (%)")
        _ticks(axes, place)
        _legend_ours_first(figure, axes)
        _foot(figure, COLUMN, caption, _error_note(points))
        return figure


def sweep_curves(summary: pd.DataFrame, caption: str) -> Figure | None:
    """UA and WA of any grid of jobs, two panels: one parameter on the x axis, a line per value of the others.

    On x stands the number with most values, lambda where two have equally many. Where that is alpha, lambda = 0,
    which has no alpha, is a dashed horizontal line. None if nothing varies, no number varies, or jobs differ in what
    no column of the summary tells.
    """
    finished = summary[summary["runs"] > 0]
    parameters = ["lam", "alpha", "features", *further_settings(summary)]
    finished = finished.drop_duplicates([*parameters, "ua", "wa"])
    varying = [name for name in parameters if finished[name].nunique() > 1]
    numbers = [name for name in varying if finished[name].dtype.kind in "iuf"]
    if not numbers or finished.duplicated(parameters).any():
        return None
    x = max(numbers, key=lambda name: finished[name].nunique())
    others = [name for name in varying if name != x]
    lines, references = _lines(finished, x, others)
    with matplotlib.rc_context(STYLE):
        figure = Figure((PAGE, 2.9), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, measure in zip(panels, ("ua", "wa"), strict=True):
            _draw_lines(axes, lines, references, x, measure)
        handles, labels = panels[0].get_legend_handles_labels()
        if len(handles) > 1:
            figure.legend(handles, labels, loc="outside right upper")
        _foot(figure, PAGE, caption, _error_note(finished))
        return figure


def setting_bars(
    settings: pd.DataFrame, caption: str, published: Mapping[int, tuple[float, float]] | None = None
) -> Figure:
    """Fig. 5: UA and WA of the settings as bars from zero, with the mean written on each.

    Args:
        settings: rows of a summary with a column `setting`, 1 to 4.
        published: the paper's setting -> (UA, WA), drawn as hollow diamonds.
    """
    settings = settings[settings["runs"] > 0]
    at, width = np.arange(len(settings)), 0.36
    with matplotlib.rc_context(STYLE):
        figure = Figure((COLUMN, 2.9), layout="constrained")
        axes = figure.subplots()
        series = (("ua", BLUE, "", -width / 2), ("wa", ORANGE, "////", width / 2))
        for i, (measure, colour, hatch, shift) in enumerate(series):
            means, errors = settings[measure], settings[f"{measure}_half"]
            style: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
            axes.bar(at + shift, means, width, label=measure.upper(), **style)
            axes.errorbar(at + shift, means, errors, fmt="none", ecolor="black", capsize=2, elinewidth=0.8)
            for place, mean in zip(at + shift, means, strict=True):
                box = {"facecolor": "white", "edgecolor": "none", "boxstyle": "square,pad=0.15"}
                axes.text(place, 3, f"{mean:.1f}", ha="center", va="bottom", size=7.5, bbox=box)
            if published:
                theirs = [published[number][i] for number in settings["setting"]]
                label = "paper" if measure == "wa" else None
                axes.plot(at + shift, theirs, "D", mfc="white", mec="black", mew=0.8, ms=3.5, label=label)
        axes.set_xticks(at, [_setting_label(row) for row in settings.to_dict("records")])
        axes.set_ylabel("UA, WA (%)")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
        _legend_ours_first(figure, axes)
        _foot(figure, COLUMN, caption, _error_note(settings))
        return figure


def feature_panels(features: Mapping[float, pd.DataFrame], classes: Sequence[str], caption: str) -> Figure:
    """Fig. 4: the features z on their first two principal components, fitted for every panel anew.

    Args:
        features: lambda -> a run's table of features (id, part, label, z_0 ...); the runs share their fold.
    """
    panels = [(part, lam) for part in ("train", "test") for lam in features]
    with matplotlib.rc_context(STYLE):
        figure = Figure((PAGE, 6.6), layout="constrained")
        grid = figure.subplots(2, len(features), squeeze=False)
        for letter, axes, (part, lam) in zip("abcd", grid.flat, panels, strict=False):
            table = features[lam]
            chosen = table[table["part"] == part]
            points, shares = principal_components(chosen.filter(regex=r"^z_\d+$").to_numpy(dtype=np.float64))
            draw_features(axes, points, chosen["label"].to_numpy(), classes)
            axes.set_aspect("equal", adjustable="datalim")
            axes.set_xlabel(f"PC 1 ({100 * shares[0]:.1f} % of variance)")
            axes.set_ylabel(f"PC 2 ({100 * shares[1]:.1f} % of variance)")
            axes.set_title(rf"({letter}) $\lambda$ = {lam:g}, {part} ({(table['part'] == part).sum()} utterances)")
        handles, labels = grid.flat[0].get_legend_handles_labels()
        legend: Any = figure.legend(handles, labels, loc="outside upper center", ncols=len(classes), markerscale=1.8)
        for handle in legend.legend_handles:
            handle.set_alpha(1)
        _foot(figure, PAGE, caption, "principal components fitted per panel")
        return figure


def confusion(matrices: Mapping[str, np.ndarray], classes: Sequence[str], caption: str) -> Figure:
    """Tables 1 and 2: confusion matrices side by side, each row in percent of its true class.

    Args:
        matrices: title -> counts [classes, classes], rows true, columns recognised, summed over runs.
    """
    with matplotlib.rc_context(STYLE):
        width = PAGE / 2 * len(matrices)
        figure = Figure((width, 3.5), layout="constrained")
        panels = figure.subplots(1, len(matrices), squeeze=False)[0]
        for axes, (title, counts) in zip(panels, matrices.items(), strict=True):
            draw_confusion(axes, counts, classes)
            axes.set_title(title)
        _foot(figure, width, caption, "counts summed over runs, percent of the row")
        return figure


def principal_components(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, d] on their first two principal components [n, 2], and the share of variance of each [2]."""
    axes = principal_axes(z)
    return axes.project(z), axes.shares


def render(figure: Figure, kind: str) -> bytes:
    """The figure as a file's content, `kind` "png" (300 dpi) or "pdf"; equal figures give equal bytes."""
    content = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(content, format=kind, metadata={"CreationDate": None} if kind == "pdf" else None)
    return content.getvalue()


def _line(colour: str, marker: str) -> dict[str, Any]:
    return {"color": colour, "marker": marker, "capsize": 2, "elinewidth": 0.8}


def _hollow(colour: str, marker: str) -> dict[str, Any]:
    return {"color": colour, "marker": marker, "markerfacecolor": "white", "linestyle": (0, (4, 2)), "linewidth": 0.8}


def _places(x: str, values: Sequence[float]) -> dict[float, float]:
    """Where on the axis each value lies: alpha at itself, all else evenly spaced in its order."""
    ordered = sorted(set(values))
    return {value: float(value) if x == "alpha" else float(i) for i, value in enumerate(ordered)}


def _extent(place: Mapping[float, float]) -> float:
    return (max(place.values()) - min(place.values())) or 1.0


def _ticks(axes: Axes, place: Mapping[float, float]) -> None:
    turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if len(place) > 9 else {}
    axes.set_xticks(list(place.values()), [f"{value:g}" for value in place], **turned)
    margin = 0.06 * _extent(place)
    axes.set_xlim(min(place.values()) - margin, max(place.values()) + margin)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def _lines(
    finished: pd.DataFrame, x: str, others: Sequence[str]
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.Series]]:
    """Label -> rows of each line along x; label -> row of each reference, a job that has no x.

    A job that lacks a parameter of the lines, as lambda = 0 lacks alpha, is a point of every line it agrees with.
    """
    placed = finished[finished[x].notna()]
    whole = placed.dropna(subset=list(others)) if others else placed
    lines = {}
    for combination in _combinations(whole, others):
        agrees = pd.Series(True, index=placed.index)
        for name, value in combination.items():
            agrees &= (placed[name] == value) | placed[name].isna()
        lines[_line_label(combination)] = placed[agrees].sort_values(x)
    references = {}
    for _, job in finished[finished[x].isna()].iterrows():
        references[_line_label({name: job[name] for name in others if not pd.isna(job[name])})] = job
    return lines, references


def _combinations(rows: pd.DataFrame, others: Sequence[str]) -> list[dict[str, Any]]:
    if not others:
        return [{}]
    unique = rows[list(others)].drop_duplicates().sort_values(list(others))
    return [{str(name): value for name, value in row.items()} for row in unique.to_dict("records")]


def _line_label(combination: Mapping[str, Any]) -> str:
    words = []
    for name, value in combination.items():
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        words.append(INPUTS.get(shown, shown) if name == "features" else f"{LABELS.get(name, name)} = {shown}")
    return ", ".join(words)


def _draw_lines(
    axes: Axes, lines: Mapping[str, pd.DataFrame], references: Mapping[str, pd.Series], x: str, measure: str
) -> None:
    place = _places(x, [value for rows in lines.values() for value in rows[x]])
    looks = islice(zip(cycle(COLOURS), cycle(MARKERS), cycle(DASHES), strict=False), len(lines))
    for number, ((label, rows), (colour, marker, dash)) in enumerate(zip(lines.items(), looks, strict=True)):
        shift = 0.012 * _extent(place) * (number - (len(lines) - 1) / 2)
        at = [place[value] + shift for value in rows[x]]
        style = {**_line(colour, marker), "linestyle": dash, "label": label or measure.upper()}
        axes.errorbar(at, rows[measure], rows[f"{measure}_half"], **style)
    for (label, job), grey in zip(references.items(), cycle(("black", "0.45", "0.7")), strict=False):
        axes.axhline(job[measure], color=grey, linestyle=(0, (4, 2)), linewidth=1.0, label=label)
    axes.set_xlabel(LABELS.get(x, x))
    axes.set_ylabel(LABELS[measure])
    axes.tick_params(labelleft=True)
    _ticks(axes, place)


def _setting_label(row: Mapping[Any, Any]) -> str:
    return f"setting {row['setting']}\n{INPUTS[row['features']]}\n{LABELS['lam']} = {row['lam']:g}"


def _legend_ours_first(figure: Figure, axes: Axes) -> None:
    named = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1].endswith("paper"))
    handles, labels = zip(*named, strict=True)
    figure.legend(handles, labels, loc="outside upper center", ncols=4, columnspacing=1.2, handletextpad=0.4)


def _error_note(rows: pd.DataFrame) -> str:
    fewest, most = int(rows["runs"].min()), int(rows["runs"].max())
    if most < FEWEST:
        return "single runs" if most == 1 else f"mean of at most {most} runs, too few for an interval"
    runs = f"{most}" if fewest == most else f"{fewest} to {most}"
    return f"mean and 95 % interval over {runs} runs"


def _foot(figure: Figure, width: float, caption: str, note: str) -> None:
    """The provenance at the figure's foot, where no cropping of a caption can part them."""
    lines = [""]
    for words in [*caption.split(" | "), note]:
        longer = f"{lines[-1]} | {words}" if lines[-1] else words
        if len(longer) <= CHARACTERS * width:
            lines[-1] = longer
        else:
            lines.append(words)
    figure.supxlabel("\n".join(lines), fontsize=6.5, color="0.3")
