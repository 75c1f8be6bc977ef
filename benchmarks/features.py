"""Log-Mel features of recordings beside librosa's, file by file."""

import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import soundfile

from benchmarks.corpus import configuration
from ser_lightning.corpora import Manifest
from ser_lightning.features.audio import RATE
from ser_lightning.features.front_end import all_frames
from ser_lightning.features.spectrogram import DFT, SHIFT, WINDOW

SECONDS = 4.5


def measure_features(output: Path, files: int, blocks: int) -> dict[str, float]:
    """Hours of sound per minute, interleaved, medians over blocks."""
    folder = output / "cache" / "sound"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    paths = [folder / f"{number:03}.wav" for number in range(files)]
    for path in paths:
        soundfile.write(path, 0.1 * rng.standard_normal(int(SECONDS * RATE)), RATE)
    table = pd.DataFrame({"id": [path.stem for path in paths], "path": [str(path) for path in paths]})
    noise, config = Manifest("noise", ("none",), table), configuration(output).features
    seconds, librosa_seconds = [], []
    for _ in range(blocks + 1):
        start = time.perf_counter()
        for _ in all_frames(noise, config.make(), config, progress=False):
            pass
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        for path in paths[::4]:
            _by_librosa(path)
        librosa_seconds.append(4 * (time.perf_counter() - start))
    hours = files * SECONDS / 3600
    return {
        "hours_per_minute": 60 * hours / median(seconds[1:]),
        "librosa_hours_per_minute": 60 * hours / median(librosa_seconds[1:]),
        "against_librosa": median(librosa_seconds[1:]) / median(seconds[1:]),
    }


def _by_librosa(path: Path) -> np.ndarray:
    """What the first author's time would have written."""
    import librosa

    wave, rate = librosa.load(path, sr=RATE)
    power = librosa.feature.melspectrogram(
        y=wave, sr=rate, n_fft=DFT, win_length=WINDOW, hop_length=SHIFT, window="hamming", pad_mode="reflect"
    )
    decibels: np.ndarray = librosa.power_to_db(power)
    return decibels
