"""Where somebody speaks: a voice, whose level rises and falls as syllables do.

A network has a class for whatever it is given, digital silence too. This detector is no more than a guard against it:
frames that repeat themselves at a voice's fundamental frequency, where the level moves within a second. Both are
ratios, so that a recording's own level plays no part. Steady noise does not repeat itself, hum and tones do not move.
Music, and other voices in the background, do both and are taken for speech; whispering has no voice and is not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# Hz to which sound is reduced: a voice's first harmonics are left
REDUCED = 4000
WINDOW, SHIFT = 160, 64  # reduced samples: 40 ms, 16 ms
# Fundamental frequencies of 62 to 500 Hz
LAGS = np.arange(8, 65)
# Correlation of a frame with itself a period later, from which it is voiced. Of 540 noises of 3 s, white, pink and
# brown, steady, rising and pulsed, none has a single run of such frames; of EmoDB and RAVDESS the worst utterances have
# 0.096 s and 0.3 s
VOICED = 0.45
# dB between the quiet and the loud frames of the second around a frame: syllables have 20 and more, noise 1
MOVING = 6.0
# dB below the loud frames, where no voice is looked for
FLOOR = 30.0
AROUND = 31  # frames: half a second before, half a second behind
# Frames that belong together: fewer are chance
RUN = 3
# Seconds of voice from which a stretch is speech
LEAST = 0.08
BLOCK = 4096  # frames that are looked at at a time


@dataclass(frozen=True)
class Voice:
    """Which frames of a recording have a voice.

    Attributes:
        frames: [frames] whether; the first begins at 0 s.
        shift: seconds from one to the next.
    """

    frames: np.ndarray
    shift: float

    def speaks(self, start: float, end: float) -> bool:
        """Whether there is speech between two times in seconds."""
        first, last = round(start / self.shift), round(end / self.shift)
        return bool(self.frames[first:last].sum() * self.shift >= LEAST - 1e-9)


def find_voice(wave: np.ndarray, rate: int) -> Voice:
    """Where in a wave [samples] of `rate` Hz, 8 kHz or more, somebody speaks."""
    factor = max(1, round(rate / REDUCED))
    whole = wave[: len(wave) // factor * factor].reshape(-1, factor)
    reduced = whole.mean(axis=1, dtype=np.float64)
    # What is left of low rumble has no period
    rising = np.diff(reduced, prepend=reduced[:1])
    frames = sliding_window_view(np.pad(rising, (0, max(0, WINDOW - len(rising)))), WINDOW)[::SHIFT]
    blocks = [frames[start : start + BLOCK] for start in range(0, len(frames), BLOCK)]
    level, periodicity = (np.concatenate(parts) for parts in zip(*map(_measure, blocks), strict=True))
    around = sliding_window_view(np.pad(level, AROUND, mode="edge"), 2 * AROUND + 1)  # [frames, 63]
    ordered = np.sort(around, axis=1)
    quiet, loud = (ordered[:, round(share * 2 * AROUND)] for share in (0.1, 0.9))
    voiced = (periodicity > VOICED) & (loud - quiet > MOVING) & (level > loud - FLOOR)
    return Voice(_in_runs(voiced), SHIFT * factor / rate)


def _measure(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level in dB, and highest correlation with itself a period later, of frames [n, WINDOW]."""
    spectrum = np.fft.rfft(frames, 2 * WINDOW, axis=1)
    products = np.fft.irfft(np.abs(spectrum) ** 2, 2 * WINDOW, axis=1)[:, LAGS]  # [n, lags]
    energy = np.cumsum(frames**2, axis=1)
    whole = energy[:, -1:]
    earlier, later = energy[:, WINDOW - 1 - LAGS], whole - energy[:, LAGS - 1]
    # Of nothing, and of what is left of nothing by rounding, there is no period
    both = np.sqrt(np.maximum(earlier, 0) * np.maximum(later, 0))
    sounding = both > 1e-9 * whole
    correlation = np.divide(products, both, out=np.zeros_like(products), where=sounding)
    smallest = np.finfo(np.float64).tiny
    return 10 * np.log10(np.maximum(whole[:, 0] / WINDOW, smallest)), correlation.max(axis=1)


def _in_runs(voiced: np.ndarray) -> np.ndarray:
    """Those of [frames] that have as many as `RUN` in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voiced, [False]]).astype(int)))
    kept = np.zeros_like(voiced)
    for start, end in edges.reshape(-1, 2):
        kept[start:end] = end - start >= RUN
    return kept
