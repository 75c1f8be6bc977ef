"""The table of answers, in every format the same, and what is kept of it on the way."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from ser_lightning.errors import UserError
from ser_lightning.inference.ensemble import Answer
from ser_lightning.inference.predictions import Journal, columns, format_of, rows_of, write_rows
from ser_lightning.inference.recordings import Item

CLASSES = ("neu", "hap")
ANSWERS = [
    Answer(0.0, 1.5, "hap", {"neu": 0.25, "hap": 0.75}, {"neu": 0.1, "hap": 0.1}, 5),
    Answer(1.5, 3.0, "no speech"),
    Answer(3.0, 3.2, note="too short: 0.20 s, and 0.48 s are needed"),
]
NAMES = ["file", "start", "end", "class", "p_neu", "p_hap", "sd_neu", "sd_hap", "networks", "note"]


def item(path: Path) -> Item:
    return Item("a, b.wav", path)


def test_the_columns_are_those_of_the_documentation():
    assert columns(CLASSES) == NAMES


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_the_table_is_the_same_in_every_format(tmp_path, suffix):
    out = tmp_path / "new" / f"table.{suffix}"
    write_rows(out, rows_of(item(tmp_path), ANSWERS, CLASSES), NAMES)
    readers = {"csv": pd.read_csv, "jsonl": lambda file: pd.read_json(file, lines=True), "parquet": pd.read_parquet}
    table = readers[suffix](out)
    assert list(table.columns) == NAMES
    assert table["file"].tolist() == ["a, b.wav"] * 3
    assert table["class"].fillna("").tolist() == ["hap", "no speech", ""]
    assert table["p_hap"].isna().tolist() == [False, True, True]
    assert table.loc[0, ["start", "end", "p_neu", "p_hap", "sd_hap", "networks"]].tolist() == [
        0,
        1.5,
        0.25,
        0.75,
        0.1,
        5,
    ]
    assert table["note"].fillna("").tolist() == ["", "", ANSWERS[2].note]
    assert [file.name for file in out.parent.iterdir()] == [out.name]


def test_another_suffix_is_refused():
    with pytest.raises(UserError, match=r"--out x\.txt: the suffix says the format; give one of \.csv, \.jsonl"):
        format_of(Path("x.txt"))


def note(out: Path, key: object, items: list[Item]) -> None:
    with Journal(out, key) as journal:
        for one in items:
            journal.note(one, rows_of(one, ANSWERS, CLASSES))
        raise KeyboardInterrupt


def interrupted(out: Path, key: object, items: list[Item]) -> None:
    with pytest.raises(KeyboardInterrupt):
        note(out, key, items)


def test_an_interrupted_command_goes_on_and_leaves_nothing_beside_the_table(tmp_path):
    out, (first, second, third) = tmp_path / "out.csv", (tmp_path / f"{n}.wav" for n in range(3))
    for path in (first, second, third):
        path.write_bytes(b"sound")
    interrupted(out, ["networks"], [item(first)])
    interrupted(out, ["networks"], [item(second)])
    # A line that was being written
    (journal_file,) = tmp_path.glob("out.csv.*")
    with journal_file.open("a") as file:
        file.write('["abc", [{"fi')
    with Journal(out, ["networks"]) as journal:
        assert journal.known(item(first)) == rows_of(item(first), ANSWERS, CLASSES)
        assert journal.known(item(second)) is not None
        assert journal.known(item(third)) is None
        assert all(json.loads(line) for line in journal_file.read_text().splitlines())
    assert not journal_file.exists()


def test_other_networks_and_changed_recordings_are_answered_anew(tmp_path):
    out, path = tmp_path / "out.csv", tmp_path / "one.wav"
    path.write_bytes(b"sound")
    interrupted(out, ["networks"], [item(path)])
    path.write_bytes(b"other sound")
    with Journal(out, ["networks"]) as journal:
        assert journal.known(item(path)) is None
    interrupted(out, ["networks"], [item(path)])
    with Journal(out, ["other networks"]) as journal:
        assert journal.known(item(path)) is None


def test_a_file_name_that_is_no_utf_8_is_kept_too(tmp_path):
    out, path = tmp_path / "out.csv", Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    path.write_bytes(b"sound")
    interrupted(out, ["networks"], [item(path)])
    with Journal(out, ["networks"]) as journal:
        assert journal.known(item(path)) is not None


def test_a_command_that_failed_before_its_first_answer_leaves_nothing(tmp_path):
    with pytest.raises(UserError), Journal(tmp_path / "out.csv", []):
        raise UserError("the speaker is unknown")
    assert not list(tmp_path.iterdir())
