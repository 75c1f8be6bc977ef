"""Metrics against hand-computed numbers and scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from ser_lightning.metrics import (
    METRICS,
    confusion_counts,
    macro_f1,
    metric_key,
    recalls,
    scores,
    unweighted_accuracy,
    weighted_accuracy,
    weighted_f1,
)


def test_by_hand():
    confusion = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 1]])
    assert recalls(confusion).tolist() == [0.8, 0.75, 1.0]
    assert unweighted_accuracy(confusion) == pytest.approx((0.8 + 0.75 + 1.0) / 3)
    assert weighted_accuracy(confusion) == pytest.approx(12 / 15)
    # 16 of 10 + 9, 6 of 4 + 5, 2 of 1 + 1
    assert macro_f1(confusion) == pytest.approx((16 / 19 + 6 / 9 + 1) / 3)


@given(seed=st.integers(0, 1000), utterances=st.integers(20, 200))
def test_equal_to_scikit_learn(seed, utterances):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, utterances)])
    predictions = rng.integers(0, 4, len(labels))
    confusion = confusion_counts(labels, predictions, 4)
    assert (confusion == confusion_matrix(labels, predictions)).all()
    assert unweighted_accuracy(confusion) == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert weighted_accuracy(confusion) == pytest.approx(accuracy_score(labels, predictions))
    assert macro_f1(confusion) == pytest.approx(f1_score(labels, predictions, average="macro"))
    assert weighted_f1(confusion) == pytest.approx(f1_score(labels, predictions, average="weighted"))


def test_a_class_without_utterances_is_not_averaged_away():
    confusion = np.array([[3, 1], [0, 0]])
    assert math.isnan(unweighted_accuracy(confusion))
    assert math.isnan(macro_f1(confusion))
    assert math.isnan(recalls(confusion)[1])


def test_a_class_that_is_never_recognised_counts_as_none_and_no_utterance_as_unknown():
    assert macro_f1(np.array([[2, 0], [1, 0]])) == pytest.approx(2 / 5)
    assert math.isnan(weighted_accuracy(np.zeros((2, 2))))


def test_many_matrices_at_once_are_scored_as_one_by_one():
    counts = np.random.default_rng(0).integers(0, 9, (3, 2, 4, 4))
    for metric in METRICS.values():
        values = metric.score(counts)
        assert values.shape == (3, 2)
        assert all(values[place] == metric.score(counts[place]) for place in np.ndindex(3, 2))


def test_the_field_has_several_names_for_a_metric():
    assert [metric_key(name) for name in ("UAR", "war", "accuracy", "Macro F1", "macro_f1", "F1")] == [
        *("ua", "wa", "wa"),
        *["macro_f1"] * 3,
    ]
    with pytest.raises(KeyError):
        metric_key("AUC")


def test_all_scores_of_a_matrix_are_plain_numbers():
    values = scores(np.array([[3, 1], [0, 2]]))
    assert values == {
        "ua": 0.875,
        "wa": pytest.approx(5 / 6),
        "macro_f1": pytest.approx((6 / 7 + 4 / 5) / 2),
        "weighted_f1": pytest.approx((4 * 6 / 7 + 2 * 4 / 5) / 6),
    }
    assert {type(value) for value in values.values()} == {float}
