"""From a run's folder to a network that answers: front end, normalisation, encoder and head as they were trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ser_lightning.components import Part
from ser_lightning.components.groups import shipped_choices
from ser_lightning.components.part import CODE, TARGET
from ser_lightning.components.sources import PACKAGE
from ser_lightning.config import FeaturesConfig, HeadConfig, ModelConfig, NormaliseConfig
from ser_lightning.data.normalise import Normalisation, Normalised
from ser_lightning.errors import UserError
from ser_lightning.features.audio import BadRecordingError
from ser_lightning.features.front_end import FrontEnd, longest_seconds, stored_bins, utterance_frames
from ser_lightning.features.statistics import Statistics
from ser_lightning.identity import digest
from ser_lightning.runs.ledger import BEST, RunResult, read_result
from ser_lightning.runs.varying import name_parts
from ser_lightning.training.checkpoint import CODE as CODE_FOLDER
from ser_lightning.training.checkpoint import read_checkpoint
from ser_lightning.training.network import make_network, use_bf16

# How a run says that its convolutions ran in bfloat16
BF16 = "bf16"
# The parts that a network is made of
KINDS: dict[str, type[Part]] = {
    "features": FeaturesConfig,
    "normalise": NormaliseConfig,
    "model": ModelConfig,
    "head": HeadConfig,
}
# Settings (their class, what they are, the code's folder) -> the front end that was made of them
FrontEnds = dict[str, FrontEnd]


@dataclass(frozen=True)
class TrainingMoments:
    """How frames are normalised: by what is taken away from each utterance's own, then as the training part's.

    Attributes:
        config: the chosen part of the group `normalise`.
        mean, deviation: [bins] float32, over what the frames of the training part have left.
    """

    config: NormaliseConfig
    mean: np.ndarray
    deviation: np.ndarray

    @cached_property
    def part(self) -> Normalisation:
        """What takes something away from each utterance."""
        made: Normalisation = self.config.make()
        return made

    @property
    def needs_others(self) -> bool:
        """Whether an utterance is normalised by more than itself and the training part: by other speech of its
        speaker."""
        return bool(self.part.uses)

    def shift_and_scale(self, statistics: Statistics, speakers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is taken away from the frames of each utterance, and what they are divided by, [utterances, bins].

        Args:
            statistics: sums over the frames of each utterance.
            speakers: [utterances] who speaks; '' where it is unknown.

        Raises `UserError` where a speaker has to be known, and is not.
        """
        shift, scale = (np.asarray(one, dtype=np.float64) for one in self.part.shift_and_scale(statistics, speakers))
        normalised = Normalised(shift, scale, self.mean, self.deviation)
        pair = normalised.of(np.arange(len(speakers)))
        return tuple(np.broadcast_to(one, statistics.sums.shape) for one in pair)  # type: ignore[return-value]


