"""hydra/launcher=slurm on a real Slurm of one node: the same ledger, also when a job is cut off by its time limit."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import HERE, Sweep, assert_same_ledger, start_cluster, start_sweep, wait_until

SLURM = ["hydra/launcher=slurm", "hydra.launcher.timeout_min=5"]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """slurm.conf of a cluster of one node with two cores."""
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons are started by root alone")
    missing = [name for name in ("munged", "slurmctld", "slurmd") if not shutil.which(name, path="/usr/sbin:/usr/bin")]
    if missing:
        pytest.skip(f"no {', '.join(missing)} on this machine (Debian: slurm-wlm, munge)")
    folder = tmp_path_factory.mktemp("slurm")
    with start_cluster(HERE / "slurm.sh", folder, log=folder / "said") as cluster:
        assert cluster.stdout is not None
        assert cluster.stdout.readline() == "ready\n", (folder / "said").read_text()
        yield folder / "slurm.conf"


def slurm_command(slurm: Path, *words: str) -> str:
    environment = {**os.environ, "SLURM_CONF": str(slurm)}
    return subprocess.run(words, env=environment, check=True, capture_output=True, text=True, timeout=30).stdout


def cut_off(slurm: Path, sweep: Sweep) -> str:
    """Tell a job that is at its first run what Slurm tells it before its time limit; returns the job's number."""
    wait_until(lambda: sweep.at_first_run() or sweep.process.poll() is not None, "a job that trains")
    assert sweep.process.poll() is None, sweep.said
    array = slurm_command(slurm, "squeue", "--noheader", "--format=%F").split()[0]
    job = f"{array}_{sweep.at_first_run()[0]}"
    slurm_command(slurm, "scancel", "--signal=USR2", job)
    return job


def test_the_ledger_is_the_local_one(slurm, away, at_home):
    with start_sweep(away, *SLURM, SLURM_CONF=str(slurm)) as sweep:
        assert sweep.end() == 0, sweep.said
    assert_same_ledger(sweep, at_home)


def test_a_job_that_is_cut_off_is_put_back_and_finishes(slurm, away, at_home):
    """With two cores a job trains its runs in processes of its own, which Slurm's signal reaches too."""
    with start_sweep(away, *SLURM, "hydra.launcher.cpus_per_task=2", SLURM_CONF=str(slurm)) as sweep:
        job = cut_off(slurm, sweep)
        assert sweep.end() == 0, sweep.said
    (log,) = (sweep.study / ".submitit").glob(f"*/{job}_0_log.out")
    assert f"Requeued job {job} (9 remaining timeouts)" in log.read_text()
    assert_same_ledger(sweep, at_home)


def test_a_job_that_is_cut_off_too_often_ends_the_sweep_and_the_same_command_goes_on(slurm, away, at_home):
    with start_sweep(away, *SLURM, "hydra.launcher.max_num_timeout=0", SLURM_CONF=str(slurm)) as sweep:
        cut_off(slurm, sweep)
        assert sweep.end() == 1
    last = sweep.said.splitlines()[-1]
    assert last.startswith("ser_lightning: a Slurm job was cut off by its time limit")
    assert "Traceback" not in sweep.said
    with start_sweep(away, *SLURM, SLURM_CONF=str(slurm)) as sweep:
        assert sweep.end() == 0, sweep.said
    assert_same_ledger(sweep, at_home)


def test_what_sbatch_refuses_is_said_in_one_line(slurm, away):
    with start_sweep(away, *SLURM, "hydra.launcher.partition=night", SLURM_CONF=str(slurm)) as sweep:
        assert sweep.end() == 1
    assert "ser_lightning: hydra/launcher=slurm: sbatch: error: invalid partition specified: night" in sweep.said
    assert "Traceback" not in sweep.said
