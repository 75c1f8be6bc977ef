"""From rows to a manifest: labels, duplicates, and recordings that cannot be used."""

import logging
import os
import shutil
from collections import Counter

import numpy as np
import pytest
import soundfile

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from ser_lightning.errors import UserError
from tests.components.test_code import write


@pytest.fixture
def corpus(tmp_path):
    """A folder of forty good recordings in two classes, and a way to load it with its table's lines changed."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(40):
        soundfile.write(tmp_path / f"{i:02d}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
        lines.append(f"{i:02d}.wav,{'happy' if i % 2 else 'sad'},{i % 4:02d}")

    def load(*overrides, extra=(), header="path,label,speaker", changed=()):
        (tmp_path / "table.csv").write_text("\n".join([header, *[*lines, *extra, *changed]]))
        config = compose(["corpus=table", f"corpus.root={tmp_path}", "corpus.table=table.csv", *overrides])
        return load_manifest(config.corpus, tmp_path, shortest=0.48)

    load.folder = tmp_path
    return load


def test_every_label_a_class_by_default(corpus):
    manifest = corpus()
    assert manifest.classes == ("happy", "sad")
    assert len(manifest) == 40
    assert manifest.table["speaker"].unique().tolist() == ["00", "01", "02", "03"]
    assert manifest.table["seconds"].tolist() == [1.0] * 40


def test_labels_are_mapped_and_ignored(corpus):
    for name in ("angry", "cross"):
        shutil.copy(corpus.folder / "00.wav", corpus.folder / f"{name}.wav")
    extra = ["angry.wav,angry,00", "cross.wav,cross,00"]
    manifest = corpus("corpus.classes={joy: [happy], anger: [angry, cross]}", "corpus.ignore=[sad]", extra=extra)
    assert manifest.classes == ("joy", "anger")
    assert Counter(manifest.table["label"]) == {"joy": 20, "anger": 2}
    assert Counter(manifest.table["raw_label"]) == {"happy": 20, "angry": 1, "cross": 1}


def test_a_single_class_is_refused(corpus):
    with pytest.raises(UserError, match="table: joy is the only class, and there must be two or more;"):
        corpus("corpus.classes={joy: [happy]}", "corpus.ignore=[sad]")
    with pytest.raises(UserError, match="table: happy is the only class"):
        corpus("corpus.ignore=[sad]")


def test_an_unknown_label_is_named_with_its_file(corpus):
    with pytest.raises(UserError, match=r"unknown label 'sad', first at .*00\.wav.*corpus.classes.*corpus.ignore"):
        corpus("corpus.classes={joy: [happy]}")


def test_a_label_under_two_classes(corpus):
    with pytest.raises(UserError, match="'happy' stands under two classes, a and b"):
        corpus("corpus.classes={a: [happy], b: [happy, sad]}")


def test_a_label_that_is_ignored_and_has_a_class(corpus):
    with pytest.raises(
        UserError, match=r"'sad' is in corpus.ignore and belongs to the class b too; .*'~corpus.classes.b'"
    ):
        corpus("corpus.classes={a: [happy], b: [sad]}", "corpus.ignore=[sad]")


def test_a_class_without_utterances(corpus):
    with pytest.raises(UserError, match="no usable utterance of class fear"):
        corpus("corpus.classes={a: [happy], b: [sad], fear: [fear]}")


def test_a_duplicate_id_is_named(corpus):
    with pytest.raises(UserError, match=r"1 ids occur more than once; '03\.wav'"):
        corpus(extra=["03.wav,sad,00"])


def broken(folder):
    """One recording of each kind that cannot be used."""
    noise = 0.1 * np.random.default_rng(1).standard_normal(16_000)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not audio at all")
    (folder / "pointer.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 32044\n")
    soundfile.write(folder / "short.wav", noise[:7_000], 16_000)
    soundfile.write(folder / "cut.wav", noise, 16_000)
    whole = (folder / "cut.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    return {
        "missing.wav": "does not exist",
        "empty.wav": "is empty",
        "text.wav": "not readable as audio",
        "pointer.wav": "a Git LFS pointer, not the recording itself; fetch it by: git lfs pull",
        "short.wav": "0.44 s is shorter than the 0.48 s",
        "cut.wav": "truncated: 16022 of the bytes",
    }


@pytest.mark.parametrize("name", ["missing.wav", "empty.wav", "text.wav", "pointer.wav", "short.wav", "cut.wav"])
def test_one_bad_recording_of_many_is_left_out_with_a_counted_warning(corpus, caplog, name):
    why = broken(corpus.folder)[name]
    with caplog.at_level(logging.WARNING):
        manifest = corpus(extra=[f"{name},sad,00"])
    assert len(manifest) == 40
    assert list(manifest.left_out) == [name]
    assert "table: 1 of 41 recordings are left out" in caplog.text
    assert why in caplog.text
    assert str(corpus.folder / name) in caplog.text


def test_many_bad_recordings_are_an_error(corpus):
    names = broken(corpus.folder)
    with pytest.raises(UserError, match=r"6 of 46 recordings cannot be used.*corpus.max_bad_share=0.05") as error:
        corpus(extra=[f"{name},sad,00" for name in names])
    assert all(why in str(error.value) for why in names.values())


def test_each_recording_is_named_once_in_a_message(corpus):
    with pytest.raises(UserError, match=r"12 of 52 recordings cannot be used.* and 2 more$") as error:
        corpus(extra=[f"gone{number:02d}.wav,sad,00" for number in range(12)])
    assert str(error.value).count("gone") == 10


def test_a_wav_written_to_a_pipe_is_not_truncated(corpus):
    """Its header announces the largest size there is, for the writer could not know it."""
    file = corpus.folder / "00.wav"
    content = bytearray(file.read_bytes())
    content[4:8] = (0xFFFFFFFF).to_bytes(4, "little")
    file.write_bytes(content)
    assert not corpus().left_out


def test_what_is_merely_inexact_is_kept_and_said(corpus):
    file = corpus.folder / "03.wav"
    content = bytearray(file.read_bytes())
    content[4:8] = (len(content)).to_bytes(4, "little")
    file.write_bytes(content)
    manifest = corpus()
    assert len(manifest) == 40
    assert manifest.inexact == {
        "03.wav": f"{file}: its header announces 8 bytes more than there are, behind the sound",
    }


def test_a_pipe_in_the_place_of_a_recording_is_not_waited_for(corpus):
    os.mkfifo(corpus.folder / "pipe.wav")
    left_out = corpus(extra=["pipe.wav,sad,00"]).left_out
    assert left_out == {"pipe.wav": f"{corpus.folder / 'pipe.wav'}: it is not a regular file"}


def test_the_digest_ignores_where_the_corpus_lies_and_the_order_of_rows(corpus, tmp_path):
    manifest = corpus()
    shuffled = corpus().table.sample(frac=1, random_state=0)
    assert manifest.digest == corpus().digest
    assert set(shuffled["id"]) == set(manifest.table["id"])
    assert manifest.table["id"].is_monotonic_increasing
    relabelled = corpus("corpus.classes={x: [happy], y: [sad]}")
    assert relabelled.digest != manifest.digest


@pytest.fixture
def own(corpus, monkeypatch):
    """Loads a corpus of one's own, which says of the folder's recordings what a piece of code makes of `rows`."""
    monkeypatch.chdir(corpus.folder)

    def load(code):
        text = f"""
