"""The extreme learning machine: its last layer is scikit-learn's least squares, and its hidden layer bends."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from ser_lightning.readouts.elm import ELM


def test_the_last_layer_is_weighted_least_squares():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [120, 60, 20])
    z = random.normal(size=(200, 5)) * [1, 10, 1, 1, 1] + labels[:, None]
    readout = ELM(3, units=30)
    readout.fit(z, labels)
    scaled = (z - z.mean(axis=0)) / z.std(axis=0)
    hidden = 1 / (1 + np.exp(-(scaled @ readout.weight + readout.bias)))
    targets = np.where(labels[:, None] == np.arange(3), 1, -1)
    weights = 1 / np.array([120, 60, 20])[labels]
    reference = LinearRegression(fit_intercept=False).fit(hidden, targets, sample_weight=weights)
    assert readout.scores(z) == pytest.approx(reference.predict(hidden), abs=1e-8)


def test_it_recognises_what_no_line_divides():
    random = np.random.default_rng(1)
    z = random.uniform(-1, 1, size=(600, 2))
    labels = (z[:, 0] * z[:, 1] > 0).astype(int)
    readout = ELM(2, units=50)
    readout.fit(z[:400], labels[:400])
    assert np.mean(readout.scores(z[400:]).argmax(axis=1) == labels[400:]) > 0.9


def test_the_same_seed_gives_the_same_scores_and_a_feature_that_never_changes_is_centred():
    z, labels = np.random.default_rng(2).normal(size=(50, 4)), np.arange(50) % 2
    z[:, 3] = 7
    scores = []
    for seed in (0, 0, 1):
        readout = ELM(2, units=20, seed=seed)
        readout.fit(z, labels)
        scores.append(readout.scores(z))
    assert np.array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])
    assert np.isfinite(scores[2]).all()
