"""IEMOCAP: a small tree written by hand for every trap of the layout, and all 5,531 labels for the counts."""

import csv
import logging
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from ser_lightning.corpora.iemocap import CODES, RELEASE
from ser_lightning.errors import UserError
from ser_lightning.runs.ledger import read_result
from ser_lightning.training.job import train_all
from ser_lightning.training.plan import plan_job
from ser_lightning.training.progress import StudyProgress

SHARED = Path(__file__).resolve().parents[3] / "shared"
TITLE = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(range(128, 200))
SUBSET = "corpus.complete=false"

FIRST = """[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 3.0000, 3.5000]
C-E2:\tNeutral;\t()
C-F1:\tNeutral; Anger;\t(curious (a little))
A-E3:\tval 3; act 2; dom  2;\t()
A-E4:\tval 2; act 4; dom  5;\t()
A-F1:\tval 3; act 2; dom  1;\t()

"""
SECOND = """[10.0100 - 11.3925]\tSes01F_impro01_M000\tang\t[1.0000, 4.5000, 4.0000]
C-E1:\tAnger;\t()
C-E2:\tAnger; Frustration;\t()
C-E4:\tAnger;\t()
A-E1:\tval 1; act 4; dom  4;\t()
A-E2:\tval 1; act 5; dom  4;\t()

"""


def block(name, code):
    head = f"[1.0000 - 2.0000]\t{name}\t{code}\t[2.0000, 3.0000, 4.0000]\n"
    return head + "C-E1:\tOther;\t()\nA-E1:\tval 2; act 3; dom  4;\t()\n\n"


def label_file(root, dialogue):
    return root / f"Session{dialogue[4]}" / "dialog" / "EmoEvaluation" / f"{dialogue}.txt"


def wav_file(root, name):
    return root / f"Session{name[4]}" / "sentences" / "wav" / name.rsplit("_", 1)[0] / f"{name}.wav"


def write_wav(root, name):
    file = wav_file(root, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, 0.01 * np.random.default_rng(0).standard_normal(9600), 16000, subtype="PCM_16")


def write_dialogue(root, dialogue, text, names):
    file = label_file(root, dialogue)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(TITLE + text)
    for name in names:
        write_wav(root, name)


