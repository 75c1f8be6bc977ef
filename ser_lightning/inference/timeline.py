"""A long recording's probabilities over time, as a picture."""

import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from ser_lightning.drawing import CLASS_COLOURS, STYLE
from ser_lightning.files import write_whole
from ser_lightning.inference.ensemble import NO_SPEECH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUIET = "#eeeeee"


def draw_timeline(rows: Sequence[dict[str, Any]], classes: Sequence[str], caption: str, out: Path) -> None:
    """Draw `timeline` into a PNG."""
    buffer = io.BytesIO()
    timeline(rows, classes, caption).savefig(buffer, format="png")
    write_whole(out, buffer.getvalue())


def timeline(rows: Sequence[dict[str, Any]], classes: Sequence[str], caption: str) -> "Figure":
    """The rows of one recording, see `predictions.rows_of`, over time.

    Above, the probability of each class, stacked; where nobody speaks, nothing. Below, the class.
    """
    # Where nothing is drawn, nothing waits for matplotlib; and not pyplot, which keeps figures
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    # Classes are few; further ones take colours again
    colours = {name: CLASS_COLOURS[number % len(CLASS_COLOURS)] for number, name in enumerate(classes)}
    with rc_context(STYLE):
        figure = Figure(figsize=(5.4, 2.8), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[8, 1])
        starts = np.array([row["start"] for row in rows])
        widths = np.array([row["end"] for row in rows]) - starts
        named = np.array([row["class"] in colours for row in rows])
        shares = np.array([[row[f"p_{name}"] or 0.0 for name in classes] for row in rows])  # [rows, classes]
        bottoms = np.cumsum(shares, axis=1) - shares
        for number, colour in enumerate(colours.values()):
            above.bar(starts, shares[:, number], widths, bottoms[:, number], align="edge", color=colour, lw=0)
        above.bar(starts[~named], 1, widths[~named], align="edge", color=QUIET, lw=0)
        shown = [colours.get(row["class"], QUIET) for row in rows]
        below.bar(starts, 1, widths, -0.5, align="edge", color=shown, lw=0)
        above.set(ylim=(0, 1), ylabel="probability", xlim=(rows[0]["start"], rows[-1]["end"]))
        below.set(yticks=[], xlabel="time (s)", ylim=(-0.5, 0.5))
        below.spines["left"].set_visible(False)
        patches = [Patch(color=colour, label=name) for name, colour in colours.items()]
        patches.append(Patch(color=QUIET, label=NO_SPEECH))
        figure.legend(handles=patches, loc="outside lower center", ncols=5)
        figure.suptitle(fill(caption, 110), fontsize=7, x=0.01, ha="left")
    return figure
