import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from ser_lightning.report.calibration import (
    COLDEST,
    HOTTEST,
    error_by_chance,
    fit_temperature,
    negative_log_likelihood,
    overconfidence,
    probabilities,
    reliability,
)


@pytest.fixture
def results():
    """Logits of 500 utterances [500, 4], rather too sure, and their labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=500)
    return 3 * rng.normal(size=(500, 4)) + 2 * np.eye(4)[labels], labels


def test_the_error_is_torchmetrics(results):
    logits, labels = results
    predicted = probabilities(logits)
    theirs = multiclass_calibration_error(
        torch.tensor(predicted), torch.tensor(labels), num_classes=4, n_bins=15, norm="l1"
    )
    assert reliability(predicted, labels).error == pytest.approx(float(theirs), abs=1e-6)


def test_by_hand():
    # Two in (0.5, 0.6], one right; one in (0.9, 1], certain and wrong; probabilities on an edge belong below it
    predicted = np.array([[0.56, 0.44], [0.6, 0.4], [0.0, 1.0]])
    found = reliability(predicted, np.array([0, 1, 0]), bins=10)
    assert found.confidence == pytest.approx([0.58, 1.0])
    assert found.accuracy.tolist() == [0.5, 0.0]
    assert found.count.tolist() == [2, 1]
    assert found.error == pytest.approx((2 * 0.08 + 1.0) / 3)


def test_a_bin_holds_its_upper_end():
    ends = np.arange(8, 16) / 15
    confidence = np.concatenate([ends, ends - 0.01, [1.0]])
    predicted = np.stack([confidence, 1 - confidence], axis=1)
    found = reliability(predicted, np.zeros(len(predicted), dtype=int))
    assert found.count.tolist() == [2] * 7 + [3]
    assert found.confidence == pytest.approx([*(ends[:-1] - 0.005), 1 - 0.01 / 3])
    assert found.accuracy.tolist() == [1] * 8


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_error_is_torchmetrics_at_any_sharpness(temperature):
    rng = np.random.default_rng(1)
    predicted, labels = probabilities(rng.normal(size=(300, 6)), temperature), rng.integers(6, size=300)
    theirs = multiclass_calibration_error(
        torch.tensor(predicted), torch.tensor(labels), num_classes=6, n_bins=15, norm="l1"
    )
    assert reliability(predicted, labels).error == pytest.approx(float(theirs), abs=1e-6)


def test_likelihood_is_scikit_learns(results):
    logits, labels = results
    for temperature in (1.0, 2.5):
        expected = log_loss(labels, probabilities(logits, temperature))
        assert negative_log_likelihood(logits, labels, temperature) == pytest.approx(expected)


def test_scaled_logits_have_as_much_more_temperature(results):
    logits, labels = results
    found = fit_temperature(logits, labels)
    assert fit_temperature(3 * logits, labels) == pytest.approx(3 * found, rel=1e-3)
    grid = np.geomspace(0.2, 8, 400)
    best = grid[np.argmin([negative_log_likelihood(logits, labels, of) for of in grid])]
    assert found == pytest.approx(best, rel=0.02)
    assert found > 1.5


@given(st.floats(0.1, 15))
def test_the_factor_by_which_true_log_probabilities_were_multiplied_is_found(factor):
    """Of ten utterances seven, two and one are of the three classes, as the probabilities say."""
    logits, labels = np.log([[0.7, 0.2, 0.1]] * 10), np.repeat([0, 1, 2], [7, 2, 1])
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=1e-3)


@given(arrays(np.float64, (12, 4), elements=st.floats(-30, 30)), st.integers(0, 1000))
def test_scaling_changes_no_decision(logits, seed):
    labels = np.random.default_rng(seed).integers(4, size=12)
    temperature = fit_temperature(logits, labels)
    scaled = probabilities(logits, temperature)
    assert COLDEST <= temperature <= HOTTEST
    # Where two classes are equally likely but for rounding, either is right
    chosen = scaled[np.arange(12), logits.argmax(axis=1)]
    assert chosen == pytest.approx(scaled.max(axis=1), rel=1e-9)
    assert scaled.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("gap", [1.0, 2.0, 10.0])
def test_a_part_without_errors_gets_the_coldest_temperature(gap):
    """However sure the network is: its likelihood is flat, to the last digit, long before the end of the range."""
    assert fit_temperature(gap * np.eye(4), np.arange(4)) == pytest.approx(COLDEST, rel=1e-3)


def test_a_part_that_is_all_wrong_gets_the_hottest():
    assert fit_temperature(3 * np.eye(4), (np.arange(4) + 1) % 4) == pytest.approx(HOTTEST, rel=1e-3)


def test_overconfidence_by_hand():
    """Of each utterance what it was sure of, less one where it was right."""
    logits = np.log([[0.7, 0.3], [0.9, 0.1]])
    assert overconfidence(logits, np.array([0, 1])) == pytest.approx([0.7 - 1, 0.9])
    # Of two equally likely classes nothing else can be said
    assert overconfidence(np.zeros((2, 2)), np.array([0, 1])).mean() == pytest.approx(0.0)


def test_the_mean_of_overconfidence_is_confidence_less_accuracy(results):
    logits, labels = results
    expected = probabilities(logits).max(axis=1).mean() - (logits.argmax(axis=1) == labels).mean()
    assert overconfidence(logits, labels).mean() == pytest.approx(expected)


@pytest.mark.parametrize("utterances", [10, 60, 400])
def test_the_error_by_chance_is_that_of_labels_drawn_from_the_probabilities(utterances):
    """A perfectly calibrated model's error on average, in a simulation of whole labels, within four standard errors."""
    rng = np.random.default_rng(2)
    predicted = probabilities(2 * rng.normal(size=(utterances, 4)))
    ends = predicted.cumsum(axis=1)
    errors = [reliability(predicted, (rng.random((utterances, 1)) > ends).sum(axis=1)).error for _ in range(1000)]
    tolerance = 4 * np.std(errors) * np.sqrt(1 / 200 + 1 / 1000)
    assert error_by_chance(predicted, draws=200) == pytest.approx(np.mean(errors), abs=tolerance)
    assert tolerance < 0.25 * np.mean(errors)


def test_the_error_by_chance_of_one_bin_is_the_binomial_distributions():
    """Of n utterances at 0.7 the share of right ones lies |k / n - 0.7| away: summed over all k."""
    for utterances in (5, 50):
        rights = np.arange(utterances + 1)
        distance = stats.binom.pmf(rights, utterances, 0.7) @ np.abs(rights / utterances - 0.7)
        chance = error_by_chance(np.tile([0.7, 0.2, 0.1], (utterances, 1)), draws=4000)
        assert chance == pytest.approx(distance, rel=0.06)


def test_the_fewer_utterances_the_larger_the_error_by_chance():
    """As the root of their number, where bins have many; certainty is never wrong by chance."""
    few, many = (error_by_chance(np.tile([0.7, 0.3], (number, 1))) for number in (25, 400))
    assert few / many == pytest.approx(4, rel=0.2)
    assert error_by_chance(np.eye(4)) == 0
