"""No speech where nobody speaks, and speech in every utterance of EmoDB and RAVDESS, whatever the level."""

from pathlib import Path

import numpy as np
import pytest

from ser_lightning.features.audio import read_audio
from ser_lightning.inference.speech import find_voice

RATE = 16_000
SECONDS = np.arange(3 * RATE) / RATE


def speaks(wave: np.ndarray) -> bool:
    return find_voice(wave, RATE).speaks(0, len(wave) / RATE)


def noise(colour: float, seed: int) -> np.ndarray:
    """Noise of 3 s whose amplitude falls with the frequency to the power of `colour`."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=len(SECONDS)))
    return np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** colour, len(SECONDS))


STEADY, RISING, PULSED = np.ones(len(SECONDS)), (SECONDS / 3) ** 2, np.sin(4 * np.pi * SECONDS) > 0


@pytest.mark.parametrize("shape", [STEADY, RISING, PULSED], ids=["steady", "rising", "pulsed"])
@pytest.mark.parametrize("colour", [0, 0.5, 1], ids=["white", "pink", "brown"])
def test_noise_is_no_speech(colour, shape):
    assert not any(speaks(level * noise(colour, seed) * shape) for seed in range(10) for level in (1e-4, 1))


def test_neither_are_silence_hum_tones_nor_clicks():
    hum = sum(np.sin(2 * np.pi * 50 * k * SECONDS) / k for k in range(1, 9))
    clicks = np.random.default_rng(0).random(len(SECONDS)) < 1e-4
    silences = [np.zeros(3 * RATE), np.full(3 * RATE, 0.1), np.zeros(100), np.zeros(0)]
    sounds = [hum, hum + 0.3 * noise(0, 0), np.sin(2 * np.pi * 200 * SECONDS), clicks.astype(float)]
    assert not any(map(speaks, [*silences, *sounds, *(1e-5 * sound for sound in sounds)]))


def test_a_voice_is_found_where_it_is():
    # A vowel of 150 Hz in syllables, between two seconds of noise each
    voice = sum(np.sin(2 * np.pi * 150 * k * SECONDS[:RATE]) / k for k in range(1, 20))
    syllables = voice * np.clip(np.sin(2 * np.pi * 3 * SECONDS[:RATE]), 0, 1)
    hiss = 1e-3 * noise(0, 0)[: 2 * RATE]
    voice = find_voice(np.concatenate([hiss, syllables, hiss]), RATE)
    assert [voice.speaks(start, start + 1) for start in range(5)] == [False, False, True, False, False]


@pytest.mark.parametrize("corpus", ["emodb", "ravdess"])
def test_every_utterance_of_real_speech_has_a_voice_at_any_level(corpus, request):
    root: Path = request.getfixturevalue(f"{corpus}_root")
    files = sorted(root.rglob("*.wav"))
    waves = [read_audio(file) for file in files]
    assert len(waves) > 300
    assert not [file.name for file, wave in zip(files, waves, strict=True) if not speaks(wave)]
    # The detector divides levels by each other; 16 bits hold as little as this of some recordings of RAVDESS
    assert not [file.name for file, wave in zip(files[::10], waves[::10], strict=True) if not speaks(1e-6 * wave)]


def test_other_rates_are_no_other_speech(ravdess_root):
    file = sorted(ravdess_root.rglob("*.wav"))[0]
    for rate in (8_000, 22_050, 48_000):
        wave = read_audio(file, rate)
        assert find_voice(wave, rate).speaks(0, len(wave) / rate)
