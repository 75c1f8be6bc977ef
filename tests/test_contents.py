"""Hashes of files, and when they are taken anew; what is sealed against every way of damaging it."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

import ser_lightning.contents
from ser_lightning.contents import hash_files, make_sealed_folder, read_sealed, write_sealed
from ser_lightning.errors import UserError


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Files of this very moment are remembered, so that a test need not wait."""
    monkeypatch.setattr(ser_lightning.contents, "SETTLED", -60)


@pytest.fixture
def read(monkeypatch):
    """The files whose bytes were read."""
    names, hash_file = [], ser_lightning.contents._hash_file

    def record(path):
        names.append(Path(path).name)
        return hash_file(path)

    monkeypatch.setattr(ser_lightning.contents, "_hash_file", record)
    return names


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_file_is_hashed_once(tmp_path, read):
    for name in "ab":
        (tmp_path / name).write_text(name)
    paths, register = [tmp_path / "b", tmp_path / "a"], tmp_path / "cache" / "register.json"
    assert hash_files(paths, register) == [sha256("b"), sha256("a")]
    assert hash_files([tmp_path / "a"], register) == [sha256("a")]
    assert sorted(read) == ["a", "b"]


def test_other_content_of_equal_size_and_time_is_noticed(tmp_path):
    file, register = tmp_path / "a", tmp_path / "register.json"
    file.write_text("one")
    hash_files([file], register)
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_text("two")
    os.utime(file, ns=times)
    assert hash_files([file], register) == [sha256("two")]


