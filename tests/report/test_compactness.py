import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group

from ser_lightning.losses.diagnostics import class_distances
from ser_lightning.report.compactness import compactness

NAMES = ["a", "b", "c"]


def cloud(seed):
    rng = np.random.default_rng(seed)
    labels = np.array(NAMES)[np.r_[0, 1, 2, rng.integers(3, size=27)]]
    return rng.normal(size=(30, 5)) + 2 * np.eye(5)[[NAMES.index(name) for name in labels]], labels


def test_every_class_counts_the_same_whatever_its_size():
    # Means (1, 0), (5, 0), (1, 5); mean squares about them 1, 0, 8; between them 16, 25, 41
    z = np.array([[0, 0], [2, 0], [5, 0], [1, 3], [1, 3], [1, 9]], dtype=np.float64)
    found = compactness(z, np.array(["a", "a", "b", "c", "c", "c"]), NAMES)
    assert found == pytest.approx(np.sqrt((9 / 3) / (82 / 3)))


def test_it_is_what_training_logs():
    z, labels = cloud(0)
    codes = torch.tensor([NAMES.index(name) for name in labels])
    within, between = class_distances(torch.tensor(z), codes, 3)
    assert compactness(z, labels, NAMES) == pytest.approx(float(within / between))


@given(st.integers(0, 50), st.floats(0.01, 100))
def test_scale_place_and_direction_do_not_matter(seed, scale):
    z, labels = cloud(seed)
    turned = scale * z @ ortho_group.rvs(5, random_state=seed) + 7
    assert compactness(turned, labels, NAMES) == pytest.approx(compactness(z, labels, NAMES), rel=1e-6)


def test_without_a_class_there_is_no_ratio():
    z, labels = cloud(1)
    assert np.isnan(compactness(z[labels != "b"], labels[labels != "b"], NAMES))
    assert np.isnan(compactness(z[:0], labels[:0], NAMES))
    assert np.isnan(compactness(z[labels == "b"], labels[labels == "b"], ["b"]))
