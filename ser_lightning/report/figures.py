"""The figures of scores: each a matplotlib `Figure` of its own, at the size at which it is printed.

All figures are drawn in one style: colours that the colour-blind tell apart (Okabe and Ito), and a marker, dash or
hatch of their own for each, so that they can be read in grey. UA and WA in percent. `caption`, the provenance, stands
at the foot of every figure.
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

from ser_lightning.drawing import BLUE, COLOURS, DASHES, MARKERS, ORANGE, STYLE, VERMILLION, draw_fields
from ser_lightning.report.summary import FEWEST, further_settings
from ser_lightning.report.tables import INPUTS

# Widths of a column and of a page of the proceedings, inches.
COLUMN, PAGE = 3.4, 7.0

# Characters of the foot per inch.
CHARACTERS = 23

LABELS = {"alpha": r"$\alpha$", "lam": r"$\lambda$", "ua": "UA (%)", "wa": "WA (%)"}


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
        foot(figure, COLUMN, caption, _error_note(points))
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
        foot(figure, PAGE, caption, _error_note(finished))
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
        foot(figure, COLUMN, caption, _error_note(settings))
        return figure


def heat_map(grids: Mapping[str, pd.DataFrame], caption: str) -> Figure:
    """UA of a grid of alpha and lambda, a panel per input; in each field the mean and half of its 95 % interval.

    Args:
        grids: title -> rows of a summary, one for each alpha and lambda; lambda = 0, which has no alpha, fills its
            column.
    """
    points = pd.concat(list(grids.values()))
    with matplotlib.rc_context(STYLE):
        widest = max(rows["lam"].nunique() for rows in grids.values())
        figure = Figure((max(COLUMN, 0.62 * widest + 1.0) * len(grids), 2.9), layout="constrained")
        panels = figure.subplots(1, len(grids), squeeze=False)[0]
        for axes, (title, rows) in zip(panels, grids.items(), strict=True):
            _draw_grid(axes, rows, float(points["ua"].min()), float(points["ua"].max()))
            axes.set_title(title)
        foot(figure, figure.get_figwidth(), caption, f"UA (%); {_error_note(points)}")
        return figure


def render(figure: Figure, kind: str) -> bytes:
    """The figure as a file's content, `kind` "png" (200 dpi) or "pdf"; equal figures give equal bytes."""
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


def _draw_grid(axes: Axes, rows: pd.DataFrame, low: float, high: float) -> None:
    alphas, lams = sorted(rows["alpha"].dropna().unique()), sorted(rows["lam"].unique())
    means, halves = (np.full((len(alphas), len(lams)), np.nan) for _ in range(2))
    for row in rows.to_dict("records"):
        line = slice(None) if np.isnan(row["alpha"]) else alphas.index(row["alpha"])
        means[line, lams.index(row["lam"])] = row["ua"]
        halves[line, lams.index(row["lam"])] = row["ua_half"]
    draw_fields(axes, means, "cividis", low, high)
    axes.invert_yaxis()
    for i, j in np.argwhere(np.isfinite(means)):
        # cividis grows brighter with its values
        colour = "black" if means[i, j] > (low + high) / 2 else "white"
        half = "" if np.isnan(halves[i, j]) else f"\n±{halves[i, j]:.1f}"
        axes.text(j, i, f"{means[i, j]:.1f}{half}", ha="center", va="center", color=colour, size=7.5)
    axes.set_xticks(range(len(lams)), [f"{lam:g}" for lam in lams])
    axes.set_yticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
    axes.set_xlabel(LABELS["lam"])
    axes.set_ylabel(LABELS["alpha"])


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


def symbols(text: str) -> str:
    """Text for a figure, its Greek letters as such."""
    return text.replace("lambda", LABELS["lam"]).replace("alpha", LABELS["alpha"])


def foot(figure: Figure, width: float, caption: str, note: str) -> None:
    """The provenance at the figure's foot, where no cropping of a caption can part them."""
    lines = [""]
    for words in [*caption.split(" | "), note]:
        longer = f"{lines[-1]} | {words}" if lines[-1] else words
        if len(longer) <= CHARACTERS * width:
            lines[-1] = longer
        else:
            lines.append(words)
    figure.supxlabel("\n".join(lines), fontsize=6.5, color="0.3")
