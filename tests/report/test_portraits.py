from itertools import pairwise

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest

from ser_lightning.drawing import principal_axes, row_percent
from ser_lightning.report.figures import render
from ser_lightning.report.portraits import Cloud, confusion, feature_panels, learning_curves, speaker_recalls


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


MANY = ["anger", "frustration", "excitement", "neutral", "surprise", "happiness", "sadness", "fear", "disgust"]
MANY += ["contempt", "boredom", "other"]


def test_of_many_classes_no_two_look_alike_and_all_are_in_the_legend():
    labels = np.array(MANY * 3)
    cloud = Cloud("a", np.random.default_rng(0).normal(size=(36, 5)), labels, 0.5)
    figure = feature_panels([cloud], MANY, "caption", common=False)
    figure.draw_without_rendering()
    looks = {
        (matplotlib.colors.to_hex(points.get_facecolor()[0]), points.get_paths()[0].vertices.tobytes())
        for points in figure.axes[0].collections
    }
    assert len(looks) == len(MANY)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == MANY
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


@pytest.mark.parametrize("classes", [MANY[:4], MANY[:8], MANY])
def test_figures_in_a_confusion_do_not_touch(classes):
    size = len(classes)
    counts = {"a": 1000 * np.eye(size, dtype=int) + 1, "b": 1000 * np.eye(size, dtype=int)[::-1] + 1}
    figure = confusion(counts, classes, "caption")
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        for left, right in pairwise(boxes):
            assert left.x1 < right.x0 or left.y0 > right.y1


@pytest.mark.parametrize(
    ("losses", "ticks"), [([1.4, 0.1, 0.008], ["0.01", "0.03", "0.1", "0.3", "1"]), ([0.95, 0.5, 0.15], ["0.3", "1"])]
)
def test_losses_on_a_logarithmic_axis_are_labelled_by_plain_numbers(losses, ticks):
    tables = {"train/softmax": pd.DataFrame(losses), "dev/ua": pd.DataFrame([0.3, 0.5, 0.6])}
    figure = learning_curves({"$": tables}, "caption")
    figure.draw_without_rendering()
    axis = figure.axes[0].yaxis
    low, high = axis.get_view_interval()
    labels = dict(zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True))
    assert [label.get_text() for place, label in labels.items() if low <= place <= high] == ticks
    assert not axis.get_minorticklabels()


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


def test_a_title_and_a_foot_of_many_lines_leave_the_panel_its_size():
    percent = pd.DataFrame(50.0, index=["s1", "s2"], columns=["neu", "ang", "UA"])
    heights = []
    for title, caption in (("one", "caption"), ("one\n" * 5 + "two", "words of a long caption " * 12)):
        figure = speaker_recalls({title: percent}, caption, "note")
        render(figure, "png")
        (axes,) = figure.axes
        assert figure._supxlabel.get_window_extent().y1 <= axes.get_tightbbox().y0
        assert axes.title.get_window_extent().y1 <= figure.bbox.y1
        heights.append(axes.get_window_extent().height)
    assert heights[1] == pytest.approx(heights[0], rel=0.2)
