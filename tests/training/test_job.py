"""How many runs a job trains side by side, and whose signals its processes hear."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import joblib
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from ser_lightning.training.job import count_workers, deaf_children, requeue_undisturbed


@pytest.fixture
def launched(monkeypatch):
    """As in a job of a sweep by the launcher of this name."""

    def set_launcher(name):
        hydra = OmegaConf.create({"mode": RunMode.MULTIRUN, "launcher": {"_target_": f"hydra_plugins.some.{name}"}})
        monkeypatch.setattr(HydraConfig, "initialized", staticmethod(lambda: True))
        monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: hydra))

    return set_launcher


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)


@pytest.mark.parametrize(
    ("launcher", "slurm_cpus", "workers"),
    [
        ("BasicLauncher", None, 2),
        ("JoblibLauncher", None, 1),
        ("RayLauncher", None, 1),
        ("SlurmLauncher", None, 1),
        ("SlurmLauncher", "2", 2),
        # what the process may use is less than what the job was given
        ("SlurmLauncher", "8", 2),
    ],
)
def test_workers_on_cpu(small, launched, two_cores, monkeypatch, launcher, slurm_cpus, workers):
    launched(launcher)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    if slurm_cpus:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", slurm_cpus)
    assert count_workers(small("trainer.accelerator=cpu", "trainer.workers=null")) == workers


def test_what_is_asked_for_holds_everywhere(small, launched):
    config = small("trainer.workers=5")
    launched("RayLauncher")
    assert count_workers(config) == 5


def test_one_at_a_time_on_an_accelerator(small, monkeypatch):
    config = small("trainer.accelerator=auto", "trainer.workers=null")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert count_workers(config) == 1


@pytest.mark.parametrize(
    ("gigabytes", "cores", "workers"),
    [([80], 16, 6), ([80], 8, 4), ([24], 16, 2), ([8], 16, 1), ([80, 80], 64, 12), ([80, 24], 64, 8), ([80], 1, 1)],
)
def test_on_gpus_as_many_as_memory_and_cores_allow(small, monkeypatch, gigabytes, cores, workers):
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gigabytes))
    properties = [SimpleNamespace(total_memory=size * 10**9) for size in gigabytes]
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: properties[gpu])
    assert count_workers(small("trainer.accelerator=auto", "trainer.workers=null")) == workers


def test_children_do_not_hear_that_the_time_is_up_and_the_process_does():
    heard = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    try:
        with deaf_children(signal.SIGUSR2):
            child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        for process in (child.pid, os.getpid()):
            os.kill(process, signal.SIGUSR2)
        child.communicate(b"\n", timeout=60)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert heard == [signal.SIGUSR2]
    assert child.returncode == 0


def test_what_requeues_a_job_outlives_the_signal_that_ends_the_job():
    """As with submitit: the handler of SIGUSR2 starts a command, which gets SIGTERM before it has answered."""
    statuses = []

    def requeue(number, frame):
        command = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        command.terminate()
        command.communicate(b"\n", timeout=60)
        statuses.append(command.returncode)

    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        os.kill(os.getpid(), signal.SIGUSR2)
        requeue_undisturbed()
        os.kill(os.getpid(), signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert statuses == [-signal.SIGTERM, 0]
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
