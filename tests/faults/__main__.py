"""`python -m tests.faults --count 1000 --seed 1`: faults of all kinds, and a table of how they ended.

Exits with 1 where one of them ended as none may.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from tests.faults.campaign import Fault, run, table
from tests.faults.scenes import SCENES, lacking_for


def main() -> None:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many faults")
    parser.add_argument("--seed", type=int, default=1, help="from which they are drawn")
    parser.add_argument("--kinds", default="", help="words of which a kind's name has one, with commas between them")
    parser.add_argument("--show", action="store_true", help="print each fault as it is met with")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    words = [word for word in arguments.kinds.split(",") if word]
    with tempfile.TemporaryDirectory() as folder:
        kinds = [kind for kind in SCENES if not words or any(word in kind.name for word in words)]
        for kind in kinds:
            if lacking := lacking_for(kind):
                print(f"{kind.name}: left out, for want of {lacking}", flush=True)
        kinds = [kind for kind in kinds if not lacking_for(kind)]
        scenes = [kind(Path(folder) / str(number)) for number, kind in enumerate(kinds)]
        began = time.monotonic()

        def tell(fault: Fault) -> None:
            if arguments.show or fault.ending.bad:
                print(f"{fault.kind}: {fault.description}: {fault.ending.value}\n  {fault.words}", flush=True)

        faults = run(scenes, arguments.count, arguments.seed, tell)
    print(f"{len(faults)} faults, seed {arguments.seed}, {time.monotonic() - began:.0f} s\n")
    print(table(faults).to_markdown())
    sys.exit(any(fault.ending.bad for fault in faults))


if __name__ == "__main__":
    main()
