import matplotlib.colors
import numpy as np
import pytest

from ser_lightning.drawing import principal_axes, row_percent
from ser_lightning.report.portraits import confusion


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
