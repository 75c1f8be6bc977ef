import subprocess
import sys

import pytest

from ser_lightning.memory import GLIBC

# What a process holds after each of ten arrays of 60 MB was made and dropped, in MB above its beginning.
HELD = """
import numpy as np
from ser_lightning.memory import keep_memory, release_memory

def own():
    with open("/proc/self/status") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000

def dropped():
    for _ in range(10):
        np.ones(7_500_000)
    return round(own() - before)

before = own()
kept = []
for keep in (False, True):
    keep_memory(keep)
    kept.append(dropped())
release_memory()
kept.append(round(own() - before))
keep_memory(False)
kept.append(dropped())
print(*kept)
"""


@pytest.mark.skipif(not GLIBC, reason="other C libraries have no such setting")
def test_freed_memory_is_kept_once_until_it_is_released():
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    given_back, kept, released, again = map(int, done.stdout.split())
    assert max(given_back, released, again) < 30
    assert 50 < kept < 120
