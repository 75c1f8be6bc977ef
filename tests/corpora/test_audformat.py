"""Databases in audformat, in the layout of its own EmoDB."""

import logging

import pandas as pd
import pytest

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from ser_lightning.errors import UserError
from tests.corpora.recordings import write

# As audformat 1.4.3 writes it
HEADER = """
name: emodb
description: 'Berlin Database of Emotional Speech: a part'
source: http://emodb.bilderbar.info/download/download.zip
usage: unrestricted
languages: [deu]
raters:
  gold: {type: human}
schemes:
  age: {dtype: int, minimum: 0}
  confidence: {dtype: float, minimum: 0, maximum: 1}
  duration: {dtype: time}
  emotion:
    dtype: str
    labels: [anger, happiness, neutral]
  gender: {dtype: str, labels: [female, male]}
  speaker: {dtype: int, labels: speaker}
  transcription:
    dtype: str
    labels: {a01: Der Lappen liegt auf dem Eisschrank., b10: 'Die wird auf dem Platz sein, wo wir sie immer
        hinlegen.'}
splits:
  test-1: {type: test}
  train: {type: train}
tables:
  emotion:
    type: filewise
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
      emotion.confidence: {scheme_id: confidence, rater_id: gold}
  emotion.test:
    type: filewise
    split_id: test-1
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
  emotion.train:
    type: filewise
    split_id: train
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
  files:
    type: filewise
    columns:
      duration: {scheme_id: duration}
      speaker: {scheme_id: speaker}
      transcription: {scheme_id: transcription}
  segments:
    type: segmented
    columns:
      mood: {scheme_id: emotion}
misc_tables:
  speaker:
    levels: {speaker: int}
    columns:
      age: {scheme_id: age}
      gender: {scheme_id: gender}
"""
TABLES = {
    "emotion": "file,emotion,emotion.confidence\nwav/03a01Fa.wav,happiness,0.9\nwav/03a01Nc.wav,neutral,1.0\n"
    "wav/08b10Wa.wav,anger,0.95\nwav/16b10La.wav,,\n",
    "emotion.test": "file,emotion\nwav/08b10Wa.wav,anger\n",
    "emotion.train": "file,emotion\nwav/03a01Fa.wav,happiness\n",
    "files": "file,duration,speaker,transcription\nwav/03a01Fa.wav,0 days 00:00:01,3,a01\n"
    "wav/03a01Nc.wav,0 days 00:00:01,3,a01\nwav/08b10Wa.wav,0 days 00:00:01,8,b10\n"
    "wav/16b10La.wav,0 days 00:00:01,16,\n",
    "segments": "file,start,end,mood\nwav/03a01Fa.wav,0 days 00:00:00.000000,0 days 00:00:01.000000,happiness\n"
    "wav/03a01Nc.wav,0 days,,neutral\n",
    "speaker": "speaker,age,gender\n3,31,male\n8,34,female\n",
}


