"""The figures of scores: each a matplotlib `Figure` of its own, at the size at which it is printed.

All figures are drawn in one style: colours that the colour-blind tell apart (Okabe and Ito), and a marker, dash or
hatch of their own for each, so that they can be read in grey. Scores in percent. `caption`, the provenance, stands at
the foot of every figure.
"""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from textwrap import wrap
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ser_lightning.drawing import BLUE, COLOURS, DASHES, MARKERS, ORANGE, STYLE, VERMILLION, draw_fields, name_columns
from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.runs.varying import say, spell, symbols

# Widths of a column and of a page of the proceedings, inches.
COLUMN, PAGE = 3.4, 7.0

# Characters of the foot per inch.
CHARACTERS = 23

# Heights of a line of the foot, of a title, and of a label on an axis, inches
FOOT_LINE, TITLE_LINE, LABEL_LINE = 0.14, 0.19, 0.17

# More panels of a heat map than these cannot be read on a page.
MOST_PANELS = 4

# The scores that one panel can tell apart.
PAIR = ("ua", "wa")

# Steps on an axis may differ by this factor before its values are set evenly instead.
UNEVEN = 3


def sensitivity(
    points: pd.DataFrame,
    x: str,
    caption: str,
    published: Mapping[float, tuple[float, float]] | None = None,
) -> Figure:
    """UA and WA against one setting in one panel, mean and 95 % interval.

    Args:
        points: rows of a summary in which only `x` differs.
        x: a column of numbers; unevenly spread ones are spaced evenly, since 0 has no logarithm.
        published: x -> UA and WA of a paper, drawn hollow and dashed beside.
    """
    points = points[points["runs"] > 0].sort_values(x)
    place = _places([*points[x], *(published or {})])
    with matplotlib.rc_context(STYLE):
        figure = Figure((COLUMN, 2.7), layout="constrained")
        axes = figure.subplots()
        looks = zip(PAIR, (BLUE, VERMILLION), ("o", "s"), (-1, 1), strict=True)
        for number, (metric, colour, marker, side) in enumerate(looks):
            # Set apart by a little, so that error bars of equal height stay two.
            shift = side * 0.006 * _extent(place)
            name = METRICS[metric].label
            places = [place[value] + shift for value in points[x]]
            axes.errorbar(places, points[metric], points[f"{metric}_half"], **_line(colour, marker), label=name)
            if published:
                places = [place[value] + shift for value in published]
                values = [scores[number] for scores in published.values()]
                axes.plot(places, values, **_hollow(colour, marker), label=f"{name}, paper")
        axes.set_xlabel(symbols(spell(x)))
        axes.set_ylabel(_axis(PAIR))
        _ticks(axes, place)
        _legend_paper_last(figure, axes)
        foot(figure, COLUMN, caption, _error_note(points))
        return figure


def bars(
    rows: pd.DataFrame,
    labels: Sequence[str],
    caption: str,
    published: Sequence[tuple[float, float]] | None = None,
) -> Figure:
    """UA and WA as bars from zero, with the mean written on each.

    Args:
        rows: finished ones of a summary.
        labels: what stands below each.
        published: UA and WA of a paper for each row, drawn as hollow diamonds.
    """
    places, width = np.arange(len(rows)), 0.36
    with matplotlib.rc_context(STYLE):
        figure = Figure((COLUMN, 2.9), layout="constrained")
        axes = figure.subplots()
        looks = zip(PAIR, (BLUE, ORANGE), ("", "////"), (-width / 2, width / 2), strict=True)
        for number, (metric, colour, hatch, shift) in enumerate(looks):
            means, errors = rows[metric], rows[f"{metric}_half"]
            style: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
            axes.bar(places + shift, means, width, label=METRICS[metric].label, **style)
            axes.errorbar(places + shift, means, errors, fmt="none", ecolor="black", capsize=2, elinewidth=0.8)
            for place, mean in zip(places + shift, means, strict=True):
                box = {"facecolor": "white", "edgecolor": "none", "boxstyle": "square,pad=0.15"}
                axes.text(place, 3, f"{mean:.1f}", ha="center", va="bottom", size=7.5, bbox=box)
            if published:
                values = [scores[number] for scores in published]
                label = "paper" if number == len(PAIR) - 1 else None
                axes.plot(places + shift, values, "D", mfc="white", mec="black", mew=0.8, ms=3.5, label=label)
        axes.set_xticks(places, [symbols(label) for label in labels])
        axes.set_ylabel(_axis(PAIR))
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
        _legend_paper_last(figure, axes)
        foot(figure, COLUMN, caption, _error_note(rows))
        return figure


