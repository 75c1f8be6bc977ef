"""Read-outs of finished runs: computed once, without training; failures are told and lose nothing."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestCentroid

from ser_lightning.config import compose
from ser_lightning.errors import FailedRunsError, UserError
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.ledger import read_features, read_outputs, read_readout
from ser_lightning.runs.readouts import fit_and_score, read_out, readout_names
from ser_lightning.runs.status import study_status
from ser_lightning.runs.study import read_jobs, write_job, write_jobs
from ser_lightning.training.job import train_all
from ser_lightning.training.plan import plan_job, record
from ser_lightning.training.progress import StudyProgress
from tests.conftest import SMALL

QUICK = ["batching.size=16", "seed=400"]

MINE = """
import numpy as np

class Mine:
    def __init__(self, classes, *, shift: float = 0.0):
        self.classes, self.shift = classes, shift

    def fit(self, z, labels):
        self.first = z[0]

    def scores(self, z):
        return np.full((len(z), self.classes), self.shift) + np.arange(self.classes)
"""


def train(config):
    planned = plan_job(config)
    with StudyProgress(planned) as progress:
        train_all(planned, progress)
    return planned


@pytest.fixture(scope="module")
def finished(output):
    """A finished run without read-outs."""
    (run,) = train(compose([*SMALL, f"paths.output={output}", *QUICK]))
    return run


@pytest.fixture
def run(finished):
    """The same, which gets none of the other tests'."""
    yield finished
    shutil.rmtree(finished.folder / "readouts", ignore_errors=True)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a read-out of the user's own into the present folder, a new one."""
    (tmp_path / "conf" / "readout").mkdir(parents=True)
    (tmp_path / "conf" / "readout" / "mine.yaml").write_text("_target_: mine.Mine\n")
    monkeypatch.chdir(tmp_path)

    def write(content):
        (tmp_path / "mine.py").write_text(content)

    write(MINE)
    return write


def times(folder):
    """When each file of a folder and its folders was written."""
    return {file.relative_to(folder).as_posix(): file.stat().st_mtime_ns for file in folder.rglob("*.*")}


def test_a_finished_run_gets_what_is_asked_for_once_and_is_not_trained_again(run, small):
    before = times(run.folder)
    assert not any(name.startswith("readouts") for name in before)
    (again,) = train(small(*QUICK, "readout=[svm,centers]"))
    assert again.signature == run.signature
    after = times(run.folder)
    stems = record("", again.config, [again]).readouts
    added = {f"readouts/{name}.{kind}" for name in stems for kind in ("parquet", "seal")}
    assert len(added) == 4
    assert after.items() - before.items() == {(name, after[name]) for name in added}
    train(small(*QUICK, "readout=[svm,centers]"))
    train(small(*QUICK))
    assert times(run.folder) == after
    # Another setting is another read-out
    train(small(*QUICK, "readout=svm", "readout.svm.C=0.1"))
    assert len(times(run.folder).keys() - after.keys()) == 2


def test_a_run_is_read_out_when_it_is_trained(small):
    (run,) = train(small(*QUICK, "seed=401", "trainer.max_steps=2", "readout=centers"))
    assert run.finished.steps == 2
    assert run.unread == {}


def test_scores_are_those_of_a_classifier_of_the_training_parts_features(run, small):
    (again,) = train(small(*QUICK, "readout=centers"))
    table = read_readout(run.folder, readout_names(again.config)["centers"])
    outputs = read_outputs(run.folder)
    assert table.columns.tolist() == outputs.columns.tolist()
    assert (table[["id", "part", "label"]].to_numpy() == outputs[["id", "part", "label"]].to_numpy()).all()
    features = read_features(run.folder)
    z = features.filter(regex="^z_").to_numpy(float)
    training = features["part"] == "train"
    reference = NearestCentroid().fit(z[training], features["label"][training])
    predicted = table.filter(regex="^logit_").idxmax(axis=1).str.removeprefix("logit_")
    assert (predicted == reference.predict(z[~training])).all()


def test_one_of_the_users_own_is_anew_what_its_file_is(run, small, own):
    first = train(small(*QUICK, "readout=mine"))[0]
    own(MINE.replace("np.arange(self.classes)", "self.first[0] * np.arange(self.classes)"))
    second = train(small(*QUICK, "readout=mine", "readout.mine.shift=2"))[0]
    assert first.signature == second.signature == run.signature
    names = [readout_names(planned.config)["mine"] for planned in (first, second)]
    tables = [read_readout(run.folder, name).filter(regex="^logit_") for name in names]
    assert (tables[0] == np.arange(4)).to_numpy().all()
    features = read_features(run.folder)
    z = features.loc[features["part"] == "train", "z_0"].iloc[0]
    assert tables[1].to_numpy() == pytest.approx(np.tile(2 + z * np.arange(4), (len(tables[1]), 1)))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "self.first = z[0]",
            "self.first = z[0, 64]",
            "readout=mine: mine.py:9: IndexError: index 64 is out of bounds",
        ),
        ("(len(z), self.classes)", "(len(z), 3)", "readout=mine: mine.py:11: scores(z) has the shape [4, 3], and sh"),
        ("self.shift) +", "np.nan) +", "readout=mine: mine.py:11: scores(z) has values that are not finite"),
        (
            "return np.full((len(z), self.classes), self.shift) +",
            "return [['sad'] * 4] * 4 or",
            "readout=mine: mine.py:11: scores(z) has values of the type str_, and should have real numbers",
        ),
        ("return np", "return 1j * np", "readout=mine: mine.py:11: scores(z) has values of the type complex128, and s"),
        ("= classes, shift", "= classes, shaft", "readout=mine: mine.py:6: NameError: name 'shaft' is not defined"),
    ],
)
def test_one_of_the_users_own_is_tried_first(small, own, before, after, message):
    own(MINE.replace(before, after).replace("np.arange(self.classes)", "0"))
    with pytest.raises(UserError) as error:
        plan_job(small(*QUICK, "readout=mine"))
    assert str(error.value).startswith(message)


