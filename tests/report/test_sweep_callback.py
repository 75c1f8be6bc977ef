import os
import subprocess
import sys

import pytest
from omegaconf import DictConfig, OmegaConf

from ser_lightning.report.sweep import SweepReport
from tests.report.simulated import predictions, settings_of

RIGHT = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])


@pytest.fixture
def sweep(simulation, capsys):
    """What Hydra hands to the callback for `train -m` with some overrides."""

    def composed(*overrides: str) -> DictConfig:
        sweeper = {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"}
        hydra = {"overrides": {"task": list(overrides)}, "job": {"config_name": "train"}, "sweeper": sweeper}
        return OmegaConf.create(
            {"hydra": hydra, "paths": {"output": str(simulation.output)}, "study": {"name": "simulated"}}
        )

    return composed


def test_a_sweep_forgets_the_jobs_of_the_one_before(simulation, sweep):
    simulation.add_job(7, "earlier", settings_of("logmel", 0.3, 0.5))
    SweepReport().on_multirun_start(sweep("loss.alpha=0.1,0.5", "loss.lam=0,1"))
    assert not (simulation.study / "jobs").exists()


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["loss.alpha=0.1,1.5"], "loss.alpha=1.5: must be at most 1"),
        (["loss.alpha=0.1,half"], "loss.alpha: Value 'half'"),
        (["corpus=demo,emodb", "corpus.root=."], "the corpus differs between the jobs"),
    ],
)
def test_an_invalid_job_ends_the_program_and_forgets_nothing(simulation, sweep, overrides, message):
    simulation.add_job(0, "earlier", settings_of("logmel", 0.3, 0.5))
    with pytest.raises(SystemExit) as stop:
        SweepReport().on_multirun_start(sweep(*overrides))
    assert str(stop.value).startswith(f"ser_lightning: {message}")
    assert (simulation.study / "jobs").exists()


def test_an_invalid_job_stops_the_command_before_any_job(tmp_path):
    command = [sys.executable, "-m", "ser_lightning.train", "-m", "loss.alpha=0.1,1.5"]
    environment = {**os.environ, "SER_OUTPUT": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("ser_lightning: loss.alpha=1.5: must be at most 1")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_sweep_names_its_table_and_curves(simulation, sweep, capsys):
    for number, alpha in enumerate((0.1, 0.5)):
        settings = settings_of("logmel", 0.3, alpha)
        simulation.add_job(number, f"loss.alpha={alpha}", settings, folds=[0])
        simulation.finish(settings, 0, 0, RIGHT)
    SweepReport().on_multirun_end(sweep())
    last = capsys.readouterr().out.splitlines()[-1]
    assert str(simulation.study / "sweep.md") in last
    assert str(simulation.study / "curves.png") in last


def test_a_sweep_of_which_nothing_finished_says_so(simulation, sweep, capsys):
    simulation.add_job(0, "unfinished", settings_of("logmel", 0.3, 0.5))
    SweepReport().on_multirun_end(sweep())
    assert capsys.readouterr().out == "No job of this sweep has finished, so that there is no table yet.\n"
