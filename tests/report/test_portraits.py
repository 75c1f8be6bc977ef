import matplotlib.colors
import numpy as np
import pandas as pd
import pytest

from ser_lightning.drawing import principal_axes, row_percent
from ser_lightning.report.portraits import confusion, speaker_recalls


def test_principal_components_are_those_of_the_covariance():
    z = np.random.default_rng(0).normal(size=(50, 6)) * [5, 3, 1, 1, 1, 1] + 7
    axes = principal_axes(z)
    eigenvalues = np.linalg.eigvalsh(np.cov(z.T))[::-1]
    assert axes.transform(z).var(axis=0, ddof=1) == pytest.approx(eigenvalues[:2])
    assert axes.explained_variance_ratio_ == pytest.approx(eigenvalues[:2] / eigenvalues.sum())
    assert axes.transform(z).mean(axis=0) == pytest.approx(0)


def test_confusions_are_percent_of_the_row_and_readable_on_their_ground():
    counts = np.array([[9, 1], [3, 1]])
    np.testing.assert_allclose(row_percent(counts), [[90, 10], [75, 25]])
    (axes,) = confusion({"a": counts}, ["neu", "ang"], "caption").axes
    assert [text.get_text() for text in axes.texts] == ["90.0", "10.0", "75.0", "25.0"]
    assert [matplotlib.colors.to_hex(text.get_color()) for text in axes.texts[:2]] == ["#ffffff", "#000000"]


@pytest.mark.parametrize(
    "names",
    [
        ["neu", "ang", "hap", "sad", "UA"],
        ["neutral", "angry", "happy", "sad", "calm", "fearful", "disgust", "surprised", "UA"],
    ],
)
def test_names_of_classes_do_not_touch(names):
    tables = {f"lambda = {lam}": pd.DataFrame(50.0, index=["05", "08"], columns=names) for lam in (0, 0.3)}
    figure = speaker_recalls(tables, "caption", "note")
    figure.draw_without_rendering()
    for axes in figure.axes:
        labels = axes.get_xticklabels()
        boxes = [label.get_window_extent() for label in labels]
        for label, left, right in zip(labels, boxes, boxes[1:], strict=False):
            # Where they are turned by 45 degrees, lines of text lie side by side, in boxes that overlap
            line = label.get_fontsize() * figure.dpi / 72
            gap = (right.x1 - left.x1) / 2**0.5 - line if label.get_rotation() == 45 else right.x0 - left.x1
            assert gap > 0
