"""Checkpoints are whole files of plain types; what is none is refused with a line that says so."""

import pickle

import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.runs.code import code_digest
from ser_lightning.runs.ledger import LAST
from ser_lightning.training.checkpoint import (
    CODE,
    DamagedCheckpointError,
    logged_rows,
    read_checkpoint,
    resumable,
    write_checkpoint,
)

CONTENT = {
    "state_dict": {"weight": torch.arange(3.0)},
    "recognizer": {"signature": "abc", "classes": ["neu", "ang"]},
    CODE: code_digest(),
}


def test_what_is_written_is_read(tmp_path):
    write_checkpoint(CONTENT, tmp_path / "x.ckpt")
    content = read_checkpoint(tmp_path / "x.ckpt")
    assert content["recognizer"] == CONTENT["recognizer"]
    assert torch.equal(content["state_dict"]["weight"], torch.arange(3.0))
    assert [file.name for file in tmp_path.iterdir()] == ["x.ckpt"]


def test_a_write_that_fails_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    write_checkpoint(CONTENT, tmp_path / "x.ckpt")

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ser_lightning.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint({**CONTENT, "more": 1}, tmp_path / "x.ckpt")
    monkeypatch.undo()
    assert "more" not in read_checkpoint(tmp_path / "x.ckpt")
    assert [file.name for file in tmp_path.iterdir()] == ["x.ckpt"]


class Evil:
    """A pickle that would call a function."""

    def __reduce__(self):
        return print, ("called",)


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "pickle", "foreign"])
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, capsys, kind):
    path = tmp_path / LAST
    write_checkpoint(CONTENT, path)
    whole = path.read_bytes()
    contents = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"epoch: 3\n",
        "pickle": pickle.dumps(Evil()),
    }
    if kind == "foreign":
        torch.save({"state_dict": {}, "hyper_parameters": {}}, path)
    else:
        path.write_bytes(contents[kind])
    with pytest.raises(UserError) as refusal:
        read_checkpoint(path)
    said = str(refusal.value)
    assert said.startswith(f"{path} is ")
    assert "\n" not in said
    assert ("not a checkpoint of ser_lightning" in said) == (kind == "foreign")
    damaged = path.read_bytes()
    assert resumable(tmp_path, "abc") is None
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("last.ckpt.damaged-0", damaged)]
    assert capsys.readouterr().out == ""


def test_a_checkpoint_of_another_run_is_not_gone_on_with(tmp_path, caplog):
    write_checkpoint(CONTENT, tmp_path / LAST)
    assert resumable(tmp_path, "abc") is not None
    assert resumable(tmp_path, "def") is None
    said = f"{tmp_path / LAST} is of another run; it is now last.ckpt.damaged-0, and the run starts again"
    assert said in caplog.text
    assert not (tmp_path / LAST).exists()


@pytest.mark.parametrize("code", ["0" * 12, None])
def test_a_checkpoint_of_other_code_is_not_gone_on_with(tmp_path, caplog, code):
    write_checkpoint({**CONTENT, CODE: code}, tmp_path / LAST)
    assert resumable(tmp_path, "abc") is None
    assert f"{tmp_path / LAST} is of other code than the present; the run starts again" in caplog.text


def test_every_flipped_bit_is_seen(tmp_path):
    path = tmp_path / LAST
    write_checkpoint(CONTENT, path)
    whole = path.read_bytes()
    places = [*range(0, len(whole), 17), *range(len(whole) - 100, len(whole))]
    for number, place in enumerate(places):
        altered = bytearray(whole)
        altered[place] ^= 1 << number % 8
        path.write_bytes(altered)
        with pytest.raises(DamagedCheckpointError):
            read_checkpoint(path)


def test_a_checkpoint_without_a_seal_stays_one(tmp_path):
    torch.save(CONTENT, tmp_path / LAST)
    assert resumable(tmp_path, "abc") is not None


def test_a_checkpoint_that_cannot_be_read_at_the_moment_is_not_set_aside(tmp_path, monkeypatch):
    write_checkpoint(CONTENT, tmp_path / LAST)

    def broken(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ser_lightning.training.checkpoint.read_bytes", broken)
    with pytest.raises(UserError, match=r"cannot be read \(Input/output error\)"):
        resumable(tmp_path, "abc")
    assert [file.name for file in tmp_path.iterdir()] == [LAST]


def test_no_checkpoint(tmp_path):
    assert resumable(tmp_path, "abc") is None
    with pytest.raises(UserError, match="does not exist"):
        read_checkpoint(tmp_path / LAST)


def test_the_rows_of_metrics_csv_without_their_gaps():
    table = "dev/ua,step,train/loss\r\n,5,1.25\r\n0.5,7,\r\n"
    assert logged_rows({"metrics.csv": table}) == [{"step": "5", "train/loss": "1.25"}, {"dev/ua": "0.5", "step": "7"}]
    assert logged_rows(None) == []
