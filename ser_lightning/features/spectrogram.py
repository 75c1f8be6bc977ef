"""Log spectrograms, PAPER 1: 40 ms Hamming windows every 10 ms, DFT of 1024, decibels at most 80 below the loudest.

Equal to librosa's (`melspectrogram` or `stft` with center=True, pad_mode="reflect", then `power_to_db`) for the same
input. The transform is computed in float64: in float32, bins far below the maximum are off by more than 1e-3 dB.
"""

import numpy as np
import torch
import torchaudio
from torch import Tensor, nn

from ser_lightning.features.audio import RATE

WINDOW, SHIFT, DFT = 640, 160, 1024  # samples: 40 ms, 10 ms
DFT_BINS = DFT // 2 + 1
FLOOR_DB = 80.0
SMALLEST_POWER = 1e-10


def to_decibels(power: Tensor, floor: float | None = FLOOR_DB) -> Tensor:
    """10 log10 of a power spectrogram [frames, bins], raised to `floor` dB below its maximum; None: not raised."""
    decibels = 10.0 * torch.log10(power.clamp(min=SMALLEST_POWER))
    return decibels if floor is None else decibels.clamp(min=float(decibels.max()) - floor)


class _LogSpectrogram(nn.Module):
    bins: int

    def __init__(self, floor: float | None = FLOOR_DB) -> None:
        super().__init__()
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

    def forward(self, wave: Tensor | np.ndarray) -> Tensor:
        """The spectrogram [frames, bins] in dB, float32, of a wave [samples] at 16 kHz; frames = 1 + samples // 160.

        Raises `ValueError` for fewer than 513 samples, which cannot be padded by reflection.
        """
        if wave.ndim != 1 or wave.shape[0] <= DFT // 2:
            raise ValueError(f"expected one wave of more than {DFT // 2} samples, got shape {tuple(wave.shape)}")
        spectrum = self.transform(torch.as_tensor(wave, dtype=torch.float64)).T  # [frames, 513]
        # Not by torchaudio, which takes the root first
        power = (spectrum.real.square() + spectrum.imag.square()).to(torch.float32)
        return to_decibels(self.scale(power), self.floor)

    def scale(self, power: Tensor) -> Tensor:
        """From DFT power [frames, 513] to the power whose decibels are wanted [frames, bins]."""
        raise NotImplementedError


class LogMel(_LogSpectrogram):
    """128 log-Mel bands, 0-8 kHz, Slaney's scale and area normalisation."""

    bins = 128
    bank: Tensor

    def __init__(self, floor: float | None = FLOOR_DB) -> None:
        super().__init__(floor)
        bank = torchaudio.functional.melscale_fbanks(
            DFT_BINS, 0.0, RATE / 2, self.bins, RATE, norm="slaney", mel_scale="slaney"
        )
        self.register_buffer("bank", bank)  # [513, 128]

    def scale(self, power: Tensor) -> Tensor:
        return power @ self.bank


class LogSTFT(_LogSpectrogram):
    """All 513 DFT bins, 0-8 kHz, with 1e-8 added to the power."""

    bins = DFT_BINS

    def scale(self, power: Tensor) -> Tensor:
        return power + 1e-8


SPECTROGRAMS: dict[str, type[_LogSpectrogram]] = {"logmel": LogMel, "logstft": LogSTFT}


def middle(spectrogram: Tensor, frames: int) -> Tensor:
    """The middle `frames` rows of a longer spectrogram [any, bins]; a shorter one whole."""
    start = max(0, (spectrogram.shape[0] - frames) // 2)
    return spectrogram[start : start + frames]
