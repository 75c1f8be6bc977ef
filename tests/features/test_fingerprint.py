import io
import itertools

import numpy as np
import pytest
import soundfile
import soxr

from ser_lightning.features.fingerprint import ALIKE, BANDS, MOMENTS, fingerprint, number_originals

RATE = 16_000


def speech(seed, seconds=1.6):
    """Noise in changing bands with pauses, unlike for each seed."""
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(int(seconds / 0.2)):
        spectrum = np.fft.rfft(rng.standard_normal(int(0.2 * RATE)))
        frequency = np.fft.rfftfreq(int(0.2 * RATE), 1 / RATE)
        centre = rng.uniform(300, 3000)
        pieces.append(np.fft.irfft(spectrum * np.exp(-(((frequency - centre) / 300) ** 2))) * 10 ** rng.uniform(-1, 0))
    wave = np.concatenate(pieces)
    # A voice begins and ends softly
    ends = np.minimum(1, np.minimum(np.arange(len(wave)), np.arange(len(wave))[::-1]) / (0.1 * RATE))
    return 0.3 * wave / np.abs(wave).max() * ends


def encode(wave, kind):
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format=kind)
    file.seek(0)
    return soundfile.read(file)


@pytest.mark.parametrize(
    "copy",
    [
        lambda wave: (0.2 * wave, RATE),
        lambda wave: (wave[400:-400], RATE),
        lambda wave: (np.concatenate([1e-5 * np.ones(5000), wave, np.zeros(3000)]), RATE),
        lambda wave: (soxr.resample(wave, RATE, 8000), 8000),
        lambda wave: encode(wave, "MP3"),
        lambda wave: encode(wave, "OGG"),
        lambda wave: (wave + 1e-3 * np.random.default_rng(9).standard_normal(len(wave)), RATE),
    ],
    ids=["scaled", "trimmed", "padded", "resampled", "mp3", "ogg", "noise"],
)
def test_a_copy_is_known(copy):
    for seed in range(5):
        wave = speech(seed)
        assert fingerprint(*copy(wave)) @ fingerprint(wave, RATE) > ALIKE


def test_other_recordings_are_not():
    prints = np.stack([fingerprint(speech(seed), RATE) for seed in range(40)])
    alike = prints @ prints.T
    assert np.diag(alike) == pytest.approx(1, abs=1e-5)
    assert alike[~np.eye(40, dtype=bool)].max() < 0.9


def test_what_is_too_short_or_even_is_like_nothing():
    for wave in (np.ones(100), np.zeros(RATE)):
        assert (fingerprint(wave, RATE) == np.zeros(BANDS * MOMENTS)).all()


def test_originals_are_those_of_a_plain_loop(monkeypatch):
    """Equal ones, copies and copies of copies, whichever tile they lie in; what is silent is like nothing."""
    monkeypatch.setattr("ser_lightning.features.fingerprint.TILE", 7)
    rng = np.random.default_rng(0)
    prints = rng.normal(size=(60, 50))
    for copy, recording in ((30, 3), (31, 30), (58, 31), (12, 40)):
        prints[copy] = prints[recording] + rng.normal(scale=0.18, size=50)
    prints /= np.linalg.norm(prints, axis=1, keepdims=True)
    prints[[20, 21, 22]] = 0
    contents = [f"c{number}" for number in range(60)]
    contents[21], prints[55], contents[55] = contents[20], prints[40], contents[40]

    expected = list(range(60))
    for one, other in itertools.combinations(range(60), 2):
        if contents[one] == contents[other] or prints[one] @ prints[other] > ALIKE:
            expected = [expected[one] if name == expected[other] else name for name in expected]
    numbers = number_originals(prints, contents).tolist()
    assert [numbers.index(number) for number in numbers] == [expected.index(name) for name in expected]
    assert sorted(numbers.count(number) for number in set(numbers))[-3:] == [2, 3, 4]
