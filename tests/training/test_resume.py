"""A run that is cut off at any point goes on after its last whole epoch, and ends as if never interrupted."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import ser_lightning.runs.attempt
from ser_lightning.runs.attempt import Watch, read_attempt
from ser_lightning.runs.ledger import BEST, LAST, read_features, read_predictions
from ser_lightning.training.job import train_once
from ser_lightning.training.plan import plan_job
from tests.components.test_code import write

# Epochs of six steps; looks at dev in the midst of them and across their ends; few utterances
LONG = ["corpus.utterances=100", "batching.size=14", "trainer.max_steps=14", "trainer.check_every=4"]


class Killed(BaseException):
    """What no handler expects, like a process's end."""


@pytest.fixture
def kill_at(monkeypatch):
    """Makes the next trainings end at a step."""

    def prepare(step):
        class Deadly(Watch):
            def __setattr__(self, name, value):
                if value == step:
                    raise Killed
                super().__setattr__(name, value)

        monkeypatch.setattr(ser_lightning.runs.attempt, "Watch", Deadly if step else Watch)

    return prepare


def outcome(run):
    """All that a finished run says, apart from times."""
    runs = run.folder.parent
    best = torch.load(run.folder / BEST, weights_only=True)
    curve = pd.read_csv(run.folder / "metrics.csv")
    return read_predictions(runs, [run.signature]), read_features(run.folder), best, curve, run.finished


def assert_alike(one, other):
    pd.testing.assert_frame_equal(one[0], other[0])
    pd.testing.assert_frame_equal(one[1], other[1])
    assert one[2]["step"] == other[2]["step"]
    for name, tensor in one[2]["state_dict"].items():
        assert torch.equal(tensor, other[2]["state_dict"][name]), name
    pd.testing.assert_frame_equal(one[3], other[3])
    assert (one[4].ua, one[4].dev_ua, one[4].best_step) == (other[4].ua, other[4].dev_ua, other[4].best_step)


@pytest.fixture(scope="module")
def outcomes():
    """What runs without any interruption came to, by their signatures."""
    return {}


@pytest.fixture
def undisturbed(small, outcomes):
    """A run, and its outcome without any interruption; its folder is gone."""

    def train(*overrides):
        (run,) = plan_job(small(*LONG, *overrides))
        if run.signature not in outcomes:
            train_once(run)
            outcomes[run.signature] = outcome(run)
        shutil.rmtree(run.folder)
        return run, outcomes[run.signature]

    return train


def test_an_interrupted_run_ends_as_if_never_interrupted(undisturbed, kill_at):
    run, expected = undisturbed("seed=100", "loss.warm_up=8")
    for step in (3, 6, 7, 12, 14):
        kill_at(step)
        with pytest.raises(Killed):
            train_once(run)
        assert run.finished is None
        # at most one epoch is lost
        kept = torch.load(run.folder / LAST, weights_only=True)["global_step"] if step > 6 else 0
        assert kept == (step - 1) // 6 * 6
        assert (run.folder / LAST).exists() == (step > 6)
        kill_at(None)
        train_once(run)
        assert_alike(outcome(run), expected)
        assert {file.name for file in run.folder.iterdir()}.isdisjoint({LAST, "attempt.json"})
        shutil.rmtree(run.folder)


def test_a_run_interrupted_again_and_again(undisturbed, kill_at):
    run, expected = undisturbed("seed=102", "model.tied=true", "loss.rule=wen")
    for step in (8, 11, 14):
        kill_at(step)
        with pytest.raises(Killed):
            train_once(run)
    kill_at(None)
    train_once(run)
    assert_alike(outcome(run), expected)


DRAWING = """
import random
import numpy as np
import torch
from torch import nn

class Network(nn.Module):
    features = 8
    def __init__(self, bins):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(bins, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 8))
    def forward(self, frames, lengths):
        torch.rand(1)  # also where dev is looked at
        z = self.layers(frames.sum(dim=1) / lengths[:, None])
        return z * (1 + random.random() + np.random.rand()) if self.training else z

class Loss(nn.Module):
    def forward(self, z, logits, batch):
        return (z * torch.randn_like(z)).square().mean()
"""


