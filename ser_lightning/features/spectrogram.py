"""Log spectrograms, PAPER 1: 40 ms Hamming windows every 10 ms, DFT of 1024, decibels at most 80 below the loudest.

Equal to librosa's (`melspectrogram` or `stft` with center=True, pad_mode="reflect", then `power_to_db`) for the same
input. The transform is computed in float64: in float32, bins far below the maximum are off by more than 1e-3 dB.
"""

from functools import cache
from typing import Annotated, Optional

import numpy as np
import torch
import torchaudio
from pydantic import Field
from torch import Tensor

from ser_lightning.features.audio import RATE

WINDOW, SHIFT, DFT = 640, 160, 1024  # samples: 40 ms, 10 ms
DFT_BINS = DFT // 2 + 1
FLOOR_DB = 80.0
SMALLEST_POWER = 1e-10


def to_decibels(power: Tensor, floor: float | None = FLOOR_DB) -> Tensor:
    """10 log10 of a power spectrogram [frames, bins], raised to `floor` dB below its maximum; None: not raised."""
    decibels = 10.0 * torch.log10(power.clamp(min=SMALLEST_POWER))
    return decibels if floor is None else decibels.clamp(min=float(decibels.max()) - floor)


class LogSpectrogram:
    """A spectrogram in dB; what kind of power it is of, its subclasses say.

    Args:
        floor: dB below an utterance's maximum, the quietest that is kept; null: no floor.
    """

    sample_rate = RATE
    rate = RATE / SHIFT
    # Fewer samples cannot be padded by reflection.
    shortest = DFT // 2 + 1
    dtype = "float32"
    bins: int

    def __init__(self, *, floor: Annotated[Optional[float], Field(gt=0)] = 80.0) -> None:
        self.floor = floor
        self.transform = torchaudio.transforms.Spectrogram(
            n_fft=DFT,
            win_length=WINDOW,
            hop_length=SHIFT,
            window_fn=torch.hamming_window,
            wkwargs={"dtype": torch.float64},
            power=None,
            center=True,
            pad_mode="reflect",
        )

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """The spectrogram [frames, bins] in dB, float32, of a wave [samples] at 16 kHz; frames = 1 + samples // 160.

        Raises `ValueError` for fewer than 513 samples.
        """
        if wave.ndim != 1 or wave.shape[0] < self.shortest:
            raise ValueError(f"expected one wave of {self.shortest} samples or more, got shape {tuple(wave.shape)}")
        spectrum = self.transform(torch.as_tensor(wave, dtype=torch.float64)).T  # [frames, 513]
        # Not by torchaudio, which takes the root first
        power = (spectrum.real.square() + spectrum.imag.square()).to(torch.float32)
        return to_decibels(self.scale(power), self.floor).numpy()

    def scale(self, power: Tensor) -> Tensor:
        """From DFT power [frames, 513] to the power whose decibels are wanted [frames, bins]."""
        raise NotImplementedError


class LogMel(LogSpectrogram):
    """128 log-Mel bands, 0-8 kHz, Slaney's scale and area normalisation."""

    bins = 128

    def scale(self, power: Tensor) -> Tensor:
        """Power in bands [frames, 128]."""
        return power @ _mel_bank()


class LogSTFT(LogSpectrogram):
    """All 513 DFT bins, 0-8 kHz, with 1e-8 added to the power."""

    bins = DFT_BINS

    def scale(self, power: Tensor) -> Tensor:
        """Power [frames, 513]."""
        return power + 1e-8


@cache
def _mel_bank() -> Tensor:
    """Slaney's bank [513, 128]."""
    bands = LogMel.bins
    return torchaudio.functional.melscale_fbanks(
        DFT_BINS, 0.0, RATE / 2, bands, RATE, norm="slaney", mel_scale="slaney"
    )
