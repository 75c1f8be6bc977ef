"""Functionals against NumPy on the descriptors, and of a tone whose pitch is known."""

import numpy as np

from ser_lightning.features.functionals import HARMONICITY, PITCH, Functionals
from ser_lightning.features.lld import LLD


def tone(hertz, seconds=1.0):
    time = np.arange(round(16_000 * seconds)) / 16_000
    return (0.2 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def test_functionals_are_those_of_the_descriptors():
    rng = np.random.default_rng(0)
    wave = np.concatenate([tone(200), 0.05 * rng.standard_normal(8_000)]).astype(np.float32)
    (row,) = Functionals()(wave)
    frames = LLD()(wave)
    voiced = frames[frames[:, HARMONICITY] > 0]
    assert row.shape == (161,)
    table = row[:160].reshape(5, 32)
    others = np.setdiff1d(np.arange(32), [PITCH, 16 + PITCH])
    for place, function in enumerate(
        [np.mean, np.std, *(lambda x, axis, q=q: np.percentile(x, q, axis=axis) for q in (20, 50, 80))]
    ):
        np.testing.assert_allclose(table[place, others], function(frames, axis=0)[others], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(table[place, PITCH], function(voiced, axis=0)[PITCH], rtol=1e-4)
    assert row[160] == np.float32(len(voiced) / len(frames))
    # two thirds of it are a tone
    assert 0.6 < row[160] < 0.75


def test_the_pitch_is_the_tones():
    (row,) = Functionals()(tone(220))
    assert abs(row.reshape(-1)[64 + 32 + PITCH] - np.log2(220)) < 0.01  # the median


def test_noise_without_a_voice_has_finite_functionals():
    (row,) = Functionals()(0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32))
    assert np.isfinite(row).all()
