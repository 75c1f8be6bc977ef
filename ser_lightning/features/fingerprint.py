"""A small fingerprint of a recording, by which a copy is known though it was trimmed, scaled or encoded anew."""

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, pairwise

import numpy as np
from numpy.typing import NDArray

# Between these frequencies, in Hz, lies what any sample rate and codec keeps
LOWEST, HIGHEST = 100.0, 3400.0
BANDS, MOMENTS = 12, 24
FRAME = 0.032  # seconds
# Below the loudest frame by more than this is no speech, and below the loudest cell nothing is looked at
SILENCE, FLOOR = 30.0, 45.0  # dB
# Cosine of two fingerprints above which they are of one recording: on EmoDB and RAVDESS two recordings reach 0.964 at
# most, and of copies that were trimmed, padded, scaled, resampled, or encoded as MP3 or Ogg nineteen in twenty more
ALIKE = 0.975
TILE = 2048  # recordings that are compared with as many others at a time


def fingerprint(mono: NDArray[np.floating], rate: int) -> NDArray[np.float32]:
    """Energies in dB of speech between its first and last loud frame, by band and moment [BANDS * MOMENTS].

    Mean 0 and length 1, so that the cosine of two is their product and loudness has no part in it. Zeros where the
    recording is too short, or silent.

    Args:
        mono: samples [n].
        rate: samples per second.
    """
    size = round(FRAME * rate)
    if len(mono) < 4 * size:
        return np.zeros(BANDS * MOMENTS, dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(mono, size)[:: size // 4] * np.hanning(size)  # [frames, size]
    power = np.abs(np.fft.rfft(frames)) ** 2  # [frames, frequencies]
    frequency = np.fft.rfftfreq(size, 1 / rate)
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 1)
    inside = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
    bands = np.stack([power[:, chosen].sum(axis=1) for chosen in inside])  # [BANDS, frames]
    loudness = bands.sum(axis=0)
    if not loudness.max() > 0:
        return np.zeros(BANDS * MOMENTS, dtype=np.float32)
    loud = np.flatnonzero(loudness > loudness.max() * 10 ** (-SILENCE / 10))
    speech = bands[:, loud[0] : loud[-1] + 1]  # [BANDS, frames]
    # Each moment is a mean over its share of the frames; where these are fewer, between neighbours
    sums = np.concatenate([np.zeros((BANDS, 1)), np.cumsum(speech, axis=1)], axis=1)
    places = np.linspace(0, speech.shape[1], MOMENTS + 1)
    cumulated = np.stack([np.interp(places, np.arange(sums.shape[1]), band) for band in sums])
    energy = np.maximum(np.diff(cumulated, axis=1), 0)
    decibel = 10 * np.log10(np.maximum(energy, energy.max() * 10 ** (-FLOOR / 10)))
    centred = decibel - decibel.mean()
    length = float(np.linalg.norm(centred))
    return (centred / length if length else centred).ravel().astype(np.float32)


def number_originals(fingerprints: NDArray[np.floating], contents: Sequence[str]) -> NDArray[np.int64]:
    """Which recordings are of one original [n]: those of equal content, and copies, and copies of copies.

    Args:
        fingerprints: [n, BANDS * MOMENTS], as `fingerprint` makes them.
        contents: names of their samples [n].
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, first, content = np.unique(np.asarray(contents, dtype=str), return_index=True, return_inverse=True)
    originals = np.arange(len(first))
    for pairs in _alike(np.asarray(fingerprints, dtype=np.float32)[first]):
        left, right = originals[pairs].T
        other = left != right
        if other.any():
            edges = coo_array((np.ones(other.sum()), (left[other], right[other])), shape=(len(first), len(first)))
            originals = connected_components(edges, directed=False)[1][originals]
    return originals[content].astype(np.int64)


def _alike(prints: NDArray[np.float32]) -> Iterator[NDArray[np.int64]]:
    """Pairs of rows [pairs, 2] of which one is a copy of the other, tile by tile, for all at once fill the memory."""
    for left, right in combinations_with_replacement(range(0, len(prints), TILE), 2):
        products = prints[left : left + TILE] @ prints[right : right + TILE].T
        yield np.argwhere(products > ALIKE) + np.array([left, right])
