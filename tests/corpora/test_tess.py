"""TESS by its file names."""

import logging

import pytest

from ser_lightning.errors import UserError
from tests.corpora.recordings import load, write

NAMES = [
    "OAF_neutral/OA_bite_neutral",
    "OAF_neutral/OAF_back_neutral",
    "OAF_angry/OAF_back_angry",
    "YAF_happy/YAF_back_happy",
    "YAF_sad/YAF_bite_sad",
    "OAF_Pleasant_surprise/OAF_back_ps",
    "YAF_pleasant_surprised/YAF_back_ps",
    "OAF_Fear/OAF_back_fear",
    "YAF_disgust/YAF_back_disgust",
]


def make_tree(folder):
    """A recording or more of every class.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    for name in NAMES:
        # Some files of the release are AIFF inside.
        write(folder, name, kind="AIFF" if "YAF_bite" in name else "WAV")
    return [f"corpus.root={folder}"]


@pytest.fixture
def root(tmp_path):
    make_tree(tmp_path)
    return tmp_path


def test_the_four_classes_of_the_paper(root):
    manifest = load(root, "tess")
    assert manifest.classes == ("neu", "ang", "hap", "sad")
    assert manifest.table["label"].value_counts().to_dict() == {"neu": 2, "ang": 1, "hap": 1, "sad": 1}
    assert not manifest.left_out


def test_all_seven(root):
    manifest = load(root, "tess_all")
    assert manifest.classes == ("neu", "ang", "hap", "sad", "disgust", "fear", "surprise")
    assert manifest.table.set_index("id")["raw_label"].to_dict() == {
        "OA_bite_neutral": "neutral", "OAF_back_neutral": "neutral", "OAF_back_angry": "angry",
        "YAF_back_happy": "happy", "YAF_bite_sad": "sad", "OAF_back_ps": "surprise", "YAF_back_ps": "surprise",
        "OAF_back_fear": "fear", "YAF_back_disgust": "disgust",
    }  # fmt: skip


def test_speakers_and_words(root):
    table = load(root, "tess_all").table.set_index("id")
    described = ["speaker", "gender", "text_id", "transcript"]
    assert table.loc["OA_bite_neutral", described].tolist() == ["OAF", "female", "bite", "Say the word bite"]
    assert table.loc["YAF_bite_sad", described].tolist() == ["YAF", "female", "bite", "Say the word bite"]
    assert table["speaker"].value_counts().to_dict() == {"OAF": 5, "YAF": 4}


def test_two_speakers_are_warned_of(root, caplog):
    with caplog.at_level(logging.WARNING):
        load(root, "tess")
    assert [record.getMessage() for record in caplog.records] == [
        "TESS: two speakers only, so that no result says how well new speakers are recognised"
    ]


def test_resource_forks_are_no_recordings(root):
    (root / "OAF_angry" / "._OAF_back_angry.wav").write_bytes(b"\x00\x05\x16\x07")
    assert len(load(root, "tess")) == 5


@pytest.mark.parametrize("wrong", ["hello", "OAF_back_bored", "MAF_back_angry"])
def test_what_is_not_tess_is_refused(root, wrong):
    (root / f"{wrong}.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=rf"{wrong}\.wav is not named like OAF_back_angry\.wav \(speaker"):
        load(root, "tess")
