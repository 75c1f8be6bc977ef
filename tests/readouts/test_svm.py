"""The SVM against what scikit-learn gives for the same, put together by hand."""

import numpy as np
import pytest
from sklearn.metrics import recall_score
from sklearn.svm import SVC, LinearSVC

from ser_lightning.heads.svm import GRID
from ser_lightning.readouts.svm import SVM


def features(classes, seed=0):
    random = np.random.default_rng(seed)
    # Three utterances of class 0 for one of each other
    labels = np.concatenate([np.zeros(30, dtype=int), np.repeat(np.arange(1, classes), 10)])
    return random.normal(size=(len(labels), 6)) + labels[:, None] * [1, 0.5, 0, 0, 0, 0], labels


def by_hand(kernel, C, z, labels, others):
    """Scores [others, classes]."""
    mean, deviation = z.mean(axis=0), z.std(axis=0)
    weights = {label: len(labels) / (labels.max() + 1) / (labels == label).sum() for label in set(labels)}
    width = 1 / z.shape[1]
    machine = (
        LinearSVC(C=C, class_weight=weights, dual=False)
        if kernel == "linear"
        else SVC(C=C, class_weight=weights, gamma=width)
    )
    return machine.fit((z - mean) / deviation, labels).decision_function((others - mean) / deviation)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("C", [0.01, 1.0])
def test_equals_scaling_and_weights_by_hand(kernel, C):
    z, labels = features(4)
    readout = SVM(kernel=kernel, C=C)
    readout.fit(z, labels, (z, labels))
    assert readout.scores(z) == pytest.approx(by_hand(kernel, C, z, labels, z), abs=1e-9)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_c_is_that_of_the_highest_ua_on_dev(kernel):
    z, labels = features(3)
    others, seen = features(3, seed=5)
    chosen = set()
    for seed in range(12):
        keep = np.random.default_rng(seed).permutation(len(seen))[:20]
        dev = others[keep], seen[keep]
        readout = SVM(kernel=kernel)
        readout.fit(z, labels, dev)
        ua = [recall_score(dev[1], by_hand(kernel, C, z, labels, dev[0]).argmax(axis=1), average="macro") for C in GRID]
        best = GRID[ua.index(max(ua))]
        chosen.add(best)
        assert readout.scores(others) == pytest.approx(by_hand(kernel, best, z, labels, others), abs=1e-9)
    assert len(chosen) > 1


def test_two_classes_have_a_score_each():
    z, labels = features(2)
    readout = SVM()
    readout.fit(z, labels, (z, labels))
    scores = readout.scores(z)
    assert scores.shape == (len(z), 2)
    assert (scores[:, 0] == -scores[:, 1]).all()
    assert np.mean(scores.argmax(axis=1) == labels) > 0.6


def test_the_scale_of_a_feature_plays_no_part():
    z, labels = features(3)
    plain, scaled = SVM(), SVM()
    factors = [1, 10, 100, 1, 1, 0.01]
    plain.fit(z, labels, (z, labels))
    scaled.fit(z * factors, labels, (z * factors, labels))
    assert scaled.scores(z * factors) == pytest.approx(plain.scores(z), abs=1e-6)
