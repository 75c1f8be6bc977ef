"""hydra/launcher=ray on a cluster of two nodes, one of which is lost during the sweep: the same ledger."""

from tempfile import TemporaryDirectory

import pytest

from tests.cluster.conftest import HERE, assert_same_ledger, start_cluster, start_sweep, wait_until

TOP = HERE.parent.parent
PYTHON = TOP / ".venv-ray" / "bin" / "python"


@pytest.fixture
def cluster(tmp_path):
    """Its address and its process. Ray's sockets need a short path."""
    if not PYTHON.exists():
        pytest.skip("no .venv-ray (make ray)")
    with (
        TemporaryDirectory(prefix="ray-") as short,
        start_cluster(
            PYTHON, HERE / "ray_nodes.py", log=tmp_path / "ray", RAY_TMPDIR=short, PYTHONPATH=str(TOP)
        ) as process,
    ):
        word, _, address = process.stdout.readline().partition(" ")
        assert word == "ready", (tmp_path / "ray").read_text()
        yield address.strip(), process


def test_the_ledger_is_the_local_one_although_a_node_is_lost(cluster, away, at_home):
    address, process = cluster
    where = ["hydra/launcher=ray", f"hydra.launcher.ray.init.address='{address}'"]
    with start_sweep(away, *where, python=[PYTHON], RAY_USAGE_STATS_ENABLED="0") as sweep:
        wait_until(lambda: len(sweep.at_first_run()) == 2 or sweep.process.poll() is not None, "a job on each node")
        process.stdin.write("kill\n")
        process.stdin.flush()
        assert process.stdout.readline() == "1\n", sweep.said
        assert sweep.end() == 0, sweep.said
    assert_same_ledger(sweep, at_home)
