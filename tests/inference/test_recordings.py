"""What words on the command line mean, and what is read of it."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_lightning.errors import UserError
from ser_lightning.inference.recordings import Item, ahead, find_items, read_item

WAVE = np.random.default_rng(0).normal(0, 0.1, 16_000)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one.wav", "deep/er/two.flac", "deep/three.OGG", "deep/._four.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(name, WAVE, 16_000, format=name.rpartition(".")[2].upper())
    Path("deep/notes.txt").write_text("no sound")
    return tmp_path


def test_files_and_folders(place):
    items = find_items(["one.wav", "deep"])
    assert [item.file for item in items] == ["one.wav", "deep/er/two.flac", "deep/three.OGG"]
    assert all(item.path.is_file() for item in items)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_names_parts_of_recordings_and_speakers(place, delimiter):
    lines = ["file,start,end,speaker,label", "er/two.flac,0.25,0.75,ann,hap", "three.OGG,0 days 00:00:00.5,NaT,,", ""]
    Path("deep/table.csv").write_text("\ufeff" + "\n".join(lines).replace(",", delimiter))
    items = find_items(["deep/table.csv"])
    assert items == [
        Item("er/two.flac", place / "deep/er/two.flac", 0.25, 0.75, "ann"),
        Item("three.OGG", place / "deep/three.OGG", 0.5, None, ""),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_ends_its_lines_as_it_likes(place, end):
    Path("deep/table.csv").write_bytes(end.join(["file;note", 'er/two.flac;"of\ntwo"', "three.OGG;", ""]).encode())
    assert [item.file for item in find_items(["deep/table.csv"])] == ["er/two.flac", "three.OGG"]


def test_a_name_that_is_no_utf_8_is_found_and_can_be_written(place):
    name = os.fsdecode(b"h\xf6flich.wav")
    Path("one.wav").rename(Path("deep") / name)
    (_, item, _), (alone,) = find_items(["deep"]), find_items([f"deep/{name}"])
    assert item.file == alone.file == r"deep/h\xf6flich.wav"
    assert item.path == alone.path == place / "deep" / name
    assert read_item(item, 16_000).problem == ""


def test_one_speaker_says_who_speaks(place):
    assert {item.speaker for item in find_items(["one.wav", "deep"], one_speaker=True)} == {"one"}


@pytest.mark.parametrize(
    "table, message",
    [
        ("path\none.wav\n", r"t\.csv: it needs a column file; its columns are path"),
        ("file\n", r"t\.csv: the table has no rows"),
        ("file,start\none.wav,soon\n", r"t\.csv, line 2: start=soon is no time; write seconds, e\.g\. 1\.5"),
        ("file,start\none.wav,0\none.wav,-1\n", r"t\.csv, line 3: start=-1 is no time"),
        ("file,start,end\none.wav,2,1\n", r"t\.csv, line 2: it ends at 1 s, before it starts"),
        ("file,start\n,1\n", r"t\.csv, line 2: it names no file"),
        (
            'file,note\none.wav,"a\none.wav,b\n',
            r"t\.csv, line 2: the row that begins there cannot be read \(unexpected",
        ),
        ('file\n"' + 200_000 * "x", r"t\.csv, line 2: the row that begins there cannot be read \(field larger"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_line(place, table, message):
    Path("t.csv").write_text(table)
    with pytest.raises(UserError, match=message):
        find_items(["t.csv"])


def test_what_is_not_there_or_has_no_sound_is_refused_in_one_line(place):
    Path("empty").mkdir()
    with pytest.raises(UserError, match=r"nothing\.wav: there is no such file or folder"):
        find_items(["nothing.wav"])
    with pytest.raises(UserError, match="empty: the folder has no recordings in it"):
        find_items(["empty"])


def test_a_part_of_a_recording_is_its_samples_and_known_as_the_whole(place):
    whole = read_item(Item("one.wav", place / "one.wav"), 16_000)
    part = read_item(Item("one.wav", place / "one.wav", 0.25, 0.75), 16_000)
    np.testing.assert_array_equal(part.wave, whole.wave[4_000:12_000])
    assert (part.start, part.seconds) == (0.25, 0.5)
    assert part.content == whole.content
    beyond = read_item(Item("one.wav", place / "one.wav", 0.5, 9), 16_000)
    assert beyond.seconds == 0.5
    assert (
        read_item(Item("one.wav", place / "one.wav", 2), 16_000).problem == "it starts at 2 s, and the file has 1.00 s"
    )


def test_the_same_samples_in_another_file_are_the_same_content(place):
    wave, rate = soundfile.read("one.wav", dtype="int16")
    soundfile.write("copy.flac", wave, rate)
    contents = [
        read_item(Item(name, place / name), 16_000).content for name in ("one.wav", "copy.flac", "deep/three.OGG")
    ]
    assert contents[0] == contents[1] != contents[2]


def test_what_cannot_be_read_says_why(place):
    Path("broken.wav").write_bytes(b"RIFF of nothing")
    assert "not readable as audio" in read_item(Item("broken.wav", place / "broken.wav"), 16_000).problem
    assert read_item(Item("gone.wav", place / "gone.wav"), 16_000).problem == "there is no such file"
    soundfile.write("zeros.wav", np.zeros(8_000), 8_000)
    silent = read_item(Item("zeros.wav", place / "zeros.wav"), 16_000)
    assert (silent.seconds, len(silent.wave), silent.problem, silent.content) == (1.0, 16_000, "", "")


def test_what_is_made_ahead_comes_in_order_and_no_further_ahead_than_asked():
    begun = []

    def slow(number):
        begun.append(number)
        time.sleep(0.002 * (3 - number % 3))
        return number

    with ThreadPoolExecutor(4) as pool:
        made = ahead(slow, range(12), pool, 4)
        assert next(made) == 0
        assert max(begun) <= 4
        assert list(made) == list(range(1, 12))
