"""Low-level descriptors of sounds whose pitch and harmonicity are known."""

import librosa
import numpy as np
import pytest

from ser_lightning.features.lld import LLD, MFCCS

ENERGY, PITCH, CROSSINGS, HARMONICITY = range(MFCCS, MFCCS + 4)
TIME = np.arange(16_000) / 16_000


def voice(pitch, noise=0.0):
    """A second of ten harmonics, with so much white noise for one of their power."""
    harmonics = sum(np.sin(2 * np.pi * pitch * k * TIME) / k for k in range(1, 11))
    hiss = np.random.default_rng(0).standard_normal(len(TIME))
    return (0.1 * (harmonics / harmonics.std() + noise**0.5 * hiss)).astype(np.float32)


@pytest.mark.parametrize("pitch", [100.0, 220.0, 400.0])
def test_the_pitch_of_a_voice(pitch):
    frames = LLD()(voice(pitch))
    assert frames.shape == (101, 32)
    assert 2 ** frames[5:-5, PITCH] == pytest.approx(pitch, rel=0.02)
    assert (frames[5:-5, HARMONICITY] > 20).all()
    assert frames[5:-5, ENERGY] == pytest.approx(-20, abs=1)


@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_the_harmonicity_of_a_voice_in_noise_is_their_ratio(noise):
    harmonicity = LLD()(voice(200.0, noise))[5:-5, HARMONICITY]
    assert np.median(harmonicity) == pytest.approx(-10 * np.log10(noise), abs=1)


def test_zero_crossings_of_a_tone():
    tone = np.sin(2 * np.pi * 300 * TIME + 0.1).astype(np.float32)
    # Two in each of 300 periods a second
    assert LLD()(tone)[5:-5, CROSSINGS] == pytest.approx(600 / 16_000, abs=1 / 400)


def test_cepstral_coefficients_are_librosas_and_deltas_slopes_over_nine_frames():
    wave = voice(150.0, 0.5) * np.linspace(0.1, 1, len(TIME), dtype=np.float32)
    frames = LLD()(wave)
    reference = librosa.feature.mfcc(
        y=wave, sr=16_000, n_mfcc=13, n_fft=400, hop_length=160, window="hamming", n_mels=40
    )
    assert frames[:, :MFCCS] == pytest.approx(reference[1:].T, abs=1e-4)
    plain, deltas = frames[:, :16], frames[:, 16:]
    for now in range(4, len(frames) - 4):
        slope = sum(n * (plain[now + n] - plain[now - n]) for n in range(1, 5)) / (2 * sum(n * n for n in range(1, 5)))
        assert deltas[now] == pytest.approx(slope, abs=1e-3)


@pytest.mark.parametrize("samples", [400, 1000, 16_000])
def test_silence_is_finite(samples):
    frames = LLD()(np.zeros(samples, dtype=np.float32))
    assert frames.shape == (1 + samples // 160, 32)
    assert np.isfinite(frames).all()
    assert (frames[:, HARMONICITY] == -30).all()
