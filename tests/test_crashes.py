"""A library of C that ends the program: the recording is named by the process that outlives it."""

import os
import subprocess
import sys

import pytest

from ser_lightning.crashes import CrashWatch

# In the place of soundfile: a decoder that one recording ends
DECODER = """
import os

class SoundFile:
    frames = 1
    def __init__(self, path):
        if "bad" in path:
            os.abort()
    def __enter__(self):
        return self
    def __exit__(self, *error):
        pass
    def read(self, frames):
        pass
"""
PROGRAM = """
import os, sys
from ser_lightning.crashes import CrashWatch

with CrashWatch() as watch:
    with watch.over("done.wav"):
        pass
    with watch.over("good.wav"), watch.over(sys.argv[1]):
        {end}
"""


@pytest.mark.parametrize(
    ("end", "name", "said"),
    [
        ("os.abort()", "b\u00e4d bad.wav", "ser_lightning: b\u00e4d bad.wav: reading it ends the program (signal 6);"),
        ("os.kill(os.getpid(), 9)", "fine.wav", ""),
        ("pass", "bad.wav", ""),
        ("sys.exit(3)", "bad.wav", ""),
    ],
    ids=["crash", "killed", "fine", "error"],
)
def test_the_recording_that_ends_a_program_is_named(tmp_path, end, name, said):
    (tmp_path / "soundfile.py").write_text(DECODER)
    program = [sys.executable, "-c", PROGRAM.format(end=end), name]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", ".")])}
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.stderr.startswith(said)
    assert ended.stderr.count("\n") == bool(said)


def test_where_no_process_can_be_started_sound_is_read_all_the_same(monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with CrashWatch() as watch, watch.over("a.wav"):
        pass


def test_a_watcher_that_is_ended_does_not_matter():
    with CrashWatch() as watch:
        watch._watcher.kill()
        watch._watcher.wait()
        with watch.over("a.wav"):
            pass
