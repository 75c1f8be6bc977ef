"""Frame features from before networks saw spectrograms: 16 low-level descriptors and their deltas.

Of the kinds that Han, Yu and Tashev 2014 and Lee and Tashev 2015 name: 12 MFCCs, log energy, pitch, zero crossings and
harmonicity. Their estimators are not to be had; these are librosa's, in 25 ms every 10 ms, the pitch in 40 ms.
"""

import librosa
import numpy as np

from ser_lightning.features.audio import RATE

WINDOW, SHIFT, PITCH_WINDOW = 400, 160, 640  # samples: 25 ms, 10 ms, 40 ms
LOWEST, HIGHEST = 75.0, 500.0  # Hz
MFCCS, MELS = 12, 40
SMALLEST_POWER = 1e-10
# Beyond a share of 0.001 or 0.999 that is periodic nothing can be told apart
LIMIT_DB = 30.0


class LLD:
    """12 MFCCs, log energy, pitch, zero crossings, harmonicity, then the first delta of each: 32 numbers in a frame.

    MFCC 1 to 12 of 40 Mel bands; energy in dB; pitch by YIN in octaves (log2 of Hz), which in unvoiced frames means
    nothing; the share of samples at which the sign changes; harmonicity, the ratio of periodic to other energy in dB,
    from the correlation r of the sound with itself a pitch period later: 10 log10(r / (1 - r)), between -30 and 30.
    Deltas are the slopes over nine frames.
    """

    sample_rate = RATE
    rate: float | None = RATE / SHIFT
    bins = 2 * (MFCCS + 4)
    shortest = WINDOW
    dtype = "float32"

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """The descriptors [frames, 32], float32, of a wave [samples] at 16 kHz; frames = 1 + samples // 160."""
        wave = wave.astype(np.float32)
        mfcc = librosa.feature.mfcc(
            y=wave, sr=RATE, n_mfcc=1 + MFCCS, n_fft=WINDOW, hop_length=SHIFT, window="hamming", n_mels=MELS
        )
        power = librosa.feature.rms(y=wave, frame_length=WINDOW, hop_length=SHIFT) ** 2
        pitch = librosa.yin(wave, fmin=LOWEST, fmax=HIGHEST, sr=RATE, frame_length=PITCH_WINDOW, hop_length=SHIFT)
        crossings = librosa.feature.zero_crossing_rate(wave, frame_length=WINDOW, hop_length=SHIFT)
        energy = 10 * np.log10(np.maximum(power, SMALLEST_POWER))
        # [16, frames]
        descriptors = np.concatenate(
            [mfcc[1:], energy, np.log2(pitch)[None], crossings, harmonicity(wave, pitch)[None]]
        )
        # Not 'interp', which wants nine frames
        deltas = librosa.feature.delta(descriptors, width=9, mode="nearest")
        return np.concatenate([descriptors, deltas]).T.astype(np.float32)


def harmonicity(wave: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Periodic to other energy in dB [frames], -30 to 30, of a wave [samples] with so much pitch [frames] in Hz."""
    half = PITCH_WINDOW // 2
    frames = librosa.util.frame(np.pad(wave, half), frame_length=PITCH_WINDOW, hop_length=SHIFT).T  # [frames, 640]
    periods = np.round(RATE / pitch).astype(int)
    length = PITCH_WINDOW - int(periods.max())
    now = frames[:, :length].astype(np.float64)
    later = np.take_along_axis(frames, periods[:, None] + np.arange(length), axis=1).astype(np.float64)
    energies = np.square(now).sum(axis=1) * np.square(later).sum(axis=1)
    products = (now * later).sum(axis=1)
    r = np.divide(products, np.sqrt(energies), out=np.zeros(len(frames)), where=energies > 0)
    r = np.clip(r, 1e-9, 1 - 1e-9)
    return np.clip(10 * np.log10(r / (1 - r)), -LIMIT_DB, LIMIT_DB)
