"""Raw sound in frames: nothing but its level is changed."""

import numpy as np
import pytest

from ser_lightning.features.waveform import Waveform


def test_frames_are_the_samples_in_order_with_mean_0_and_variance_1():
    wave = np.random.default_rng(0).normal(0.2, 0.05, 1000).astype(np.float32)
    frames = Waveform()(wave)
    # The last 40 samples are no whole frame
    assert frames.shape == (6, 160)
    kept = wave[:960].astype(np.float64)
    assert frames.flatten() == pytest.approx((kept - kept.mean()) / kept.std(), abs=1e-5)


def test_the_level_plays_no_part():
    wave = np.random.default_rng(0).normal(0, 0.05, 1600).astype(np.float32)
    assert Waveform()(0.01 * wave) == pytest.approx(Waveform()(wave), abs=1e-4)


def test_silence_stays_silence():
    assert not Waveform()(np.zeros(800, dtype=np.float32)).any()
