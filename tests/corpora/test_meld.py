"""MELD by its three tables, and the sound of its videos."""

import logging
import os
import shutil
import subprocess

import pytest

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from ser_lightning.errors import UserError
from tests.corpora.recordings import load, write

HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
EMOTIONS = ["neutral", "anger", "joy", "sadness", "disgust", "fear", "surprise"]
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}


def line(utterance, dialogue, emotion, words="Hey."):
    return f'1,"{words}",Ross,{emotion},neutral,{dialogue},{utterance},8,21,"00:16:16,059","00:16:21,731"'


def make_tree(folder):
    """A recording of every class in each part, in the release's layout, the sound beside the videos.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    for part, name in FOLDERS.items():
        lines = [line(number, 3, emotion) for number, emotion in enumerate(EMOTIONS)]
        (folder / f"{part}_sent_emo.csv").write_text("\n".join([HEAD, *lines]))
        place = folder / name
        write(place, *(f"dia3_utt{number}" for number in range(7)))
        for number in range(7):
            (place / f"dia3_utt{number}.mp4").write_bytes(b"\0\0\0 ftypisom")
            (place / f"._dia3_utt{number}.mp4").write_bytes(b"\0\5\x16\7")
    return [f"corpus.root={folder}"]


@pytest.fixture
def root(tmp_path):
    make_tree(tmp_path)
    return tmp_path


def test_four_classes_and_seven(root):
    assert load(root, "meld").table["raw_label"].value_counts().to_dict() == dict.fromkeys(EMOTIONS[:4], 3)
    assert load(root, "meld_all").table["label"].value_counts().to_dict() == dict.fromkeys(
        ["neu", "ang", "hap", "sad", "disgust", "fear", "surprise"], 3
    )


def test_who_says_what_in_which_dialogue_and_part(root):
    with (root / "dev_sent_emo.csv").open("a") as file:
        file.write("\n" + line(0, 4, "joy", 'It’s ""Bob"" actually, hey.'))
    write(root / FOLDERS["dev"], "dia4_utt0")
    table = load(root, "meld").table.set_index("id")[["speaker", "dialogue", "part", "transcript"]]
    assert table.loc["test_dia3_utt1"].tolist() == ["Ross", "test_dia3", "test", "Hey."]
    assert table.loc["dev_dia4_utt0"].tolist() == ["Ross", "dev_dia4", "dev", 'It’s "Bob" actually, hey.']


def test_its_partition(root):
    manifest = load(root, "meld")
    (roles,) = compose(["split=official"]).split.make().divide(manifest, 0)
    assert roles.tolist() == manifest.table["part"].tolist()


def test_folders_of_other_depth_names_and_kinds_of_file(root):
    digest = load(root, "meld").digest
    (root / "raw" / "train").mkdir(parents=True)
    (root / "train_sent_emo.csv").rename(root / "raw" / "train" / "train_sent_emo.csv")
    shutil.copy(root / "raw" / "train" / "train_sent_emo.csv", root)
    (root / FOLDERS["train"]).rename(root / "raw" / "train" / "train_splits_wav")
    (root / FOLDERS["test"]).rename(root / "test")
    (root / "test" / "dia3_utt2.wav").rename(root / "test" / "dia3_utt2.FLAC")
    assert load(root, "meld").digest == digest


def test_a_recording_that_was_cut_anew_is_read_for_the_other(root):
    write(root / FOLDERS["test"], "final_videos_testdia3_utt1")
    paths = load(root, "meld").table.set_index("id")["path"]
    assert paths["test_dia3_utt1"].endswith("/final_videos_testdia3_utt1.wav")
    assert paths["test_dia3_utt2"].endswith("/dia3_utt2.wav")


def test_the_two_whose_sound_no_copy_has_are_left_out_by_name(root, caplog):
    for part, (utterance, dialogue) in {"train": (3, 125), "dev": (7, 110)}.items():
        with (root / f"{part}_sent_emo.csv").open("a") as file:
            file.write("\n" + line(utterance, dialogue, "neutral"))
    with caplog.at_level(logging.INFO):
        assert len(load(root, "meld")) == 12
    assert "left out, since the release lacks their sound: train_dia125_utt3, dev_dia110_utt7" in caplog.text


def test_the_command_that_is_named_takes_the_sound_out_of_the_videos(root, tmp_path):
    """Under an ffmpeg of ours, which writes the sound of another file where it is told to."""
    sound = tmp_path / "sound.wav"
    shutil.copy(root / FOLDERS["dev"] / "dia3_utt0.wav", sound)
    for file in (root / FOLDERS["dev"]).glob("*.wav"):
        file.unlink()
    with pytest.raises(UserError, match="of the dev part, 7 videos have no sound beside them") as error:
        load(root, "meld")
    command = str(error.value).partition("Take it out of them by: ")[2]
    (root / "bin").mkdir()
    program = root / "bin" / "ffmpeg"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nfor last; do :; done\ncp {sound} "$last"\n')
    program.chmod(0o755)
    subprocess.run(command, shell=True, check=True, env={"PATH": f"{root}/bin:{os.environ['PATH']}"})
    assert len(load(root, "meld")) == 12
    calls = (tmp_path / "calls").read_text().splitlines()
    video = root / FOLDERS["dev"] / "dia3_utt4.mp4"
    assert f"-nostdin -n -v error -i {video} -vn -ac 1 -ar 16000 {video.with_suffix('.wav')}" in calls
    assert len(calls) == 21


def test_a_few_videos_without_sound_are_left_out_and_named(root, caplog):
    (root / FOLDERS["train"] / "dia3_utt1.wav").unlink()
    # the other is of other words
    (root / FOLDERS["test"] / "final_videos_testdia3_utt2.mp4").write_bytes(b"\0\0\0 ftypisom")
    config = compose(["corpus=meld", f"corpus.root={root}", "corpus.max_bad_share=0.2"]).corpus
    manifest = load_manifest(config, root)
    assert sorted(manifest.left_out) == ["test_dia3_utt2", "train_dia3_utt1"]
    assert "2 videos lack their sound: train_dia3_utt1, test_dia3_utt2. Take it out of them by: find " in caplog.text


def copied_table(root, text):
    (root / "copy").mkdir()
    (root / "copy" / "dev_sent_emo.csv").write_text(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "test_sent_emo.csv").unlink(), r"there is no test_sent_emo\.csv in or below .*; corp"),
        (lambda root: shutil.rmtree(root / FOLDERS["train"]), "no recordings of the train part, such as .*/dia0_utt"),
        (lambda root: write(root / "dev_two", "dia3_utt0"), "and .*/dev_two/dia3_utt0.wav may each be dev_dia3_ut"),
        (lambda root: copied_table(root, HEAD), r"/copy/dev_sent_emo\.csv and .*csv differ; remove al"),
    ],
)
def test_what_is_missing_or_there_twice(root, change, message):
    change(root)
    with pytest.raises(UserError, match=message):
        load(root, "meld")


@pytest.mark.parametrize(
    ("dialogue", "emotion", "message"),
    [("", "joy", "Dialogue_ID is blank in 1 rows, first in row 1"), (3, "glee", "unknown label 'glee', first at")],
)
def test_a_table_with_a_faulty_row(root, dialogue, emotion, message):
    (root / "dev_sent_emo.csv").write_text(f"{HEAD}\n{line(0, dialogue, emotion)}")
    with pytest.raises(UserError, match=message):
        load(root, "meld")
