"""Commands in processes of their own, in surroundings of all kinds, and system calls of theirs that fail."""

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.forked import Forks
from tests.installation import TOP

# Seconds that a command may take
DEADLINE = 240
MODULES = {
    "train": "ser_lightning.train",
    "status": "ser_lightning.status",
    "report": "ser_lightning.report.__main__",
    "doctor": "ser_lightning.doctor",
}
# What the commands import only when they need it
LATER = (
    "hydra",
    "ser_lightning.training.run",
    "ser_lightning.report.sweep",
    "ser_lightning.report.study",
    "ser_lightning.report.examination",
    "ser_lightning.data.audit",
)
SHORT, KILL = -1, -2  # see injector.c


@dataclass(frozen=True)
class Blow:
    """A system call that fails.

    Attributes:
        below: the folder that the file is in.
        call: e.g. "rename".
        pattern: of the file's path from that folder on.
        number: which of these calls on such files, from 1 on; 0: none, all are told.
        what: an errno, `SHORT` or `KILL`.
        lasting: whether all later ones fail too, on whatever is in the folder.
    """

    below: str
    call: str = ""
    pattern: str = ""
    number: int = 0
    what: int = 0
    lasting: bool = False


@dataclass(frozen=True)
class Command:
    """A command and what it finds itself in.

    Attributes:
        name: of `MODULES`.
        words: what is typed behind it.
        environment: what differs from the present one; None: not set.
        streams: for 1 and 2, "closed", "unread", or a file in place of the one that is read afterwards.
        limits: of `resource`, e.g. RLIMIT_NOFILE.
        gone: whether the working folder is removed.
        blow: the system call that fails.
    """

    name: str
    words: Sequence[str] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    streams: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    gone: bool = False
    blow: Blow | None = None


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit status, below 0 for a signal, what it printed, and which call was struck.

    Of a `Blow` that strikes none, `struck` has all calls, a line each.
    """

    status: int
    output: str
    error: str
    struck: str


@cache
def forks() -> Forks:
    """The process that commands are forked from; where a C compiler is, system calls of theirs can be made to fail."""
    modules = [*MODULES.values(), *LATER]
    if not can_strike():
        return Forks(modules, PYTHONPATH=str(TOP))
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "injector.so"
        source = Path(__file__).with_name("injector.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        return Forks(modules, PYTHONPATH=str(TOP), LD_PRELOAD=str(library))


def can_strike() -> bool:
    """Whether what makes system calls fail can be compiled here."""
    return sys.platform == "linux" and shutil.which("cc") is not None


class Shell:
    """Commands, one after the other, each in a forked process, or in a fresh one.

    Args:
        folder: for what they print.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        # Of commands that were called in this process some variables are left, by which errors would be traced
        own = {name: value for name, value in os.environ.items() if name not in ("HYDRA_FULL_ERROR", "PYTHONSAFEPATH")}
        self.present = {**own, "PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1"}

    def run(self, command: Command, fresh: bool = False) -> Outcome:
        """What a command comes to."""
        printed = [self.folder / name for name in ("stdout", "stderr", "struck")]
        for file in printed:
            file.write_text("")
        place = self.folder / "here"
        place.mkdir(exist_ok=True)
        asked = {**asdict(command), "folder": str(self.folder)}
        environment = _changed(self.present, command.environment)
        status = _fresh(asked, environment) if fresh else self._forked(asked, environment)
        shutil.rmtree(place, ignore_errors=True)
        return Outcome(status, *(file.read_text(errors="replace") for file in printed))

    def _forked(self, asked: Mapping[str, Any], environment: Mapping[str, str]) -> int:
        return forks().call(do, self.folder / "stdout", environment, asked=asked).wait(DEADLINE)


def _fresh(asked: Mapping[str, Any], environment: Mapping[str, str]) -> int:
    words = [sys.executable, "-m", __name__, json.dumps(asked)]
    return subprocess.run(words, env=environment, cwd=TOP, timeout=DEADLINE).returncode


def has_trace(words: str) -> bool:
    """Whether a traceback was printed, also by Python's end, or is said to be kept in a file."""
    return any(sign in words for sign in ("Traceback", "Exception ignored", "has the traceback"))


def _changed(environment: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**environment, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def do(asked: Mapping[str, Any]) -> None:
    """Make of this process the one that a command is to find itself in, and do the command."""
    folder = Path(asked["folder"])
    module = MODULES[asked["name"]]
    sys.argv = [asked["name"], *asked["words"]]
    os.chdir(folder / "here")
    _redirect(folder, asked["streams"])
    command = import_module(module).command
    if asked["gone"]:
        (folder / "here").rmdir()
    for name, limit in asked["limits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    if asked["blow"]:
        _arm(folder / "struck", **asked["blow"])
    command()


def _redirect(folder: Path, streams: Mapping[str, str]) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
    for number, name in ((1, "stdout"), (2, "stderr")):
        chosen = streams.get(str(number), str(folder / name))
        if chosen == "closed":
            with suppress(OSError):
                os.close(number)
            setattr(sys, name, None)
            setattr(sys, f"__{name}__", None)
            continue
        if chosen == "unread":
            reader, writer = os.pipe()
            os.close(reader)
        else:
            writer = os.open(chosen, os.O_WRONLY | os.O_APPEND)
        os.dup2(writer, number)
        os.close(writer)
        # As Python makes them at its start
        default = "strict" if number == 1 else "backslashreplace"
        stream = open(number, "w", encoding=encoding, errors=errors or default, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _arm(report: Path, below: str, call: str, pattern: str, number: int, what: int, lasting: bool) -> None:
    texts = [text.encode() for text in (below, call, pattern)]
    ctypes.CDLL(None).injector_arm(*texts, ctypes.c_long(number), what, int(lasting), str(report).encode())


if __name__ == "__main__":
    do(json.loads(sys.argv[1]))
