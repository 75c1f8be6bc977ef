import pytest
from omegaconf import DictConfig, OmegaConf

from tests.report.simulated import Simulation


@pytest.fixture
def simulation(tmp_path):
    """An empty folder of outputs for runs of the demo corpus."""
    return Simulation(tmp_path)


@pytest.fixture
def sweep(simulation):
    """What Hydra hands to the callback for `train -m` with some overrides."""

    def composed(*overrides: str) -> DictConfig:
        sweeper = {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"}
        hydra = {"overrides": {"task": list(overrides)}, "job": {"config_name": "train"}, "sweeper": sweeper}
        logger = {"name": "csv", "project": None, "entity": None}
        paths = {"output": str(simulation.output)}
        study = {"name": "simulated", "baseline": ["loss.lam=0"], "paper": None}
        return OmegaConf.create({"hydra": hydra, "paths": paths, "study": study, "logger": logger})

    return composed
