"""The doctor as a user calls it: what it says of sound and of ill corpora, and its exit status."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_lightning.corpora import Manifest
from ser_lightning.report import examination
from ser_lightning.terminal import console


def corpus(folder):
    """A table corpus of 120 noises of two classes and six speakers."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(120):
        path = folder / f"{number:03d}.wav"
        soundfile.write(path, 0.1 * rng.normal(size=16000 + int(rng.integers(8000))), 16000)
        rows.append((path.name, ["joy", "rage"][number % 2], f"s{number // 2 % 6}"))
    pd.DataFrame(rows, columns=["path", "label", "speaker"]).to_csv(folder / "table.csv", index=False)
    return ["corpus=table", f"corpus.root={folder}", "corpus.table=table.csv", f"paths.output={folder / 'out'}"]


def test_a_sound_corpus_is_called_so(run_module, tmp_path):
    words = corpus(tmp_path)
    done = run_module("doctor", *words, "split=speaker", "split.groups=3")
    assert done.returncode == 0, done.stderr
    assert "table: 120 utterances" in done.stdout
    assert "Sample rates: 16000 Hz (120); channels: 1 (120)" in done.stdout
    assert "test shares with training: speakers 0 %, recordings 0 %" in done.stdout
    (file,) = (tmp_path / "out" / "splits").glob("table-speaker-*.csv")
    assert f"This division: {file} (to train on it: split=file split.table=...)" in done.stdout
    division = pd.read_csv(file)
    assert division.groupby("fold")["part"].value_counts().unstack().to_numpy().tolist() == [[40, 40, 40]] * 3


@pytest.mark.parametrize(
    ("seconds", "first", "last"),
    [
        ([1.0] * 20, "  1.0 and more", "  1.0 and more"),
        ([0.4], "  0.0 to  0.1 s", "  0.3 and more"),
        ([1.0, 150.0], "  1.0 to 21.0 s", "141.0 and more"),
    ],
)
def test_lengths_that_are_all_equal_or_far_apart(capsys, seconds, first, last):
    table = pd.DataFrame({"id": [f"{number}" for number in range(len(seconds))], "seconds": seconds, "label": "joy"})
    columns = dict.fromkeys(("corpus", "speaker", "session", "kind", "part", "path"), "")
    sound = table.assign(rate=16_000, channels=1, lead=0.0, trail=0.0, level=0.0, content=table["id"], clipped=0.0)
    sound = sound.assign(unread=0.0, damage="", peak=0.0, digital=0.0, original=range(len(table)))
    examination.show_corpus(Manifest("test", ("joy",), table.assign(**columns)), sound)
    lines = capsys.readouterr().out.splitlines()
    rows = lines[1 + next(place for place, line in enumerate(lines) if line.startswith("Lengths:")) : -1]
    assert rows[0].startswith(first)
    assert rows[-1].startswith(last)
    assert sum(int(row.split()[-1]) for row in rows) == len(seconds)


def test_of_many_speakers_what_is_usual(capsys):
    """51 speakers: 50 with two utterances of joy, and one with five of rage."""
    speakers = [f"s{number // 2}" for number in range(100)] + ["s50"] * 5
    table = pd.DataFrame({"speaker": speakers, "label": ["joy"] * 100 + ["rage"] * 5})
    console().print(examination._counts(Manifest("test", ("joy", "rage"), table), "speaker"))
    rows = [[cell.strip() for cell in re.findall(r"\w[\w ]*", line)] for line in capsys.readouterr().out.splitlines()]
    assert [row for row in rows if row] == [
        ["51 speakers", "joy", "rage", "all"],
        ["fewest of one", "0", "0", "2"],
        ["median", "2", "0", "2"],
        ["most of one", "2", "5", "5"],
        ["without any", "1", "50", "0"],
        ["all", "100", "5", "105"],
    ]


def test_ills_are_named_and_the_status_tells(run_module, tmp_path):
    words = corpus(tmp_path)
    shutil.copy(tmp_path / "007.wav", tmp_path / "008.wav")  # of another label
    soundfile.write(tmp_path / "009.wav", np.zeros(16000), 16000)
    (tmp_path / "010.wav").write_bytes((tmp_path / "010.wav").read_bytes()[:5000])
    done = run_module("doctor", *words)
    assert done.returncode == 1
    assert "007.wav = 008.wav (labels differ: rage, joy)" in done.stdout
    assert "009.wav: all samples are zero" in done.stdout
    assert "010.wav: truncated" in done.stdout
    assert done.stderr.splitlines()[-1].startswith(
        "ser_lightning: 2 recordings cannot be used; 1 recordings occur under several names"
    )
    assert "Traceback" not in done.stderr


def test_a_missing_folder_is_one_line(run_module):
    done = run_module("doctor", "corpus=emodb", "corpus.root=/nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("ser_lightning: emodb: there is no folder /nowhere")
    assert len(done.stderr.splitlines()) == 1


def test_the_doubled_recording_of_ravdess_is_found(run_module, ravdess_root):
    done = run_module("doctor", "corpus=ravdess", f"corpus.root={ravdess_root}", "split=speaker")
    assert done.returncode == 1
    assert "03-01-03-01-02-01-07 = 03-01-03-01-02-02-07" in done.stdout
    assert "channels: 1 (167), 2 (1)" in done.stdout
