"""`ser`: which command a word starts, and what is said of a word that starts none."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from ser_lightning import __version__
from ser_lightning.__main__ import COMMANDS, usage
from ser_lightning.invocation import command_line


def ser(*words):
    return subprocess.run([sys.executable, "-m", "ser_lightning", *words], capture_output=True, text=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_that_of_its_own_module(name):
    by_ser, by_module = (
        subprocess.run([sys.executable, "-m", *words, "--help"], capture_output=True, text=True, check=True).stdout
        for words in (["ser_lightning", name], [f"ser_lightning.{name}"])
    )
    assert by_ser == by_module
    assert f"python -m ser_lightning.{name} " in by_ser


def test_help_names_every_command_and_imports_none():
    code = (
        "import sys; sys.argv = ['ser', '--help']; from ser_lightning.__main__ import main; main(); "
        "print(sorted(name for name in sys.modules if name.startswith('ser_lightning')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text, _, modules = done.stdout.strip().rpartition("\n")
    assert text == usage()
    assert all(f"  {name} " in text for name in COMMANDS)
    assert modules == "['ser_lightning', 'ser_lightning.__main__', 'ser_lightning.errors', 'ser_lightning.terminal']"


def test_no_command_is_misuse_and_told_on_stderr():
    done = ser()
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{usage()}\n")


def test_the_version():
    done = ser("--version")
    assert (done.returncode, done.stdout) == (0, f"ser_lightning {__version__}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian", "corpus=demo"], "there is no command trian; did you mean train?"),
        (["loss.lam=0.3"], "a command comes first: ser train loss.lam=0.3 ..."),
        (["-m", "loss.lam=0,1"], "a command comes first: ser train -m ..."),
        (["zzz"], f"there is no command zzz; there are {', '.join(COMMANDS)}"),
    ],
)
def test_another_word_is_refused_in_one_line(words, message):
    done = ser(*words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"ser_lightning: {message}\n")


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("/usr/local/bin/ser", "ser train"),
        ("/src/ser_lightning/train.py", "python -m ser_lightning.train"),
        ("-c", "python -m ser_lightning.train"),
    ],
)
def test_what_is_printed_to_be_typed_next_is_the_form_that_was_typed(monkeypatch, program, line):
    monkeypatch.setattr(sys, "argv", [program])
    assert command_line("train") == line


def test_a_name_of_the_public_interface_is_no_modules():
    """`ser_lightning.train` stays the module."""
    import ser_lightning

    assert not [name for name in ser_lightning.__all__ if find_spec(f"ser_lightning.{name}")]
