"""What the figures of a run and of a report have in common: colours, style, and what is drawn into one panel."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
# As many as corpora have classes; neighbours far apart in brightness too: clouds of small points have no dashes.
CLASS_COLOURS = (BLUE, ORANGE, BLACK, GREEN, PURPLE, VERMILLION, SKY, "#8C8C8C")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1)))

STYLE: dict[Any, Any] = {
    "font.family": "STIXGeneral",
    # Names may have dollars
    "text.parse_math": False,
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": False,
    "grid.linewidth": 0.4,
    "grid.color": "#d9d9d9",
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.5,
    "figure.constrained_layout.h_pad": 0.06,
    # Type 42 keeps letters letters; submission systems refuse Type 3.
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
}


def principal_axes(z: np.ndarray) -> "PCA":
    """The first two principal components of features [n, d], n of 2 at least."""
    # Here, since only the processes that draw features are to wait for it
    from sklearn.decomposition import PCA

    # By the covariance [d, d], since decomposing thousands of utterances takes seconds; of few it is this that does.
    return PCA(2, svd_solver="covariance_eigh" if len(z) > z.shape[1] else "full").fit(z)


def row_percent(counts: np.ndarray) -> np.ndarray:
    """Counts [classes, classes] in percent of each row's sum."""
    return 100 * counts / counts.sum(axis=1, keepdims=True)


def draw_features(axes: Axes, points: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Features as points [n, 2], with a colour and a marker for each class; `labels` [n] are class names."""
    size = float(np.clip(6000 / max(len(points), 1), 5, 22))
    for number, name in enumerate(classes):
        turn, place = divmod(number, len(CLASS_COLOURS))
        # Further classes take colours again, with another marker
        colour, marker = CLASS_COLOURS[place], MARKERS[(place + turn) % len(MARKERS)]
        chosen = points[labels == name]
        # Thousands of points as vectors would make the PDF slow to open.
        style: dict[str, Any] = {"s": size, "alpha": 0.6, "linewidths": 0, "rasterized": True}
        axes.scatter(chosen[:, 0], chosen[:, 1], c=colour, marker=marker, label=name, **style)


def draw_fields(axes: Axes, values: np.ndarray, colours: str, low: float, high: float) -> None:
    """A matrix [rows, columns] as coloured fields, the first row on top; field (i, j) has its centre at (j, i)."""
    edges = [np.arange(size + 1) - 0.5 for size in reversed(values.shape)]
    axes.pcolormesh(*edges, values, cmap=colours, vmin=low, vmax=high)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def figure_size(names: Sequence[str]) -> float:
    """The size in points at which the figures in a field of so many columns do not touch each other."""
    return min(9.0, 66 / len(names))


def name_columns(axes: Axes, names: Sequence[str]) -> None:
    """Names below the columns of a field, turned where several would touch each other."""
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(names) > 5 else {}
    axes.set_xticks(range(len(names)), names, **turned)


def draw_confusion(axes: Axes, counts: np.ndarray, classes: Sequence[str]) -> None:
    """Confusion counts [classes, classes], rows true, columns recognised, each row in percent of its true class."""
    percent = row_percent(counts)
    draw_fields(axes, percent, "Blues", 0, 100)
    for i, j in np.ndindex(percent.shape):
        colour = "white" if percent[i, j] > 55 else "black"
        axes.text(j, i, f"{percent[i, j]:.1f}", ha="center", va="center", color=colour, size=figure_size(classes))
    name_columns(axes, classes)
    axes.set_yticks(range(len(classes)), [f"{name} ({n})" for name, n in zip(classes, counts.sum(axis=1), strict=True)])
    axes.set_xlabel("recognised (%)")
    axes.set_ylabel("true (utterances)")
    axes.set_aspect("equal")
