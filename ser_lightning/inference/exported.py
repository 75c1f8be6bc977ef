"""The folder that `ser export` writes, as it is read again: plain values and tensors, from which no code is run."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from ser_lightning.components import Part
from ser_lightning.components.part import TARGET
from ser_lightning.errors import UserError
from ser_lightning.files import read_bytes, read_json
from ser_lightning.inference.familiar import Familiar
from ser_lightning.inference.network import KINDS, Description, FrontEnds, Network, assemble
from ser_lightning.terminal import visible

# The files of an exported folder beside its graphs and `SIGNATURE.safetensors` of each network
CONFIG, RECORDINGS, CARD = "config.json", "recordings.json", "README.md"
WEIGHTS = ".safetensors"
# Raised when a reader of before would misunderstand what is written now; a further field is no reason
SCHEMA = 1
MEAN, DEVIATION = "normalise.mean", "normalise.deviation"

Line = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class ExportedNetwork:
    """One network of an export.

    Attributes:
        signature: of its run; the name of its weights' file.
        temperature: by which its logits are divided to be calibrated.
        typical_seconds: median length of its training utterances.
        parts: group -> class and settings of a part, as a configuration has them.
    """

    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-z]+$", max_length=64)]
    temperature: Positive
    typical_seconds: Positive | None
    parts: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Contents:
    """What `config.json` says.

    Attributes:
        library, library_version: what wrote it.
        schema: number of the form in which it is written.
        description: which networks these are, in a line.
        limits: what must be known of their answers, in Markdown.
        classes: in the order of logits.
        networks: those that answer.
        recordings: why it is not known which recordings they were trained on; '' where `recordings.json` says it.
        files: name -> SHA-256 of the other files, but the card, which may be written on.
    """

    library: Literal["ser_lightning"]
    library_version: Line
    schema: Annotated[int, Field(ge=1)]
    description: Line
    limits: Annotated[str, StringConstraints(max_length=100_000)]
    classes: Annotated[list[Line], Field(min_length=2)]
    networks: Annotated[list[ExportedNetwork], Field(min_length=1)]
    recordings: str
    files: dict[str, Sha256]


@dataclass(frozen=True)
class ExportedModel:
    """What an exported folder holds.

    Attributes:
        folder: where it lies.
        contents: of its `config.json`.
        networks: ready to answer, in float32.
        familiar: which recordings they were trained on.
    """

    folder: Path
    contents: Contents
    networks: list[Network]
    familiar: Familiar

    @property
    def temperatures(self) -> list[float]:
        """By which each network's logits are divided."""
        return [network.temperature for network in self.contents.networks]

    def __str__(self) -> str:
        return f"exported model {self.folder.name}: {self.contents.description}"


def is_export(folder: Path) -> bool:
    """Whether a folder claims to be what `ser export` writes."""
    return (folder / CONFIG).is_file()


def read_export(folder: Path) -> ExportedModel:
    """What `ser export` wrote, every file held against its SHA-256.

    Only parts that can be exported are made, and only of this package's own classes; nothing is unpickled.

    Raises `UserError` where the folder is another's, truncated or altered.
    """
    contents = read_contents(folder)
    front_ends: FrontEnds = {}
    networks = [_read_network(folder, contents, number, front_ends) for number in range(len(contents.networks))]
    return ExportedModel(folder, contents, networks, _read_familiar(folder, contents))


def read_contents(folder: Path) -> Contents:
    """What `config.json` of an exported folder says. Raises `UserError` where it is none."""
    file = folder / CONFIG
    try:
        values = read_json(file)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{file}: {error}; export the model again") from error
    if not isinstance(values, dict) or values.get("library") != "ser_lightning":
        raise UserError(f"{folder} is no model that `ser export` wrote: its {CONFIG} is another library's")
    if isinstance(values.get("schema"), int) and values["schema"] > SCHEMA:
        version = visible(str(values.get("library_version")))[:20]
        raise UserError(f"{folder} was exported by a later version of ser_lightning ({version}); install that")
    try:
        contents = TypeAdapter(Contents).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = visible(".".join(map(str, first["loc"])))[:80]
        raise UserError(f"{file}: {place}: {first['msg']}; export the model again") from error
    words = [*contents.classes, contents.description, contents.recordings, *contents.limits.splitlines()]
    if any(not word.isprintable() for word in words) or len(set(contents.classes)) < len(contents.classes):
        raise UserError(f"{file} has classes twice, or signs that no name has; export the model again")
    return contents