def has_curves(summary: pd.DataFrame, columns: Mapping[str, str]) -> bool:
    """Whether `sweep_curves` can be drawn: a number varies, and the columns tell all finished jobs apart."""
    finished = summary[summary["runs"] > 0]
    x, _ = _choose_axis(finished, columns)
    return x is not None and not bool(finished.duplicated(list(columns.values())).any())


def sweep_curves(
    summary: pd.DataFrame, columns: Mapping[str, str], caption: str, metrics: Sequence[str] = ("ua", "wa")
) -> Figure:
    """Scores of any grid of jobs, a panel each: one setting on the x axis, a line per value of the others.

    On x stands the number with most values, the first where two have equally many. A job without it, as lambda = 0 has
    no alpha, is a dashed horizontal line. Raises `ValueError` where no number varies, see `has_curves`.

    Args:
        summary: of the study.
        columns: dotted key -> column, of the settings that vary.
        caption: the provenance.
        metrics: the panels.
    """
    finished = summary[summary["runs"] > 0]
    x, others = _choose_axis(finished, columns)
    if x is None:
        raise ValueError("no number varies")
    lines, references = _lines(finished, x, others)
    with matplotlib.rc_context(STYLE):
        rows = -(-len(metrics) // 3)
        figure = Figure((PAGE, 0.3 + 2.6 * rows), layout="constrained")
        panels = figure.subplots(rows, -(-len(metrics) // rows), sharex=True, squeeze=False).ravel()
        for axes, metric in zip(panels, metrics, strict=False):
            _draw_lines(axes, lines, references, x, metric)
        for axes in panels[len(metrics) :]:
            axes.set_visible(False)
        low, high = (
            pick(axes.get_ylim()[side] for axes in panels[: len(metrics)]) for pick, side in ((min, 0), (max, 1))
        )
        for axes in panels:
            axes.set_ylim(low, high)
        handles, labels = panels[0].get_legend_handles_labels()
        if len(handles) > 1:
            figure.legend(handles, labels, loc="outside upper center", ncols=3)
        foot(figure, PAGE, caption, _error_note(finished))
        return figure


def grids(summary: pd.DataFrame, columns: Mapping[str, str]) -> tuple[str, str, dict[str, pd.DataFrame]] | None:
    """What a heat map can show: x, y and the rows of each panel, by its title; None where the study has no grid.

    Two settings that are numbers, the ones with most values, at least two of each and three of one, crossed at three of
    four places; a panel for each combination of all others. A job without y, as lambda = 0 has no alpha, belongs to
    every y.
    """
    if not has_curves(summary, columns):
        return None
    finished = summary[summary["runs"] > 0]
    x, others = _choose_axis(finished, columns)
    y, rest = _choose_axis(finished, others)
    if x is None or y is None:
        return None
    if finished[x].isna().any():
        # The one that all jobs have is on x: what lacks the other fills a column
        x, y = y, x
    panels, without = _lines(finished, x, rest, needed=y)
    sizes = [(rows[x].nunique(), rows[y].nunique(), rows.dropna(subset=[x, y])) for rows in panels.values()]
    whole = not without and all(
        max(width, height) > 2
        and min(points[x].nunique(), points[y].nunique()) > 1
        and len(points) >= 0.75 * points[x].nunique() * points[y].nunique()
        for width, height, points in sizes
    )
    return (x, y, panels) if whole and len(panels) <= MOST_PANELS else None


def heat_map(x: str, y: str, panels: Mapping[str, pd.DataFrame], caption: str) -> Figure:
    """The headline score over a grid of two settings; in each field the mean and half of its 95 % interval.

    Args:
        x, y: columns of numbers.
        panels: title -> rows of a summary, one for each x and y; one without y fills its column.
        caption: the provenance.
    """
    points = pd.concat(list(panels.values()))
    with matplotlib.rc_context(STYLE):
        widest = max(rows[x].nunique() for rows in panels.values())
        figure = Figure((max(COLUMN, 0.62 * widest + 1.0) * len(panels), 2.9), layout="constrained")
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, rows) in zip(row, panels.items(), strict=True):
            _draw_grid(axes, rows, x, y, (float(points[HEADLINE].min()), float(points[HEADLINE].max())))
            axes.set_title(title)
        note = f"{_axis([HEADLINE])}; {_error_note(points)}"
        foot(figure, figure.get_figwidth(), caption, note)
        return figure


def corpus_map(panels: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], chance: float, caption: str) -> Figure:
    """UA of corpora that are trained on and tested, in each field the mean and half of its 95 % interval.

    Args:
        panels: title -> means and halves, both with a row per training and a column per tested corpus, NaN where there
            is no run.
        chance: UA of guessing, from which the colours begin.
        caption: the provenance.
    """
    means, _ = next(iter(panels.values()))
    high = max(float(np.nanmax(values)) for values, _ in panels.values())
    with matplotlib.rc_context(STYLE):
        width = max(COLUMN, 0.9 * len(means.columns) + 1.2)
        figure = Figure((width * len(panels), 0.5 * len(means) + 1.6), layout="constrained")
        row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, (values, halves)) in zip(row, panels.items(), strict=True):
            _draw_means(axes, values.to_numpy(), halves.to_numpy(), (min(chance, high), high))
            axes.set_title(title)
            name_columns(axes, list(values.columns))
            axes.set_yticks(range(len(values)), list(values.index))
            axes.set_xlabel("tested")
            axes.set_ylabel("trained on")
        note = f"{_axis([HEADLINE])} with half of its 95 % interval, where it has one; guessing: {chance:.0f} %"
        foot(figure, figure.get_figwidth(), caption, note)
        return figure


