"""Tables of the user's own: formats, columns, and what may be wrong with them."""

import json

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
    with pytest.raises(UserError, match="cannot be read as a table"):
        load(folder, "t.csv")
