"""Functionals of low-level descriptors: one row per utterance, for classical classifiers, without openSMILE."""

import numpy as np

from ser_lightning.features.lld import LLD, MFCCS

PERCENTILES = (20, 50, 80)
# Places of a frame's pitch and harmonicity
PITCH, HARMONICITY = MFCCS + 1, MFCCS + 3
# Above it more of a frame is periodic than not
VOICED_DB = 0.0


class Functionals(LLD):
    """Mean, deviation and three percentiles of each descriptor and delta of `LLD`, and the share of voiced frames: 161.

    The pitch, and its delta, are of voiced frames alone, those whose harmonicity is above 0 dB; of all where none is.
    """

    rate = None
    bins = (2 + len(PERCENTILES)) * LLD.bins + 1

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """The functionals [1, 161], float32, of a wave [samples] at 16 kHz."""
        frames = super().__call__(wave)  # [frames, 32]
        voiced = frames[:, HARMONICITY] > VOICED_DB
        chosen = voiced if voiced.any() else np.ones(len(frames), dtype=bool)
        columns = np.arange(LLD.bins)
        is_pitch = columns % (LLD.bins // 2) == PITCH
        row = np.where(is_pitch, _functionals(frames[chosen]), _functionals(frames))  # [5, 32]
        return np.append(row, voiced.mean()).astype(np.float32)[None]


def _functionals(frames: np.ndarray) -> np.ndarray:
    """Mean, deviation and percentiles over time [5, 32]."""
    return np.stack([frames.mean(axis=0), frames.std(axis=0), *np.percentile(frames, PERCENTILES, axis=0)])
