"""Log spectrograms against librosa, on real speech and on a tone."""

import librosa
import numpy as np
import pytest

from ser_lightning.features import LogMel, LogSTFT
from ser_lightning.features.audio import read_audio

STFT = {"n_fft": 1024, "hop_length": 160, "win_length": 640, "window": "hamming", "center": True, "pad_mode": "reflect"}


def librosa_mel(wave, top_db=80):
    power = librosa.feature.melspectrogram(y=wave, sr=16_000, n_mels=128, fmin=0, fmax=8000, power=2.0, **STFT)
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=top_db).T


def librosa_stft(wave, top_db=80):
    power = np.abs(librosa.stft(wave, **STFT)) ** 2 + 1e-8
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=top_db).T


@pytest.mark.parametrize(("ours", "theirs"), [(LogMel(), librosa_mel), (LogSTFT(), librosa_stft)], ids=["mel", "stft"])
def test_equal_to_librosa_on_real_speech(emodb_root, ravdess_root, ours, theirs):
    files = [*sorted((emodb_root / "wav").glob("*.wav"))[::60], *sorted(ravdess_root.glob("Actor_*/*.wav"))[::60]]
    assert len(files) >= 10
    for file in files:
        wave = read_audio(file)
        spectrogram = ours(wave)
        assert spectrogram.shape == (1 + len(wave) // 160, ours.bins)
        assert np.abs(spectrogram - theirs(wave.astype(np.float64))).max() < 1e-3


@pytest.mark.parametrize(("ours", "theirs"), [(LogMel(), librosa_mel), (LogSTFT(), librosa_stft)], ids=["mel", "stft"])
def test_equal_to_librosa_on_noise_of_any_level(ours, theirs):
    rng = np.random.default_rng(0)
    for level in (1e-5, 1e-2, 1.0):
        wave = level * rng.standard_normal(12_345)
        assert np.abs(ours(wave) - theirs(wave)).max() < 1e-3


def test_the_floor_is_80_db_below_the_maximum():
    wave = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    spectrogram = LogSTFT()(wave)
    assert (spectrogram.max() - spectrogram.min()).item() == pytest.approx(80, abs=1e-4)
    assert spectrogram[50].argmax().item() == 1000 * 1024 // 16_000


@pytest.mark.parametrize(("ours", "theirs"), [(LogMel, librosa_mel), (LogSTFT, librosa_stft)], ids=["mel", "stft"])
def test_another_floor_or_none_is_librosas_top_db(ours, theirs):
    rng = np.random.default_rng(1)
    # From loud to silence, so that there is a floor to be seen
    wave = rng.standard_normal(12_345) * np.logspace(0, -9, 12_345)
    for floor in (60.0, None):
        assert np.abs(ours(floor=floor)(wave) - theirs(wave, top_db=floor)).max() < 1e-3
    assert np.ptp(ours(floor=None)(wave)) > 80


def test_too_short_a_wave_is_refused():
    with pytest.raises(ValueError, match="513"):
        LogMel()(np.zeros(512))