def make_tree(folder):
    """A recording of each of the four classes, improvised.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    names = {f"Ses02F_impro01_F00{number}": code for number, code in enumerate(["neu", "ang", "hap", "sad"])}
    write_dialogue(folder, "Ses02F_impro01", "".join(block(*pair) for pair in names.items()), names)
    return [f"corpus.root={folder}", SUBSET]


@pytest.fixture
def release(tmp_path):
    """Session 1 with a dialogue, session 3 with a suffixed one, session 5 with a scripted one."""
    root = tmp_path / "IEMOCAP_full_release"
    write_dialogue(root, "Ses01F_impro01", FIRST + SECOND, ["Ses01F_impro01_F000", "Ses01F_impro01_M000"])
    suffixed = block("Ses03M_impro05a_F000", "sad") + block("Ses03M_impro05a_M000", "xxx")
    write_dialogue(root, "Ses03M_impro05a", suffixed, ["Ses03M_impro05a_F000"])
    scripted = block("Ses05M_script01_1b_M001", "exc") + block("Ses05M_script01_1b_F010", "fru")
    write_dialogue(root, "Ses05M_script01_1b", scripted, ["Ses05M_script01_1b_M001"])
    return root


def load(root, *overrides, name="iemocap"):
    return load_manifest(compose([f"corpus={name}", f"corpus.root={root}", *overrides]).corpus, root)


def load_subset(root, *overrides):
    return load(root, SUBSET, *overrides)


def refusal(root, *overrides):
    with pytest.raises(UserError) as caught:
        load(root, *overrides)
    return str(caught.value)


# One turn


def test_a_turn_s_columns(release):
    transcripts = release / "Session1" / "dialog" / "transcriptions"
    transcripts.mkdir()
    (transcripts / "Ses01F_impro01.txt").write_text(
        "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\n"
        "M: Yeah.\n"
        "Ses01F_impro01_MXX0 [008.5000-009.5000]: [LAUGHTER]\n"
        "Ses01F_impro01_M000 [010.0100-011.3925]: Do you have your forms?\n"
    )
    table = load_subset(release).table.set_index("id")
    woman, man = table.loc["Ses01F_impro01_F000"], table.loc["Ses01F_impro01_M000"]
    assert woman[["raw_label", "label", "speaker", "gender", "session"]].tolist() == ["neu", "neu", "1F", "female", "1"]
    # The prefix Ses01F names the woman, who wears the markers; the man speaks.
    assert man[["raw_label", "label", "speaker", "gender", "session"]].tolist() == ["ang", "ang", "1M", "male", "1"]
    assert woman[["dialogue", "kind", "text_id"]].tolist() == ["Ses01F_impro01", "improvised", ""]
    assert woman["transcript"] == "Excuse me."
    assert man["transcript"] == "Do you have your forms?"
    assert woman[["valence", "activation", "dominance"]].tolist() == [2.5, 3.0, 3.5]
    # F1 is the woman's word on herself.
    assert woman["votes"] == {"E2": ["neu"]}
    assert man["votes"] == {"E1": ["ang"], "E2": ["ang", "fru"], "E4": ["ang"]}
    assert woman["path"] == str(wav_file(release, "Ses01F_impro01_F000").resolve())
    assert woman["seconds"] == 0.6


def test_every_word_has_its_code(release):
    words = "Neutral; anger;HAPPINESS; Sadness; Frustration; Excited; Surprise; Fear; Disgust; Other; Quite Puzzled;"
    turn = FIRST.replace("C-E2:\tNeutral;", f"C-E2:\t{words}").replace("C-F1:", "C-M1:")
    label_file(release, "Ses01F_impro01").write_text(TITLE + turn + SECOND)
    votes = load_subset(release).table.set_index("id").loc["Ses01F_impro01_F000", "votes"]
    codes = ["neu", "ang", "hap", "sad", "fru", "exc", "sur", "fea", "dis", "oth", "quite puzzled"]
    assert votes == {"E2": codes}


def test_suffixed_dialogues(release):
    table = load_subset(release).table.set_index("id")
    improvised, scripted = table.loc["Ses03M_impro05a_F000"], table.loc["Ses05M_script01_1b_M001"]
    assert improvised[["speaker", "dialogue", "kind", "text_id"]].tolist() == [
        "3F",
        "Ses03M_impro05a",
        "improvised",
        "",
    ]
    # Without its suffix: the words are those of scene 1 of script 1, which other sessions read too.
    assert scripted[["speaker", "dialogue", "kind", "text_id"]].tolist() == [
        "5M", "Ses05M_script01_1b", "scripted", "script01_1",
    ]  # fmt: skip
    assert scripted["label"] == "hap"


def test_only_the_consensus_files_are_read(release):
    expected = load_subset(release).digest
    evaluation = release / "Session1" / "dialog" / "EmoEvaluation"
    for folder, name in (("Categorical", "e2_cat"), ("Attribute", "e3_atr"), ("Self-evaluation", "f1_cat")):
        (evaluation / folder).mkdir()
        (evaluation / folder / f"Ses01F_impro01_{name}.txt").write_text("Ses01F_impro01_F000 :Frustration; ()\n")
        (evaluation / folder / "Ses01F_impro02.txt").write_text(TITLE + block("Ses01F_impro02_F000", "sad"))
    assert load_subset(release).digest == expected


def test_apple_double_files_are_skipped(release, caplog):
    expected = load_subset(release).digest
    transcripts = release / "Session1" / "dialog" / "transcriptions"
    transcripts.mkdir()
    (transcripts / "._Ses01F_impro01.txt").write_bytes(APPLE_DOUBLE)
    (label_file(release, "Ses01F_impro01").parent / "._Ses01F_impro01.txt").write_bytes(APPLE_DOUBLE)
    wav = wav_file(release, "Ses01F_impro01_F000")
    (wav.parent / f"._{wav.name}").write_bytes(APPLE_DOUBLE)
    caplog.clear()
    assert load_subset(release).digest == expected
    assert "no label" not in caplog.text


def test_windows_line_ends_and_a_byte_order_mark(release):
    expected = load_subset(release).digest
    file = label_file(release, "Ses01F_impro01")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert load_subset(release).digest == expected


def test_only_mapped_codes_need_a_wav(release):
    # xxx and fru have none here
    assert len(load_subset(release)) == 4
    message = refusal(release, SUBSET, "+corpus.classes.fru=[fru]", "corpus.ignore=[xxx]")
    assert "Ses05M_script01_1b_F010.wav: the file does not exist" in message


# Where the release lies


def test_root_may_be_the_release_or_its_parent(release):
    assert load_subset(release.parent).table.equals(load_subset(release).table)


def test_roots_that_hold_no_release_or_two(release, tmp_path):
    shutil.copytree(release, tmp_path / "copy")
    assert "several folders" in (message := refusal(tmp_path))
    assert "IEMOCAP_full_release, copy" in message
    (tmp_path / "empty").mkdir()
    assert "holds Session1; corpus.root is the folder IEMOCAP_full_release or its parent" in refusal(tmp_path / "empty")


def test_no_kinds(release):
    assert "corpus.kinds is empty" in refusal(release, SUBSET, "corpus.kinds=[]")


# What is missing is named


def test_missing_sessions(release, caplog):
    message = refusal(release)
    assert "there is no Session2, Session4 in" in message
    assert "corpus.complete=false" in message
    load_subset(release)
    assert "there is no Session2, Session4 in" in caplog.text


def test_a_session_without_label_files(release):
    label_file(release, "Ses03M_impro05a").unlink()
    assert "no label files" in (message := refusal(release, SUBSET))
    assert "Session3" in message


def test_a_missing_wav(release):
    wav_file(release, "Ses01F_impro01_M000").unlink()
    message = refusal(release, SUBSET)
    assert "1 of 4 recordings cannot be used" in message
    assert "Ses01F_impro01/Ses01F_impro01_M000.wav: the file does not exist" in message


def test_recordings_without_a_label_are_counted(release, caplog):
    for name in ("Ses01F_impro01_F007", "Ses01F_impro01_F008", "Ses03M_impro05b_M000"):
        write_wav(release, name)
    assert len(load_subset(release)) == 4
    assert "3 recordings have no label and are not used: Ses01F_impro01 (2), Ses03M_impro05b (1)" in caplog.text


# Damaged label files


@pytest.mark.parametrize(
    "text, line, complaint",
    [
        (TITLE + FIRST + SECOND[:30], 10, "no complete first line of a turn"),
        (TITLE + FIRST + SECOND[:60], 10, "no complete first line of a turn"),
        (TITLE + FIRST + SECOND.split("C-")[0], 10, "the file ends before the turn Ses01F_impro01_M000 is complete"),
        (TITLE + FIRST + SECOND.split("A-")[0], 13, "the file ends before the turn Ses01F_impro01_M000 is complete"),
        (TITLE + FIRST + SECOND.split(" Frus")[0], 12, "'C-E2:\tAnger;' is cut off"),
        (TITLE + FIRST + SECOND[:-4], 15, "is cut off"),
        (TITLE + FIRST[20:] + SECOND, 3, "is cut off or out of place"),
        (TITLE + FIRST.replace("2.5000", "much") + SECOND, 3, "no complete first line of a turn"),
        (TITLE + FIRST.replace("F000", "X000") + SECOND, 3, "no name like Ses01F_impro01_M000"),
        (TITLE, 1, "the file ends before the first turn is complete"),
        (FIRST + SECOND, 1, "is not the title"),
    ],
)  # fmt: skip
def test_a_cut_or_damaged_label_file_is_named_with_the_line(release, text, line, complaint):
    label_file(release, "Ses01F_impro01").write_text(text)
    message = refusal(release, SUBSET)
    assert f"Ses01F_impro01.txt, line {line}:" in message
    assert complaint in message
    assert "\n" not in message


def test_the_last_line_needs_no_line_end(release):
    label_file(release, "Ses01F_impro01").write_text((TITLE + FIRST + SECOND).rstrip())
    assert len(load_subset(release)) == 4


@pytest.mark.parametrize("content, complaint", [(b"", "is empty"), (b"\n \n", "is empty"), (APPLE_DOUBLE, "is binary")])
def test_label_files_that_are_none(release, content, complaint):
    label_file(release, "Ses03M_impro05a").write_bytes(content)
    message = refusal(release, SUBSET)
    assert "Ses03M_impro05a.txt" in message
    assert complaint in message


def test_an_unreadable_label_file(release):
    label_file(release, "Ses01F_impro02").mkdir()
    assert "Ses01F_impro02.txt cannot be read" in refusal(release, SUBSET)


def test_a_turn_twice_in_a_label_file(release):
    with label_file(release, "Ses01F_impro01").open("a") as file:
        file.write(FIRST)
    message = refusal(release, SUBSET)
    assert "1 utterances are labelled more than once; Ses01F_impro01_F000 at " in message
    assert "Ses01F_impro01.txt, line 3 and at " in message
    assert "Ses01F_impro01.txt, line 17." in message


def test_a_turn_in_two_label_files(release):
    file = label_file(release, "Ses01F_impro01")
    shutil.copy(file, file.with_name("Ses01F_impro01 (1).txt"))
    message = refusal(release, SUBSET)
    assert "2 utterances are labelled more than once" in message
    assert "Ses01F_impro01.txt, line 3" in message
    assert "Ses01F_impro01 (1).txt, line 3" in message


# A training


def test_a_training_from_the_label_files_to_the_result(tmp_path):
    """Two turns of each class of all ten speakers, every step of the way; by the paper's protocol."""
    for session in range(1, 6):
        turns = [(f"Ses0{session}F_impro01_{sex}00{number}", number) for sex in "FM" for number in range(8)]
        names = {name: ["neu", "ang", "exc", "sad"][number % 4] for name, number in turns}
        write_dialogue(tmp_path, f"Ses0{session}F_impro01", "".join(block(*pair) for pair in names.items()), names)
    words = [SUBSET, "split.folds=[0]", "trainer.max_steps=2", "batching.size=4", "trainer.workers=1", "logger=csv"]
    config = compose(["corpus=iemocap", f"corpus.root={tmp_path}", f"paths.output={tmp_path / 'out'}", *words])
    (planned,) = plan_job(config)
    with StudyProgress([planned]) as progress:
        (result,) = train_all([planned], progress)
    assert read_result(tmp_path / "out" / "runs" / planned.signature) == result
    assert (result.corpus, result.synthetic, result.protocol) == ("iemocap", False, "paper")
    # Improvised, so that no script is known
    assert (result.audit["scene"], result.audit["sentence"], result.audit["dev_dialogue"]) == (None, None, 1.0)
    assert (result.classes, sum(result.utterances.values())) == (["neu", "ang", "hap", "sad"], 80)


