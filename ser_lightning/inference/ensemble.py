"""From sound to answers: windows, the networks of several folds, calibrated probabilities, and what their mean is."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from ser_lightning.errors import UserError
from ser_lightning.features.audio import BadRecordingError
from ser_lightning.features.front_end import stored_bins
from ser_lightning.features.statistics import Statistics
from ser_lightning.inference.familiar import Familiar
from ser_lightning.inference.network import Network, moments, normalise
from ser_lightning.inference.recordings import Sound
from ser_lightning.inference.speech import find_voice
from ser_lightning.report.calibration import probabilities

NO_SPEECH = "no speech"
OWN = "a recording of the study itself"
# Windows of a long recording overlap by half
OVERLAP = 2
# Seconds of a window where the run, of an earlier version, does not say what it is used to
WINDOW = 3.0
# Utterances or windows of a speaker from which on what they have in common is theirs, and not their own
ENOUGH = 5
# Utterances and windows that are looked at at a time
TOGETHER = 32


@dataclass(frozen=True)
class Answer:
    """What is said of a stretch of a recording.

    Attributes:
        start, end: seconds in the file.
        label: a class, 'no speech', or '' where there is no answer.
        probabilities: class -> calibrated probability, the mean over the networks; empty without a class.
        spread: class -> standard deviation of that over the networks; empty for fewer than two.
        networks: how many answered.
        note: what must be known of the answer, or why there is none.
    """

    start: float
    end: float
    label: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    networks: int = 0
    note: str = ""


@dataclass
class Pending:
    """A recording on its way to its answers.

    Attributes:
        sound: of the recording.
        answering: which networks.
        windows: where those begin and end that are looked at, samples.
        steps: for each stretch that is answered its first and last sample, and the windows that cover it, by number;
            none where nobody speaks.
        note: what must be known of the answers.
        problem: why there are none; '' where there are.
        probabilities: window -> [networks, classes] of the networks that answer; filled as windows are looked at.
    """

    sound: Sound
    answering: list[int]
    windows: list[tuple[int, int]]
    steps: list[tuple[int, int, list[int]]]
    note: str = ""
    problem: str = ""
    probabilities: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return bool(self.problem) or len(self.probabilities) == len(self.windows)


@dataclass(frozen=True)
class Moments:
    """Where an utterance is normalised by more than itself: what is taken away and divided by, for every window in the
    order in which they are looked at.

    Attributes:
        pairs: for each network shift and scale, each [windows, stored].
        heard: how many windows of each speaker there are.
    """

    pairs: list[tuple[np.ndarray, np.ndarray]]
    heard: Mapping[str, int]


class Ensemble:
    """Networks that answer together.

    Args:
        networks: of the same classes and sample rate, e.g. of the folds of one setting.
        temperatures: by which each network's logits are divided.
        familiar: which recordings they were trained on.
        window: seconds, of which longer recordings are cut into windows; None: those longer than the networks were
            trained with, into windows of a typical utterance.

    Raises `UserError` where the networks do not go together, or a window is too short for them.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        temperatures: Sequence[float],
        familiar: Familiar,
        window: float | None = None,
    ) -> None:
        self.networks, self.temperatures, self.familiar = list(networks), list(temperatures), familiar
        first = self.networks[0]
        self.classes, self.rate = first.classes, first.sample_rate
        for one in self.networks:
            if (one.classes, one.sample_rate) != (self.classes, self.rate):
                raise UserError(
                    f"the runs {first.signature} and {one.signature} have other classes or sample rates, and cannot "
                    "answer together; --run chooses one"
                )
        self.longest = min(network.max_seconds for network in self.networks)
        self.least = max(_least_seconds(network) for network in self.networks)
        if window is None:
            typical = float(np.median([network.typical_seconds or WINDOW for network in self.networks]))
            self.window = min(max(typical, self.least), self.longest)
        elif window > self.longest:
            raise UserError(f"--window {window:g}: the networks were trained with {self.longest:g} s at most")
        elif window < self.least:
            raise UserError(f"--window {window:g}: the networks need {self.least:.2f} s")
        else:
            self.window = self.longest = window
        # A front end may be slow to make, and its frames to compute: networks share both
        self.front_ends = {id(network.front_end): network for network in self.networks}

    @cached_property
    def needs_speakers(self) -> bool:
        """Whether utterances are normalised by other speech of their speakers."""
        return any(network.normalisation.needs_others for network in self.networks)

    def plan(self, sound: Sound) -> Pending:
        """What of a recording has to be looked at, and by which networks."""
        strangers = self.familiar.strangers(sound.content)
        answering = list(range(len(self.networks))) if strangers is None else strangers
        problem, note = sound.problem, ""
        if strangers is not None:
            note = f"{OWN}, answered by the {len(strangers)} of {len(self.networks)} networks never trained on it"
        if not answering:
            problem = f"{OWN}, and every network that could answer was trained on it"
        elif not problem and sound.seconds < self.least:
            problem = f"too short: {sound.seconds:.2f} s, and the networks need {self.least:.2f} s"
        if problem:
            return Pending(sound, answering, [], [], problem=problem)
        voice = find_voice(sound.wave, self.rate)
        windows, steps = cut(len(sound.wave), self.longest * self.rate, self.window * self.rate)
        spoken = [voice.speaks(start / self.rate, end / self.rate) for start, end, _ in steps]
        covering = [numbers if speaks else [] for speaks, (*_, numbers) in zip(spoken, steps, strict=True)]
        needed = sorted({number for numbers in covering for number in numbers})
        places = {number: place for place, number in enumerate(needed)}
        return Pending(
            sound,
            answering,
            [windows[number] for number in needed],
            [
                (start, end, [places[number] for number in numbers])
                for (start, end, _), numbers in zip(steps, covering, strict=True)
            ],
            note,
        )

    def answer(
        self, pending: Iterable[Pending], pool: ThreadPoolExecutor, known: Moments | None = None
    ) -> Iterator[tuple[Sound, list[Answer]]]:
        """The answers on each recording, in their order; windows of several are looked at together.

        Args:
            pending: recordings as `plan` has them.
            pool: threads that compute frames.
            known: as `listen` returns it, where `needs_speakers`.
        """
        waiting: deque[Pending] = deque()
        windows: list[tuple[Pending, int]] = []
        seen = 0
        for one in pending:
            waiting.append(one)
            windows += [(one, number) for number in range(len(one.windows))]
            while len(windows) >= TOGETHER:
                self._look(windows[:TOGETHER], pool, known, seen)
                seen += TOGETHER
                del windows[:TOGETHER]
            while waiting and waiting[0].done:
                first = waiting.popleft()
                yield first.sound, self._say(first, known)
        if windows:
            self._look(windows, pool, known, seen)
        for one in waiting:
            yield one.sound, self._say(one, known)

    def listen(self, pending: Iterable[Pending]) -> Moments:
        """How every window is normalised, where that takes other speech of its speaker: all is heard before any is
        answered.

        Raises `UserError` where a speaker has to be known, and is not.
        """
        heard: dict[int, list[Statistics]] = {key: [] for key in self.front_ends}
        speakers: list[str] = []
        for one in pending:
            for number in range(len(one.windows)):
                frames = self._frames(one, number)
                for key, network in self.front_ends.items():
                    # What has no frames has no answer either, but a place in the order
                    empty = np.zeros((0, stored_bins(network.front_end)))
                    heard[key].append(moments([empty if isinstance(frames, str) else frames[key]]))
                speakers.append(one.sound.item.speaker)
        if not speakers:
            return Moments([], {})
        return Moments(
            [
                network.normalisation.shift_and_scale(_together(heard[id(network.front_end)]), np.array(speakers))
                for network in self.networks
            ],
            Counter(speakers),
        )

    def _frames(self, pending: Pending, number: int) -> dict[int, np.ndarray] | str:
        """The frames of a window by each front end, or the reason why there are none."""
        start, end = pending.windows[number]
        wave = pending.sound.wave[start:end]
        try:
            return {key: one.frames(wave, pending.sound.item.file) for key, one in self.front_ends.items()}
        except BadRecordingError as error:
            return str(error)

    def _look(
        self, windows: Sequence[tuple[Pending, int]], pool: ThreadPoolExecutor, known: Moments | None, first: int
    ) -> None:
        """Fill in what the networks say of some windows, of which the first is the `first`-th of all."""
        present = []
        for place, frames in enumerate(pool.map(lambda window: self._frames(*window), windows)):
            pending, number = windows[place]
            if isinstance(frames, str):
                pending.problem = frames
                continue
            pending.probabilities[number] = np.zeros((len(pending.answering), len(self.classes)))
            present.append((place, frames))
        # Of like length together, the longest first
        present.sort(key=lambda pair: -len(next(iter(pair[1].values()))))
        for number, network in enumerate(self.networks):
            chosen = [(place, frames) for place, frames in present if number in windows[place][0].answering]
            if not chosen:
                continue
            own = [frames[id(network.front_end)] for _, frames in chosen]
            if known is None:
                shift, scale = network.normalisation.shift_and_scale(moments(own), np.array([""] * len(own)))
            else:
                places = [first + place for place, _ in chosen]
                shift, scale = (values[places] for values in known.pairs[number])
            normalised = [normalise(*parts) for parts in zip(own, shift, scale, strict=True)]
            _, logits = network.answer(normalised)
            shares = probabilities(logits.double().numpy(), self.temperatures[number])  # [windows, classes]
            for (place, _), share in zip(chosen, shares, strict=True):
                pending, window = windows[place]
                pending.probabilities[window][pending.answering.index(number)] = share

    def _say(self, pending: Pending, known: Moments | None) -> list[Answer]:
        sound = pending.sound
        heard = known.heard.get(sound.item.speaker, 0) if known else ENOUGH
        problem, note = pending.problem, pending.note
        if not problem and pending.windows and heard == 1:
            problem = "no other speech of its speaker was given, by which it could be normalised (normalise=speaker)"
        if problem:
            return [Answer(sound.start, sound.start + sound.seconds, note=problem)]
        if heard < ENOUGH:
            note = "; ".join(filter(None, [note, f"normalised by {heard} utterances of its speaker alone"]))
        answers = []
        for start, end, numbers in pending.steps:
            times = (sound.start + start / self.rate, sound.start + end / self.rate)
            if not numbers:
                answers.append(Answer(*times, label=NO_SPEECH, note=note))
                continue
            # Smoothed: the mean over the windows that cover it, [networks, classes]
            shares = np.mean([pending.probabilities[number] for number in numbers], axis=0)
            mean = shares.mean(axis=0)
            spread = shares.std(axis=0, ddof=1) if len(shares) > 1 else []
            answers.append(
                Answer(
                    *times,
                    label=self.classes[int(mean.argmax())],
                    probabilities=dict(zip(self.classes, mean.tolist(), strict=True)),
                    spread=dict(zip(self.classes, map(float, spread), strict=False)),
                    networks=len(shares),
                    note=note,
                )
            )
        return answers


