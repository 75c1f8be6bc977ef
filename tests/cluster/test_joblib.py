"""hydra/launcher=joblib: the same ledger, a thread per job, with a cache that can only be read."""

import shlex
import subprocess
import sys

import pytest

from tests.cluster.conftest import assert_same_ledger, start_sweep


def test_the_ledger_is_the_local_one_with_a_read_only_cache(away, at_home):
    """Root may write everywhere but on a read-only mount, which here ends with the process.

    Nothing is said about threads: each of as many jobs as cores has one, as its result says.
    """
    cache = shlex.quote(str(at_home.folder / "out" / "cache"))
    read_only = f"mount --bind {cache} {cache} && mount -o remount,bind,ro {cache}"
    alone = ["unshare", "--mount", "sh", "-c"]
    refused = subprocess.run([*alone, f"{read_only} && touch {cache}/new"], capture_output=True, text=True)
    if "Read-only file system" not in refused.stderr:
        pytest.skip(f"nothing can be mounted here: {refused.stderr.strip()}")
    python = [*alone, f'{read_only} && exec "$0" "$@"', sys.executable]
    with start_sweep(away, "hydra/launcher=joblib", python=python, OMP_NUM_THREADS="") as sweep:
        assert sweep.end() == 0, sweep.said
    assert_same_ledger(sweep, at_home)
