"""W&B: one run per training, closed in every case, offline where the server does not answer. Here with a fake W&B."""

import logging

import pytest
import wandb

from ser_lightning.errors import UserError
from ser_lightning.runs.job import train_all
from ser_lightning.runs.plan import plan_job
from ser_lightning.runs.progress import StudyProgress


class FakeRun:
    """Remembers what is logged and when it is finished."""

    def __init__(self, events, **arguments):
        self.events, self.arguments, self.logged, self.summary = events, arguments, [], {}
        events.append(("init", arguments["id"], arguments["mode"]))

    def log(self, values, step=None):
        self.logged.append(values)

    def finish(self, exit_code):
        self.events.append(("finish", self.arguments["id"], exit_code))


@pytest.fixture
def fake(monkeypatch):
    """Replaces `wandb.init`; returns the events, the runs, and a list of errors that the next calls raise."""
    events, runs, errors = [], [], []

    def init(**arguments):
        if errors:
            raise errors.pop()
        runs.append(FakeRun(events, **arguments))
        return runs[-1]

    monkeypatch.setattr(wandb, "init", init)
    return events, runs, errors


def train(config):
    planned = plan_job(config)
    with StudyProgress(planned) as progress:
        return planned, train_all(planned, progress)


def test_every_training_is_one_run_closed_before_the_next_begins(fake, small):
    events, runs, _ = fake
    config = small("logger=wandb", "split.folds=[0,1]", "seed=21", "trainer.workers=1", "study.name=mine")
    planned, results = train(config)
    first, second = (run.signature for run in planned)
    assert events == [
        ("init", first, "offline"),
        ("finish", first, 0),
        ("init", second, "offline"),
        ("finish", second, 0),
    ]
    said = runs[0].arguments
    assert (said["group"], said["job_type"], said["project"]) == ("mine", "paper", "ser_lightning")
    assert {"demo", "logmel", "fold 0", "synthetic demo"} <= set(said["tags"])
    assert said["config"]["loss"] == {"lam": 0.3, "alpha": 0.5, "rule": "ema", "warm_up": 0, "class_weights": "inverse"}
    keys = {key for values in runs[0].logged for key in values}
    assert {"train/loss", "train/softmax", "train/center", "dev/loss", "dev/ua", "dev/wa", "dev/recall_sad"} <= keys
    assert "test/confusion" in keys
    assert runs[0].summary["test/ua"] == results[0].ua


def test_a_failed_training_is_closed_as_failed(fake, small):
    events, _, _ = fake
    config = small("logger=wandb", "optimizer.learning_rate=1e20", "trainer.precision=32", "seed=22")
    with pytest.raises(UserError):
        train(config)
    assert [event[0] for event in events] == ["init", "finish"]
    assert events[1][2] == 1


def test_without_the_server_a_run_is_kept_offline(fake, small, monkeypatch, caplog):
    events, _, errors = fake
    monkeypatch.setenv("WANDB_MODE", "online")
    errors.append(wandb.errors.CommError("timed out"))
    with caplog.at_level(logging.WARNING):
        train(small("logger=wandb", "seed=23"))
    assert [event[2] for event in events] == ["offline", 0]
    assert "W&B cannot be reached (timed out)" in caplog.text
