"""A timeline shows each stretch in the colour of its class, and pauses in none."""

import matplotlib.image
import numpy as np
from matplotlib.colors import to_rgb

from ser_lightning.drawing import CLASS_COLOURS
from ser_lightning.inference.timeline import QUIET, draw_timeline


def row(start, label, neu):
    shares = {"p_neu": neu, "p_hap": None if neu is None else 1 - neu}
    return {"file": "a.wav", "start": start, "end": start + 1.0, "class": label, **shares}


def test_areas_are_probabilities(tmp_path):
    rows = [row(0.0, "neu", 0.75), row(1.0, "no speech", None), row(2.0, "hap", 0.25), row(3.0, "hap", 0.0)]
    draw_timeline(rows, ("neu", "hap"), "a.wav - a study " + "of a long name " * 20, tmp_path / "a.png")
    pixels = matplotlib.image.imread(tmp_path / "a.png")[:, :, :3]
    counts = [
        int(np.all(np.abs(pixels - to_rgb(colour)) < 0.01, axis=2)[: int(0.85 * len(pixels))].sum())
        for colour in (CLASS_COLOURS[0], CLASS_COLOURS[1], QUIET)
    ]
    # Above 1, 2 and 1 of four stretches' area; below, an eighth as high, a stretch of neu, two of hap, one of none
    whole = sum(counts)
    expected = np.array([1 + 1 / 8, 2 + 2 / 8, 1 + 1 / 8]) / (4 + 4 / 8)
    np.testing.assert_allclose(np.array(counts) / whole, expected, atol=0.03)
