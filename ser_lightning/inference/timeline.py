"""A long recording's probabilities over time, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser_lightning.drawing import CLASS_COLOURS, STYLE
from ser_lightning.files import write_whole
from ser_lightning.inference.ensemble import NO_SPEECH

QUIET = "#eeeeee"


def draw_timeline(rows: Sequence[dict[str, Any]], classes: Sequence[str], caption: str, out: Path) -> None:
    """Draw the rows of one recording, see `predictions.rows_of`, into a PNG.

    Above, the probability of each class, stacked, over time; where nobody speaks, nothing. Below, the class.
    """
    # Not pyplot, which keeps figures
    import io

    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    # Classes are few; further ones take colours again
    colours = {name: CLASS_COLOURS[number % len(CLASS_COLOURS)] for number, name in enumerate(classes)}
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[8, 1])
        for row in rows:
            start, width = row["start"], row["end"] - row["start"]
            known = row["class"] in colours
            below.barh(0, width, left=start, height=1, color=colours[row["class"]] if known else QUIET)
            if not known:
                above.axvspan(start, row["end"], color=QUIET, lw=0)
                continue
            shares = [row[f"p_{name}"] for name in classes]
            bottoms = np.concatenate([[0], np.cumsum(shares)[:-1]])
            for name, share, bottom in zip(classes, shares, bottoms, strict=True):
                above.bar(start, share, width, bottom, align="edge", color=colours[name], lw=0)
        above.set(ylim=(0, 1), ylabel="probability", xlim=(rows[0]["start"], rows[-1]["end"]))
        below.set(yticks=[], xlabel="time (s)", ylim=(-0.5, 0.5))
        below.spines["left"].set_visible(False)
        patches = [Patch(color=colour, label=name) for name, colour in colours.items()]
        patches.append(Patch(color=QUIET, label=NO_SPEECH))
        figure.legend(handles=patches, loc="outside right center")
        figure.suptitle(caption, fontsize=8, x=0.01, ha="left")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    write_whole(out, buffer.getvalue())