def forest(families: Mapping[str, pd.DataFrame], settings: Sequence[tuple[int, str]], caption: str) -> Figure:
    """Differences in UA with their 95 % intervals, a line per setting and a panel per reference.

    Args:
        families: reference -> rows of `comparison.differences`.
        settings: number and name of each, from top to bottom.
    """
    labels = {job: symbols(name) for job, name in settings}
    heights = np.array([0.08 + LABEL_LINE * (1 + label.count("\n")) for label in labels.values()])
    places = dict(zip(labels, heights / 2 - heights.cumsum(), strict=True))
    with matplotlib.rc_context(STYLE):
        figure = Figure((PAGE, heights.sum() + 1.1), layout="constrained")
        panels = figure.subplots(1, len(families), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (name, rows) in zip(panels, families.items(), strict=True):
            lines = rows["job"].map(places)
            axes.axvline(0, color="black", linewidth=0.8)
            looks: dict[str, Any] = {"fmt": "o", "color": BLUE, "capsize": 2, "elinewidth": 0.8, "markersize": 3.5}
            axes.errorbar(rows["ua"], lines, xerr=rows["ua_half"], **looks)
            axes.set_title(f"against {symbols(name)}")
            axes.set_xlabel("difference in UA (points)")
            axes.grid(axis="x")
            axes.set_axisbelow(True)
        panels[0].set_yticks(list(places.values()), list(labels.values()))
        panels[0].set_ylim(-heights.sum(), 0)
        foot(figure, PAGE, caption, "bars: 95 % intervals")
        return figure


def render(figure: Figure, kind: str) -> bytes:
    """The figure as a file's content, `kind` "png" (200 dpi) or "pdf"; equal figures give equal bytes."""
    content = io.BytesIO()
    # `savefig` would draw everything twice, once for nothing
    with matplotlib.rc_context(STYLE):
        figure.set_dpi(matplotlib.rcParams["savefig.dpi"])
        if kind == "png":
            FigureCanvasAgg(figure).print_png(content)
        else:
            FigureCanvasPdf(figure).print_pdf(content, metadata={"CreationDate": None})
    return content.getvalue()


def _line(colour: str, marker: str) -> dict[str, Any]:
    return {"color": colour, "marker": marker, "capsize": 2, "elinewidth": 0.8}


def _hollow(colour: str, marker: str) -> dict[str, Any]:
    return {"color": colour, "marker": marker, "markerfacecolor": "white", "linestyle": (0, (4, 2)), "linewidth": 0.8}


def _axis(metrics: Sequence[str]) -> str:
    return f"{', '.join(METRICS[metric].label for metric in metrics)} (%)"


def _places(values: Sequence[float]) -> dict[float, float]:
    """Where on the axis each value lies: at itself, or evenly spaced in its order where steps are too unlike."""
    ordered = sorted(set(values))
    steps = np.diff(ordered)
    even = len(steps) > 1 and steps.max() > UNEVEN * steps.min()
    return {value: float(place) if even else float(value) for place, value in enumerate(ordered)}


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


def _choose_axis(rows: pd.DataFrame, columns: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """The number with most values, and all other settings that vary, by their dotted keys."""
    varying = {key: word for key, word in columns.items() if rows[word].nunique() > 1}
    numbers = [word for word in varying.values() if rows[word].dtype.kind in "iuf"]
    if not numbers:
        return None, varying
    x = max(numbers, key=lambda word: rows[word].nunique())
    return x, {key: word for key, word in varying.items() if word != x}


def _lines(
    finished: pd.DataFrame, x: str, others: Mapping[str, str], needed: str | None = None
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.Series]]:
    """Label -> rows of each line along x; label -> row of each reference, a job that has no x.

    A job that lacks a setting which a line has, as lambda = 0 lacks alpha, is a point of every line it agrees with; it
    makes a line of its own where there is none. Lines are those of jobs that have the setting `needed`.
    """
    placed = finished[finished[x].notna()]
    settings = {index: _known(row, list(others.values())) for index, row in placed.iterrows()}
    having = settings if needed is None else {index: settings[index] for index in placed.index[placed[needed].notna()]}
    lines = {}
    for combination in _combinations(placed.loc[list(having)], list(having.values()), list(others.values())):
        agreeing = [index for index, own in settings.items() if own.items() <= combination.items()]
        lines[_line_label(combination, others)] = placed.loc[agreeing].sort_values(x)
    references = {}
    for _, job in finished[finished[x].isna()].iterrows():
        references[_line_label(_known(job, list(others.values())), others)] = job
    return lines, references


def _known(job: pd.Series, names: Sequence[str]) -> dict[str, Any]:
    """The settings that a job has."""
    return {name: job[name] for name in names if not pd.isna(job[name])}


def _combinations(
    rows: pd.DataFrame, settings: Sequence[Mapping[str, Any]], others: Sequence[str]
) -> list[Mapping[str, Any]]:
    """The settings of rows, each once, in order; those that are a part of another row's are left out."""
    if not others:
        return [{}]
    # Columns of words may hold numbers too
    order = rows[list(others)].sort_values(
        list(others), key=lambda column: column if column.dtype.kind in "iufb" else column.astype(str)
    )
    place = dict(zip(rows.index, settings, strict=True))
    distinct: list[Mapping[str, Any]] = []
    for index in order.index:
        one = place[index]
        if one not in distinct and not any(one.items() < other.items() for other in settings):
            distinct.append(one)
    return distinct


def _line_label(combination: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    key_of = {word: key for key, word in columns.items()}
    return symbols(", ".join(say(key_of[word], word, value) for word, value in combination.items()))


def _draw_lines(
    axes: Axes, lines: Mapping[str, pd.DataFrame], references: Mapping[str, pd.Series], x: str, metric: str
) -> None:
    place = _places([value for rows in lines.values() for value in rows[x]])
    looks = islice(zip(cycle(COLOURS), cycle(MARKERS), cycle(DASHES), strict=False), len(lines))
    for number, ((label, rows), (colour, marker, dash)) in enumerate(zip(lines.items(), looks, strict=True)):
        # All of them within the margin of `_ticks`
        shift = min(0.012, 0.1 / len(lines)) * _extent(place) * (number - (len(lines) - 1) / 2)
        places = [place[value] + shift for value in rows[x]]
        style = {**_line(colour, marker), "linestyle": dash, "label": label or METRICS[metric].label}
        axes.errorbar(places, rows[metric], rows[f"{metric}_half"], **style)
    for (label, job), grey in zip(references.items(), cycle(("black", "0.45", "0.7")), strict=False):
        axes.axhline(job[metric], color=grey, linestyle=(0, (4, 2)), linewidth=1.0, label=label)
    axes.set_xlabel(symbols(spell(x)))
    axes.set_ylabel(_axis([metric]))
    axes.tick_params(labelleft=True, labelbottom=True)
    _ticks(axes, place)


def _draw_grid(axes: Axes, rows: pd.DataFrame, x: str, y: str, limits: tuple[float, float]) -> None:
    x_values, y_values = sorted(rows[x].unique()), sorted(rows[y].dropna().unique())
    means, halves = (np.full((len(y_values), len(x_values)), np.nan) for _ in range(2))
    for row in rows.to_dict("records"):
        line = slice(None) if np.isnan(row[y]) else y_values.index(row[y])
        means[line, x_values.index(row[x])] = row[HEADLINE]
        halves[line, x_values.index(row[x])] = row[f"{HEADLINE}_half"]
    _draw_means(axes, means, halves, limits)
    axes.invert_yaxis()
    axes.set_xticks(range(len(x_values)), [f"{value:g}" for value in x_values])
    axes.set_yticks(range(len(y_values)), [f"{value:g}" for value in y_values])
    axes.set_xlabel(symbols(spell(x)))
    axes.set_ylabel(symbols(spell(y)))


def _draw_means(axes: Axes, means: np.ndarray, halves: np.ndarray, limits: tuple[float, float]) -> None:
    """Means [rows, columns] as fields, with half of their intervals, the first row on top."""
    draw_fields(axes, means, "cividis", *limits)
    for i, j in np.argwhere(np.isfinite(means)):
        # cividis grows brighter with its values
        colour = "black" if means[i, j] > sum(limits) / 2 else "white"
        half = "" if np.isnan(halves[i, j]) else f"\n±{halves[i, j]:.1f}"
        axes.text(j, i, f"{means[i, j]:.1f}{half}", ha="center", va="center", color=colour, size=7.5)


def _legend_paper_last(figure: Figure, axes: Axes) -> None:
    named = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1].endswith("paper"))
    handles, labels = zip(*named, strict=True)
    figure.legend(handles, labels, loc="outside upper center", ncols=4, columnspacing=1.2, handletextpad=0.4)


