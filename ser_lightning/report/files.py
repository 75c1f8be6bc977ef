"""A report's figures as files."""

from pathlib import Path

from matplotlib.figure import Figure

from ser_lightning.files import write_whole
from ser_lightning.report.figures import render

FIGURE_KINDS = ("png", "pdf")


def write_figure(figure: Figure | None, stem: Path) -> bool:
    """Write `stem`.png and `stem`.pdf, or without a figure remove those of an earlier report.

    Returns whether there is a figure.
    """
    for kind in FIGURE_KINDS:
        path = stem.with_name(f"{stem.name}.{kind}")
        if figure is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, render(figure, kind))
            # The first kind has laid the figure out; again would take as long as drawing it.
            figure.set_layout_engine("none")
    return figure is not None
