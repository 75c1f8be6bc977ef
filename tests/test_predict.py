"""`ser predict`, as it is typed."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_lightning import predict
from ser_lightning.errors import UserError
from ser_lightning.inference.ensemble import Ensemble
from ser_lightning.inference.recognizer import Recognizer
from ser_lightning.runs.ledger import read_outputs
from ser_lightning.runs.study import read_jobs


@pytest.fixture
def place(trained, recordings, tmp_path, monkeypatch):
    """A folder with some recordings: a tested one, a stranger, noise and something broken."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SER_OUTPUT", str(trained))
    sound = Path("sound")
    sound.mkdir()
    run = read_jobs(trained / "studies" / "tried")[1].runs[0]
    tested = read_outputs(trained / "runs" / run).query("part == 'test'")["id"]
    own = next(name for name in tested if soundfile.info(recordings[name]).duration < 2)
    shutil.copy(recordings[own], sound / "a_tested.wav")
    wave, rate = soundfile.read(recordings[own])
    soundfile.write(sound / "b_strange.flac", wave / 2, rate)
    soundfile.write(sound / "c_noise.wav", np.random.default_rng(0).normal(0, 0.1, 2 * rate), rate)
    (sound / "d_broken.wav").write_bytes(b"RIFF of nothing")
    soundfile.write("long.wav", np.concatenate([wave / 2] * 5), rate)
    return tmp_path


def test_a_folder_a_table_and_a_file_to_stdout(place, capsys):
    Path("table.csv").write_text("file,start,end\nlong.wav,0.5,2\n")
    predict.main(["tried", "sound", "table.csv", "long.wav", "--setting", "loss.lam=0.3"])
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    files = [row["file"] for row in rows]
    assert files[:5] == [
        *(f"sound/{n}" for n in ("a_tested.wav", "b_strange.flac", "c_noise.wav", "d_broken.wav")),
        "long.wav",
    ]
    assert set(files[5:]) == {"long.wav"}
    assert len(files) > 7
    assert [row["networks"] for row in rows[:4]] == ["1", "2", "0", "0"]
    assert rows[2]["class"] == "no speech"
    assert (rows[3]["class"], rows[3]["note"]) == ("", "not readable as audio (Format not recognised)")
    assert (rows[4]["start"], rows[4]["end"]) == ("0.5", "2.0")
    for row in rows:
        shares = {name.removeprefix("p_"): float(value) for name, value in row.items() if name[:2] == "p_" and value}
        if shares:
            assert sum(shares.values()) == pytest.approx(1, abs=2e-4)
            assert row["class"] == max(shares, key=shares.get)
    lines = printed.err.splitlines()
    assert lines[0].startswith("study tried (demo, paper protocol), loss.lam=0.3: 2 networks")
    assert "trained on synthetic speech" in lines[0]
    assert any(line.startswith("1 of 6 are recordings of the study itself") for line in lines)
    assert any(line.startswith("1 of 6 could not be answered, e.g. sound/d_broken.wav: not readable") for line in lines)


