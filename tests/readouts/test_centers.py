"""The nearest class mean, by hand and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.neighbors import NearestCentroid

from ser_lightning.readouts.centers import Centers

# Means (1, 0) and (0, 3)
Z = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 4.0]])
LABELS = np.array([0, 0, 1, 1])


def fitted(**settings):
    readout = Centers(2, **settings)
    readout.fit(Z, LABELS)
    return readout


def test_minus_squared_distances_by_hand():
    assert fitted().scores(np.array([[1.0, 1.0], [4.0, 3.0]])).tolist() == [[-1.0, -5.0], [-18.0, -16.0]]


def test_cosine_knows_directions_alone():
    """Of length 1 the training part is (0, 0), (1, 0) and twice (0, 1), with means (1, 0) and (0, 1) of length 1."""
    scores = fitted(metric="cosine").scores(np.array([[7.0, 0.0], [0.0, 0.1], [3.0, 4.0], [0.0, 0.0]]))
    assert scores == pytest.approx(np.array([[0, -2], [-2, 0], [-0.8, -0.4], [-1, -1]]), abs=1e-12)


def values(*shape):
    return arrays(float, shape, elements=st.floats(-10, 10))


@given(values(12, 3), values(5, 3), values(3))
def test_a_shift_of_all_features_changes_nothing(z, others, shift):
    labels = np.arange(12) % 4
    plain, shifted = Centers(4), Centers(4)
    plain.fit(z, labels)
    shifted.fit(z + shift, labels)
    assert shifted.scores(others + shift) == pytest.approx(plain.scores(others), abs=1e-9)


def test_predicts_as_scikit_learn_does():
    random = np.random.default_rng(0)
    z, labels = random.normal(size=(60, 5)), np.arange(60) % 4
    readout = Centers(4)
    readout.fit(z, labels)
    others = random.normal(size=(200, 5))
    assert (readout.scores(others).argmax(axis=1) == NearestCentroid().fit(z, labels).predict(others)).all()
