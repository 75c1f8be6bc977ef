"""Raw sound, for encoders that learn their own front end."""

import numpy as np

from ser_lightning.features.audio import RATE

SHIFT = 160  # samples: 10 ms


class Waveform:
    """The samples themselves, 160 in a frame of 10 ms; the last, partial frame is dropped.

    An utterance has mean 0 and variance 1, as Trigeorgis et al. 2016 have it, so that its level plays no part; digital
    silence stays 0.
    """

    sample_rate = RATE
    rate = RATE / SHIFT
    bins = SHIFT
    shortest = SHIFT
    dtype = "float32"
    raw = True

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """The samples [frames, 160], float32, of a wave [samples] at 16 kHz; frames = samples // 160."""
        kept = wave[: len(wave) // SHIFT * SHIFT].astype(np.float64)
        kept -= kept.mean()
        deviation = kept.std()
        return (kept / (deviation if deviation > 0 else 1.0)).reshape(-1, SHIFT).astype(np.float32)
