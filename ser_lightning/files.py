"""Files and folders that are there whole or not at all: what is read while it is renewed is the old or the new one."""

import errno
import json
import os
import platform
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from ser_lightning.errors import UserError

Result = TypeVar("Result")

UNFINISHED = "unfinished"
# Bytes of a text file that a study, run or cache may have; their largest, tables of utterances, have a few million.
LARGEST_TEXT = 2**28


def read_bytes(path: Path) -> bytes:
    """The content of a regular file.

    Raises `FileNotFoundError` where there is none, another `OSError` where it cannot be read at the moment, and
    `ValueError`, with the reason in a few words, where it is no file that could ever be read.
    """
    # A pipe would else be waited for until someone writes to it
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = os.fstat(opened).st_mode
        if stat.S_ISDIR(kind):
            raise ValueError("it is a folder")
        if not stat.S_ISREG(kind):
            raise ValueError("it is not a regular file")
        with open(opened, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(opened)


def read_text(path: Path) -> str:
    """The content of a text file in UTF-8. Raises as `read_bytes`, and `ValueError` where it is none."""
    if (size := path.stat().st_size) > LARGEST_TEXT:
        raise ValueError(f"it has {size} bytes")
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text in UTF-8, see its byte {error.start}") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises as `read_text`, and `ValueError` where it is no JSON."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON, see its line {error.lineno}: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_yaml(path: Path) -> Any:
    """What a YAML file of plain values holds. Raises as `read_text`, and `ValueError` where it is no YAML."""
    return parse_yaml(read_text(path))


def parse_yaml(text: str) -> Any:
    """What YAML of plain values says. Raises `ValueError` where it is none."""
    import yaml

    try:
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", see its line {mark.line + 1}" if mark else ""
        raise ValueError(f"it is not YAML{place}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def write_whole(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file beside its place and move it there when it is on the disk; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _beside(path)
    try:
        with unfinished.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        # A disk that is away may refuse that too; what counts is why the file was not written
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def make_once(path: Path, make: Callable[[], None], intact: Callable[[Path], bool] = Path.exists) -> None:
    """Call `make`, which makes a file or folder, unless it is there; of several processes one does, the others wait.

    What is there is not written to, so that it may lie where nobody can write; what is not `intact` is to be replaced.
    Raises `UserError` where it has to be made and nobody can.
    """
    if intact(path):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock")):
            if not intact(path):
                make()
    except OSError as error:
        # else it is what it is made of that cannot be read
        if not read_only(error) or os.access(path.parent, os.W_OK):
            raise
        raise UserError(
            f"{path} is not there, or damaged, and cannot be made ({error.strerror}); give the command once where "
            f"{path.parent} can be written"
        ) from error


def make_folder_once(folder: Path, fill: Callable[[Path], None], intact: Callable[[Path], bool] = Path.exists) -> None:
    """Make a folder as `make_once` does: `fill` is called with one beside it, which is moved there when complete.

    Of one that is there and not intact, what the new one does not have, such as someone's notes, is kept.
    """

    def make() -> None:
        # Those of processes that were killed; this one alone is at it now.
        for left in folder.parent.glob(f"{folder.name}.*.{UNFINISHED}"):
            shutil.rmtree(left)
        _fill_beside(folder, fill, _move)

    make_once(folder, make, intact)


def write_folder(folder: Path, fill: Callable[[Path], Result]) -> Result:
    """Call `fill` with a new folder beside a folder's place, and move it there in one step when all is on the disk.

    Returns what `fill` does. Raises `OSError` where the place is taken by anything but an empty folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # rename(2) puts it in the place of an empty folder, and of nothing else
    return _fill_beside(folder, fill, os.rename)


def _fill_beside(folder: Path, fill: Callable[[Path], Result], move: Callable[[Path, Path], object]) -> Result:
    unfinished = _beside(folder)
    unfinished.mkdir()
    try:
        result = fill(unfinished)
        for file in unfinished.rglob("*"):
            _to_disk(file)
        move(unfinished, folder)
        return result
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def refuse_unwritable(option: str, path: Path) -> None:
    """Raise `UserError`, in the name of an option, where nothing can be written in the folder that is to hold a path,
    or in what there is above it."""
    parent = next(one for one in path.parents if os.path.lexists(one))
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"{option}: nothing can be written in {parent}; name another place")


def read_only(error: OSError) -> bool:
    """Whether a file could not be written because nobody, or not this user, may."""
    return error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)


def no_space(error: BaseException) -> bool:
    """Whether an error says that a disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _move(made: Path, folder: Path) -> None:
    """Put a folder in its place; where there is one, its entries in the places of those."""
    if not folder.is_dir() or folder.is_symlink():
        folder.unlink(missing_ok=True)
        made.rename(folder)
        return
    for entry in made.iterdir():
        if entry.is_dir():
            _move(entry, folder / entry.name)
        else:
            _remove(folder / entry.name)
            entry.rename(folder / entry.name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def explain_file(error: BaseException) -> str | None:
    """What a file, folder or disk refused, and what to do, in a line; None for errors of another kind."""
    if not isinstance(error, OSError) or error.errno is None:
        return None
    reason = os.strerror(error.errno)
    if no_space(error):
        place = f" while writing {_short(error.filename)}" if error.filename else ""
        return f"the disk is full{place}; free some space and give the same command again: what is finished is kept"
    if error.errno in _LIMITS:
        return f"{reason}; raise the limit ({_LIMITS[error.errno]}) and give the same command again"
    if error.errno in (errno.EIO, errno.ESTALE):
        place = f"{_short(error.filename)}: " if error.filename else ""
        return f"{place}{reason}; see whether disk or network drive is there, and give the same command again"
    if not isinstance(error.filename, (str, bytes, os.PathLike)):
        return None
    return f"{_short(_obstacle(error))}: {reason}; {_REMEDIES.get(error.errno, _ELSEWHERE)}"


_LIMITS = {errno.EMFILE: "ulimit -n", errno.ENFILE: "ulimit -n", errno.EFBIG: "ulimit -f"}
_ELSEWHERE = "paths.output=FOLDER, or $SER_OUTPUT, names another place for all that is written"
_REMEDIES = {
    errno.ENOTDIR: f"move it away, or {_ELSEWHERE}",
    errno.EISDIR: f"move it away, or {_ELSEWHERE}",
    errno.EEXIST: f"move it away, or {_ELSEWHERE}",
    errno.ENAMETOOLONG: "study.name=NAME and paths.output=FOLDER make it shorter",
    errno.ELOOP: "its links lead in a circle; mend them",
}


def _obstacle(error: OSError) -> str:
    """The path that an error is about: of one that leads through a file, that file; of a move, where to."""
    path = Path(os.fsdecode(error.filename2 or error.filename))
    if error.errno == errno.ENOTDIR:
        return str(next((above for above in reversed(path.parents) if above.is_file()), path))
    return str(path)


def _short(name: object) -> str:
    text = os.fsdecode(name) if isinstance(name, (bytes, os.PathLike)) else str(name)
    return text if len(text) <= 200 else f"{text[:80]}...{text[-80:]}"


def absolute(folder: str | Path) -> Path:
    """A folder as the user names it, from the root on, ~ being the home folder. Raises `UserError` where it is none."""
    try:
        return Path(folder).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        # an unknown user's ~, links in a circle, a NUL
        raise UserError(f"{_short(folder)}: {(explain_file(error) or str(error)).splitlines()[0]}") from error


def _beside(path: Path) -> Path:
    """Where this process makes a file: others, on other machines too, may be making the same."""
    return path.with_name(f"{path.name}.{platform.node()}-{os.getpid()}.{UNFINISHED}")


def _to_disk(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