def _read_network(folder: Path, contents: Contents, number: int, front_ends: FrontEnds) -> Network:
    from safetensors import SafetensorError
    from safetensors.torch import load

    network = contents.networks[number]
    file = folder / f"{network.signature}{WEIGHTS}"
    parts = {group: _read_part(folder, group, network.parts.get(group, {})) for group in KINDS}
    try:
        state = load(_checked(folder, file.name, contents.files))
    except SafetensorError as error:
        raise UserError(f"{file} is no safetensors file ({error}); export the model again") from error
    try:
        moments = (state.pop(MEAN).numpy(), state.pop(DEVIATION).numpy())
    except KeyError as error:
        raise UserError(f"{file} lacks {error}; export the model again") from error
    _refuse_odd_weights(file, state, moments)
    description = Description(network.signature, tuple(contents.classes), "32", network.typical_seconds)
    made = assemble(description, parts, state, moments, file, front_ends)
    if moments[0].shape != (made.front_end.bins,):
        raise UserError(f"{file}: {MEAN} has {moments[0].shape}, and frames {made.front_end.bins} bins")
    return made


def _read_part(folder: Path, group: str, values: Mapping[str, Any]) -> Part:
    from ser_lightning.inference.graph import EXPORTED

    targets = [f"{kind.__module__}.{kind.__qualname__}" for kind in EXPORTED[group]]
    if values.get(TARGET) not in targets:
        name = visible(str(values.get(TARGET)))[:80]
        raise UserError(f"{folder / CONFIG}: {group} is {name}, which is no class that can be exported")
    return KINDS[group].read(values, place=f"{folder / CONFIG}: {group}")


def _refuse_odd_weights(file: Path, state: Mapping[str, torch.Tensor], moments: Sequence[np.ndarray]) -> None:
    """Raise `UserError` where weights are no finite numbers, or moments no vectors that can be divided by."""
    mean, deviation = moments
    odd = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if odd or mean.shape != deviation.shape or not np.isfinite([mean, deviation]).all() or (deviation <= 0).any():
        raise UserError(f"{file}: {(odd or [MEAN])[0]} has values that no network has; export the model again")


def _read_familiar(folder: Path, contents: Contents) -> Familiar:
    if contents.recordings:
        return Familiar({}, reason=contents.recordings)
    _checked(folder, RECORDINGS, contents.files)
    try:
        known = TypeAdapter(dict[str, list[int]]).validate_python(read_json(folder / RECORDINGS))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder / RECORDINGS} does not say which network was trained on what; export the model again"
        ) from error
    trained = [
        {name for name, numbers in known.items() if number in numbers} for number in range(len(contents.networks))
    ]
    return Familiar({name: [name] for name in known}, trained)


def recordings_of(familiar: Familiar) -> dict[str, list[int]]:
    """Content of a recording -> which networks were trained on it, by number, as `recordings.json` has it."""
    everyone = set(range(len(familiar.trained)))
    return {name: sorted(everyone - set(familiar.strangers(name) or ())) for name in familiar.ids}


def _checked(folder: Path, name: str, files: Mapping[str, str]) -> bytes:
    """The content of a file. Raises `UserError` where it is not there, or has another SHA-256."""
    try:
        content = read_bytes(folder / name)
    except (OSError, ValueError) as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise UserError(f"{folder / name} {reason}; export the model again, or copy all of its files") from error
    if files.get(name) != hashlib.sha256(content).hexdigest():
        raise UserError(f"{folder / name} is truncated or altered: its SHA-256 is not that of {CONFIG}; copy it again")
    return content
