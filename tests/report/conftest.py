import pytest

from tests.report.simulated import Simulation


@pytest.fixture
def simulation(tmp_path):
    """An empty folder of outputs for runs of the demo corpus."""
    return Simulation(tmp_path)