def make_tree(folder):
    """A small database.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    write(folder / "wav", "03a01Fa", "03a01Nc", "08b10Wa", "16b10La")
    (folder / "db.yaml").write_text(HEADER)
    for name, text in TABLES.items():
        (folder / f"db.{name}.csv").write_text(text)
    return [f"corpus.root={folder}"]


@pytest.fixture
def root(tmp_path):
    make_tree(tmp_path)
    return tmp_path


def load(root, *overrides):
    return load_manifest(compose(["corpus=audformat", f"corpus.root={root}", *overrides]).corpus, root)


def change(root, old, new, name="db.yaml"):
    file = root / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_what_stands_beside_the_labels_of_segments_is_read_too(root):
    change(root, "      mood: {scheme_id: emotion}\n", "      mood: {scheme_id: emotion}\n      who: {}\n")
    change(root, "mood\n", "mood,who\n", "db.segments.csv")
    change(root, ",happiness\n", ",happiness,eve\n", "db.segments.csv")
    change(root, ",neutral\n", ",neutral,ada\n", "db.segments.csv")
    table = load(root, "corpus.columns.label=mood", "corpus.columns.speaker=who", "corpus.classes=null").table
    assert dict(zip(table["id"], table["speaker"], strict=True)) == {"wav/03a01Fa.wav": "eve", "wav/03a01Nc.wav": "ada"}


def test_labels_speakers_and_what_is_told_of_them(root, caplog):
    with caplog.at_level(logging.INFO):
        table = load(root).table.set_index("id")
    columns = ["label", "speaker", "gender", "text_id", "transcript", "part", "seconds"]
    told = "Der Lappen liegt auf dem Eisschrank."
    assert table.loc["wav/03a01Fa.wav", columns].tolist() == ["happiness", "3", "male", "a01", told, "train", 1]
    assert table.loc["wav/03a01Nc.wav", columns].tolist() == ["neutral", "3", "male", "a01", told, "", 1]
    told = "Die wird auf dem Platz sein, wo wir sie immer hinlegen."
    assert table.loc["wav/08b10Wa.wav", columns].tolist() == ["anger", "8", "female", "b10", told, "test-1", 1]
    assert len(table) == 3, "the fourth has no label"
    assert "3 labels of emotion, emotion.test, emotion.train; also speaker, gender, text_id, part, tran" in caplog.text


def test_a_database_in_parquet_is_the_same(root):
    digest = load(root).digest
    for name in TABLES:
        file = root / f"db.{name}.csv"
        table = pd.read_csv(file)
        for column in {"start", "end", "duration"} & set(table):
            table[column] = pd.to_timedelta(table[column])
        for column in {"emotion", "transcription", "gender"} & set(table):
            table[column] = table[column].astype("category")
        table.to_parquet(root / f"db.{name}.parquet", index=False)
        file.unlink()
    assert load(root).digest == digest
    segments = load(root, "corpus.tables=[segments]", "corpus.columns.label=mood").table
    assert segments["label"].tolist() == ["happiness", "neutral"]


@pytest.mark.parametrize(
    "labels", ["{3: {gender: male, age: 31}, 8: {gender: female}}", "{'3': {gender: male}, '8': {gender: female}}"]
)
def test_a_scheme_may_describe_speakers_itself(root, labels):
    change(root, "speaker: {dtype: int, labels: speaker}", f"speaker: {{dtype: int, labels: {labels}}}")
    assert load(root).table["gender"].tolist() == ["male", "male", "female"]


def test_columns_of_other_names_and_schemes(root):
    change(root, "      speaker: {scheme_id: speaker}", "      who: {scheme_id: speaker}")
    change(root, "speaker,transcription", "who,transcription", "db.files.csv")
    columns = "corpus.columns={label: mood, speaker: speaker, kind: age, session: null}"
    table = load(root, columns, "corpus.tables=[segments]").table
    assert table[["label", "speaker", "kind", "session"]].to_numpy().tolist() == [
        ["happiness", "3", "31", ""], ["neutral", "3", "31", ""],
    ]  # fmt: skip


def test_a_column_of_parts_comes_before_splits(root):
    change(root, "      speaker: {scheme_id: speaker}", "      speaker: {scheme_id: speaker}\n      split: {}")
    (root / "db.files.csv").write_text("file,duration,speaker,transcription,split\nwav/03a01Fa.wav,1,3,a01,dev\n")
    assert load(root).table["part"].tolist() == ["dev", "", ""]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("0 days 00:00:00.25,0 days 00:00:01", "2 of 3 rows of the table segments are .*Fa.wav from 0.25 s to 1 s;"),
        ("0.25,", "such as wav/03a01Fa.wav from 0.25 s to its end; utterances are whole files here: cut them, e.g. by"),
        ("0,0.5", "such as wav/03a01Fa.wav from 0 s to 0.5 s"),
        ("0,1.0", "1 of 3 rows of the table segments are segments, such as wav/08b10Wa.wav from 0.5 s to 0.7 s"),
        ("0,soon", "the table segments has the end 'soon', which is no time"),
    ],
)
def test_segments_are_refused(root, times, message):
    rows = f"wav/03a01Fa.wav,{times},happiness\nwav/03a01Nc.wav,0,1.0,neutral\nwav/08b10Wa.wav,0.5,0.7,anger\n"
    (root / "db.segments.csv").write_text("file,start,end,mood\n" + rows)
    with pytest.raises(UserError, match=message):
        load(root, "corpus.columns.label=mood")


def test_several_segments_of_one_file_are_no_whole_files(root):
    rows = "wav/03a01Fa.wav,0,,happiness\nwav/03a01Fa.wav,0,1,neutral\n"
    (root / "db.segments.csv").write_text("file,start,end,mood\n" + rows)
    with pytest.raises(UserError, match="2 of 2 rows of the table segments are segments"):
        load(root, "corpus.columns.label=mood")


def test_a_table_of_whole_files_is_named_where_there_is_one(root):
    change(root, "      mood: {scheme_id: emotion}", "      emotion: {scheme_id: emotion}")
    (root / "db.segments.csv").write_text("file,start,end,emotion\nwav/03a01Fa.wav,0.5,0.7,anger\n")
    assert len(load(root)) == 3
    with pytest.raises(UserError, match=r"whole files here: choose emotion or emotion\.test or .* by corpus\.tables"):
        load(root, "corpus.tables=[segments]")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["corpus.columns.label=joy"], "has a column or scheme 'joy'; say which is the label by .*files: duration, sp"),
        (["corpus.tables=[files]"], "corpus.tables: .* has no table files with a column or scheme 'emoti"),
        (["corpus.columns.gender=sex"], "has no sex, which corpus.columns.gender names"),
        (["+corpus.columns.mood=mood"], "corpus.columns.mood is none of the columns, which are label, speaker, gender"),
    ],
)
def test_what_is_named_and_not_there(root, overrides, message):
    with pytest.raises(UserError, match=message):
        load(root, *overrides)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("db.yaml", HEADER, "[1", "db.yaml cannot be read: it is not YAML, see its line 2"),
        ("db.yaml", HEADER, "name: x", "names no tables; it must be the header of a database in audformat"),
        ("db.emotion.train.csv", "happiness", "anger", "emotion of wav/03a01Fa.wav is happiness and anger in"),
        ("db.files.csv", "speaker", "who", r"db\.files\.csv has no column speaker; it has file, duration, who"),
        (
            "db.yaml",
            "      speaker: {scheme_id: speaker}",
            "      who: {scheme_id: speaker}\n      whom: {scheme_id: speaker}",
            "the table files has several columns of the scheme speaker; name who or whom",
        ),
    ],
)
def test_what_does_not_fit(root, name, old, new, message):
    change(root, old, new, name)
    with pytest.raises(UserError, match=message):
        load(root)


def test_what_is_no_database(root):
    with pytest.raises(UserError, match=r"no .*/wav/db\.yaml; corpus\.root is the folder of a database in audformat"):
        load(root / "wav")
    (root / "db.emotion.csv").rename(root / "db.emotion.pkl")
    with pytest.raises(UserError, match=r"db\.emotion\.pkl is not read, since a pickle may run code; save"):
        load(root)
    (root / "db.emotion.pkl").unlink()
    with pytest.raises(UserError, match=r"db\.emotion\.csv cannot be read \(No such file or directory\)"):
        load(root)
    (root / "db.emotion.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"db\.emotion\.parquet cannot be read as Parquet \("):
        load(root)