# The counts of the full release

# Published per speaker: ang, hap with exc, neu, sad
SPEAKERS = {
    "1F": (147, 132, 171, 78), "1M": (82, 146, 213, 116), "2F": (67, 166, 135, 113), "2M": (70, 161, 227, 84),
    "3F": (92, 128, 130, 172), "3M": (148, 158, 190, 133), "4F": (205, 185, 76, 62), "4M": (122, 118, 182, 81),
    "5F": (78, 159, 221, 132), "5M": (92, 283, 163, 113),
}  # fmt: skip


def total(kinds=tuple(RELEASE), speakers=tuple(SPEAKERS), codes=CODES):
    return sum(RELEASE[kind][speaker][CODES.index(code)] for kind in kinds for speaker in speakers for code in codes)


def test_the_expected_counts_add_up_to_the_published_ones():
    for speaker, published in SPEAKERS.items():
        per_class = [total(speakers=[speaker], codes=codes) for codes in (["ang"], ["hap", "exc"], ["neu"], ["sad"])]
        assert (speaker, *per_class) == (speaker, *published)
    assert [total(speakers=[f"{n}F", f"{n}M"]) for n in "12345"] == [1085, 1023, 1151, 1031, 1241]
    assert [total(codes=[code]) for code in CODES] == [1708, 1103, 1084, 1041, 595]
    assert (total(["improvised"]), total(["scripted"])) == (2943, 2588)


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    """All names and labels of the four classes; every wav is a link to the same 0.6 s."""
    if not (SHARED / "data" / "iemocap_index.csv").is_file():
        pytest.skip("no index of IEMOCAP beside the project (shared/data/iemocap_index.csv)")
    with (SHARED / "data" / "iemocap_index.csv").open() as handle:
        utterances = [(row["utterance"], row["code"]) for row in csv.DictReader(handle)]
    root = tmp_path_factory.mktemp("iemocap")
    write_wav(root, "Ses01F_none_F000")
    recording = wav_file(root, "Ses01F_none_F000").rename(root / "recording.wav")
    texts: dict[str, str] = {}
    for name, code in utterances:
        dialogue = name.rsplit("_", 1)[0]
        texts[dialogue] = texts.get(dialogue, TITLE) + block(name, code)
        wav_file(root, name).parent.mkdir(parents=True, exist_ok=True)
        wav_file(root, name).symlink_to(recording)
    for dialogue, text in texts.items():
        label_file(root, dialogue).parent.mkdir(parents=True, exist_ok=True)
        label_file(root, dialogue).write_text(text)
    return root