def test_another_file_that_is_moved_there_is_noticed(tmp_path):
    for folder, text in (("a", "one"), ("b", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text(text)
        os.utime(tmp_path / folder / "file", (1, 1))
    register = tmp_path / "register.json"
    hash_files([tmp_path / "a" / "file"], register)
    (tmp_path / "a").rename(tmp_path / "old")
    (tmp_path / "b").rename(tmp_path / "a")
    assert hash_files([tmp_path / "a" / "file"], register) == [sha256("two")]


def test_what_may_change_within_a_tick_of_the_clock_is_not_remembered(tmp_path, read, monkeypatch):
    monkeypatch.setattr(ser_lightning.contents, "SETTLED", 60)
    (tmp_path / "a").write_text("a")
    for _ in range(2):
        hash_files([tmp_path / "a"], tmp_path / "register.json")
    assert read == ["a", "a"]


def test_where_nothing_can_be_written_hashes_are_taken_all_the_same(tmp_path, monkeypatch):
    def refuse(path, content):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(ser_lightning.contents, "write_whole", refuse)
    (tmp_path / "a").write_text("a")
    assert hash_files([tmp_path / "a"], tmp_path / "register.json") == [sha256("a")]


def test_a_file_that_has_gone_is_named_and_forgotten(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    register = tmp_path / "register.json"
    hash_files([tmp_path / "a"], register)
    (tmp_path / "a").unlink()
    hash_files([tmp_path / "b"], register)
    assert list(read_sealed(register)) == [str(tmp_path / "b")]
    with pytest.raises(UserError, match=r"/a cannot be read \(No such file"):
        hash_files([tmp_path / "a"], register)


def damages(content):
    """Ways of damaging a file that leave it there."""
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 4
    return {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "flipped": bytes(flipped),
        "latin-1": b"\xe9" + content,
        "deep": b"[" * 100_000,
        "another": b'{"sha256": 3, "content": []}',
        "list": b"[1]",
    }


@pytest.mark.parametrize("kind", damages(b"12"))
def test_a_damaged_register_is_not_believed(tmp_path, kind):
    (tmp_path / "a").write_text("a")
    register = tmp_path / "register.json"
    hash_files([tmp_path / "a"], register)
    register.write_bytes(damages(register.read_bytes())[kind])
    assert read_sealed(register) is None
    assert hash_files([tmp_path / "a"], register) == [sha256("a")]
    assert hash_files([tmp_path / "a"], register) == [entry[-1] for entry in read_sealed(register).values()]


@pytest.mark.parametrize("odd", [None, 7, True, "abc", {"a": 1}, [], [[1]], ["0" * 64]])
def test_entries_of_another_version_are_not_believed(tmp_path, odd):
    (tmp_path / "a").write_text("a")
    register = tmp_path / "register.json"
    for entries in (odd, {str(tmp_path / "a"): odd, "": odd, "\0": odd}):
        write_sealed(register, entries)
        assert hash_files([tmp_path / "a"], register) == [sha256("a")]


def test_what_is_sealed_for_another_is_not_believed(tmp_path):
    write_sealed(tmp_path / "a.json", [1])
    (tmp_path / "b.json").write_bytes((tmp_path / "a.json").read_bytes())
    assert read_sealed(tmp_path / "b.json") is None
    # As earlier versions wrote it
    (tmp_path / "c.json").write_text(f'{{"sha256": "{sha256("[1]")}", "content": [1]}}')
    assert read_sealed(tmp_path / "c.json") == [1]


def test_what_is_sealed_is_read_as_it_was_written(tmp_path):
    content = {"é": [1, 0.1, None, {"b": "1"}], "a": 1e-300}
    write_sealed(tmp_path / "a.json", content)
    assert read_sealed(tmp_path / "a.json") == content
    os.mkfifo(tmp_path / "fifo")
    for name in ("none", "fifo", "."):
        assert read_sealed(tmp_path / name) is None


@pytest.fixture
def made(tmp_path):
    """Makes a sealed folder of one file, and counts how often it is filled."""
    times = []

    def make():
        def fill(folder):
            times.append(1)
            (folder / "file").write_bytes(b"content")

        make_sealed_folder(tmp_path / "folder", fill, tmp_path / "register.json")
        assert (tmp_path / "folder" / "file").read_bytes() == b"content"
        return len(times)

    make.folder = tmp_path / "folder"
    return make


def test_a_sealed_folder_is_made_once(made):
    assert [made(), made()] == [1, 1]


@pytest.mark.parametrize("name", ["file", "seal.json"])
@pytest.mark.parametrize("kind", damages(b"12"))
def test_a_damaged_folder_is_made_anew(made, name, kind, caplog):
    made()
    file = made.folder / name
    file.write_bytes(damages(file.read_bytes())[kind])
    assert made() == 2
    assert f"{made.folder} is damaged, and made anew" in caplog.text
    assert made() == 2


def test_a_folder_with_a_file_gone_or_a_pipe_in_its_place_is_made_anew(made):
    made()
    (made.folder / "file").unlink()
    assert made() == 2
    (made.folder / "file").unlink()
    os.mkfifo(made.folder / "file")
    assert made() == 3


def test_a_file_in_the_place_of_a_folder_is_replaced(made):
    made.folder.write_text("no folder")
    assert made() == 1


def test_another_folder_in_its_place_is_made_anew(made):
    made()
    other = made.folder.with_name("other")
    make_sealed_folder(other, lambda folder: (folder / "file").write_text("other"), other.with_suffix(".json"))
    shutil.rmtree(made.folder)
    other.rename(made.folder)
    assert made() == 2


def test_what_lies_in_a_damaged_folder_besides_is_kept(made):
    made()
    (made.folder / "notes.txt").write_text("mine")
    (made.folder / "file").write_text("damaged")
    assert [made(), made()] == [2, 2]
    assert (made.folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("accept", [True, False])
def test_a_folder_without_hashes_is_taken_where_it_may_be_of_an_earlier_version(tmp_path, accept):
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_text("earlier")
    (folder / "inner" / "notes.txt").write_text("mine")

    def fill(unfinished):
        (unfinished / "inner").mkdir()
        (unfinished / "inner" / "file").write_text("new")

    make_sealed_folder(folder, fill, tmp_path / "register.json", accept)
    assert (folder / "inner" / "file").read_text() == ("earlier" if accept else "new")
    (folder / "inner" / "file").write_text("later")
    make_sealed_folder(folder, fill, tmp_path / "register.json", accept)
    assert (folder / "inner" / "file").read_text() == ("later" if accept else "new")
    assert (folder / "inner" / "notes.txt").read_text() == "mine"