def cut(samples: int, longest: float, window: float) -> tuple[list[tuple[int, int]], list[tuple[int, int, list[int]]]]:
    """Windows of a recording, and the stretches of it that are answered, with the windows that cover each.

    One of `longest` samples and less is one window and one stretch. Others have windows that overlap by half, the last
    one up to the end, and a stretch for each half; the mean of the windows that cover it smooths what is said of it.

    >>> cut(10, 10, 4)
    ([(0, 10)], [(0, 10, [0])])
    >>> windows, steps = cut(8, 7, 4)
    >>> windows
    [(0, 4), (2, 6), (4, 8)]
    >>> steps
    [(0, 2, [0]), (2, 4, [0, 1]), (4, 6, [1, 2]), (6, 8, [2])]
    """
    if samples <= longest:
        return [(0, samples)], [(0, samples, [0])]
    size = round(window)
    half = size // OVERLAP
    starts = [*range(0, samples - size, half), samples - size]
    windows = [(start, start + size) for start in starts]
    # What is left at the end is a stretch of its own from half of one on
    edges = [*range(0, samples - (half + 1) // 2 + 1, half), samples]
    steps = []
    for place, (start, end) in enumerate(pairwise(edges)):
        # Of a window for each half those nearby, and the last one
        nearby = sorted({*range(max(0, place - OVERLAP), min(place + OVERLAP, len(windows))), len(windows) - 1})
        covering = [
            number
            for number in nearby
            if min(windows[number][1], end) - max(windows[number][0], start) >= (end - start) / 2
        ]
        steps.append((start, end, covering))
    return windows, steps


def _least_seconds(network: Network) -> float:
    """What a network needs, about: a front end may make a frame more or less."""
    frames = (network.fewest - 1) / network.front_end.rate if network.front_end.rate else 0.0
    return max(frames, network.front_end.shortest / network.sample_rate)


def _together(parts: Sequence[Statistics]) -> Statistics:
    return Statistics(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("counts", "sums", "squares"))
    )
