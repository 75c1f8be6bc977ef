"""First and second moments of utterances' frames, from sums that are kept: no frame is read again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A bin that varies less than this, such as one of digital silence throughout, is only centred
SMALLEST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Statistics:
    """Sums over the frames of each of some utterances.

    Attributes:
        counts: [utterances] frames.
        sums: [utterances, bins] float64, each bin's sum.
        squares: [utterances, bins] float64, the same of squares.
    """

    counts: np.ndarray
    sums: np.ndarray
    squares: np.ndarray

    def of(self, rows: Sequence[int] | np.ndarray) -> "Statistics":
        """Those of the utterances in these places."""
        chosen = np.asarray(rows)
        return Statistics(self.counts[chosen], self.sums[chosen], self.squares[chosen])

    @property
    def means(self) -> np.ndarray:
        """Each utterance's mean of each bin [utterances, bins]."""
        return self.sums / self.counts[:, None]

    @property
    def deviations(self) -> np.ndarray:
        """Each utterance's standard deviation of each bin [utterances, bins]; 1 where a bin does not vary."""
        return _root(self.squares / self.counts[:, None] - self.means**2)

    def pooled(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation [bins] over all frames of all utterances; 1 where a bin does not vary."""
        count = self.counts.sum()
        mean = self.sums.sum(axis=0) / count
        return mean, _root(self.squares.sum(axis=0) / count - mean**2)

    def normalised(self, shift: np.ndarray, scale: np.ndarray) -> "Statistics":
        """What they are of (frames - shift) / scale, each [utterances, bins]."""
        counts = self.counts[:, None]
        sums = (self.sums - counts * shift) / scale
        squares = (self.squares - 2 * shift * self.sums + counts * shift**2) / scale**2
        return Statistics(self.counts, sums, squares)


def _root(variance: np.ndarray) -> np.ndarray:
    deviation: np.ndarray = np.sqrt(np.where(variance > SMALLEST_VARIANCE, variance, 1.0))
    return deviation
