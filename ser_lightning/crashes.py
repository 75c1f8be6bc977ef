"""Who ends a program from inside a library of C: a second process that outlives it names the recording."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

# What decodes a recording from its beginning to its end, without this package
DECODE = """
import sys, soundfile
with soundfile.SoundFile(sys.argv[1]) as file:
    file.read(min(file.frames, 2**28))
"""
END = b"\n"


class CrashWatch:
    """While it is entered, a process waits that is told which recordings are being read.

    If this process dies before it is left, those recordings are decoded once more, each in a process of its own, and
    the ones that end it too are named on stderr.
    """

    def __init__(self) -> None:
        self._watcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "CrashWatch":
        command = [sys.executable, "-I", "-S", __file__]
        # Sound can be read without it
        with suppress(OSError):
            # In a session of its own, for Ctrl-C is not meant for it
            self._watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tell(END)
        if self._watcher is not None:
            self._watcher.communicate()

    @contextmanager
    def over(self, path: str) -> Iterator[None]:
        """While a recording is read, in any thread."""
        line = json.dumps(path).encode() + b"\n"
        self._tell(b"+" + line)
        try:
            yield
        finally:
            self._tell(b"-" + line)

    def _tell(self, message: bytes) -> None:
        if self._watcher is not None and self._watcher.stdin is not None:
            # Without it if it has been ended
            with suppress(OSError):
                # One write, so that threads do not mix theirs
                os.write(self._watcher.stdin.fileno(), message)


def _watch() -> None:
    busy = {}
    for line in sys.stdin.buffer:
        if line == END:
            return
        busy[line[1:]] = line[:1] == b"+"
    for name in [json.loads(line) for line, begun in busy.items() if begun]:
        ended = subprocess.run([sys.executable, "-P", "-c", DECODE, name], stdout=-3, stderr=-3, check=False)
        if ended.returncode < 0:
            print(
                f"ser_lightning: {name}: reading it ends the program (signal {-ended.returncode}); mend or remove it",
                file=sys.stderr,
            )


if __name__ == "__main__":
    _watch()
