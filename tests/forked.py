"""Processes forked from one that has imported much: the imports of a command take longer than all else.

Run as a program, by whatever Python, this file is the one from which the others are forked. It knows the standard
library alone.
"""

import atexit
import ctypes
import gc
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

DEADLINE = 600  # seconds
READY = b"ready\n"


class Fork:
    """A forked process, with the words of `subprocess.Popen`; `returncode` is below 0 for a signal."""

    def __init__(self, pid: int, status: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.status = status

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        if self.returncode is None:
            with suppress(FileNotFoundError):
                self.returncode = int(self.status.read_text())
                self.status.unlink()
        return self.returncode

    def wait(self, seconds: float = DEADLINE) -> int:
        """Its exit status, at its end; after so many seconds it is killed."""
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                raise TimeoutError(f"process {self.pid} takes longer than {seconds} s")
            time.sleep(0.005)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        with suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)


class Forks:
    """Starts processes as forks of one that has imported some modules, each with a thread and a session of its own.

    Args:
        modules: what is imported.
        python: by which it is run.
        variables: of its environment, beside those of this process.
    """

    def __init__(self, modules: Sequence[str], python: Path | str = sys.executable, **variables: str) -> None:
        self.folder = Path(tempfile.mkdtemp())
        # A command that was called in this process may have left it, and forks would look for modules elsewhere
        own = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
        self.server = subprocess.Popen(
            [python, __file__, self.folder, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**own, **variables, "OMP_NUM_THREADS": "1"},
        )
        atexit.register(self.close)
        assert self.server.stdout is not None
        assert self.server.stdout.readline() == READY

    def close(self) -> None:
        """End the process from which the others are forked; they do not end with it."""
        self.server.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(
        self, words: Sequence[str], folder: Path, output: Path, error: Path, environment: Mapping[str, str]
    ) -> Fork:
        """A process that does what `python WORDS` does in a folder; what it says is appended to files.

        `words` are a script and its own, or such as ["-m", "ser_lightning.train", "loss.lam=0"].
        """
        place = {"folder": str(folder), "output": str(output), "error": str(error), "environment": dict(environment)}
        return self._start(words=list(map(str, words)), **place)

    def call(
        self, function: Callable[..., object], output: Path, environment: Mapping[str, str], **arguments: Any
    ) -> Fork:
        """A process that calls a function of a module; what it says is appended to a file."""
        place = {"folder": str(Path.cwd()), "output": str(output), "error": str(output), "environment": {**environment}}
        return self._start(function=[function.__module__, function.__qualname__], arguments=arguments, **place)

    def _start(self, **line: Any) -> Fork:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(line).encode() + b"\n")
        self.server.stdin.flush()
        pid = int(self.server.stdout.readline())
        return Fork(pid, self.folder / str(pid))


def _main() -> None:
    # This file's own, where nothing is looked for
    del sys.path[0]
    # What is preloaded is there, and no other process needs it
    os.environ.pop("LD_PRELOAD", None)
    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        import_module(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    signal.signal(signal.SIGCHLD, partial(_tell_ends, folder))
    # At a fork's end nothing of what is preloaded need be looked through
    gc.freeze()
    os.write(1, READY)
    line = _serve()
    # In the fork, which ends as any Python does
    if line is not None:
        _do(**line)


def _serve() -> dict[str, Any] | None:
    """In the process that is forked from None at its end, in a fork what it is to do."""
    for line in sys.stdin.buffer:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            # Where onnxruntime is installed torchmetrics imports it, and its threads are not those of a forked process:
            # what C++ destroys behind Python's own end would abort it, or wait for them for ever
            library = ctypes.CDLL(None)
            library.on_exit(ctypes.cast(library._exit, ctypes.c_void_p), None)
            return json.loads(line)
        os.write(1, f"{pid}\n".encode())
    return None


def _tell_ends(folder: Path, *_: object) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            unfinished = folder / f"{pid}.unfinished"
            unfinished.write_text(str(os.waitstatus_to_exitcode(status)))
            unfinished.rename(folder / str(pid))


def _do(
    folder: str,
    output: str,
    error: str,
    environment: Mapping[str, str],
    words: Sequence[str] = (),
    function: Sequence[str] = (),
    arguments: Mapping[str, Any] | None = None,
) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    opened = [os.open(os.devnull, os.O_RDONLY), os.open(output, flags), os.open(error, flags)]
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    if function:
        getattr(import_module(function[0]), function[1])(**arguments or {})
    elif words[0] == "-m":
        sys.path.insert(0, folder)
        sys.argv = list(words[1:])
        # Of a module that is there already it would warn; of a package it is `__main__` that is run
        for name in (words[1], f"{words[1]}.__main__"):
            if not hasattr(sys.modules.get(name), "__path__"):
                sys.modules.pop(name, None)
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(words[0]).parent))
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    _main()
