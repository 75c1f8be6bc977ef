"""A training on two devices is the training on one; what dies on the way leaves nothing that hangs."""

import os
import signal
import subprocess
import time

import numpy as np
import pandas as pd
import pytest
import torch

from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.runs.attempt import read_attempt
from ser_lightning.runs.ledger import LAST, PREDICTIONS
from ser_lightning.training.job import train_once
from ser_lightning.training.plan import plan_job
from ser_lightning.training.ranks import choose_devices, dealt_devices
from tests import commands
from tests.conftest import SMALL

# The last batch of an epoch has one utterance, which leaves the second rank without any.
SHARED = ["batching.size=95", "trainer.precision=32", "trainer.accelerator=cpu"]


def losses(folder):
    return pd.read_csv(folder / "metrics.csv")[["step", "train/loss", "train/softmax", "train/term"]].dropna()


def test_devices_are_dealt_in_turn():
    assert [dealt_devices(number, 1, 3) for number in range(5)] == [[0], [1], [2], [0], [1]]
    assert [dealt_devices(number, 2, 4) for number in range(3)] == [[0, 1], [2, 3], [0, 1]]
    assert dealt_devices(1, 2, 3) == [2, 0]
    with pytest.raises(UserError, match="devices=3: there are 2 here"):
        dealt_devices(0, 3, 2)


def test_gpus_are_dealt_by_number_and_processes_counted(small, monkeypatch):
    config = small("trainer.devices=2").trainer
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [choose_devices(config, number) for number in (0, 1, 2)] == [[0, 1], [2, 3], [0, 1]]
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert choose_devices(small(*SHARED, "trainer.devices=2").trainer, 5) == 2
    with pytest.raises(UserError, match="devices=3: there are 2 here"):
        choose_devices(small(*SHARED, "trainer.devices=3").trainer, 0)


@pytest.fixture(scope="module")
def two_cores():
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one core: no two processes")


WORDS = [*SHARED, "trainer.max_steps=6", "trainer.check_every=2", "seed=300"]


@pytest.fixture(scope="module")
def shared(output, two_cores):
    """A run on two devices: its result, and its folder under another name."""
    (run,) = plan_job(compose([*SMALL, f"paths.output={output}", *WORDS, "trainer.devices=2"]))
    return train_once(run), run.folder.rename(run.folder.with_name("shared"))


def test_two_devices_give_the_numbers_of_one(small, shared):
    result, folder = shared
    assert result.device.startswith("2 x cpu")
    (alone,) = plan_job(small(*WORDS))
    assert alone.signature == result.signature
    assert len(alone.split.ids("train")) % 95 == 1
    assert train_once(alone).device == f"cpu, {torch.get_num_threads()} threads".replace("1 threads", "1 thread")
    one = alone.folder.rename(alone.folder.with_name("alone"))
    # Until the first of equals in a pool changes hands, which rounding decides: then Adam takes another path
    np.testing.assert_allclose(losses(folder), losses(one), rtol=1e-3)
    np.testing.assert_allclose(losses(folder).iloc[0], losses(one).iloc[0], rtol=1e-5)
    predictions = pd.read_parquet(folder / PREDICTIONS)
    assert predictions["id"].is_unique
    assert predictions["id"].tolist() == pd.read_parquet(one / PREDICTIONS)["id"].tolist()


def test_a_shared_training_goes_on_where_it_was(small, shared, monkeypatch):
    result, folder = shared
    (run,) = plan_job(small(*WORDS, "trainer.devices=2"))

    def fail(*arguments):
        raise RuntimeError("cut off")

    monkeypatch.setattr("ser_lightning.training.run._write_best", fail)
    assert train_once(run).reason.startswith("RuntimeError: cut off")
    assert (run.folder / LAST).exists()
    monkeypatch.undo()
    environment = dict(os.environ)
    again = train_once(run)
    assert dict(os.environ) == environment
    assert again.best_step == result.best_step
    pd.testing.assert_frame_equal(pd.read_parquet(run.folder / PREDICTIONS), pd.read_parquet(folder / PREDICTIONS))


def children(pid):
    listed = subprocess.run(["pgrep", "-P", str(pid), "-f", "multiprocessing.spawn"], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("who", ["rank 1", "rank 0"])
def test_a_rank_that_dies_takes_the_others_along(small, output, tmp_path, two_cores, who):
    words = [*SHARED, "trainer.devices=2", "trainer.max_steps=100000", "trainer.workers=1"]
    words.append(f"seed={310 + int(who[-1])}")
    (run,) = plan_job(small(*words))
    printed = tmp_path / "printed"
    process = commands.start("train", [*SMALL, *words, f"paths.output={output}"], tmp_path, printed, printed)
    try:
        wait_for(lambda: process.poll() is not None or getattr(read_attempt(run.folder), "step", 0) > 0)
        assert process.poll() is None, printed.read_text()
        # multiprocessing's resource tracker is a child too
        others = children(process.pid)
        assert others
        os.kill(others[-1] if who == "rank 1" else process.pid, signal.SIGKILL)
        status = process.wait()
        if who == "rank 1":
            assert status == 1
            assert "process 1 of trainer.devices=2 ended with status -9" in printed.read_text()
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in others))  # noqa: PTH110
    finally:
        process.send_signal(signal.SIGKILL)
