"""Whether exported graphs say what the networks say here: onnxruntime against torch, on real recordings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ser_lightning.errors import UserError
from ser_lightning.inference.graph import BATCH, LENGTHS, LOGITS, SHORTEST, SIGNAL, SINGLE, Z, together
from ser_lightning.inference.network import Network

# The largest difference of a logit, or a number of z, that may be; of large ones float32 says no more than a share
TOLERANCE, SHARE = 1e-4, 1e-6
LONGEST_SECONDS = 30
# What a quiet recording is multiplied by
QUIET = 1e-4
# Utterances of a batch, whose lengths are unlike and whose ends have NaN behind them
TOGETHER = 4


@dataclass(frozen=True)
class Check:
    """What came of a check.

    Attributes:
        waves: how many recordings, and cuts of them, were answered.
        largest: the largest difference of a logit or a number of z.
    """

    waves: int
    largest: float


def check_graphs(
    folder: Path, networks: Sequence[Network], temperatures: Sequence[float], recordings: Sequence[np.ndarray]
) -> Check:
    """Hold both graphs of a folder against the networks that they were made of.

    Args:
        folder: with `model.onnx` and `batch.onnx`.
        networks, temperatures: as of `Graph`.
        recordings: waves [samples] at the networks' rate; what `cuts` makes of them is answered too.

    Raises `UserError` where a class is another, or a number differs by more than 1e-4 and a millionth of itself.
    """
    waves = cuts(recordings, networks[0].sample_rate)
    expected = [_expected(networks, temperatures, wave) for wave in waves]
    single, batch = (_session(folder / name) for name in (SINGLE, BATCH))
    largest = 0.0
    for wave, (logits, z) in zip(waves, expected, strict=True):
        values = single.run([LOGITS, Z], {SIGNAL: wave[None]})
        largest = max(largest, _difference(SINGLE, values, (logits, z), len(wave)))
    pairs = iter(zip(waves, expected, strict=True))
    while several := list(islice(pairs, TOGETHER)):
        lengths = np.array([len(wave) for wave, _ in several])
        signal = np.full((len(several), lengths.max()), np.nan, dtype=np.float32)
        for row, (wave, _) in zip(signal, several, strict=True):
            row[: len(wave)] = wave
        values = batch.run([LOGITS, Z], {SIGNAL: signal, LENGTHS: lengths})
        wanted = [np.concatenate(one) for one in zip(*(answer for _, answer in several), strict=True)]
        largest = max(largest, _difference(BATCH, values, wanted, lengths.max()))
    return Check(len(waves), largest)


def cuts(recordings: Sequence[np.ndarray], rate: int) -> list[np.ndarray]:
    """Recordings, and made of them: the shortest that there may be and one sample more, 30 s, and a quiet one."""
    speech = np.concatenate(recordings)
    longest = LONGEST_SECONDS * rate
    speech = np.tile(speech, -(-longest // len(speech)))
    quiet = QUIET * speech[: 3 * rate]
    made = [speech[:longest], speech[:SHORTEST], speech[-SHORTEST - 1 :], quiet.astype(np.float32)]
    return [*made, *(wave for wave in recordings if len(wave) >= SHORTEST)]


def _session(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Errors alone
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _expected(
    networks: Sequence[Network], temperatures: Sequence[float], wave: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [1, classes] and z [1, 64 * networks] in float32, whatever the networks were trained in."""
    frames = networks[0].frames(wave)
    pairs = [replace(one, precision="32").answer([one.normalised(frames)]) for one in networks]
    z, logits = zip(*pairs, strict=True)
    return together(logits, temperatures).numpy(), torch.cat(z, dim=1).numpy()


def _difference(name: str, values: Sequence[np.ndarray], wanted: Sequence[np.ndarray], samples: int) -> float:
    largest = float(np.max([np.abs(one - other).max() for one, other in zip(values, wanted, strict=True)]))
    close = [np.allclose(one, other, rtol=SHARE, atol=TOLERANCE) for one, other in zip(values, wanted, strict=True)]
    if not all(close) or (values[0].argmax(axis=1) != wanted[0].argmax(axis=1)).any():
        raise UserError(
            f"{name} says another thing than the network: for {samples} samples they differ by {largest:.2g}, and "
            f"{TOLERANCE:g} is allowed; nothing was written - please report it, with the versions of torch and onnx"
        )
    return largest
