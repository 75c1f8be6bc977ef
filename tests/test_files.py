"""Made once, whole, and never touched again: also by two at a time, and where nobody can write."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import ser_lightning.files
from ser_lightning.errors import UserError
from ser_lightning.files import make_once


def refuse(error):
    def fail(*arguments, **options):
        raise error

    return fail


def test_what_is_there_is_not_made_again_nor_locked(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(ser_lightning.files, "FileLock", refuse(OSError(errno.EROFS, "Read-only file system")))
    make_once(tmp_path / "a", lambda: pytest.fail("made again"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_of_two_at_a_time_one_makes_it(tmp_path):
    made = []

    def make():
        time.sleep(0.2)
        made.append(1)
        (tmp_path / "a").write_text("new")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: make_once(tmp_path / "a", make), range(2)))
    assert made == [1]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_what_cannot_be_made_is_named(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match=r"a is not there and cannot be made .*; give the command once where"):
        make_once(tmp_path / "a", refuse(OSError(number, "no")))


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "Permission denied: a.wav")],
)
def test_another_error_stays_what_it_is(tmp_path, error):
    with pytest.raises(OSError, match=error.strerror):
        make_once(tmp_path / "a", refuse(error))