def test_what_parts_draw_in_training_is_the_same_after_an_interruption(undisturbed, kill_at, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {"drawing.py": DRAWING, "conf/model/drawing.yaml": "_target_: drawing.Network"}
    write(tmp_path, {**files, "conf/loss/drawing.yaml": "_target_: drawing.Loss"})
    run, expected = undisturbed("seed=109", "model=drawing", "loss=drawing", "loss.lam=0.1")
    for step in (8, 14):
        kill_at(step)
        with pytest.raises(Killed):
            train_once(run)
    kill_at(None)
    train_once(run)
    assert_alike(outcome(run), expected)


def test_the_seconds_before_an_interruption_count(small, kill_at):
    (run,) = plan_job(small(*LONG, "seed=103"))
    kill_at(14)
    with pytest.raises(Killed):
        train_once(run)
    before = torch.load(run.folder / LAST, weights_only=True)["callbacks"]["LastEpoch"]["seconds"]
    last = torch.load(run.folder / LAST, weights_only=True)
    last["callbacks"]["LastEpoch"]["seconds"] = before + 1000
    torch.save(last, run.folder / LAST)
    kill_at(None)
    assert train_once(run).seconds > 1000 + before


def test_cut_off_at_every_write(undisturbed, monkeypatch):
    """Before and after each file gets its name: what is there is always enough to end as if nothing had happened."""
    run, expected = undisturbed("seed=104", "trainer.max_steps=8")
    replace, deaths = Path.replace, 0

    class DyingAt:
        """Dies at the `number`-th time a file of the run is put in its place, before or after it is."""

        def __init__(self, number, after):
            self.left, self.after = number, after

        def __call__(self, path, target):
            if Path(target).parent != run.folder or Path(target).name == "attempt.json":
                return replace(path, target)
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Killed
            result = replace(path, target)
            if self.left == 0:
                raise Killed
            return result

    for after in (False, True):
        for number in range(1, 100):
            dying = DyingAt(number, after)
            monkeypatch.setattr(Path, "replace", lambda path, target, dying=dying: dying(path, target))
            try:
                train_once(run)
            except Killed:
                deaths += 1
            monkeypatch.setattr(Path, "replace", replace)
            if dying.left > 0:
                # a life with fewer writes than that
                break
            train_once(run)
            assert_alike(outcome(run), expected)
            shutil.rmtree(run.folder)
        shutil.rmtree(run.folder)
    # config, checkpoint, best, features, predictions, result; twice
    assert deaths == 12


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "another run's"])
def test_a_damaged_checkpoint_starts_the_run_again_and_says_so(undisturbed, kill_at, caplog, damage):
    run, expected = undisturbed("seed=105", "trainer.max_steps=10")
    kill_at(9)
    with pytest.raises(Killed):
        train_once(run)
    last = run.folder / LAST
    if damage == "truncated":
        last.write_bytes(last.read_bytes()[:-1000])
    elif damage == "empty":
        last.write_bytes(b"")
    elif damage == "foreign":
        torch.save({"epoch": 1}, last)
    else:
        content = torch.load(last, weights_only=True)
        content["recognizer"]["signature"] = "another"
        torch.save(content, last)
    kill_at(None)
    train_once(run)
    assert f"{last} is" in caplog.text
    assert "the run starts again" in caplog.text
    assert_alike(outcome(run), expected)


def test_a_failure_is_recorded_and_goes_with_success(small, monkeypatch):
    (run,) = plan_job(small(*LONG, "seed=106"))

    def no_loggers(*arguments):
        raise ValueError("out of order\nand more")

    monkeypatch.setattr("ser_lightning.training.run.run_loggers", no_loggers)
    assert train_once(run).reason == "ValueError: out of order (its attempt.json has the traceback)"
    last = read_attempt(run.folder)
    assert last.failure == "ValueError: out of order (its attempt.json has the traceback)"
    assert "no_loggers" in last.trace
    assert not last.alive(run.folder)
    monkeypatch.undo()
    assert train_once(run) == run.finished
    assert read_attempt(run.folder) is None


def test_a_launcher_that_ends_the_job_is_no_failure_of_the_run(small, monkeypatch):
    (run,) = plan_job(small(*LONG, "seed=108"))
    time_is_up = type("UncompletedJobError", (Exception,), {"__module__": "submitit.core.utils"})

    def no_loggers(*arguments):
        raise time_is_up

    monkeypatch.setattr("ser_lightning.training.run.run_loggers", no_loggers)
    with pytest.raises(time_is_up):
        train_once(run)
    assert read_attempt(run.folder).failure is None


def test_features_are_those_of_the_best_parameters(small):
    (run,) = plan_job(small(*LONG, "seed=107"))
    train_once(run)
    best = torch.load(run.folder / BEST, weights_only=True)
    weight, bias = (best["state_dict"][f"head.fc2.{name}"].numpy() for name in ("weight", "bias"))
    features = read_features(run.folder).query("part == 'test'")
    z = features[[f"z_{i}" for i in range(64)]].to_numpy()
    predictions = read_predictions(run.folder.parent, [run.signature]).query("part == 'test'")
    assert list(features["id"]) == list(predictions["id"])
    logits = predictions[[f"logit_{name}" for name in run.manifest.classes]].to_numpy()
    np.testing.assert_allclose(z @ weight.T + bias, logits, atol=1e-4)
