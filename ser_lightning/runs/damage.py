"""What is wrong with the files of a run: found by whoever trains or looks closely, before a report stumbles over it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ser_lightning.errors import UserError
from ser_lightning.files import read_bytes, read_yaml
from ser_lightning.runs.ledger import (
    CONFIG,
    FEATURES,
    LAST,
    NEEDED,
    READOUTS,
    DamagedRunError,
    RunResult,
    read_readout_table,
    read_result,
    read_table,
)
from ser_lightning.runs.seal import Seal, check_archive

MISSING = "is missing"


@dataclass(frozen=True)
class Damage:
    """A file of a run that is not what was written.

    Attributes:
        file: which.
        reason: what is wrong with it, e.g. 'is missing'.
        fatal: whether the run has to be trained anew; not for want of what a report can do without, as its parameters.
    """

    file: Path
    reason: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.file.name} {self.reason}"


def find_damage(folder: Path, thorough: bool = True) -> list[Damage]:
    """What is wrong with a run's files, whether it is finished or not.

    Without `thorough` the files beside result.json are looked at from outside, see `damage_beside`. Raises `UserError`
    where a file cannot be read though nothing may be wrong with it.
    """
    try:
        result = read_result(folder)
    except DamagedRunError as error:
        return [Damage(error.file, error.reason)]
    if result is not None:
        return damage_beside(folder, result, thorough)
    if not thorough:
        return []
    checkpoint = folder / LAST
    damage = _look(checkpoint, lambda: check_archive(read_bytes(checkpoint)), fatal=False)
    return [damage] if damage and damage.reason != MISSING else []


def damage_beside(folder: Path, result: RunResult, thorough: bool) -> list[Damage]:
    """What is wrong with the files of a finished run beside its result, which is read already.

    Without `thorough` it is seen only whether they are there, and their sizes. Raises as `find_damage`.
    """
    damages = _sealed(folder, result.files, thorough) if result.files else _unsealed(folder, thorough)
    return [*damages, *(_readouts(folder) if thorough else ())]


def _sealed(folder: Path, seals: Mapping[str, Seal], thorough: bool) -> Iterator[Damage]:
    for name, seal in seals.items():
        file = folder / name
        if damage := _look(file, partial(_check, file, seal, thorough)):
            yield damage


def _check(file: Path, seal: Seal, thorough: bool) -> None:
    if thorough:
        seal.check(read_bytes(file))
    elif (size := file.stat().st_size) != seal.size:
        raise ValueError(f"it has {size} bytes, and was written with {seal.size}")


def _unsealed(folder: Path, thorough: bool) -> Iterator[Damage]:
    """Of a run of an earlier version: what is so damaged that it cannot be read."""
    for name in (*NEEDED, FEATURES):
        file = folder / name
        read = partial(read_yaml, file) if name == CONFIG else partial(read_table, folder, name)
        if damage := _look(file, read if thorough else file.stat):
            yield damage


def _readouts(folder: Path) -> Iterator[Damage]:
    for file in sorted((folder / READOUTS).glob("*.parquet")):
        if damage := _look(file, partial(read_readout_table, file), fatal=False):
            yield damage


def _look(file: Path, read: Callable[[], object], fatal: bool = True) -> Damage | None:
    """What `read` finds wrong with a file. Raises `UserError` where it cannot be read though nothing may be wrong."""
    try:
        read()
    except FileNotFoundError:
        return Damage(file, MISSING, fatal=file.name in NEEDED)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); mend that and repeat the command") from error
    except ValueError as error:
        return Damage(file, f"is damaged ({error})", fatal)
    return None
