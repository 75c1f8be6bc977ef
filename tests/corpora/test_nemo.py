"""nEMO by its file names, with and without its table."""

import pytest

from ser_lightning.errors import UserError
from tests.corpora.recordings import load, write

NAMES = ["EB0_anger_57", "EB0_neutral_13", "KS0_happiness_4", "MP0_sadness_79", "WR0_surprised_64", "TP0_fear_46"]
# The release's table has blanks before the speaker, and ids with their suffix.
TABLE = """file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage
WR0_surprised_64.wav\tsurprised\tUcho wykrywa dźwięki o różnej "częstotliwości.\tucho\t        WR0\tmale\t23
EB0_neutral_13.wav\tneutral\tInteresuje mnie historia Polski.\tinteresuje\t        EB0\tfemale\t27
EB0_anger_57.wav\tanger\tJedz inaczej aby polepszyć swoje zdrowie.\tjedz\t        EB0\tfemale\t27
"""


def make_tree(folder):
    """A recording of every class, in the release's layout.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    write(folder / "samples", *NAMES)
    (folder / "data.tsv").write_text(TABLE, encoding="utf-8")
    return [f"corpus.root={folder}"]


@pytest.fixture
def root(tmp_path):
    make_tree(tmp_path)
    return tmp_path


def test_the_four_classes_of_the_paper(root):
    manifest = load(root, "nemo")
    assert manifest.classes == ("neu", "ang", "hap", "sad")
    assert manifest.table.set_index("id")["label"].to_dict() == {
        "EB0_anger_57": "ang", "EB0_neutral_13": "neu", "KS0_happiness_4": "hap", "MP0_sadness_79": "sad",
    }  # fmt: skip


def test_all_six(root):
    manifest = load(root, "nemo_all")
    assert manifest.classes == ("neu", "ang", "hap", "sad", "fear", "surprise")
    assert sorted(manifest.table["raw_label"]) == ["anger", "fear", "happiness", "neutral", "sadness", "surprise"]


def test_speakers_and_sentences(root):
    table = load(root, "nemo_all").table.set_index("id")
    described = ["speaker", "gender", "text_id", "transcript"]
    assert table.loc["EB0_neutral_13", described].tolist() == [
        "EB0", "female", "13", "Interesuje mnie historia Polski.",
    ]  # fmt: skip
    assert table.loc["WR0_surprised_64", described].tolist() == [
        "WR0", "male", "64", 'Ucho wykrywa dźwięki o różnej "częstotliwości.',
    ]  # fmt: skip
    assert table.loc["MP0_sadness_79", described].tolist() == ["MP0", "", "79", ""], "not in the table"


def test_the_table_is_found_from_the_samples_too(root):
    assert load(root / "samples", "nemo").digest == load(root, "nemo").digest


def test_without_the_table_genders_and_words_are_unknown(root):
    (root / "data.tsv").unlink()
    table = load(root, "nemo").table
    assert table["gender"].tolist() == ["", "", "", ""]
    assert table["transcript"].tolist() == ["", "", "", ""]
    assert table["text_id"].tolist() == ["57", "13", "4", "79"]


def test_a_table_without_file_names_is_refused(root):
    (root / "data.tsv").write_text("<html>\n<body>Not found\n")
    with pytest.raises(UserError, match=r"data\.tsv has no column file_id; fetch it anew or remove it"):
        load(root, "nemo")


def test_resource_forks_are_no_recordings(root):
    (root / "samples" / "._EB0_anger_57.wav").write_bytes(b"\x00\x05\x16\x07")
    assert len(load(root, "nemo")) == 4


@pytest.mark.parametrize("wrong", ["hello", "EB0_bored_57", "EB0_anger"])
def test_what_is_not_nemo_is_refused(root, wrong):
    (root / "samples" / f"{wrong}.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=rf"{wrong}\.wav is not named like WR0_surprised_64\.wav \(speaker"):
        load(root, "nemo")
