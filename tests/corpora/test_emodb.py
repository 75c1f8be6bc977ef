"""EmoDB by its real file names."""

import numpy as np
import pytest
import soundfile

from ser_lightning.errors import UserError
from tests.corpora.recordings import load


def make_tree(folder):
    """What one speaker says once in each emotion.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    for emotion in "NWFTLEA":
        soundfile.write(folder / f"03a01{emotion}a.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), 16_000)
    return [f"corpus.root={folder}"]


def test_the_four_classes_of_the_paper(emodb_root):
    manifest = load(emodb_root, "emodb")
    assert manifest.classes == ("neu", "ang", "hap", "sad")
    assert manifest.table["label"].value_counts().to_dict() == {"ang": 127, "neu": 79, "hap": 71, "sad": 62}
    assert not manifest.left_out


def test_all_seven(emodb_root):
    manifest = load(emodb_root, "emodb_all")
    counts = manifest.table["raw_label"].value_counts().to_dict()
    assert counts == {
        "anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79,
    }  # fmt: skip
    assert len(manifest.classes) == 7


def test_speakers_and_texts(emodb_root):
    table = load(emodb_root, "emodb_all").table.set_index("id")
    assert sorted(table["speaker"].unique()) == ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
    assert table.loc["03a01Fa", ["speaker", "gender", "text_id"]].tolist() == ["03", "male", "a01"]
    assert table.loc["08b02Nb", "gender"] == "female"
    assert table["text_id"].nunique() == 10


def test_the_wav_folder_itself_is_accepted(emodb_root):
    assert load(emodb_root / "wav", "emodb").digest == load(emodb_root, "emodb").digest


def test_what_is_not_emodb_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        load(tmp_path / "nowhere", "emodb")
    with pytest.raises(UserError, match="no wav files in"):
        load(tmp_path, "emodb")
    (tmp_path / "hello.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=r"hello\.wav is not named like 03a01Fa\.wav"):
        load(tmp_path, "emodb")