@pytest.fixture
def labels(full, tmp_path):
    """The label files of the full release, to be edited; counts are checked before recordings are looked at."""
    return Path(shutil.copytree(full, tmp_path / "labels", ignore=shutil.ignore_patterns("sentences")))


def test_the_full_release(full, caplog):
    manifest = load(full)
    assert len(manifest) == 5531
    assert manifest.classes == ("neu", "ang", "hap", "sad")
    assert manifest.table["label"].value_counts().to_dict() == {"neu": 1708, "hap": 1636, "ang": 1103, "sad": 1084}
    assert Counter(manifest.table["session"]) == {"1": 1085, "2": 1023, "3": 1151, "4": 1031, "5": 1241}
    assert manifest.table["dialogue"].nunique() == 151
    assert Counter(manifest.table["kind"]) == {"improvised": 2943, "scripted": 2588}
    pairs = Counter(zip(manifest.table["speaker"], manifest.table["label"], strict=True))
    assert {s: tuple(pairs[s, c] for c in ("ang", "hap", "neu", "sad")) for s in SPEAKERS} == SPEAKERS
    scripted = manifest.table[manifest.table["kind"] == "scripted"]
    assert sorted(scripted["text_id"].unique()) == [
        "script01_1", "script01_2", "script01_3", "script02_1", "script02_2", "script03_1", "script03_2",
    ]  # fmt: skip
    # Each scene is read in every session
    assert set(scripted.groupby("text_id")["session"].nunique()) == {5}
    assert not caplog.records


