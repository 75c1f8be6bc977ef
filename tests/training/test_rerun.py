"""A folder that has a result is never cleared; `rerun=true` moves it aside, whole, before the run is trained anew."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from ser_lightning.errors import UserError
from ser_lightning.runs.attempt import Watch
from ser_lightning.runs.code import code_digest
from ser_lightning.runs.damage import find_damage
from ser_lightning.runs.jobs import job_name
from ser_lightning.runs.ledger import LAST, SCHEMA, read_outputs, read_result
from ser_lightning.runs.seal import record_seal
from ser_lightning.runs.signature import settings
from ser_lightning.training.job import Failure, set_damaged_aside, train_all, train_once
from ser_lightning.training.plan import note_other_code, plan_job
from ser_lightning.training.progress import StudyProgress
from ser_lightning.training.run import train_run

# Two epochs of six steps.
QUICK = ["batching.size=16", "trainer.max_steps=8", "seed=300"]


@pytest.fixture
def run(small):
    """A finished run; its result is whole and the present code's again afterwards."""
    (planned,) = plan_job(small(*QUICK))
    train_once(planned)
    whole = (planned.folder / "result.json").read_bytes()
    yield planned
    (planned.folder / "result.json").write_bytes(whole)


@pytest.fixture
def renewed(small):
    """The same run, to be trained anew."""
    (planned,) = plan_job(small(*QUICK, "rerun=true"))
    return planned


@pytest.fixture
def outdated(run):
    """The same run, made by other code."""
    replace(run.finished, code={"version": "0.1", "digest": "0" * 12}).write(run.folder)
    return run


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def former(run):
    """The folders that were set aside, oldest first."""
    return sorted((run.folder.parent / ".former").glob(f"{run.signature}-*"))


def train(run):
    set_damaged_aside([run])
    with StudyProgress([run]) as progress:
        return train_all([run], progress)


def record(run):
    return json.loads((run.folder / "result.json").read_text())


def first_schema(run):
    """The record as versions before numbered schemas wrote it."""
    told = record(run)
    scores = told.pop("scores")
    del told["schema"], told["code"]
    dev = {f"dev_{name}": value for name, value in scores["dev"].items()}
    del told["files"], told["seal"]
    return {**told, **scores["test"], **dev}


@pytest.mark.parametrize("form", ["present", "first", "later"])
def test_training_again_changes_no_byte_of_a_finished_run(run, form):
    forms = {
        "present": record(run),
        "first": first_schema(run),
        "later": {**record(run), "schema": SCHEMA + 1, "mood": {"of": ["the", "day"]}},
    }
    if form == "later":
        forms[form]["seal"] = record_seal(forms[form])
    (run.folder / "result.json").write_text(json.dumps(forms[form]))
    before = content(run.folder)
    (result,) = train(run)
    assert result.ua == train_once(run).ua == forms["present"]["scores"]["test"]["ua"]
    assert content(run.folder) == before


@pytest.mark.parametrize("rerun", [False, True])
def test_training_again_changes_no_byte_of_what_a_later_version_made(run, renewed, rerun):
    (run.folder / "result.json").write_text('{"schema": 99}')
    before = content(run.folder)
    for try_again in (train, train_once):
        with pytest.raises(UserError, match=r"later version .* nothing is trained in its place"):
            try_again(renewed if rerun else run)
    assert content(run.folder) == before


def flip(file, place=0.5):
    altered = bytearray(file.read_bytes())
    altered[int(place * len(altered))] ^= 4
    file.write_bytes(altered)


def truncate(file):
    with file.open("r+b") as opened:
        opened.truncate(500)


