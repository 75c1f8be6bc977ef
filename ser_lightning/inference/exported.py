"""The folder that `ser export` writes, as it is read again: plain values and tensors, from which no code is run."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from ser_lightning.components import Part
from ser_lightning.components.part import TARGET
from ser_lightning.errors import UserError
from ser_lightning.features.front_end import stored_bins
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
# Far beyond what is fitted to logits, and what utterances last
Temperature = Annotated[float, Field(ge=1e-4, le=1e4)]
Seconds = Annotated[float, Field(ge=0.01, le=3600)]
# Bytes of a file, and networks of a folder, at most: what is larger was made to use up a machine
LARGEST = {CONFIG: 2**22, RECORDINGS: 2**26, WEIGHTS: 2**28}
MOST_NETWORKS, LONGEST_SECONDS = 1000, 3600


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
    temperature: Temperature
    typical_seconds: Seconds | None
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
    networks: Annotated[list[ExportedNetwork], Field(min_length=1, max_length=MOST_NETWORKS)]
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
    return (folder / CONFIG).is_file() or any(folder.glob(f"*{WEIGHTS}"))


def read_export(folder: Path) -> ExportedModel:
    """What `ser export` wrote, every file that is read held against its SHA-256.

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
        _refuse_large(file, CONFIG)
        values = read_json(file)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{file}: {error}; export the model again") from error
    if not isinstance(values, dict) or values.get("library") != "ser_lightning":
        raise UserError(f"{folder} is no model that `ser export` wrote: its {CONFIG} is another library's")
    if isinstance(values.get("schema"), int) and values["schema"] > SCHEMA:
        version = _line(values.get("library_version"), 20)
        raise UserError(f"{folder} was exported by a later version of ser_lightning ({version}); install that")
    try:
        contents = TypeAdapter(Contents).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = _line(".".join(map(str, first["loc"])))
        raise UserError(f"{file}: {place}: {first['msg']}; export the model again") from error
    words = [
        contents.library_version,
        *contents.classes,
        contents.description,
        contents.recordings,
        *contents.limits.split("\n"),
    ]
    if any(word != _line(word, len(word)) for word in words):
        raise UserError(f"{file} has signs in its texts that a terminal obeys; export the model again")
    signatures = [network.signature for network in contents.networks]
    for names in (contents.classes, signatures):
        if len(set(names)) < len(names):
            raise UserError(f"{file} has a class or a network twice; export the model again")
    return contents


def _line(value: object, longest: int = 80) -> str:
    """A text of others in a line that a terminal shows as it is."""
    return re.sub(r"[\n\t]", " ", visible(str(value)))[:longest]


def _read_network(folder: Path, contents: Contents, number: int, front_ends: FrontEnds) -> Network:
    network = contents.networks[number]
    file = folder / f"{network.signature}{WEIGHTS}"
    state = _read_tensors(folder, file, contents.files)
    try:
        moments = (state.pop(MEAN).numpy(), state.pop(DEVIATION).numpy())
    except KeyError as error:
        raise UserError(f"{file} lacks {error}; export the model again") from error
    mean, deviation = moments
    if mean.shape != deviation.shape or (deviation <= 0).any():
        raise UserError(f"{file}: {DEVIATION} has values that no network has; export the model again")
    description = Description(network.signature, tuple(contents.classes), "32", network.typical_seconds)
    try:
        parts = {group: _read_part(group, network.parts.get(group, {})) for group in KINDS}
        made = assemble(description, parts, state, moments, file, front_ends)
        _refuse_nonsense(made)
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {_line(error, 300)}") from error
    except (ArithmeticError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        raise UserError(f"{folder / CONFIG}: no network can be made of it ({_line(error, 120)})") from error
    return made


def _read_tensors(folder: Path, file: Path, files: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """The weights of a network, in float32. Raises `UserError` where they are anything else."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        state = load(_checked(folder, file.name, files))
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{file} is no safetensors file ({_line(error)}); export the model again") from error
    for name, tensor in state.items():
        if not name.startswith(("encoder.", "head.", "normalise.")):
            raise UserError(f"{file}: {_line(name)} is of no part of a network; export the model again")
        if tensor.dtype != torch.float32 or not tensor.isfinite().all():
            raise UserError(f"{file}: {_line(name)} has values that no network has; export the model again")
    return state


def _read_part(group: str, values: Mapping[str, Any]) -> Part:
    from ser_lightning.inference.graph import EXPORTED

    targets = [f"{kind.__module__}.{kind.__qualname__}" for kind in EXPORTED[group]]
    if values.get(TARGET) not in targets:
        raise UserError(f"{group} is {_line(values.get(TARGET))}, which is no class that can be exported")
    # Keys of the bench's own would name code to be imported
    if own := [key for key in values if key.startswith("_") and key != TARGET]:
        raise UserError(f"{group} has {_line(own[0])}, which is no setting")
    return KINDS[group].read(values)


def _refuse_nonsense(network: Network) -> None:
    """Raise `UserError` where a network does not take so much sound, or has no finite answer to a second of it."""
    if not network.max_seconds <= LONGEST_SECONDS:
        raise UserError(f"features.max_seconds is {network.max_seconds:g}, and {LONGEST_SECONDS} is the most")
    if network.normalisation.mean.shape != (stored_bins(network.front_end),):
        raise UserError(f"{MEAN} has another length than frames")
    time = np.arange(network.sample_rate) / network.sample_rate
    wave = 0.1 * np.sin(2 * np.pi * 200 * time).astype(np.float32)
    z, logits = network.answer([network.normalised(network.frames(wave))])
    if not (z.isfinite().all() and logits.isfinite().all()):
        raise UserError("the network has no finite answer to a second of sound")


def _read_familiar(folder: Path, contents: Contents) -> Familiar:
    if contents.recordings:
        return Familiar({}, len(contents.networks), contents.recordings)
    content = _checked(folder, RECORDINGS, contents.files)
    try:
        known = TypeAdapter(dict[str, list[int]]).validate_json(content)
    except ValidationError as error:
        raise UserError(
            f"{folder / RECORDINGS} does not say which network was trained on what; export the model again"
        ) from error
    return Familiar(known, len(contents.networks))


def recordings_of(familiar: Familiar) -> dict[str, list[int]]:
    """Content of a recording -> which networks were trained on it, by number, as `recordings.json` has it."""
    return {content: sorted(numbers) for content, numbers in familiar.trained.items()}


def _checked(folder: Path, name: str, files: Mapping[str, str]) -> bytes:
    """The content of a file. Raises `UserError` where it is not there, or has another SHA-256."""
    try:
        _refuse_large(folder / name, name)
        content = read_bytes(folder / name)
    except (OSError, ValueError) as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise UserError(f"{folder / name} {reason}; export the model again, or copy all of its files") from error
    if files.get(name) != hashlib.sha256(content).hexdigest():
        raise UserError(f"{folder / name} is truncated or altered: its SHA-256 is not that of {CONFIG}; copy it again")
    return content


def _refuse_large(file: Path, name: str) -> None:
    """Raise `ValueError` where a file is larger than one that is exported."""
    largest = LARGEST.get(name, LARGEST[WEIGHTS])
    if (size := file.stat().st_size) > largest:
        raise ValueError(f"it has {size} bytes, and {largest} are the most")
