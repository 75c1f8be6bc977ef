"""CREMA-D by its file names, with and without the table of its actors."""

import pytest

from ser_lightning.errors import UserError
from tests.corpora.recordings import load, write

NAMES = [
    "1001_DFA_ANG_XX", "1001_IEO_HAP_LO", "1002_TIE_NEU_XX", "1040_ITH_SAD_X", "1091_WSI_DIS_MD", "1091_IEO_FEA_HI",
]  # fmt: skip


def make_tree(folder):
    """A recording of every class, in the release's layout.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    write(folder / "AudioWAV", *NAMES)
    (folder / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
        '1002,21,"Female","Caucasian","Not Hispanic"\n1091,29,"Female","Asian","Not Hispanic"\n'
    )
    return [f"corpus.root={folder}"]


@pytest.fixture
def root(tmp_path):
    make_tree(tmp_path)
    return tmp_path


def test_the_four_classes_of_the_paper(root):
    manifest = load(root, "cremad")
    assert manifest.classes == ("neu", "ang", "hap", "sad")
    assert dict(zip(manifest.table["id"], manifest.table["label"], strict=True)) == {
        "1001_DFA_ANG_XX": "ang", "1001_IEO_HAP_LO": "hap", "1002_TIE_NEU_XX": "neu", "1040_ITH_SAD_X": "sad",
    }  # fmt: skip


def test_all_six(root):
    manifest = load(root, "cremad_all")
    assert manifest.classes == ("neu", "ang", "hap", "sad", "disgust", "fear")
    assert sorted(manifest.table["raw_label"]) == ["anger", "disgust", "fear", "happy", "neutral", "sad"]


def test_actors_and_sentences(root):
    table = load(root, "cremad_all").table.set_index("id")
    described = ["speaker", "gender", "text_id", "transcript"]
    assert table.loc["1001_DFA_ANG_XX", described].tolist() == ["1001", "male", "DFA", "Don't forget a jacket"]
    assert table.loc["1091_IEO_FEA_HI", described].tolist() == ["1091", "female", "IEO", "It's eleven o'clock"]
    assert table.loc["1040_ITH_SAD_X", "gender"] == "", "an actor that the table does not list"


def test_the_table_is_found_from_the_audio_folder_too(root):
    assert load(root / "AudioWAV", "cremad").digest == load(root, "cremad").digest


def test_without_the_table_genders_are_unknown(root):
    (root / "VideoDemographics.csv").unlink()
    assert load(root, "cremad").table["gender"].tolist() == ["", "", "", ""]


def test_a_table_without_the_columns_is_refused(root):
    (root / "VideoDemographics.csv").write_text("<html>\n<body>Not found\n")
    with pytest.raises(UserError, match=r"VideoDemographics\.csv has no columns ActorID and Sex; fetch it anew"):
        load(root, "cremad")


def test_resource_forks_are_no_recordings(root):
    (root / "AudioWAV" / "._1001_DFA_ANG_XX.wav").write_bytes(b"\x00\x05\x16\x07")
    assert len(load(root, "cremad")) == 4


@pytest.mark.parametrize("wrong", ["hello", "1001_DFA_JOY_XX", "1001_XYZ_ANG_XX", "1001_DFA_ANG_ZZ"])
def test_what_is_not_cremad_is_refused(root, wrong):
    (root / "AudioWAV" / f"{wrong}.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=rf"{wrong}\.wav is not named like 1001_DFA_ANG_XX\.wav \(actor, sentence"):
        load(root, "cremad")