@dataclass(frozen=True)
class Network:
    """A trained recognizer, without what trained it.

    Attributes:
        signature: of its run.
        classes: in the order of logits.
        parts: group -> the chosen part with its settings, of `KINDS`.
        front_end: from sound to frames.
        normalisation: of frames.
        encoder: normalised frames [B, T, stored], zero behind an utterance's end, and lengths [B] to z [B, features].
        head: z to logits [B, classes].
        precision: in which it was trained, as its run says it.
        typical_seconds: median length of its training utterances; None for a run of an earlier version.
    """

    signature: str
    classes: tuple[str, ...]
    parts: Mapping[str, Part]
    front_end: FrontEnd
    normalisation: TrainingMoments
    encoder: nn.Module
    head: nn.Module
    precision: str
    typical_seconds: float | None = None

    @property
    def features(self) -> FeaturesConfig:
        """The settings of the front end."""
        part = self.parts[FeaturesConfig.group]
        assert isinstance(part, FeaturesConfig)
        return part

    @property
    def sample_rate(self) -> int:
        """Hz of the sound that it takes."""
        return self.front_end.sample_rate

    @property
    def max_seconds(self) -> float:
        """Of a longer utterance the middle alone was trained on, or could be."""
        return min(self.features.max_seconds, longest_seconds(self.front_end))

    @property
    def bf16(self) -> bool:
        """Whether the encoder runs under bfloat16 autocast: if it was trained so, and the hardware computes it."""
        return self.precision.startswith(BF16) and use_bf16("auto", torch.device("cpu"))

    @property
    def fewest(self) -> int:
        """Frames that the encoder needs."""
        return int(getattr(self.encoder, "fewest", 1))

    def frames(self, wave: np.ndarray, source: str = "the recording") -> np.ndarray:
        """The frames [T, stored] of a wave [samples] in [-1, 1] at `sample_rate`, of a longer one of its middle.

        `source` is what errors call it. Raises `BadRecordingError` where it is too short for the front end or the
        encoder.
        """
        frames = utterance_frames(self.features, self.front_end, wave, source)
        if len(frames) < self.fewest:
            seconds = len(wave) / self.sample_rate
            raise BadRecordingError(
                f"too short: its {seconds:.2f} s have {len(frames)} frames, and the network needs {self.fewest}"
            )
        return frames

    def normalised(self, frames: np.ndarray) -> Tensor:
        """Normalised frames [T, stored], float32, of an utterance's own [T, stored].

        Raises `UserError` where other speech of the speaker is needed, see `TrainingMoments.shift_and_scale`.
        """
        shift, scale = self.normalisation.shift_and_scale(moments([frames]), np.array([""]))
        return normalise(frames, shift[0], scale[0])

    def answer(self, normalised: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """z [B, features] and logits [B, classes], float32, of the normalised frames [T, stored] of utterances."""
        lengths = torch.tensor([len(one) for one in normalised])
        padded = nn.utils.rnn.pad_sequence(list(normalised), batch_first=True)  # [B, T, stored]
        with torch.inference_mode():
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                z: Tensor = self.encoder(padded, lengths)
            z = z.float()
            return z, self.head(z)


def moments(frames: Sequence[np.ndarray]) -> Statistics:
    """Sums over the frames [T, stored] of each of some utterances."""
    wide = [one.astype(np.float64) for one in frames]
    counts = np.array([len(one) for one in wide])
    return Statistics(
        counts, np.stack([one.sum(axis=0) for one in wide]), np.stack([(one**2).sum(axis=0) for one in wide])
    )


def normalise(frames: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> Tensor:
    """(frames [T, stored] - shift [stored]) / scale [stored], float32."""
    return torch.from_numpy((frames.astype(np.float32) - shift) / scale)


def load_network(folder: Path, trust: bool = False, front_ends: FrontEnds | None = None) -> Network:
    """The network of a finished run, its weights those of the best dev UA, on the CPU.

    Args:
        folder: the run's.
        trust: import code that is not this package's: the copy of a user's own parts in the folder, or another
            installed package, whichever the folder names.
        front_ends: front ends that were made before; networks with equal settings share one.

    Raises `UserError` where the run is unfinished or damaged, or has code of its own and is not trusted.
    """
    result = read_result(folder)
    if result is None:
        raise UserError(f"{folder} is no finished run; `ser status` lists the runs of a study")
    content = read_checkpoint(folder / BEST)
    description, state = content["recognizer"], content["state_dict"]
    if description.get("signature") != folder.name or description.get("classes") != result.classes:
        raise UserError(f"{folder / BEST} is of another run than {folder}; put back a copy of it")
    try:
        mean, deviation = (description[name].numpy() for name in ("mean", "deviation"))
    except (KeyError, AttributeError) as error:
        raise UserError(f"{folder / BEST} has no moments of its training part; put back a copy of it") from error
    parts = read_parts(result, description.get("targets"), folder, trust)
    _refuse_other_content(parts[FeaturesConfig.group], description.get("content"), folder)
    return assemble(
        Description(result.signature, tuple(result.classes), result.precision, description.get("typical_seconds")),
        parts,
        state,
        (mean, deviation),
        folder / BEST,
        front_ends,
    )


def _refuse_other_content(features: Part, content: str | None, folder: Path) -> None:
    """Raise `UserError` where the files that a front end's settings name are not those of its run's training, of which
    `content` is the digest; None: the run is of an earlier version and does not say."""
    if content not in (None, digest(features.content)):
        named = ", ".join(f"features.{key}={value}" for key, value in features.own.items() if isinstance(value, str))
        raise UserError(
            f"{folder} was trained on frames of other files than those that are now at {named}: put those back, or "
            "train it anew"
        )


@dataclass(frozen=True)
class Description:
    """What is said of a network beside its parts; as in `Network`."""

    signature: str
    classes: tuple[str, ...]
    precision: str
    typical_seconds: float | None


def assemble(
    description: Description,
    parts: Mapping[str, Part],
    state: Mapping[str, Tensor],
    mean_and_deviation: tuple[np.ndarray, np.ndarray],
    file: Path,
    front_ends: FrontEnds | None = None,
) -> Network:
    """A network of its parts and their weights, on the CPU.

    Args:
        description: what else is known of it.
        parts: by group, see `KINDS`.
        state: encoder.NAME and head.NAME -> weights.
        mean_and_deviation: [bins] each, of the normalised training part.
        file: where the weights are from, for errors.
        front_ends: front ends that were made before; networks with equal settings share one.

    Raises `UserError` where the weights do not fit the parts.
    """
    features, normalisation, model, head = (parts[group] for group in KINDS)
    assert isinstance(features, FeaturesConfig)
    assert isinstance(normalisation, NormaliseConfig)
    assert isinstance(model, ModelConfig)
    assert isinstance(head, HeadConfig)
    shared: FrontEnds = {} if front_ends is None else front_ends
    key = repr((features.target, features.settings, features.folder))
    if key not in shared:
        shared[key] = features.make()
    front_end = shared[key]
    with torch.random.fork_rng(devices=[]):
        encoder, top = make_network(features, model, head, stored_bins(front_end), len(description.classes))
    try:
        for name, module in (("encoder.", encoder), ("head.", top)):
            module.load_state_dict(
                {key.removeprefix(name): tensor for key, tensor in state.items() if key.startswith(name)}
            )
    except RuntimeError as error:
        raise UserError(
            f"{file} does not fit the parts that its run names: {str(error).splitlines()[-1].strip()}"
        ) from error
    return Network(
        signature=description.signature,
        classes=description.classes,
        parts=parts,
        front_end=front_end,
        normalisation=TrainingMoments(normalisation, *mean_and_deviation),
        encoder=encoder.eval(),
        head=top.eval(),
        precision=description.precision,
        typical_seconds=description.typical_seconds,
    )


def read_parts(
    result: RunResult, targets: Mapping[str, str] | None, folder: Path, trust: bool = False
) -> dict[str, Part]:
    """The parts of a run's network by group: features, normalise, model, head.

    Args:
        result: what the run says of itself.
        targets: group -> module.Class, as the run's checkpoint has it; None: the run is of an earlier version, and its
            parts are found by name among those that ship.
        folder: the run's, which has a copy of the user's own code.
        trust: whether code may be imported that is not this package's.

    Raises `UserError` where a part cannot be found, or is not to be trusted.
    """
    settings = name_parts(result.settings)
    return {
        group: _read_part(kind, settings.get(group, {}), (targets or {}).get(group), folder, trust)
        for group, kind in KINDS.items()
    }


def _read_part(kind: type[Part], settings: Mapping[str, Any], target: str | None, folder: Path, trust: bool) -> Part:
    chosen = f"{kind.group}={settings.get('name')}"
    target = target or next(
        (
            choice.target
            for choice in shipped_choices()
            if choice.group == kind.group and choice.complete.get("name") == settings.get("name")
        ),
        None,
    )
    if target is None:
        raise UserError(
            f"{folder}: {chosen} is no part of this package, and the run, of an earlier version, does not say where it "
            "is written; train it anew"
        )
    if target.startswith(f"{PACKAGE.name}."):
        return kind.read(_complete(kind, settings, target))
    if not trust:
        raise UserError(
            f"{folder}: {chosen} is the class {target}, code that comes with the run and not with this package; look "
            f"at {folder / CODE_FOLDER}, and if you trust it, give --trust"
        )
    code = folder / CODE_FOLDER
    return kind.read({**_complete(kind, settings, target), CODE: code.name}, code if code.is_dir() else None)


def _complete(kind: type[Part], settings: Mapping[str, Any], target: str) -> dict[str, Any]:
    # A run says it of an encoder that is not trained alone
    return {TARGET: target, **({"trained": True} if kind is ModelConfig else {}), **settings}