DAMAGES = {
    "a bit of predictions.parquet": (lambda folder: flip(folder / "predictions.parquet"), "bytes are not those"),
    "predictions are gone": (
        lambda folder: (folder / "predictions.parquet").unlink(),
        "predictions.parquet is missing",
    ),
    "a bit of best.ckpt": (lambda folder: flip(folder / "best.ckpt"), "best.ckpt is damaged"),
    "result.json cut": (lambda folder: truncate(folder / "result.json"), "result.json is damaged"),
    "result.json empty": (lambda folder: (folder / "result.json").write_text(""), "result.json is damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_set_aside_whole_in_a_line(run, damage, caplog):
    work, words = DAMAGES[damage]
    whole, aside = content(run.folder), former(run)
    work(run.folder)
    (run.folder / "notes.txt").write_text("mine")
    before = content(run.folder)
    set_damaged_aside([run])
    assert run.finished is None
    (last,) = set(former(run)) - set(aside)
    assert content(last) == before
    (message,) = caplog.messages
    assert words in message
    assert message.endswith(f"; the folder is now {last}, and the run is trained anew")
    last.rename(run.folder)
    for name in before.keys() - whole.keys():
        (run.folder / name).unlink()
    for name, former_bytes in whole.items():
        (run.folder / name).write_bytes(former_bytes)


def test_a_damaged_run_is_trained_anew_and_gives_what_it_gave(run):
    expected, aside = read_outputs(run.folder), former(run)
    truncate(run.folder / "result.json")
    train(run)
    assert len(former(run)) == len(aside) + 1
    pd.testing.assert_frame_equal(read_outputs(run.folder), expected)
    assert find_damage(run.folder) == []


@pytest.mark.parametrize("name", ["best.ckpt", "features.parquet", "metrics.csv"])
def test_what_a_report_can_do_without_is_missed_and_the_run_is_kept(run, name, caplog):
    whole = (run.folder / name).read_bytes()
    (run.folder / name).unlink()
    before = content(run.folder)
    train(run)
    assert content(run.folder) == before
    assert f"{run.folder / name} is missing; the run is kept without it" in caplog.messages
    (run.folder / name).write_bytes(whole)


def test_what_is_not_the_run_s_own_stays_when_it_starts_again(run):
    (run.folder / "result.json").unlink()
    notes = {"notes.txt": b"mine", "last.ckpt.damaged-0": b"x"}
    for name, text in notes.items():
        (run.folder / name).write_bytes(text)
    (run.folder / "predictions.parquet.node-1.unfinished").write_text("x")
    (run.folder / "readouts").mkdir(exist_ok=True)
    train(run)
    after = content(run.folder)
    assert {name: after[name] for name in notes} == notes
    assert "predictions.parquet.node-1.unfinished" not in after
    for name in notes:
        (run.folder / name).unlink()


def test_a_folder_with_a_result_is_not_cleared_even_when_told_to_train(run):
    before = content(run.folder)
    with pytest.raises(UserError, match=r"has a result\.json, so that it is not cleared"):
        train_run(run, Watch())
    assert content(run.folder) == before


def test_rerun_keeps_what_the_present_code_made(run, renewed):
    before, aside = content(run.folder), former(run)
    train(renewed)
    assert content(run.folder) == before
    assert former(run) == aside


def test_without_rerun_a_run_of_other_code_is_kept_and_counted(outdated, capsys):
    before = content(outdated.folder)
    line = note_other_code([outdated, outdated])
    assert line == "1 finished run was not made by the present code; rerun=true trains it anew"
    with StudyProgress([outdated], line) as progress:
        train_all([outdated], progress)
    assert capsys.readouterr().out.splitlines() == ["1 of 1 runs are finished already", line]
    assert content(outdated.folder) == before


def test_rerun_trains_a_run_of_other_code_anew_once_and_keeps_the_former(outdated, renewed):
    before, aside = content(outdated.folder), former(outdated)
    (result,) = train(renewed)
    assert result.code["digest"] == code_digest()
    *earlier, last = former(outdated)
    assert earlier == aside
    assert content(last) == before
    assert note_other_code([renewed]) is None
    pd.testing.assert_frame_equal(read_outputs(outdated.folder), read_outputs(last))
    after = content(outdated.folder)
    train(renewed)
    assert content(outdated.folder) == after
    assert former(outdated) == [*aside, last]


def test_a_rerun_that_fails_has_lost_nothing_and_goes_on(outdated, renewed, monkeypatch):
    before, aside = content(outdated.folder), len(former(outdated))

    class Failing(Watch):
        def __setattr__(self, name, value):
            if value == 8:
                raise RuntimeError("out of order")
            super().__setattr__(name, value)

    monkeypatch.setattr("ser_lightning.runs.attempt.Watch", Failing)
    assert train_once(renewed) == Failure(
        outdated.signature, "RuntimeError: out of order (its attempt.json has the traceback)"
    )
    monkeypatch.undo()
    last = former(outdated)[-1]
    assert content(last) == before
    assert read_result(last).code["digest"] == "0" * 12
    assert renewed.finished is None
    # after the first of its two epochs
    assert (outdated.folder / LAST).exists()
    # the same whether the command is repeated with rerun=true or without
    assert train_once(outdated).code["digest"] == code_digest()
    assert train_once(renewed) == outdated.finished
    assert len(former(outdated)) == aside + 1
    pd.testing.assert_frame_equal(read_outputs(outdated.folder), read_outputs(last))


def test_rerun_is_no_part_of_what_a_run_is(run, renewed):
    assert run.signature == renewed.signature
    assert settings(run.config) == settings(renewed.config)
    assert job_name(["loss.lam=0.5", "rerun=true", "readout.svm.C=1", "trainer.workers=9"]) == "loss.lam=0.5"
