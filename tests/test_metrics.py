"""UA and WA against hand-computed numbers and scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix

from ser_lightning.metrics import confusion_counts, recalls, unweighted_accuracy, weighted_accuracy


def test_by_hand():
    confusion = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 1]])
    assert recalls(confusion).tolist() == [0.8, 0.75, 1.0]
    assert unweighted_accuracy(confusion) == pytest.approx((0.8 + 0.75 + 1.0) / 3)
    assert weighted_accuracy(confusion) == pytest.approx(12 / 15)


@given(seed=st.integers(0, 1000), utterances=st.integers(20, 200))
def test_equal_to_scikit_learn(seed, utterances):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, utterances)])
    predictions = rng.integers(0, 4, len(labels))
    confusion = confusion_counts(labels, predictions, 4)
    assert (confusion == confusion_matrix(labels, predictions)).all()
    assert unweighted_accuracy(confusion) == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert weighted_accuracy(confusion) == pytest.approx(accuracy_score(labels, predictions))


def test_a_class_without_utterances_is_not_averaged_away():
    confusion = np.array([[3, 1], [0, 0]])
    assert math.isnan(unweighted_accuracy(confusion))
    assert math.isnan(recalls(confusion)[1])