import numpy as np
import pandas as pd

class Mine:
    def load(self, root):
        paths = sorted(root.glob("*.wav"))
        rows = pd.DataFrame({{"id": [path.stem for path in paths], "path": paths}})
        rows["raw_label"] = np.where(rows.index % 2, "happy", "sad")
        {code}
        return rows
"""
        write(corpus.folder, {"mine.py": text, "conf/corpus/mine.yaml": "_target_: mine.Mine\n"})
        return load_manifest(compose(["corpus=mine", "corpus.root=.", "paths.output=outputs"]).corpus, corpus.folder)

    return load


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("rows['id'] = rows.index", "mine: mine.Mine.load gives in row 0 the id '0', of the type int; it must be text"),
        ("rows.loc[3:9, 'raw_label'] = np.nan", "mine: mine.Mine.load gives in row 3 the raw_label 'nan', of the ty"),
        ("rows['raw_label'] = ''", "mine: mine.Mine.load gives in row 0 the raw_label ''; it must be text"),
        ("rows['path'] = 1.5", "mine: mine.Mine.load gives in row 0 the path '1.5', of the type float; it must be te"),
        ("rows = rows.to_dict('records')", "mine: mine.Mine.load gives a list where a pandas.DataFrame is expected"),
        ("del rows['path']", "mine: mine.Mine.load gives no column path"),
        ("rows['raw_label'] = 'sad'", "mine: sad is the only class, and there must be two or more; see corpus.classes"),
        ("rows['valence'] = 'high'", "corpus=mine: ValueError: could not convert string to float: 'high'"),
        ("rows['path'] = rows['nonesuch']", "corpus=mine: mine.py:10: KeyError: 'nonesuch'"),
    ],
)
def test_rows_that_a_corpus_should_not_give(own, code, message):
    with pytest.raises(UserError) as refused:
        own(code)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    "code",
    [
        "rows = pd.concat([rows[:20], rows[20:].reset_index(drop=True)])",
        "rows['speaker'] = pd.Categorical(['a', None] * 20)",
        "rows['votes'] = [{'e1': ['sad']}, None] * 20",
    ],
)
def test_rows_that_it_may_give(own, code):
    table = own(code).table
    assert table["id"].tolist() == [f"{number:02d}" for number in range(40)]
    assert table["label"].tolist() == ["sad", "happy"] * 20
    assert set(map(type, table["path"])) == {str}
    assert table["speaker"].tolist() in ([""] * 40, ["a", ""] * 20)
    assert table["votes"].tolist() in ([{}] * 40, [{"e1": ["sad"]}, {}] * 20)
