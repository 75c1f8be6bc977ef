"""What is wrong with the files of a run: found by whoever trains or looks closely, before a report stumbles over it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ser_lightning.errors import UserError
from ser_lightning.files import read_bytes, read_yaml
from ser_lightning.runs.ledger import (
    CONFIG,
    FEATURES,
    LAST,
    PREDICTIONS,
    READOUTS,
    DamagedRunError,
    RunResult,
    read_readout_table,
    read_result,
    read_table,
)
from ser_lightning.runs.seal import Seal, check_archive

# Without one of these a run cannot be reported.
NEEDED = (CONFIG, PREDICTIONS, FEATURES)


@dataclass(frozen=True)
class Damage:
    """A file of a run that is not what was written.

    Attributes:
        file: which.
        reason: what is wrong with it, e.g. 'is missing'.
        fatal: whether the run has to be trained anew; not for want of what no report needs, as its parameters.
    """

    file: Path
    reason: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.file.name} {self.reason}"


def find_damage(folder: Path, thorough: bool = True) -> list[Damage]:
    """What is wrong with a run's files, whether it is finished or not.

    Without `thorough` the files beside result.json are looked at from outside: whether they are there, and their
    sizes. Raises `UserError` where a file cannot be read though nothing may be wrong with it.
    """
    try:
        result = read_result(folder)
    except DamagedRunError as error:
        return [Damage(error.file, error.reason)]
    if result is None:
        return list(_checkpoint(folder / LAST)) if thorough else []
    found = _sealed(folder, result.files, thorough) if result.files else _unsealed(folder, result, thorough)
    return [*found, *(_readouts(folder) if thorough else ())]


def _sealed(folder: Path, seals: Mapping[str, Seal], thorough: bool) -> Iterator[Damage]:
    for name, seal in seals.items():
        file = folder / name
        try:
            if thorough:
                seal.check(read_bytes(file))
            elif (size := file.stat().st_size) != seal.size:
                raise ValueError(f"it has {size} bytes, and was written with {seal.size}")
        except FileNotFoundError:
            yield Damage(file, "is missing", name in NEEDED)
        except OSError as error:
            raise _unreadable(file, error) from error
        except ValueError as error:
            yield Damage(file, f"is damaged ({error})")


def _unsealed(folder: Path, result: RunResult, thorough: bool) -> Iterator[Damage]:
    """Of a run of an earlier version: what is so damaged that it cannot be read."""
    for name in NEEDED:
        file = folder / name
        try:
            if not thorough:
                file.stat()
            elif name == CONFIG:
                read_yaml(file)
            else:
                read_table(folder, name)
        except FileNotFoundError:
            yield Damage(file, "is missing")
        except OSError as error:
            raise _unreadable(file, error) from error
        except ValueError as error:
            yield Damage(file, f"is damaged ({error})")


def _checkpoint(file: Path) -> Iterator[Damage]:
    try:
        check_archive(read_bytes(file))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(file, error) from error
    except ValueError as error:
        yield Damage(file, f"is damaged ({error})", fatal=False)


def _readouts(folder: Path) -> Iterator[Damage]:
    for file in sorted((folder / READOUTS).glob("*.parquet")):
        try:
            read_readout_table(file)
        except OSError as error:
            raise _unreadable(file, error) from error
        except ValueError as error:
            yield Damage(file, f"is damaged ({error})", fatal=False)


def _unreadable(file: Path, error: OSError) -> UserError:
    return UserError(f"{file} cannot be read ({error.strerror}); mend that and repeat the command")
