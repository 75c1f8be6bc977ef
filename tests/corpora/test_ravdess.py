"""RAVDESS by its real file names: six of its actors, and what lies among the speech in copies of it."""

import logging

import pytest

from ser_lightning.errors import UserError
from tests.corpora.recordings import load, write

# Actor 7 says one statement in each of the paper's classes.
FOUR = [f"Actor_07/03-01-{emotion}-01-01-01-07" for emotion in ("01", "03", "04", "05")]


def make_tree(folder):
    """What one actor says once in each emotion.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    write(folder, *(f"Actor_07/03-01-0{emotion}-01-01-01-07" for emotion in range(1, 9)))
    return [f"corpus.root={folder}"]


def test_the_four_classes_of_the_paper(ravdess_root):
    manifest = load(ravdess_root, "ravdess")
    assert manifest.classes == ("neu", "ang", "hap", "sad")
    assert manifest.table["label"].value_counts().to_dict() == {"neu": 24, "ang": 48, "hap": 48, "sad": 48}
    assert len(manifest) == 168
    assert not manifest.left_out


def test_all_eight(ravdess_root):
    manifest = load(ravdess_root, "ravdess_all")
    assert manifest.classes == ("neu", "ang", "hap", "sad", "calm", "fearful", "disgust", "surprised")
    assert manifest.table["raw_label"].value_counts().to_dict() == {
        "neutral": 24, "calm": 48, "happy": 48, "sad": 48, "angry": 48, "fearful": 48, "disgust": 48, "surprised": 48,
    }  # fmt: skip


def test_speakers_and_statements(ravdess_root):
    table = load(ravdess_root, "ravdess_all").table.set_index("id")
    genders = table.groupby("speaker")["gender"].unique().str.join(",").to_dict()
    assert genders == {
        "01": "male", "02": "female", "05": "male", "07": "male", "08": "female", "20": "female",
    }  # fmt: skip
    assert table["speaker"].value_counts().unique().tolist() == [60]
    assert table["text_id"].value_counts().to_dict() == {"01": 180, "02": 180}
    described = ["raw_label", "speaker", "gender", "text_id", "transcript"]
    assert table.loc["03-01-05-02-02-01-08", described].tolist() == [
        "angry", "08", "female", "02", "Dogs are sitting by the door",
    ]  # fmt: skip
    assert table.loc["03-01-08-01-01-02-01", "transcript"] == "Kids are talking by the door"


def test_song_and_videos_sound_are_counted_and_set_aside(tmp_path, caplog):
    write(tmp_path, *FOUR, "Actor_07/03-02-05-01-01-01-07", "Actor_07/01-01-05-01-01-01-07")
    with caplog.at_level(logging.WARNING):
        manifest = load(tmp_path, "ravdess")
    assert sorted(manifest.table["raw_label"]) == ["angry", "happy", "neutral", "sad"]
    assert [record.getMessage() for record in caplog.records] == [
        "RAVDESS: 2 of 6 files are song or belong to videos (not named 03-01-*) and are set aside"
    ]


def test_song_alone_is_no_corpus(tmp_path):
    write(tmp_path, "Actor_07/03-02-05-01-01-01-07")
    with pytest.raises(UserError, match=r"none of the 1 wav files in .* is speech, named 03-01-\*\.wav"):
        load(tmp_path, "ravdess")


def test_of_a_copy_that_holds_every_file_twice_one_set_is_read(tmp_path):
    write(tmp_path, *FOUR, *(f"audio_speech_actors_01-24/{name}" for name in FOUR))
    paths = load(tmp_path, "ravdess").table["path"]
    assert len(paths) == 4
    assert paths[0] == str(tmp_path / "audio_speech_actors_01-24" / f"{FOUR[0]}.wav")


def test_a_file_of_one_name_in_two_folders_is_named_with_both(tmp_path):
    write(tmp_path, *FOUR, f"copy/{FOUR[3]}")
    twice = r"'03-01-05-01-01-01-07' names .*/Actor_07/03-01-05.* and .*/copy/Actor_07/03-01-05"
    with pytest.raises(UserError, match=twice):
        load(tmp_path, "ravdess")


def test_resource_forks_are_no_recordings(tmp_path):
    write(tmp_path, *FOUR)
    (tmp_path / "Actor_07" / "._03-01-05-01-01-01-07.wav").write_bytes(b"\x00\x05\x16\x07")
    assert len(load(tmp_path, "ravdess")) == 4


@pytest.mark.parametrize("wrong", ["hello", "03-01-09-01-01-01-07", "03-01-05-01-01-01-25"])
def test_what_is_not_ravdess_is_refused(tmp_path, wrong):
    write(tmp_path, *FOUR, f"Actor_07/{wrong}")
    with pytest.raises(
        UserError, match=rf"Actor_07/{wrong}\.wav is not named like 03-01-05-02-01-02-07\.wav \(modality"
    ):
        load(tmp_path, "ravdess")
