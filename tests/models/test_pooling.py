"""Weighted statistics against NumPy's, and for what has no deviation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ser_lightning.models.pooling import SMALLEST_VARIANCE, equal_weights, mean_and_deviation


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4), offset=st.sampled_from([0, 1000]))
def test_equal_weights_give_the_mean_and_deviation_of_the_valid_frames(lengths, offset):
    frames = torch.randn(len(lengths), 30, 3, generator=torch.Generator().manual_seed(sum(lengths))) + offset
    mean, deviation = mean_and_deviation(frames, equal_weights(frames, torch.tensor(lengths)))
    for row, length in enumerate(lengths):
        valid = frames[row, :length].double().numpy()
        assert mean[row, 0].numpy() == pytest.approx(valid.mean(axis=0), rel=1e-5, abs=1e-6)
        expected = np.maximum(valid.std(axis=0), SMALLEST_VARIANCE**0.5)
        assert deviation[row, 0].numpy() == pytest.approx(expected, rel=1e-3 if offset else 1e-5)


def test_a_head_for_each_set_of_weights():
    frames = torch.tensor([[[0.0], [2.0], [6.0]]])
    weights = torch.tensor([[[0.5, 0.5, 0.0], [0.25, 0.0, 0.75]]])
    mean, deviation = mean_and_deviation(frames, weights)
    assert mean.tolist() == [[[1.0], [4.5]]]
    # sqrt(.25 * 4.5^2 + .75 * 1.5^2)
    assert deviation.tolist() == [[[1.0], [pytest.approx(6.75**0.5)]]]


def test_a_single_frame_has_a_gradient():
    frames = torch.randn(1, 1, 5, requires_grad=True)
    mean, deviation = mean_and_deviation(frames, torch.ones(1, 1, 1))
    (mean.sum() + deviation.sum()).backward()
    assert deviation.tolist() == [[[pytest.approx(SMALLEST_VARIANCE**0.5)] * 5]]
    assert torch.equal(frames.grad, torch.ones(1, 1, 5))
