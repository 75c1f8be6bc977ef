"""Commands in processes forked from one that has imported everything: the imports take longer than all else."""

import atexit
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
# What commands import, and what they import only when they need it
PRELOADED = ["ser_lightning.train", "ser_lightning.training.run", "ser_lightning.report.sweep", "hydra"]
PRELOADED += ["ser_lightning.reproduce", "ser_lightning.doctor", "ser_lightning.download"]
DEADLINE = 600  # seconds


def start(
    module: str, words: Sequence[str], folder: Path, output: Path, error: Path, **environment: str
) -> BaseProcess:
    """Begins what `python -m ser_lightning.<module> WORDS` does, in a folder; what it says is appended to files."""
    SERVER.set_forkserver_preload(PRELOADED)
    process = SERVER.Process(
        target=_command, args=(module, words, folder, (output, error), {**os.environ, **environment})
    )
    process.start()
    return process


def run(
    module: str, words: Sequence[str], folder: Path, place: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The same to its end; `place` is a folder for what it says."""
    output, error = place / "stdout", place / "stderr"
    for file in (output, error):
        file.write_text("")
    process = start(module, words, folder, output, error, **environment)
    process.join(DEADLINE)
    status = process.exitcode
    process.kill()
    assert status is not None, f"{module} {' '.join(words)} takes longer than {DEADLINE} s"
    return subprocess.CompletedProcess(words, status, output.read_text(), error.read_text())


def _command(
    module: str, words: Sequence[str], folder: Path, streams: tuple[Path, Path], environment: Mapping[str, str]
) -> None:
    import torch

    for number, file in enumerate(streams, start=1):
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    torch.set_num_threads(1)
    imported = import_module(f"ser_lightning.{module}")
    sys.argv = [str(imported.__file__), *words]
    try:
        imported.command()
    finally:
        # As at Python's own end, and not at multiprocessing's: first joblib's workers are told to end, then all else
        threading._shutdown()
        atexit._run_exitfuncs()