def _error_note(rows: pd.DataFrame) -> str:
    fewest, most = int(rows["runs"].min()), int(rows["runs"].max())
    known = rows[f"{HEADLINE}_half"].notna().any()
    if most == 1:
        return "single runs with 95 % interval" if known else "single runs"
    if not known:
        return f"mean of at most {most} runs, without an interval"
    runs = f"{most}" if fewest == most else f"{fewest} to {most}"
    return f"mean of {runs} runs with 95 % interval"


def foot(figure: Figure, width: float, caption: str, note: str) -> None:
    """The provenance at the figure's foot, where no cropping of a caption can part them.

    The figure grows by the lines of foot and titles beyond those that all have, so that its panels keep their size.
    """
    lines = [""]
    fitting = int(CHARACTERS * width)
    pieces = [piece for words in [*caption.split(" | "), note] for piece in wrap(words, fitting)]
    for words in pieces:
        longer = f"{lines[-1]} | {words}" if lines[-1] else words
        if len(longer) <= fitting:
            lines[-1] = longer
        else:
            lines.append(words)
    figure.supxlabel("\n".join(lines), fontsize=6.5, color="0.3")
    above = max(axes.get_title().count("\n") for axes in figure.axes)
    figure.set_figheight(figure.get_figheight() + FOOT_LINE * max(0, len(lines) - 2) + TITLE_LINE * above)
