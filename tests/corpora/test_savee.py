"""SAVEE by its file names, in both layouts that copies have."""

import pytest

from ser_lightning.errors import UserError
from tests.corpora.recordings import load, write

NAMES = ["DC_a01", "DC_n01", "JE_h02", "JE_h15", "JK_sa01", "JK_su04", "KL_d15", "KL_f03", "KL_n30"]


def make_tree(folder):
    """A recording or more of every class.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    write(folder, *NAMES)
    return [f"corpus.root={folder}"]


@pytest.fixture
def root(tmp_path):
    make_tree(tmp_path)
    return tmp_path


def test_the_four_classes_of_the_paper(root):
    manifest = load(root, "savee")
    assert manifest.classes == ("neu", "ang", "hap", "sad")
    assert manifest.table["label"].value_counts().to_dict() == {"neu": 2, "ang": 1, "hap": 2, "sad": 1}


def test_all_seven(root):
    manifest = load(root, "savee_all")
    assert manifest.classes == ("neu", "ang", "hap", "sad", "disgust", "fear", "surprise")
    assert manifest.table.set_index("id")["raw_label"].to_dict() == {
        "DC_a01": "anger", "DC_n01": "neutral", "JE_h02": "happiness", "JE_h15": "happiness", "JK_sa01": "sadness",
        "JK_su04": "surprise", "KL_d15": "disgust", "KL_f03": "fear", "KL_n30": "neutral",
    }  # fmt: skip


def test_speakers_and_sentences(root):
    table = load(root, "savee_all").table.set_index("id")
    assert table["speaker"].value_counts().to_dict() == {"DC": 2, "JE": 2, "JK": 2, "KL": 3}
    assert set(table["gender"]) == {"male"}
    assert table["text_id"].to_dict() == {
        "DC_a01": "common01", "DC_n01": "common01", "JE_h02": "common02", "JE_h15": "h15", "JK_sa01": "common01",
        "JK_su04": "su04", "KL_d15": "d15", "KL_f03": "common03", "KL_n30": "n30",
    }  # fmt: skip


def test_a_folder_per_speaker_is_the_same_corpus(root, tmp_path_factory):
    release = tmp_path_factory.mktemp("release")
    write(release, *("AudioData/" + name.replace("_", "/") for name in NAMES))
    assert load(release, "savee").digest == load(root, "savee").digest
    assert load(release / "AudioData", "savee").digest == load(root, "savee").digest


def test_a_file_without_a_speaker_is_refused(root):
    write(root, "others/a01")
    with pytest.raises(UserError, match=r"neither name nor folder of .*others/a01\.wav says who speaks"):
        load(root, "savee")


def test_resource_forks_are_no_recordings(root):
    (root / "._DC_a01.wav").write_bytes(b"\x00\x05\x16\x07")
    assert len(load(root, "savee")) == 6


@pytest.mark.parametrize("wrong", ["hello", "DC_x01", "XX_a01"])
def test_what_is_not_savee_is_refused(root, wrong):
    (root / f"{wrong}.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=rf"{wrong}\.wav is not named like DC_a01\.wav or DC/a01\.wav \(speaker"):
        load(root, "savee")