def test_an_interrupted_command_goes_on_and_gives_the_same_table(place, monkeypatch, capsys):
    command = ["tried", "sound", "long.wav", "--setting", "loss.lam=0.3"]
    predict.main([*command, "--out", "whole.csv"])
    answer, given = Recognizer.answer, []

    def interrupted(self, items):
        for number, pair in enumerate(answer(self, items)):
            if number == 2:
                raise KeyboardInterrupt
            yield pair

    def counted(self, items):
        given.extend(item.file for item in items)
        yield from answer(self, items)

    monkeypatch.setattr(Recognizer, "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict.main([*command, "--out", "again.csv"])
    assert not Path("again.csv").exists()
    monkeypatch.setattr(Recognizer, "answer", counted)
    capsys.readouterr()
    predict.main([*command, "--out", "again.csv"])
    assert "2 of 5 recordings were answered before; going on" in capsys.readouterr().err
    assert given == ["sound/c_noise.wav", "sound/d_broken.wav", "long.wav"]
    pd.testing.assert_frame_equal(pd.read_csv("again.csv"), pd.read_csv("whole.csv"), atol=2e-4)
    assert {path.name for path in place.iterdir()} == {"sound", "long.wav", "whole.csv", "again.csv"}


def test_networks_that_normalise_by_speaker_hear_all_recordings_again(place, monkeypatch):
    command = ["tried", "sound", "--one-speaker", "--out", "x.csv"]
    answer, given = Recognizer.answer, []

    def interrupted(self, items):
        given.append(len(items))
        yield next(answer(self, items))
        raise KeyboardInterrupt

    monkeypatch.setattr(Ensemble, "needs_speakers", True)
    monkeypatch.setattr(Recognizer, "answer", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            predict.main(command)
    assert given == [4, 4]


def test_one_run_and_a_timeline(place, study, capsys):
    run = read_jobs(study)[0].runs[1]
    predict.main(["tried", "long.wav", "--run", run, "--timeline", "pictures", "--out", "one.parquet"])
    table = pd.read_parquet("one.parquet")
    assert set(table["networks"]) <= {0, 1}
    assert table["sd_ang"].isna().all()
    assert [path.name for path in Path("pictures").iterdir()] == ["long.png"]
    predict.main([run, "sound", "--timeline", "pictures"])
    assert "no timeline: no recording has more than one answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["tired", "long.wav"], "tired is not a study; in .* there are .*tried"),
        (["tried"], "name recordings, folders or tables of them to be answered, or --microphone, and not both"),
        (["tried", "long.wav", "--microphone"], "and not both"),
        (["tried", "nothing.wav"], r"nothing\.wav: there is no such file or folder"),
        (["tried", "empty"], "empty: the folder has no recordings in it"),
        (["tried", "long.wav", "--out", "x.xlsx"], r"--out x\.xlsx|--out .*/x\.xlsx: the suffix says the format"),
        (["tried", "long.wav", "--out", "long.wav"], "the suffix says the format"),
        (["tried", "long.wav", "--window", "nan"], "give a number of seconds above 0"),
        (["tried", "long.wav", "--window", "9"], "--window 9: the networks were trained with 3 s at most"),
        (["tried", "sound/d_broken.wav"], r"1 of 1 could not be answered, e\.g\. sound/d_broken\.wav: not readable"),
        (
            ["tried", "long.wav", "--out", "empty/x.csv", "--timeline", "long.wav"],
            "--timeline long.wav: nothing can",
        ),
        (
            ["tried", "long.wav", "--out", "long.wav/x.csv"],
            r"--out long\.wav/x\.csv: nothing can be written in",
        ),
        (["tried", "long.wav", "--out", "folder.csv"], r"--out folder\.csv: it is a folder; name a file"),
        (["tried", "--microphone", "--out", "x.csv"], "--microphone answers in the terminal"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(place, words, message):
    Path("empty").mkdir()
    Path("folder.csv").mkdir()
    with pytest.raises(UserError, match=message) as refusal:
        predict.main(words)
    assert "\n" not in str(refusal.value)
    assert not list(place.rglob("x.*"))


def test_a_table_is_not_written_over(place):
    Path("table.csv").write_text("file\nlong.wav\n")
    with pytest.raises(UserError, match="is one of what is to be answered"):
        predict.main(["tried", "table.csv", "--out", "table.csv"])
    assert Path("table.csv").read_text() == "file\nlong.wav\n"


def test_a_mistyped_option_is_told_in_one_line(place, capsys):
    with pytest.raises(SystemExit) as end:
        predict.main(["tried", "long.wav", "--settign", "x"])
    assert end.value.code == 2
    assert "unrecognized arguments: --settign" in capsys.readouterr().err


def test_nothing_is_imported_that_takes_longer_than_an_answer(place):
    code = (
        "import json, sys; from ser_lightning.predict import main\n"
        "main(['tried', 'long.wav', 'sound', '--out', 'x.csv']); print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {*json.loads(done.stdout)}
    assert "torch" in loaded
    assert not {"lightning", "hydra", "omegaconf", "pandas", "sklearn", "wandb", "matplotlib", "torchmetrics"} & loaded
