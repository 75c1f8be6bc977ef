"""Made once, whole, and never touched again: also by two at a time, and where nobody can write."""

import errno
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ser_lightning.files
from ser_lightning.errors import UserError
from ser_lightning.files import (
    absolute,
    explain_file,
    make_folder_once,
    make_once,
    read_bytes,
    read_json,
    read_text,
    read_yaml,
    write_folder,
    write_whole,
)
from ser_lightning.invocation import end_clearly


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
    with pytest.raises(
        UserError, match=r"a is not there, or damaged, and cannot be made .*; give the command once where"
    ):
        make_once(tmp_path / "a", refuse(OSError(number, "no")))


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "Permission denied: a.wav")],
)
def test_another_error_stays_what_it_is(tmp_path, error):
    with pytest.raises(OSError, match=error.strerror):
        make_once(tmp_path / "a", refuse(error))


def test_a_folder_is_made_whole_once(tmp_path):
    made = []

    def fill(folder):
        assert not (tmp_path / "a").exists()
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("content")
        made.append(folder)

    for _ in range(2):
        make_folder_once(tmp_path / "a", fill)
    assert (tmp_path / "a" / "inner" / "file").read_text() == "content"
    assert len(made) == 1
    assert not made[0].exists()


def test_what_a_killed_process_left_of_a_folder_goes(tmp_path):
    left, of_another = tmp_path / "a.node7-123.unfinished", tmp_path / "ab.node7-123.unfinished"
    for folder in (left, of_another):
        folder.mkdir()
        (folder / "half").touch()
    make_folder_once(tmp_path / "a", lambda folder: (folder / "file").touch())
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["file"]
    assert not left.exists()
    assert of_another.exists()


def test_a_folder_that_cannot_be_filled_leaves_nothing(tmp_path):
    def fill(folder):
        (folder / "half").touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        make_folder_once(tmp_path / "a", fill)
    assert [file.name for file in tmp_path.iterdir()] == ["a.lock"]


def test_a_file_that_cannot_be_written_whole_leaves_the_one_before(tmp_path, monkeypatch):
    write_whole(tmp_path / "a", "before")
    monkeypatch.setattr(os, "fsync", refuse(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a", b"after")
    assert (tmp_path / "a").read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_where_nothing_can_be_removed_a_file_is_written_and_what_keeps_it_from_that_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "unlink", refuse(OSError(errno.ESTALE, "Stale file handle")))
    write_whole(tmp_path / "a", "before")
    assert (tmp_path / "a").read_text() == "before"
    monkeypatch.setattr(os, "fsync", refuse(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a", "after")


OTHER = "paths.output=FOLDER, or $SER_OUTPUT, names another place for all that is written"


@pytest.mark.parametrize(
    ("number", "name", "words"),
    [
        (errno.EACCES, "/locked/runs", f"/locked/runs: Permission denied; {OTHER}"),
        (errno.EROFS, "/locked/runs", f"/locked/runs: Read-only file system; {OTHER}"),
        (errno.ENOENT, "/proc/x", f"/proc/x: No such file or directory; {OTHER}"),
        (errno.ENOTDIR, "{file}/runs/x", f"{{file}}: Not a directory; move it away, or {OTHER}"),
        (errno.ELOOP, "/a/b", "/a/b: Too many levels of symbolic links; its links lead in a circle; mend them"),
        (errno.EMFILE, "/a/b", "Too many open files; raise the limit (ulimit -n) and give the same command again"),
        (errno.EFBIG, None, "File too large; raise the limit (ulimit -f) and give the same command again"),
        (errno.EDQUOT, "/a/b", "the disk is full while writing /a/b; free some space and give the same command again"),
        (errno.EIO, None, "Input/output error; see whether disk or network drive is there"),
        (errno.ENAMETOOLONG, "x" * 5000, f"{'x' * 80}...{'x' * 80}: File name too long; study.name=NAME"),
    ],
)
def test_what_a_disk_refuses_is_one_line(tmp_path, number, name, words):
    (tmp_path / "file").touch()
    place = {"file": tmp_path / "file"}
    said = explain_file(OSError(number, os.strerror(number), name and name.format(**place)))
    assert said.startswith(words.format(**place))
    assert "\n" not in said


def test_a_folder_in_a_files_place_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_whole(tmp_path / "a", "content")
    assert explain_file(caught.value) == f"{tmp_path / 'a'}: Is a directory; move it away, or {OTHER}"


def test_errors_that_are_no_files_are_not_explained():
    assert explain_file(ValueError("x")) is None
    assert explain_file(ConnectionResetError(errno.ECONNRESET, "reset")) is None


@pytest.mark.parametrize("name", ["loop", "~nobody-of-that-name/x", "a\0b"])
def test_a_folder_that_is_none_is_refused(tmp_path, name):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match=r"loop: Symlink loop|nobody.*home|null"):
        absolute(tmp_path / name if name == "loop" else name)


def pipe(file):
    os.mkfifo(file)


UNREADABLE = {
    "a pipe": (pipe, read_bytes, "it is not a regular file"),
    "a folder": (os.mkdir, read_bytes, "it is a folder"),
    "latin-1": (lambda file: file.write_bytes(b"zo\xeb"), read_text, "it is not text in UTF-8, see its byte 2"),
    "too large": (
        lambda file: os.truncate(os.open(file, os.O_CREAT | os.O_RDWR), 2**29),
        read_text,
        "it has 536870912",
    ),
    "no JSON": (lambda file: file.write_text("{\n'a'"), read_json, "it is not JSON, see its line 2: "),
    "deep JSON": (lambda file: file.write_text("[" * 100_000), read_json, "it is nested too deeply"),
    "no YAML": (lambda file: file.write_text("a: 1\nb: [1"), read_yaml, "it is not YAML, see its line "),
    "an object": (lambda file: file.write_text("!!python/object:os.system {}"), read_yaml, "it is not YAML"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_no_file_of_its_kind_is_refused_in_a_few_words(tmp_path, kind):
    make, read, words = UNREADABLE[kind]
    make(tmp_path / "a")
    with pytest.raises(ValueError, match=words) as refusal:
        read(tmp_path / "a")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("read", [read_bytes, read_text, read_json, read_yaml])
def test_what_is_not_there_is_an_error_of_its_own(tmp_path, read):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "a")


def test_what_is_written_is_read(tmp_path):
    write_whole(tmp_path / "a", '{"name": "zoë"}')
    assert read_json(tmp_path / "a") == read_yaml(tmp_path / "a") == {"name": "zoë"}
    assert read_text(tmp_path / "a").encode() == read_bytes(tmp_path / "a")


def test_sigterm_leaves_nothing_of_a_folder_that_is_being_made(tmp_path):
    def fill(folder):
        (folder / "weights").write_text("half")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        end_clearly(lambda: write_folder(tmp_path / "model", fill))
    signal.signal(signal.SIGTERM, handler)
    assert end.value.code == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
