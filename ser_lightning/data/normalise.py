"""What is taken away from an utterance's frames before they are normalised by the training part, as all are."""

from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field

from ser_lightning.components import blamed
from ser_lightning.config import NormaliseConfig
from ser_lightning.errors import UserError
from ser_lightning.features.statistics import Statistics

# Of the draw of a speaker's utterances
SEED = 0


class Normalisation(Protocol):
    """What is taken away from each utterance's frames: (frames - shift) / scale.

    What is left is normalised by the mean and deviation of the training part's frames. A class that uses something of
    tested speakers says so in `uses`, a sentence that then stands in every caption, since the protocol alone does not
    tell it. One that cannot do without speakers may have a static method `refuse_unknown(speakers)`, which is asked
    before frames are computed. One that leaves nothing of an utterance of a single row, as functionals are, says
    `needs_frames = True`.

    Attributes:
        uses: what is used of tested speakers beyond the utterance that is classified; '' where nothing is.
    """

    uses: str

    def shift_and_scale(self, statistics: Statistics, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shift and scale, each [utterances, bins], or what broadcasts to it.

        Args:
            statistics: sums over the frames of each utterance of the corpus.
            speakers: [utterances] who speaks, '' where it is unknown.
        """
        ...


class TrainingPart:
    """Nothing is taken away: each bin has mean 0 and deviation 1 over the frames of the training part."""

    uses = ""

    def shift_and_scale(self, statistics: Statistics, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """0 and 1."""
        return np.zeros((1, 1)), np.ones((1, 1))


class Level:
    """Each utterance's own level, one number, the mean over its frames and bins: how loud it was recorded."""

    uses = ""
    # A row of functionals has no bins of one unit, of which the mean would be a level
    needs_frames = True

    def shift_and_scale(self, statistics: Statistics, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The level of each utterance, and 1."""
        return statistics.means.mean(axis=1, keepdims=True), np.ones((1, 1))


class Utterance:
    """Each utterance's own mean of each bin, its long-term spectrum: voice and channel, and part of the emotion.

    Args:
        deviation: its own deviation of each bin too.
    """

    uses = ""
    needs_frames = True

    def __init__(self, *, deviation: bool = False) -> None:
        self.deviation = deviation

    def shift_and_scale(self, statistics: Statistics, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean, and deviation or 1, of each utterance."""
        return statistics.means, statistics.deviations if self.deviation else np.ones((1, 1))


class Speaker:
    """Mean and deviation of each bin over other speech of the same speaker, whose classes are not used.

    Transductive: it needs speech of the tested speaker, and in acted corpora, where each speaker says every class
    equally often, it gives away more than it would in life.

    Args:
        utterances: how many of a speaker's utterances are used, all where there are fewer, drawn at random and the same
            for all folds; null: all.
    """

    def __init__(self, *, utterances: Annotated[int, Field(ge=1)] | None = None) -> None:
        self.utterances = utterances
        number = "all utterances" if utterances is None else f"up to {utterances} utterances"
        self.uses = f"normalised by {number} of each tested speaker, unlabelled (transductive)"

    @staticmethod
    def refuse_unknown(speakers: np.ndarray) -> None:
        """Raise `UserError` where a speaker [utterances] is unknown, ''."""
        unknown = int((speakers == "").sum())
        if unknown:
            raise UserError(
                f"normalise=speaker: the speaker of {unknown} utterances is unknown; normalise=utterance needs none"
            )

    def shift_and_scale(self, statistics: Statistics, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each utterance's speaker.

        Raises `UserError` where a speaker is unknown.
        """
        self.refuse_unknown(speakers)
        shift, scale = np.empty_like(statistics.sums), np.empty_like(statistics.sums)
        rng = np.random.default_rng(SEED)
        for name in sorted(set(speakers.tolist())):
            own = np.flatnonzero(speakers == name)
            drawn = np.sort(rng.permutation(own)[: self.utterances])
            shift[own], scale[own] = statistics.of(drawn).pooled()
        return shift, scale


@dataclass(frozen=True)
class Normalised:
    """How the frames of a fold are normalised: (frames - shift) / scale, then (what is left - mean) / deviation.

    Attributes:
        shift, scale: [utterances, bins], or what broadcasts to it: each utterance's own.
        mean, deviation: [bins] float32, over what the frames of the training part have left.
    """

    shift: np.ndarray
    scale: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both steps in one for some utterances: what is taken away and what is divided by, float32.

        Each [bins] where it is the same for all utterances, else [utterances, bins].
        """
        shift, scale = (one[rows] if len(one) > 1 else one[0] for one in (self.shift, self.scale))
        return (shift + scale * self.mean).astype(np.float32), (scale * self.deviation).astype(np.float32)

    def own(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The first step alone: shift and scale of some utterances [utterances, bins], float32; None where it is the
        same for all."""
        if len(self.shift) == len(self.scale) == 1:
            return None
        shape = (len(rows), len(self.mean))
        pair = (np.broadcast_to(one[rows] if len(one) > 1 else one, shape) for one in (self.shift, self.scale))
        shift, scale = (one.astype(np.float32) for one in pair)
        return shift, scale


def normalise(part: NormaliseConfig, statistics: Statistics, speakers: np.ndarray, train: np.ndarray) -> Normalised:
    """How utterances [utterances] of a corpus are normalised in a fold.

    Args:
        part: what is taken away from each.
        statistics: sums over the frames of each.
        speakers: [utterances].
        train: [utterances] whether it is in the training part.

    Raises `UserError` for a shift or scale of another shape, or that is not finite, or a scale that is not positive.
    """
    normalisation: Normalisation = part.make()
    with blamed(part):
        pair = normalisation.shift_and_scale(statistics, speakers)
        shift, scale = (np.asarray(one, dtype=np.float64) for one in pair)
    shape = statistics.sums.shape
    for noun, values in (("shift", shift), ("scale", scale)):
        if values.ndim != 2 or any(size not in (1, whole) for size, whole in zip(values.shape, shape, strict=True)):
            raise UserError(f"{part.place}: the {noun} has the shape {list(values.shape)}; it should be {list(shape)}")
        if not np.isfinite(values).all() or (noun == "scale" and not (values > 0).all()):
            wanted = "positive" if noun == "scale" else "finite"
            raise UserError(f"{part.place}: the {noun} has values that are not {wanted}")
    mean, deviation = statistics.normalised(shift, scale).of(np.flatnonzero(train)).pooled()
    return Normalised(shift, scale, mean.astype(np.float32), deviation.astype(np.float32))
