"""Trying to train a run: who is at it and how far, why the last try failed, and that one process at a time tries."""

import json
import os
import platform
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Thread

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from ser_lightning.components.code import place_of
from ser_lightning.errors import NoSpaceError, UserError, ends_the_job
from ser_lightning.files import explain_file, no_space, read_json, write_whole

ATTEMPT = "attempt.json"
# Seconds between signs of life, and without one after which a process on another machine counts as gone.
BEAT, PATIENCE = 1.0, 120.0


@dataclass(frozen=True)
class Attempt:
    """What `attempt.json` in the folder of an unfinished run says; times in seconds since the epoch.

    Attributes:
        host, pid: the process.
        started: when it began.
        seen: its last sign of life.
        step: training steps made.
        failure: why it failed; None while it goes on, and where it was cut off.
        trace: the traceback of a failure that no user could have mended.
    """

    host: str
    pid: int
    started: float
    seen: float
    step: int = 0
    failure: str | None = None
    trace: str | None = None

    def write(self, folder: Path) -> None:
        write_whole(folder / ATTEMPT, json.dumps(asdict(self), indent=1))

    def alive(self, folder: Path) -> bool:
        """Whether its process is still at it: by the lock where it runs here, else by its last sign of life."""
        if self.failure is not None:
            return False
        if self.host == platform.node():
            with suppress(PermissionError):
                return _is_locked(folder)
        return time.time() - self.seen < PATIENCE


def read_attempt(folder: Path) -> Attempt | None:
    """The last try at a run that is not finished; None where there was none."""
    try:
        return TypeAdapter(Attempt).validate_python(read_json(folder / ATTEMPT))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


@contextmanager
def run_lock(folder: Path, wait: bool) -> Iterator[bool]:
    """Whether this process alone may train the run, until the context ends; without `wait`, false where another does.

    The lock lies beside the runs' folders, for a run's own may be cleared.
    """
    _lock_path(folder).parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_lock_path(folder))
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


class Watch:
    """What is told of a try at a run while it goes on: `step` is read once per second."""

    def __init__(self) -> None:
        self.step = 0


@contextmanager
def attempt(folder: Path, code: str | None = None) -> Iterator[Watch]:
    """A try at a run: `attempt.json` has its signs of life, then the reason if it fails, and goes when it succeeds.

    Raises what was raised in it, a full disk as `NoSpaceError`.
    """
    watch, now, done = Watch(), time.time(), Event()
    first = Attempt(platform.node(), os.getpid(), now, now)
    first.write(folder)

    def beat() -> None:
        while not done.wait(BEAT):
            # A disk that is full or away shows where the run writes its own files.
            with suppress(OSError):
                replace(first, seen=time.time(), step=watch.step).write(folder)

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield watch
    except Exception as error:
        _end(done, thread)
        if ends_the_job(error):
            raise
        expected = isinstance(error, UserError) or explain_file(error)
        trace = None if expected else "".join(traceback.format_exception(error))
        with suppress(OSError):
            replace(first, seen=time.time(), step=watch.step, failure=reason_for(error, code), trace=trace).write(
                folder
            )
        if no_space(error):
            raise NoSpaceError(reason_for(error, code)) from error
        raise
    except BaseException:
        _end(done, thread)
        raise
    _end(done, thread)
    (folder / ATTEMPT).unlink()


def _end(done: Event, thread: Thread) -> None:
    done.set()
    thread.join()


def reason_for(error: Exception, code: str | None = None, trace: str = ATTEMPT) -> str:
    """Why a try failed, in a line; with file and line where it was in the user's own `code`.

    `trace` names the file of the run that has the traceback.
    """
    if no_space(error):
        return "the disk is full; free some space and give the same command again"
    if isinstance(error, UserError):
        return str(error)
    if explained := explain_file(error):
        return explained
    message = (str(error).splitlines() or [""])[0]
    return f"{place_of(error, code)}{type(error).__name__}: {message} (its {trace} has the traceback)"


def _lock_path(folder: Path) -> Path:
    return folder.parent / ".locks" / folder.name


def _is_locked(folder: Path) -> bool:
    if not _lock_path(folder).exists():
        return False
    with run_lock(folder, wait=False) as has_lock:
        return not has_lock
