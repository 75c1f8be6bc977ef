"""Files by their content: hashes, remembered while nothing says that a file changed, and what carries its own hash."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from ser_lightning.errors import UserError
from ser_lightning.files import make_folder_once, read_json, write_whole

log = logging.getLogger(__name__)

SEAL = "seal.json"
# A file may change again within one tick of its file system's clock: what changed later than this is not remembered
SETTLED = 2.0  # seconds
THREADS, TOGETHER = 8, 16


def hash_files(paths: Sequence[str | Path], register: Path) -> list[str]:
    """The SHA-256 of each file, 64 hexadecimal digits.

    Size, times, and place on the disk decide only whether a file is read again: its hash is then taken from the
    `register`, which is written anew where it can be. Raises `UserError` for a file that cannot be read.
    """
    names = [str(path) for path in paths]
    known = _entries(register)
    # A task for each of 100,000 files costs more than looking at it
    tasks = [names[first : first + TOGETHER] for first in range(0, len(names), TOGETHER)]
    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(lambda task: [_entry(name, known.get(name)) for name in task], tasks)
        entries = dict(zip(names, chain.from_iterable(parts), strict=True))
    latest = time.time_ns() - round(SETTLED * 1e9)
    fresh = {name: entry for name, entry in entries.items() if entry != known.get(name) and max(entry[1:3]) < latest}
    if fresh:
        _remember(register, {**known, **fresh}, set(names))
    return [str(entries[name][-1]) for name in names]


def write_sealed(path: Path, content: Any) -> None:
    """Write any nesting of plain types as JSON that carries its own hash and name."""
    write_whole(path, _sealed(content, path.name))


def read_sealed(path: Path, name: str = "") -> Any:
    """What `write_sealed` wrote; None where there is no such file, or it is not as it was written, or another's.

    `name` is what it is the seal of, if not of itself.
    """
    try:
        outer = read_json(path)
    except (OSError, ValueError):
        return None
    if not isinstance(outer, dict) or outer.get("sha256") != _hash(json.dumps(outer.get("content"))):
        return None
    name = name or path.name
    # Earlier versions told no name
    return outer["content"] if outer.get("name", name) == name else None


def make_sealed_folder(
    folder: Path, fill: Callable[[Path], None], register: Path, accept_unsealed: bool = False
) -> None:
    """Make a folder as `make_folder_once` does, with the hashes of its files; one that is damaged is made anew.

    `register` as in `hash_files`; `accept_unsealed`: a folder without hashes, as of an earlier version, is taken as it
    is.
    """

    def fill_and_seal(unfinished: Path) -> None:
        if folder.exists():
            log.warning("%s is damaged, and made anew", folder)
        fill(unfinished)
        files = sorted(str(file.relative_to(unfinished)) for file in unfinished.rglob("*") if file.is_file())
        hashes = {name: _hash_file(unfinished / name) for name in files}
        (unfinished / SEAL).write_text(_sealed(hashes, folder.name))

    def intact(path: Path) -> bool:
        return (accept_unsealed and path.is_dir() and not (path / SEAL).exists()) or _intact(path, register)

    make_folder_once(folder, fill_and_seal, intact)


def _intact(folder: Path, register: Path) -> bool:
    seal = read_sealed(folder / SEAL, folder.name)
    if isinstance(seal, dict):
        files = [folder / name for name in seal]
        return all(file.is_file() for file in files) and hash_files(files, register) == list(seal.values())
    return False


def _sealed(content: Any, name: str) -> str:
    body = json.dumps(content)
    return f'{{"sha256": "{_hash(body)}",\n"name": {json.dumps(name)},\n"content": {body}}}\n'


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _hash_file(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(name: str, known: list[Any] | None) -> list[Any]:
    """Size, times of change in nanoseconds, inode and hash of a file; the hash is the `known` one if the rest is."""
    try:
        # Before it is read: what changes meanwhile is then read again the next time
        status = Path(name).stat()
        facts = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        return known if known and known[:-1] == facts else [*facts, _hash_file(name)]
    except OSError as error:
        raise UserError(f"{name} cannot be read ({error.strerror})") from error


def _entries(register: Path) -> dict[str, list[Any]]:
    entries = read_sealed(register)
    if not isinstance(entries, dict):
        return {}
    # Another version may have written others
    return {name: entry for name, entry in entries.items() if isinstance(entry, list)}


def _remember(register: Path, entries: dict[str, list[Any]], present: set[str]) -> None:
    """Write a register, less the files that have gone."""
    kept = {name: entry for name, entry in entries.items() if name in present or Path(name).exists()}
    # Without it, as in a cache for all to read, files are hashed again: a second or two for some hours of sound
    with suppress(OSError):
        write_sealed(register, kept)