def test_improvised_alone(full, caplog):
    manifest = load(full, name="iemocap_improvised")
    assert manifest.corpus == "iemocap_improvised"
    assert manifest.table["label"].value_counts().to_dict() == {"neu": 1099, "hap": 947, "sad": 608, "ang": 289}
    assert load(full, "corpus.kinds=[improvised]").digest == manifest.digest
    assert not caplog.records


def test_excited_instead_of_happy(full):
    manifest = load(full, "corpus.classes.hap=[exc]", "corpus.ignore=[hap,fru,sur,fea,oth,dis,xxx]")
    assert len(manifest) == 4936
    assert Counter(manifest.table["raw_label"]) == {"neu": 1708, "ang": 1103, "sad": 1084, "exc": 1041}


def test_a_label_that_differs_is_shown_in_a_table(labels):
    file = label_file(labels, "Ses01F_impro01")
    assert "Ses01F_impro01_F000\tneu" in file.read_text()
    file.write_text(file.read_text().replace("Ses01F_impro01_F000\tneu", "Ses01F_impro01_F000\tsad"))
    first, *table = refusal(labels).splitlines()
    assert "5531 utterances of neu, ang, sad, exc, hap found, the full release has 5531" in first
    assert "corpus.complete=false" in first
    assert [line.split() for line in table] == [
        ["session", "speaker", "kind", "code", "found", "expected"],
        ["Session1", "1F", "improvised", "neu", "118", "119"],
        ["Session1", "1F", "improvised", "sad", "44", "43"],
    ]
    # Scripted turns alone are complete: what fails next is that the copy has no recordings.
    assert "2588 of 2588 recordings cannot be used" in refusal(labels, "corpus.kinds=[scripted]")


