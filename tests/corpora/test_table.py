"""Tables of the user's own: formats, columns, and what may be wrong with them."""

import json
import logging
import unicodedata

import numpy as np
import pytest
import soundfile

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from ser_lightning.errors import UserError

ROWS = [("a.wav", "happy", "03"), ("b.wav", "sad", "null"), ("sub/c.wav", "happy", "07")]


def make_tree(folder):
    """The recordings of a table, and it.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    (folder / "sub").mkdir()
    for path, _, _ in ROWS:
        soundfile.write(folder / path, 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    (folder / "table.csv").write_text("\n".join(["path,label,speaker", *map(",".join, ROWS)]))
    return [f"corpus.root={folder}", "corpus.table=table.csv"]


@pytest.fixture
def folder(tmp_path):
    make_tree(tmp_path)
    return tmp_path


def load(folder, table, *overrides):
    config = compose(["corpus=table", f"corpus.root={folder}", f"corpus.table={table}", *overrides])
    return load_manifest(config.corpus, folder)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_csv_tsv_and_json_lines_are_the_same_table(folder, suffix):
    if suffix == "jsonl":
        lines = [json.dumps(dict(zip(("path", "label", "speaker"), row, strict=True))) for row in ROWS]
    else:
        separator = {"csv": ",", "tsv": "\t"}[suffix]
        lines = [separator.join(row) for row in [("path", "label", "speaker"), *ROWS]]
    (folder / f"table.{suffix}").write_text("\n".join(lines))
    table = load(folder, f"table.{suffix}").table
    assert table["id"].tolist() == ["a.wav", "b.wav", "sub/c.wav"]
    assert table["speaker"].tolist() == ["03", "null", "07"]
    assert table["path"].tolist() == [str(folder / path) for path, _, _ in ROWS]


def test_numbers_of_json_are_words_here(folder):
    rows = [{"path": path, "label": number % 2, "id": number} for number, (path, _, _) in enumerate(ROWS)]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    manifest = load(folder, "t.jsonl", "corpus.columns={path: path, label: label, id: id}")
    assert (manifest.table["id"].tolist(), manifest.classes) == (["0", "1", "2"], ("0", "1"))
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, [rows[0], {**rows[1], "id": None}, rows[2]])))
    with pytest.raises(UserError, match="column 'id' is empty in 1 rows, first in line 2"):
        load(folder, "t.jsonl", "corpus.columns={path: path, label: label, id: id}")


def test_columns_of_other_names(folder):
    (folder / "t.csv").write_text("file,emotion,who,utt\na.wav,happy,1,x1\nb.wav,sad,2,x2\n")
    columns = "corpus.columns={path: file, label: emotion, speaker: who, id: utt}"
    table = load(folder, "t.csv", columns).table
    assert table["id"].tolist() == ["x1", "x2"]
    assert table["speaker"].tolist() == ["1", "2"]
    assert table["gender"].tolist() == ["", ""]


def test_parts_and_corpora_are_read_and_change_no_digest(folder, caplog):
    rows = "a.wav,happy, Train,x\nb.wav,sad,,X\nsub/c.wav,happy,train,x\n"
    (folder / "t.csv").write_text("path,label,split,corpus\n" + rows)
    manifest = load(folder, "t.csv", "corpus.columns.part=split")
    assert manifest.table["part"].tolist() == ["Train", "", "train"]
    assert manifest.table["corpus"].tolist() == ["x", "X", "x"]
    assert manifest.digest == load(folder, "t.csv", "corpus.columns={path: path, label: label}").digest
    assert "corpus 'X' and 'x': taken for different ones" in caplog.text
    # split=official takes them for one
    assert "part" not in caplog.text


def test_a_missing_column_is_named_with_those_that_are_there(folder):
    (folder / "t.csv").write_text("path,emotion\na.wav,happy\n")
    with pytest.raises(UserError, match=r"no column 'label'; it has path, emotion\. .*corpus\.columns\.label="):
        load(folder, "t.csv")


def test_an_empty_cell_is_named_with_its_line(folder):
    (folder / "t.csv").write_text("path,label\na.wav,happy\nb.wav,\n")
    with pytest.raises(UserError, match="column 'label' is empty in 1 rows, first in line 3"):
        load(folder, "t.csv")


def test_a_missing_or_unreadable_table(folder):
    with pytest.raises(UserError, match=r"there is no table .*nowhere\.csv"):
        load(folder, "nowhere.csv")
    (folder / "t.jsonl").write_text("{broken")
    with pytest.raises(UserError, match="cannot be read as a table"):
        load(folder, "t.jsonl")
    (folder / "t.csv").write_text("")
    with pytest.raises(UserError, match=r"t\.csv is empty"):
        load(folder, "t.csv")


PLAIN = "a.wav,happy,1,x\nb.wav,sad,2,y\n"
ZOE = "zo\u00eb"


def labels(manifest):
    return manifest.table.set_index("id")["label"].to_dict()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # the quotation ends at the end of a cell, within one, and nowhere
        ('a.wav,happy,1,"great\nb.wav,sad,2,fine"\n', "a quotation mark in line 2 makes lines 2 to 3 one row"),
        (
            'a.wav,happy,"great,1\nb.wav,sad,the "best",2\n',
            "opens a cell in line 2 is not closed by its end, so that lin",
        ),
        ('a.wav,happy,1,x\nb.wav,sad,2,"great\n', "opens a cell in line 3 is not closed by its end; close it, or doub"),
        ('a.wav,happy,1,"great\nb.wav,sad,2,fine\n', "so that lines 2 to 3 would be one row; close it, or double ever"),
        (f'a.wav,happy,1,"{"x" * 140_000}\n', "a quotation mark that opens a cell in line 2 is not closed by its end"),
    ],
)
def test_a_quotation_that_makes_one_row_of_several_is_refused_by_line(folder, text, message):
    (folder / "t.csv").write_text("path,label,speaker,note\n" + text)
    with pytest.raises(UserError, match=message):
        load(folder, "t.csv")


def test_a_cell_may_have_several_lines_and_is_named(folder, caplog):
    note = '"first, then\r\n""second""\n\nfourth"'
    (folder / "t.csv").write_bytes(f"path,label,speaker,text_id\na.wav,happy,1,{note}\nb.wav,sad,2,y\n".encode())
    table = load(folder, "t.csv").table
    assert table["text_id"].tolist() == ['first, then\r\n"second"\n\nfourth', "y"]
    assert "rows whose quoted cells span lines: 2 to 5; " in caplog.text


def test_in_a_tsv_a_quotation_mark_that_is_not_closed_on_its_line_is_a_character(folder, caplog):
    rows = ['a.wav\thappy\t"great', 'b.wav\tsad\t"on, ""and"" on"', 'sub/c.wav\thappy\tfine"']
    (folder / "t.tsv").write_text("\n".join(["path\tlabel\ttext_id", *rows]))
    assert load(folder, "t.tsv").table["text_id"].tolist() == ['"great', 'on, "and" on', 'fine"']
    (folder / "t.tsv").write_text('path\tlabel\tnote\tspeaker\na.wav\thappy\t"one\ttab"\t1\nb.wav\tsad\t"\t2\n')
    assert load(folder, "t.tsv").table["speaker"].tolist() == ["1", "2"]
    assert not caplog.records


@pytest.mark.parametrize("written", [("anna", "anna "), ("\u00a0bob", "bob"), (ZOE, unicodedata.normalize("NFD", ZOE))])
def test_blanks_and_unicode_forms_make_no_further_person_or_class_and_are_named(folder, caplog, written):
    one, other = written
    text = f"path,label,speaker\na.wav,{one},{one}\nb.wav,{other},{other}\nsub/c.wav,sad,carl\n"
    (folder / "t.csv").write_text(text)
    manifest = load(folder, "t.csv")
    name = unicodedata.normalize("NFC", one).strip()
    assert manifest.table["speaker"].tolist() == [name, name, "carl"]
    assert manifest.classes == tuple(sorted([name, "sad"]))
    assert f"speaker '{name}': spellings that differ in blanks around them or in Unicode's form" in caplog.text
    assert f"label '{name}': spellings" in caplog.text
    mapped = load(folder, "t.csv", f"corpus.classes={{x: ['{other}'], y: [sad]}}")
    assert mapped.table["label"].tolist() == ["x", "x", "y"]


@pytest.mark.parametrize(
    ("one", "other"), [("anna", "Anna"), ("03", "3"), ("s03", "S3"), ("10", "10.0"), ("a b", "a  b")]
)
def test_names_that_are_nearly_equal_are_named_and_not_merged(folder, caplog, one, other):
    text = f"path,label,speaker\na.wav,{one},{other}\nb.wav,{other},{one}\nsub/c.wav,sad,carl\n"
    (folder / "t.csv").write_text(text)
    manifest = load(folder, "t.csv")
    assert len(manifest.classes) == 3
    first, second = sorted([one, other])
    for column in ("label", "speaker"):
        assert f"{column} '{first}' and '{second}': taken for different ones" in caplog.text


def test_blank_cells_are_missing_and_words_for_nothing_are_named_once(folder, caplog):
    (folder / "t.csv").write_text("path,label,speaker,gender\na.wav,NA, ,f\nb.wav,sad,nan,NA\nsub/c.wav,sad,nan,\n")
    table = load(folder, "t.csv").table
    assert table["speaker"].tolist() == ["", "nan", "nan"]
    assert table["label"].tolist() == ["NA", "sad", "sad"]
    (record,) = caplog.records
    assert record.getMessage() == (
        "table: kept as names: label 'NA' (1), speaker 'nan' (2), gender 'NA' (1); leave a cell blank where nothing is "
        "known"
    )


def test_json_has_types_as_written(folder):
    (folder / "t.jsonl").write_text(
        '{"path": "a.wav", "label": 1, "speaker": 10}\n\n'
        '{"path": "b.wav", "label": 2, "speaker": null}\n'
        '{"path": "sub/c.wav", "label": "1", "speaker": 1.10, "gender": true}\n'
    )
    table = load(folder, "t.jsonl").table
    assert table["label"].tolist() == ["1", "2", "1"]
    assert table["speaker"].tolist() == ["10", "", "1.10"]
    assert table["gender"].tolist() == ["", "", "True"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"id": 1, "path": "a.wav", "label": "x"}\n{"id": "1", "path": "b.wav", "label": "y"}',
            "1 ids occur more than",
        ),
        (
            '[{"path": "a.wav", "label": "x"}]',
            "is one JSON array, where JSON lines are expected, an object per line; ma",
        ),
        ('{"path": "a.wav", "label": "x"}\n{"path": ', "line 2 is not JSON \\(Expecting value\\)"),
        ("[" * 9 + '\n"a"', "is one JSON array"),
        ('"a"\n', "line 1 is no JSON object"),
        ('{"path": "a.wav", "label": ["x"]}', "line 1: column 'label' holds a list, where text is expected"),
        ('{"path": "a\\ud800.wav", "label": "x"}', "line 1: column 'path' holds half a character or a zero byte"),
        ('{"path": "a\\u0000.wav", "label": "x"}', "line 1: column 'path' holds half a character or a zero byte"),
        ('{"x": ' * 99_999, "line 1 is not JSON \\(nested too deep\\)"),
    ],
)
def test_json_that_cannot_be_a_table_is_refused_by_line(folder, text, message):
    (folder / "t.jsonl").write_text(text)
    with pytest.raises(UserError, match=message):
        load(folder, "t.jsonl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\na.wav,fröhlich\n".encode("latin-1"), "is not UTF-8 text: byte 0xf6 in line 2; save it as a CSV"),
        ("path,label\na.wav,joy\n".encode("utf-16"), "is not UTF-8 text: byte 0xff in line 1"),
        (b"path,label\na.wav,j\0y\n", "has a zero byte in line 2"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "is a Git LFS pointer, not the table it",
        ),
        (b"path,label\n", "has headings and no rows"),
        (b"path;label\na.wav;joy\n", "Its cells seem to be parted by a semicolon; a .csv has commas there"),
        (b"path,label\na.wav,joy\n path,label\nb.wav,sad\n", "line 3 has the headings once more; remove it"),
        (b"path,label\na.wav,joy,3\nb.wav,sad\n", "line 2 has 3 cells, and there are 2 headings"),
        (b"path,label,label\na.wav,joy,joy\nb.wav,sad,sad\n", "has several columns 'label'; rename all but one"),
        (b"path,label\n \t,joy\n", "column 'path' is empty in 1 rows, first in line 2"),
        (
            b"path\na.wav\n",
            r"has no column 'label'; it has path\. Say which one holds the label: corpus.columns.label=",
        ),
        (",".join(map(str, range(80))).encode() + b"\n1\n", r"it has 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 70 more\. Say"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_line(folder, content, message):
    (folder / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=message) as refused:
        load(folder, "t.csv")
    assert "\n" not in str(refused.value)


def test_a_table_that_may_not_be_read(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(UserError, match=r"table\.csv cannot be read \(Permission denied\)"):
        load(folder, "table.csv")


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("path,label,speaker\na.wav,joy,1,,\nb.wav,sad,2,\n", None),
        ("path , label,speaker,\na.wav,joy,1,\n\nb.wav,sad,2,\n", None),
        ('path,label,speaker\n"1","a.wav","joy","1"\n"2","b.wav","sad","2"\n', "the first is taken as the row's name"),
        (
            "path,label,speaker,note\na.wav,joy,1,x\nb.wav,sad,2\n",
            "1 rows have fewer cells than headings, first in line 3",
        ),
    ],
)
def test_lines_may_be_longer_or_shorter_than_the_headings(folder, caplog, text, doubt):
    (folder / "t.csv").write_text(text)
    manifest = load(folder, "t.csv")
    assert labels(manifest) == {"a.wav": "joy", "b.wav": "sad"}
    assert manifest.table["speaker"].tolist() == ["1", "2"]
    assert (doubt or "") in caplog.text
    assert bool(caplog.records) == bool(doubt)


def test_a_column_that_is_named_and_absent_is_an_error(folder):
    (folder / "t.csv").write_text("path,label,speaker,note\n" + PLAIN)
    with pytest.raises(
        UserError, match=r"no column 'who'; it has path, label, .* the speaker: corpus\.columns\.speaker="
    ):
        load(folder, "t.csv", "corpus.columns.speaker=who")
    assert load(folder, "t.csv", "corpus.columns.speaker=null").table["speaker"].tolist() == ["", ""]
    with pytest.raises(UserError, match=r"corpus\.columns\.speeker is none of the columns, which are id, path, label"):
        load(folder, "t.csv", "+corpus.columns.speeker=who")


def test_what_was_read_is_said_in_a_line(folder, caplog):
    (folder / "t.csv").write_text("file,label,Speaker,note\n" + PLAIN)
    with caplog.at_level(logging.INFO):
        load(folder, "t.csv", "corpus.columns.path=file")
    (record,) = caplog.records
    assert record.getMessage() == (
        f"table: {folder}/t.csv: 2 rows; columns used: file as path, label; not used: Speaker (perhaps "
        "corpus.columns.speaker=Speaker), note"
    )


def test_paths_are_opened_as_they_are_given(folder):
    (folder / "a.wav").rename(folder / " a\u0308.wav")
    (folder / "linked.wav").symlink_to("b.wav")
    (folder / "t.csv").write_text("path,label\n a\u0308.wav,joy\nlinked.wav,sad\nsub/../sub/c.wav,sad\n")
    manifest = load(folder, "t.csv")
    assert manifest.table["path"].tolist() == [str(folder / name) for name in (" a\u0308.wav", "b.wav", "sub/c.wav")]


def test_paths_that_lead_nowhere(folder, caplog):
    (folder / "loop").symlink_to("loop")
    paths = ["loop/a.wav", "loop", "x" * 300 + ".wav"]
    (folder / "t.csv").write_text("path,label,\na.wav,joy\nb.wav,sad\n" + "".join(f"{path},sad\n" for path in paths))
    manifest = load(folder, "t.csv", "corpus.max_bad_share=0.9")
    assert sorted(manifest.left_out) == sorted(paths)
    assert "the file cannot be read (File name too long)" in caplog.text


@pytest.mark.parametrize(
    ("row", "classes", "message"),
    [
        ("joy,{1}", "null", "40 of 40 recordings cannot be used, for none is there, such as .*/joy; check corpus.root"),
        ("b.wav,{0}.wav", "null", "40 labels for 40 utterances, such as '0.wav', cannot each be a class; check which"),
        ("b.wav,{0}.wav", "{x: [y], z: [w]}", r"unknown label '0\.wav', .*, '17\.wav' and 30 more, first at"),
    ],
)
def test_a_shifted_column_is_told_in_a_line(folder, row, classes, message):
    rows = [f"{number},{row.format(number, 'ab'[number % 2])}" for number in range(40)]
    (folder / "t.csv").write_text("\n".join(["id,path,label", *rows]))
    with pytest.raises(UserError, match=message) as refused:
        load(folder, "t.csv", f"corpus.classes={classes}")
    assert len(str(refused.value)) < 500


def test_a_recording_under_several_utterances_is_named(folder, caplog):
    (folder / "t.csv").write_text("id,path,label\n1,a.wav,joy\n2,b.wav,sad\n3,a.wav,joy\n")
    load(folder, "t.csv")
    assert f"recordings that several utterances are: {folder}/a.wav" in caplog.text


@pytest.mark.parametrize("key", ['"speaker"', '" speaker"'])
def test_a_key_twice_in_an_object_is_refused_with_its_line(folder, key):
    (folder / "t.jsonl").write_text(
        '{"path": "a.wav", "label": "happy"}\n{"path": "b.wav", "label": "sad", "speaker": "03", ' + key + ': "07"}\n'
    )
    with pytest.raises(UserError, match=r"t\.jsonl, line 2 has the key 'speaker' twice; give one of them another name"):
        load(folder, "t.jsonl")


def test_a_heading_twice_is_refused(folder):
    (folder / "t.csv").write_text("path,label,path\na.wav,happy,b.wav\n")
    with pytest.raises(UserError, match=r"t\.csv has several columns 'path'; rename all but one"):
        load(folder, "t.csv")


def test_a_cell_that_is_too_long_is_called_so(folder):
    (folder / "t.csv").write_text(f"path,label\na.wav,happy\nb.wav,{'x' * 200_000}\n")
    with pytest.raises(UserError, match=r"t\.csv, line 3: a cell has more than 131072 characters; shorten it"):
        load(folder, "t.csv")


def test_a_root_that_is_a_loop_of_links_is_named(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    config = compose(["corpus=table", f"corpus.root={tmp_path / 'loop'}", "corpus.table=t.csv"]).corpus
    with pytest.raises(UserError, match="/loop"):
        load_manifest(config, tmp_path)
