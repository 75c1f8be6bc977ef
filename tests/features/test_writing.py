"""What an interrupted writer leaves, against frames that are written in one go."""

import numpy as np
import pytest

from ser_lightning.errors import UserError
from ser_lightning.features.writing import FRAMES, INDEX, JOURNAL, FrameWriter

RNG = np.random.default_rng(0)
LENGTHS = {"a": 4, "b": 1, "c": 7, "d": 2}
FRAMES_OF = {name: RNG.standard_normal((length, 3)).astype(np.float32) for name, length in LENGTHS.items()}
CONTENTS = {name: f"hash of {name}" for name in "abcde"}


def writer(folder, contents=CONTENTS):
    return FrameWriter(folder, 3, np.dtype("float32"), contents)


def interrupt(folder):
    """Write a, e (which has no frames) and b, and be interrupted."""

    def fail():
        with writer(folder) as frames:
            frames.add("a", FRAMES_OF["a"])
            frames.add("e", "silent")
            frames.add("b", FRAMES_OF["b"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()


def complete(folder, store, contents=CONTENTS):
    """Write what is missing; returns what was there."""
    store.mkdir()
    with writer(folder, contents) as frames:
        known = {*frames.known}
        for name in contents:
            if name not in known:
                frames.add(name, FRAMES_OF.get(name, "silent"))
        frames.finish(store)
    assert not folder.exists()
    return known


def check(store, order):
    np.testing.assert_array_equal(np.load(store / FRAMES), np.concatenate([FRAMES_OF[name] for name in order]))
    with np.load(store / INDEX) as index:
        assert index["ids"].tolist() == list(order)
        np.testing.assert_array_equal(np.diff(index["offsets"]), [len(FRAMES_OF[name]) for name in order])
        sums = [FRAMES_OF[name].astype(float).sum(axis=0) for name in order]
        np.testing.assert_array_equal(index["sums"], sums)
        squares = [(FRAMES_OF[name].astype(float) ** 2).sum(axis=0) for name in order]
        np.testing.assert_array_equal(index["squares"], squares)


def test_in_one_go(tmp_path):
    assert complete(tmp_path / "new", tmp_path / "store") == set()
    check(tmp_path / "store", "abcd")


def test_after_an_interruption_nothing_is_written_twice(tmp_path):
    interrupt(tmp_path / "new")
    assert complete(tmp_path / "new", tmp_path / "store") == {"a", "e", "b"}
    check(tmp_path / "store", "abcd")


def cut_frames(folder):
    file = folder / FRAMES
    file.write_bytes(file.read_bytes()[:-1])


def flip_a_bit(folder):
    content = bytearray((folder / FRAMES).read_bytes())
    content[-5] ^= 1
    (folder / FRAMES).write_bytes(content)


def cut_journal(folder):
    file = folder / JOURNAL
    file.write_text(file.read_text()[:-9])


def append_frames(folder):
    """Frames were written, their line in the journal was not."""
    with (folder / FRAMES).open("ab") as file:
        file.write(bytes(36))


@pytest.mark.parametrize(
    "damage, kept",
    [(cut_frames, "ae"), (flip_a_bit, "ae"), (cut_journal, "ae"), (append_frames, "aeb")],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_whole_is_written_again(tmp_path, damage, kept):
    interrupt(tmp_path / "new")
    damage(tmp_path / "new")
    assert complete(tmp_path / "new", tmp_path / "store") == {*kept}
    check(tmp_path / "store", "abcd")


def test_frames_of_another_recording_are_written_again(tmp_path):
    interrupt(tmp_path / "new")
    assert complete(tmp_path / "new", tmp_path / "store", {**CONTENTS, "b": "another"}) == {"a", "e"}


def test_what_a_refused_front_end_made_is_not_kept(tmp_path):
    def fail():
        with writer(tmp_path / "new") as frames:
            frames.add("a", FRAMES_OF["a"])
            raise UserError("too few")

    with pytest.raises(UserError):
        fail()
    assert not (tmp_path / "new").exists()