def test_unmapped_codes_are_not_counted(labels):
    file = label_file(labels, "Ses01F_impro01")
    file.write_text(file.read_text().replace("Ses01F_impro01_F000\tneu", "Ses01F_impro01_F000\tfru"))
    rest = ["~corpus.classes.neu", "corpus.ignore=[neu,fru,sur,fea,oth,dis,xxx]"]
    assert "3823 of 3823 recordings cannot be used" in refusal(labels, *rest)


def test_a_missing_dialogue_is_an_error_or_one_line_of_warning(labels, caplog):
    label_file(labels, "Ses05M_script01_1b").unlink()
    message = refusal(labels)
    assert message.splitlines()[1].split() == ["session", "speaker", "kind", "code", "found", "expected"]
    assert all(line.split()[0] == "Session5" and line.split()[2] == "scripted" for line in message.splitlines()[2:])
    found = int(message.split("utterances of")[0].split()[-1])
    assert found < 5531
    refusal(labels, SUBSET)
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.getMessage() == (
        f"IEMOCAP: {found} utterances of neu, ang, sad, exc, hap found, the full release has 5531; "
        "accepted by corpus.complete=false"
    )


def test_a_long_table_of_differences_is_cut(labels):
    for session in range(1, 6):
        for file in label_file(labels, f"Ses0{session}F_impro01").parent.glob("*script*"):
            file.unlink()
    message = refusal(labels)
    assert "2943 utterances" in message
    assert len(message.splitlines()) == 23
    # Five sessions, two speakers, five codes
    assert message.endswith("and 30 more")


def test_the_twin(tmp_path):
    tool = SHARED / "tools" / "iemocap_twin.py"
    if not tool.is_file():
        pytest.skip("no twin of IEMOCAP beside the project (shared/tools/iemocap_twin.py)")
    command = [sys.executable, str(tool), str(tmp_path), "--fraction", "0.03", "--silent"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    table = load_subset(tmp_path).table
    assert f": {len(table)} utterances of the four classes" in said
    assert set(table["speaker"]) == set(SPEAKERS)
    assert (table["transcript"] != "").all()
    assert table["votes"].map(len).min() >= 3
    votes = [(evaluator, code) for cell in table["votes"] for evaluator, codes in cell.items() for code in codes]
    assert {evaluator[0] for evaluator, _ in votes} == {"E"}
    assert {code for _, code in votes} <= {"neu", "ang", "hap", "sad", "fru", "exc", "sur", "fea", "dis", "oth"}
    assert table["valence"].between(1, 5).all()
    everything = load_subset(tmp_path, "corpus.classes=null", "corpus.ignore=[]").table
    assert everything["dialogue"].nunique() == 151


def test_the_paper_s_schedule():
    training = compose(["corpus=iemocap", "corpus.root=x"]).corpus.training
    # Steps: tests/runs/test_schedule.py
    assert (training.epochs, training.check_epochs) == (25.324, None)
    assert (training.batch_size, training.learning_rate) == (32, 3e-4)
