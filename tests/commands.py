"""Commands of this checkout, in processes forked from one that has imported everything."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.forked import Fork, Forks
from tests.installation import TOP

# What commands import, and what they import only when they need it
IMPORTED = ["ser_lightning.train", "ser_lightning.training.run", "ser_lightning.report.sweep", "hydra"]
IMPORTED += ["ser_lightning.reproduce", "ser_lightning.doctor", "ser_lightning.download"]


@cache
def forks() -> Forks:
    """That process: one for all tests, made when it is first needed."""
    return Forks(IMPORTED, PYTHONPATH=str(TOP))


def start(module: str, words: Sequence[str], folder: Path, output: Path, error: Path, **environment: str) -> Fork:
    """Begins what `python -m ser_lightning.<module> WORDS` does, in a folder; what it says is appended to files."""
    typed = ["-m", f"ser_lightning.{module}", *words]
    return forks().start(typed, folder, output, error, {**os.environ, "PYTHONPATH": str(TOP), **environment})


def run(
    module: str, words: Sequence[str], folder: Path, place: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The same to its end; `place` is a folder for what it says."""
    output, error = place / "stdout", place / "stderr"
    for file in (output, error):
        file.write_text("")
    status = start(module, words, folder, output, error, **environment).wait()
    return subprocess.CompletedProcess(words, status, output.read_text(), error.read_text())


@contextmanager
def interruptible(module: str, words: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own that SIGINT ends, which in a shell's background it would not; `options` are
    Popen's. It does not outlive a test that fails."""
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    typed = [sys.executable, "-c", f"{code}from ser_lightning.{module} import command; command()", *words]
    with subprocess.Popen(typed, stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
