"""Seals: the sizes and hashes by which a run's damaged file is told from a whole one."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ser_lightning.files import read_bytes, read_json, write_whole

# The fields of result.json that have the seals of the run's other files, and its own.
FILES, SEAL = "files", "seal"
# The end of a zip archive without a comment, which torch's checkpoints are, and what a sealed one says in its comment.
END, LENGTH, WORD = b"PK\x05\x06", 22, b"sha256:"


@dataclass(frozen=True)
class Seal:
    """What a file was when it was written: its bytes, and their SHA-256 in hexadecimal digits."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> "Seal":
        """The seal of a file with this content."""
        return cls(len(content), hashlib.sha256(content).hexdigest())

    def check(self, content: bytes) -> None:
        """Raises `ValueError` where this is not what the file was written with."""
        if len(content) != self.size:
            raise ValueError(f"it has {len(content)} bytes, and was written with {self.size}")
        if Seal.of(content) != self:
            raise ValueError("its bytes are not those that were written")


def seal_files(folder: Path, names: Iterable[str]) -> dict[str, Seal]:
    """The seals of those of the files that the folder has."""
    return {name: Seal.of(read_bytes(folder / name)) for name in names if (folder / name).is_file()}


def seal_file(file: Path) -> Path:
    """Where the seal of a file lies that has one beside it."""
    return file.with_suffix(".seal")


def write_with_seal(file: Path, content: bytes) -> None:
    """Write a file, whole or not at all, and its seal beside it."""
    # A file without a seal is as an earlier version left it; another file's seal would be one of damage
    seal_file(file).unlink(missing_ok=True)
    write_whole(file, content)
    write_whole(seal_file(file), json.dumps(asdict(Seal.of(content))))


def read_with_seal(file: Path) -> bytes:
    """What `write_with_seal`, or an earlier version without a seal, wrote.

    Raises as `read_bytes`, and `ValueError` where it is not what was written.
    """
    content = read_bytes(file)
    try:
        seal = read_json(seal_file(file))
        Seal(seal["size"], seal["sha256"]).check(content)
    except FileNotFoundError:
        # An earlier version's, or its process was killed in between
        pass
    except (TypeError, KeyError) as error:
        raise ValueError("its seal is damaged") from error
    return content


def record_seal(record: Mapping[str, Any]) -> str:
    """The SHA-256 of all fields of a record but its own seal, however they are ordered and spaced."""
    content = {name: value for name, value in record.items() if name != SEAL}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_record(record: Mapping[str, Any], beside: str | None = None) -> bool:
    """Whether a record is sealed. Raises `ValueError` where its fields are not those that were written.

    `beside` is a field that only sealed records have, by which one shows whose seal itself has been lost.
    """
    if SEAL not in record:
        if beside in record:
            raise ValueError("its seal is missing")
        return False
    if record[SEAL] != record_seal(record) or (beside is not None and beside not in record):
        raise ValueError("its values are not those that were written")
    return True


def seal_archive(content: bytes) -> bytes:
    """A zip archive without a comment, with one that seals it; what reads archives reads it as before."""
    comment = WORD + hashlib.sha256(content).hexdigest().encode()
    return content[:-2] + len(comment).to_bytes(2, "little") + comment


def check_archive(content: bytes) -> bool:
    """Whether a zip archive is sealed. Raises `ValueError` where it is not what was written."""
    if content[-LENGTH:].startswith(END) and content.endswith(b"\0\0"):
        return False
    archive, comment = content[: -len(WORD) - 64], content[-len(WORD) - 64 :]
    if not archive[-LENGTH:].startswith(END) or seal_archive(archive[:-2] + b"\0\0") != content:
        raise ValueError("its bytes are not those that were written" if comment.startswith(WORD) else "it is cut off")
    return True
