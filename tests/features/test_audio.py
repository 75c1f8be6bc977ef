"""Reading sound: channels, rates, and recordings that hold nothing."""

import numpy as np
import pytest
import soundfile

from ser_lightning.features.audio import BadRecordingError, read_audio


def tone(rate, seconds=1.0, pitch=440):
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)


def test_stereo_is_averaged(tmp_path):
    left, right = tone(16_000), tone(16_000, pitch=300)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_any_rate_becomes_16_khz(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(rate), rate, subtype="FLOAT")
    wave = read_audio(tmp_path / "a.wav")
    assert abs(len(wave) - 16_000) <= 1
    inside = slice(1000, 15_000)
    np.testing.assert_allclose(wave[inside], tone(16_000)[inside], atol=2e-3)


def test_recordings_without_sound_say_why(tmp_path):
    soundfile.write(tmp_path / "zeros.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("this is not audio")
    for name, why in [("zeros", "zero"), ("none", "no samples"), ("nan", "not numbers"), ("text", "not readable")]:
        with pytest.raises(BadRecordingError, match=why):
            read_audio(tmp_path / f"{name}.wav")
