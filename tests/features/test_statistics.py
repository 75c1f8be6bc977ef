"""Moments from sums against NumPy on the frames themselves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ser_lightning.features.statistics import Statistics


def statistics(utterances):
    sums, squares = (np.array([(frames**power).sum(axis=0) for frames in utterances]) for power in (1, 2))
    return Statistics(np.array([len(frames) for frames in utterances]), sums, squares)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 99))
def test_moments_are_those_of_the_frames(lengths, seed):
    rng = np.random.default_rng(seed)
    utterances = [rng.normal(-30, 12, (length, 3)) for length in lengths]
    known = statistics(utterances)
    frames = np.concatenate(utterances)
    mean, deviation = known.pooled()
    np.testing.assert_allclose(mean, frames.mean(axis=0))
    np.testing.assert_allclose(known.means, [one.mean(axis=0) for one in utterances])
    if len(frames) > 1:
        np.testing.assert_allclose(deviation, frames.std(axis=0), rtol=1e-6)
    shift, scale = rng.normal(size=(len(lengths), 3)), rng.uniform(0.5, 2, (len(lengths), 3))
    moved = [(one - shift[row]) / scale[row] for row, one in enumerate(utterances)]
    np.testing.assert_allclose(known.normalised(shift, scale).sums, statistics(moved).sums, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(known.normalised(shift, scale).squares, statistics(moved).squares, rtol=1e-9)
    np.testing.assert_array_equal(known.of([0]).sums, known.sums[:1])


def test_what_does_not_vary_has_deviation_one():
    known = statistics([np.array([[2.0, 1.0], [2.0, 3.0]])])
    assert known.deviations.tolist() == [[1.0, 1.0]]
    assert [part.tolist() for part in known.pooled()] == [[2.0, 2.0], [1.0, 1.0]]
