"""The leak audit finds what was planted, and is quiet on a clean corpus."""

import errno
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import ser_lightning.data.audit
from ser_lightning.contents import read_sealed, write_sealed
from ser_lightning.corpora import Manifest
from ser_lightning.corpora.manifest import SCENES
from ser_lightning.data.audit import audit_split, audit_splits
from ser_lightning.data.leakage import FoldAudit, audit_line, average_audit, copies_line, dev_line, findings
from ser_lightning.data.splits import Split

CLASSES = ("neu", "ang", "hap", "sad")


@pytest.fixture
def clean():
    """400 utterances of eight speakers, the last two tested; the recordings tell nothing of the label."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"u{i:03d}" for i in range(400)], "speaker": [f"s{i // 50}" for i in range(400)]})
    table["label"] = np.tile(CLASSES, 100)
    table["dialogue"] = ""
    table["text_id"] = [f"t{i % 10}" for i in range(400)]
    table["seconds"] = 0.0
    part = np.select([table["speaker"] >= "s6", table["speaker"] == "s5"], ["test", "dev"], "train")
    sound = pd.DataFrame({name: rng.normal(size=400) for name in ("seconds", "lead", "trail", "peak", "level")})
    sound = sound.assign(id=table["id"], content=[f"c{i}" for i in range(400)])
    sound["original"] = np.arange(400)
    table = table.assign(raw_label=table["label"], gender="", session="", kind="")
    split = Split("speaker", 0, 0, pd.DataFrame({"id": table["id"], "part": part}))
    return Manifest("test", CLASSES, table), sound, split


def test_a_likely_copy_in_training_is_a_leak():
    audit = FoldAudit(60, 0.0, None, None, 0.1, 0.1, 0.1, 0.3, 0.25, copy=0.35)
    assert findings(audit) == [
        "10 % of the test recordings are also in training, sample for sample",
        "25 % of the test recordings have a likely copy in training, trimmed, scaled or encoded anew",
    ]
    assert copies_line(FoldAudit(60, 0.0, None, None, 0.1, 0.1, 0.1, 0.3, 0.25, copy=0.1)) == ""


def test_a_clean_split_is_clean(clean):
    audit = audit_split(*clean)
    assert (audit.utterances, audit.speaker, audit.dialogue, audit.sentence, audit.audio) == (100, 0.0, None, 1.0, 0.0)
    # 25 of each class in test; 63, 63, 62, 62 of the 250 in training
    assert audit.class_drift == pytest.approx(0.004)
    assert abs(audit.cue_ua - 0.25) < 0.1
    assert findings(audit) == []


def test_labels_that_are_numbers_are_names_like_others(clean):
    manifest, sound, split = clean
    sound["level"] += 2 * manifest.table["label"].map(CLASSES.index)
    # in the order of the names, by which the forest breaks ties
    number = {name: str(place) for place, name in enumerate(sorted(CLASSES))}
    table = manifest.table.assign(label=manifest.table["label"].map(number))
    numbered = Manifest("test", tuple(number[name] for name in CLASSES), table)
    audit = audit_split(numbered, sound, split)
    assert audit.cue_ua > 0.5
    assert audit == audit_split(manifest, sound, split)


def test_the_same_sound_under_another_name_is_found(clean):
    manifest, sound, split = clean
    sound.loc[sound["id"].isin(["u310", "u320", "u330"]), "content"] = ["c5", "c6", "c6"]
    audit = audit_split(manifest, sound, split)
    assert audit.audio == 0.03
    assert findings(audit) == ["3 % of the test recordings are also in training, sample for sample"]


def test_lengths_that_give_the_label_away_are_found(clean):
    """As in one public corpus: few distinct lengths, each of mostly one label."""
    manifest, sound, split = clean
    label = manifest.table["label"].map(CLASSES.index).to_numpy()
    rng = np.random.default_rng(1)
    told = np.where(rng.random(400) < 0.9, label, rng.integers(0, 4, 400))
    sound["seconds"] = np.array([2.0, 3.1, 2.5, 4.0])[told]
    audit = audit_split(manifest, sound, split)
    assert audit.cue_ua > 0.8
    (finding,) = findings(audit)
    assert "the recordings give the label away" in finding


def test_of_many_utterances_each_tree_sees_some(clean, monkeypatch):
    manifest, sound, split = clean
    sound["level"] += 2 * manifest.table["label"].map(CLASSES.index)
    ua = audit_split(manifest, sound, split).cue_ua
    # 250 train
    monkeypatch.setattr(ser_lightning.data.audit, "SEEN", 250)
    assert audit_split(manifest, sound, split).cue_ua == ua
    monkeypatch.setattr(ser_lightning.data.audit, "SEEN", 100)
    fewer = audit_split(manifest, sound, split).cue_ua
    assert fewer != ua
    assert fewer > 0.5


def test_shares_by_hand(clean):
    manifest, sound, split = clean
    # ten of the hundred tested utterances are of a voice that is also trained on; those of no text share none
    manifest.table.loc[300:309, "speaker"] = "s0"
    manifest.table.loc[300:349, "text_id"] = ""
    manifest.table.loc[350:399, "dialogue"] = "d1"
    manifest.table.loc[0, "dialogue"] = "d1"
    audit = audit_split(manifest, sound, split)
    assert (audit.speaker, audit.sentence, audit.dialogue) == (0.1, 0.5, 0.5)


def test_unknown_speakers_are_nobody_and_not_somebody_else(clean):
    manifest, sound, split = clean
    manifest.table.loc[300:309, "speaker"] = "s0"
    # Of the 30 who are known ten are trained on
    manifest.table.loc[330:399, "speaker"] = ""
    audit = audit_split(manifest, sound, split)
    assert (audit.speaker, audit.dev_speaker, audit.sentence) == (pytest.approx(1 / 3), 0.0, 1.0)
    manifest.table.loc[300:329, "speaker"] = ""
    audit = audit_split(manifest, sound, split)
    assert (audit.speaker, audit.take, audit.dev_speaker) == (None, None, None)


def test_other_lines_of_a_scene_are_no_takes(clean):
    manifest, sound, split = clean
    manifest.table.loc[300:309, "speaker"] = "s0"
    manifest.table["dialogue"] = "d1"
    assert audit_split(manifest, sound, split).take == 0.1
    audit = audit_split(replace(manifest, texts=SCENES), sound, split)
    assert (audit.scene, audit.sentence, audit.take, audit.dev_take) == (1.0, None, None, None)
    assert "speakers 10 %, dialogues 100 %, scenes 100 %, recordings 0 %" in audit_line(audit)
    assert dev_line(audit) == "test shares with dev: speakers 0 %, dialogues 100 %, recordings 0 %"


def test_copies_that_are_not_equal_are_found(clean):
    manifest, sound, split = clean
    # u310 is a copy of u000, which trains, u320 and u330 of u250, which selects
    sound.loc[[310, 320, 330], "original"] = [0, 250, 250]
    audit = audit_split(manifest, sound, split)
    assert (audit.audio, audit.copy, audit.dev_copy) == (0.0, 0.01, 0.02)
    assert "recordings 1 %" in audit_line(audit)
    assert dev_line(audit) == "test shares with dev: speakers 0 %, takes 0 %, recordings 2 %"


def test_takes_are_the_same_speaker_sentence_and_class(clean):
    manifest, sound, split = clean
    assert audit_split(manifest, sound, split).take == 0
    manifest.table.loc[300:303, "speaker"] = "s0"
    # 300 to 303 are neu t0, ang t1, hap t2, sad t3; s0 says of these neu t0 (0), ang t1 (1) and sad t3 (3)
    manifest.table.loc[[2, 22, 42], "text_id"] = "t9"
    manifest.table.loc[302, "label"] = "hap"
    assert audit_split(manifest, sound, split).take == 0.03
    # and dev speaks the sentence of the third
    manifest.table.loc[302, "speaker"] = "s5"
    audit = audit_split(manifest, sound, split)
    assert (audit.take, audit.dev_take, audit.dev_speaker) == (0.03, 0.01, 0.01)
    manifest.table["text_id"] = ""
    assert audit_split(manifest, sound, split).take is None


def test_drift_of_lengths_and_classes(clean):
    manifest, sound, split = clean
    tested = split.table["part"] == "test"
    sound.loc[tested, "seconds"] += 100
    # 25 of 100 sad become neutral: the shares differ by 0.25 twice, of which half is counted
    manifest.table.loc[tested & (manifest.table["label"] == "sad"), "label"] = "neu"
    audit = audit_split(manifest, sound, split)
    assert audit.length_drift == 1.0
    assert audit.class_drift == pytest.approx(0.25)


def test_an_audit_is_kept_and_is_another_for_other_sound(clean, tmp_path):
    manifest, sound, split = clean
    (first,) = audit_splits(manifest, sound, [split], tmp_path)
    (file,) = (tmp_path / "audit").glob("*.json")
    write_sealed(file, {**read_sealed(file), "utterances": 77})
    assert audit_splits(manifest, sound, [split], tmp_path)[0].utterances == 77
    file.write_text(file.read_text().replace('"utterances": 77', '"utterances": 70'))
    assert audit_splits(manifest, sound, [split], tmp_path) == [first]
    sound.loc[399, "content"] = "c0"
    (other,) = audit_splits(manifest, sound, [split], tmp_path)
    assert (first.audio, other.audio) == (0.0, 0.01)


def test_an_audit_that_cannot_be_kept_is_made_all_the_same(clean, tmp_path, monkeypatch):
    def refuse(path, content):
        raise OSError(errno.EROFS, "Read-only file system")

    manifest, sound, split = clean
    expected = audit_splits(manifest, sound, [split], tmp_path / "kept")
    monkeypatch.setattr(ser_lightning.data.audit, "write_sealed", refuse)
    assert audit_splits(manifest, sound, [split], tmp_path) == expected


def test_the_average_of_folds_and_its_line():
    folds = [
        FoldAudit(10, 1.0, None, 0.5, 0.0, 0.1, 0.1, 0.3, 0.25),
        FoldAudit(30, 0.0, None, 0.5, 0.001, 0.1, 0.1, 0.5, 0.25),
    ]
    together = average_audit(folds)
    assert together == FoldAudit(40, 0.5, None, 0.5, 0.0005, 0.1, 0.1, 0.4, 0.25)
    assert audit_line(together) == (
        "test shares with training: speakers 50 %, sentences 50 %, recordings 0.05 % | "
        "by length, silence, level alone: UA 40 %"
    )
