"""From rows to a manifest: labels, duplicates, and recordings that cannot be used."""

import logging

import numpy as np
import pytest
import soundfile

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from ser_lightning.errors import UserError


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
    manifest = corpus("corpus.classes={joy: [happy]}", "corpus.ignore=[sad]")
    assert manifest.classes == ("joy",)
    assert set(manifest.table["label"]) == {"joy"}
    assert set(manifest.table["raw_label"]) == {"happy"}
    assert len(manifest) == 20


def test_an_unknown_label_is_named_with_its_file(corpus):
    with pytest.raises(UserError, match=r"unknown label 'sad', first at .*00\.wav.*corpus.classes.*corpus.ignore"):
        corpus("corpus.classes={joy: [happy]}")


def test_a_label_under_two_classes(corpus):
    with pytest.raises(UserError, match="'happy' stands under two classes, a and b"):
        corpus("corpus.classes={a: [happy], b: [happy, sad]}")


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
    soundfile.write(folder / "short.wav", noise[:7_000], 16_000)
    soundfile.write(folder / "cut.wav", noise, 16_000)
    whole = (folder / "cut.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    return {
        "missing.wav": "does not exist",
        "empty.wav": "is empty",
        "text.wav": "not readable as audio",
        "short.wav": "0.44 s is shorter than the 0.48 s",
        "cut.wav": "truncated: 16022 of the bytes",
    }


@pytest.mark.parametrize("name", ["missing.wav", "empty.wav", "text.wav", "short.wav", "cut.wav"])
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
    with pytest.raises(UserError, match=r"5 of 45 recordings cannot be used.*corpus.max_bad_share=0.05") as error:
        corpus(extra=[f"{name},sad,00" for name in names])
    assert all(why in str(error.value) for why in names.values())


def test_a_wav_written_to_a_pipe_is_not_truncated(corpus):
    """Its header announces the largest size there is, for the writer could not know it."""
    file = corpus.folder / "00.wav"
    content = bytearray(file.read_bytes())
    content[4:8] = (0xFFFFFFFF).to_bytes(4, "little")
    file.write_bytes(content)
    assert not corpus().left_out


def test_the_digest_ignores_where_the_corpus_lies_and_the_order_of_rows(corpus, tmp_path):
    manifest = corpus()
    shuffled = corpus().table.sample(frac=1, random_state=0)
    assert manifest.digest == corpus().digest
    assert set(shuffled["id"]) == set(manifest.table["id"])
    assert manifest.table["id"].is_monotonic_increasing
    relabelled = corpus("corpus.classes={x: [happy], y: [sad]}")
    assert relabelled.digest != manifest.digest
