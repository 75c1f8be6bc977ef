"""The SVM against what scikit-learn gives for the same, put together by hand."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from ser_lightning.readouts.svm import SVM


def features(classes, seed=0):
    random = np.random.default_rng(seed)
    # Three utterances of class 0 for one of each other
    labels = np.concatenate([np.zeros(30, dtype=int), np.repeat(np.arange(1, classes), 10)])
    return random.normal(size=(len(labels), 6)) + labels[:, None] * [1, 0.5, 0, 0, 0, 0], labels


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_equals_scaling_and_weights_by_hand(C):
    z, labels = features(4)
    readout = SVM(C=C)
    readout.fit(z, labels)
    scaled = (z - z.mean(axis=0)) / z.std(axis=0)
    weights = {label: len(labels) / (4 * (labels == label).sum()) for label in range(4)}
    direct = LinearSVC(C=C, class_weight=weights, dual=False).fit(scaled, labels)
    assert readout.scores(z) == pytest.approx(direct.decision_function(scaled), abs=1e-9)


def test_two_classes_have_a_score_each():
    z, labels = features(2)
    readout = SVM()
    readout.fit(z, labels)
    scores = readout.scores(z)
    assert scores.shape == (len(z), 2)
    assert (scores[:, 0] == -scores[:, 1]).all()
    assert np.mean(scores.argmax(axis=1) == labels) > 0.6


def test_the_scale_of_a_feature_plays_no_part():
    z, labels = features(3)
    plain, scaled = SVM(), SVM()
    plain.fit(z, labels)
    scaled.fit(z * [1, 10, 100, 1, 1, 0.01], labels)
    assert scaled.scores(z * [1, 10, 100, 1, 1, 0.01]) == pytest.approx(plain.scores(z), abs=1e-6)