def test_one_that_fails_is_told_and_loses_nothing(run, small, own, tmp_path):
    """It works on the utterances on which it is tried, and for want of a file not on those of the run."""
    own(MINE.replace("self.first = z[0]", "self.first = len(z) == 80 or open('there')"))
    config = small(*QUICK, "readout=[mine,centers]")
    kept = times(run.folder)
    planned = plan_job(config)
    with StudyProgress(planned) as progress, pytest.raises(FailedRunsError) as error:
        train_all(planned, progress)
    reason = "readout=mine: mine.py:9: FileNotFoundError: [Errno 2] No such file or directory: 'there'"
    assert str(error.value).splitlines() == [
        "1 read-out of finished runs failed; the same command tries them again",
        f"  lambda 0.3 fold 0: {reason}",
    ]
    assert kept.items() < times(run.folder).items()
    job, names = record("mine", config, planned), readout_names(config)
    assert read_readout(run.folder, names["centers"]) is not None
    assert read_readout(run.folder, names["mine"]) is None
    failure = run.folder / "readouts" / f"{names['mine']}.json"
    assert 'mine.py", line 9, in fit' in json.loads(failure.read_text())["trace"]
    # At the end of a sweep, and for `ser status`
    write_job(tmp_path / "study", 0, job)
    (status,) = study_status(tmp_path / "study", run.folder.parent)
    assert status.state == "failed"
    assert status.details.startswith("done, dev UA ")
    assert status.details.endswith(reason)
    # Mended, it is forgotten
    (tmp_path / "there").write_text("")
    train(config)
    assert not failure.exists()
    assert read_readout(run.folder, names["mine"]) is not None
    assert study_status(tmp_path / "study", run.folder.parent)[0].state == "done"


def test_a_failure_that_nobody_could_mend_names_the_file_with_its_traceback(run, small, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("out of order")

    monkeypatch.setattr("ser_lightning.runs.readouts._scores", fail)
    config = small(*QUICK, "readout=centers")
    file = f"readouts/{readout_names(config)['centers']}.json"
    assert read_out(run.folder, config) == [
        f"readout=centers: RuntimeError: out of order (its {file} has the traceback)"
    ]
    assert "in fail" in json.loads((run.folder / file).read_text())["trace"]


def test_features_that_are_damaged_are_named(run, small):
    whole = (run.folder / "features.parquet").read_bytes()
    try:
        (run.folder / "features.parquet").write_bytes(whole[:100])
        with pytest.raises(FailedRunsError, match=r"features\.parquet is damaged .*; repeat the study's command"):
            train(small(*QUICK, "readout=centers"))
    finally:
        (run.folder / "features.parquet").write_bytes(whole)


def test_jobs_that_differ_in_the_read_out_alone_share_their_runs(run, small):
    configs = [small(*QUICK, "readout=svm", f"readout.svm.C={weight}") for weight in (0.1, 1)]
    planned = [plan_job(config)[0] for config in configs]
    assert {one.signature for one in planned} == {run.signature}
    # In one command, as `reproduce` does
    with StudyProgress(planned) as progress:
        train_all(planned, progress)
    names = [readout_names(one.config)["svm"] for one in planned]
    tables = [read_readout(run.folder, name) for name in names]
    assert not tables[0].equals(tables[1])
    pd.testing.assert_frame_equal(tables[0].iloc[:, :3], tables[1].iloc[:, :3])


def test_a_study_has_all_read_outs_that_its_commands_asked_for(tmp_path):
    """Of one whose code has changed, the last."""
    job = Job("svm", {"seed": 0}, readouts={"svm-0": {"name": "svm", "C": 1.0}, "mine-0": {"name": "mine"}})
    write_jobs(tmp_path, [job])
    write_jobs(tmp_path, [replace(job, readouts={"svm-1": {"name": "svm", "C": 0.1}, "mine-1": {"name": "mine"}})])
    write_jobs(tmp_path, [replace(job, readouts={})])
    (joined,) = read_jobs(tmp_path)
    assert joined.readouts.keys() == {"svm-0", "svm-1", "mine-1"}


def test_a_job_of_before_has_none(tmp_path):
    folder = tmp_path / "jobs" / "0"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"name": "old", "settings": {}, "runs": [], "places": []}))
    assert read_jobs(tmp_path)[0].readouts == {}


@pytest.mark.parametrize("keyword", [True, False])
def test_a_read_out_that_asks_for_dev_by_name_is_given_it(keyword):
    class Asking:
        def __init__(self, classes):
            self.given = None

        def scores(self, z):
            return np.zeros((len(z), 2))

    if keyword:
        Asking.fit = lambda self, z, labels, weight=None, *, dev: setattr(self, "given", (weight, *dev))
    else:
        Asking.fit = lambda self, z, labels, weight=None, dev=None: setattr(self, "given", (weight, *dev))
    made = []
    part = SimpleNamespace(name="asking", folder=None, make=lambda classes: made.append(Asking(classes)) or made[0])
    z, labels = np.arange(6.0).reshape(3, 2), np.array([0, 1, 1])
    fit_and_score(part, z, labels, (z + 1, labels[::-1]), z, classes=2)
    weight, dev, seen = made[0].given
    assert weight is None
    assert (dev == z + 1).all()
    assert seen.tolist() == [1, 1, 0]
