"""Measure speed and memory on this machine: `python -m benchmarks [PART ...]`."""

import json
import platform
from argparse import ArgumentParser
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.parts import PARTS, measure
from ser_lightning.files import write_whole
from ser_lightning.runs.study import add_output_option

# key of the result -> what it is, its unit, bar, aim, and whether more is better
BARS: dict[str, tuple[str, str, float | None, float | None, bool]] = {
    "training.utterances_per_second": ("training, of IEMOCAP's mean length", "utterances/s", None, None, True),
    "training.frames_per_second": ("training, without padding", "frames/s", None, None, True),
    "training.against_plain": ("against the plain implementation", "times", 10, 15, True),
    "training.against_limit": ("against the bare loop", "", 0.95, 0.98, True),
    "training.share_of_matmul": ("share of the matrix product's rate", "", 0.45, 0.65, True),
    "training.padding": ("padding, of the frames convolved", "", 0.08, 0.05, False),
    "losses.slowest": ("a step with the slowest loss, over centre loss's", "times", 1.1, None, False),
    "frozen.statistics_faster": ("a step on frozen frames against log-Mel, mean, deviation", "times", 20, None, True),
    "frozen.attentive_faster": ("the same, attentive pooling", "times", 20, None, True),
    "run.share_of_dev": ("dev evaluation, of a run", "", None, None, False),
    "run.share_of_logging_and_checkpoints": ("logging and checkpoints, of a run", "", None, None, False),
    "run.share_of_all_but_training": ("all but training steps, of a run", "", 0.12, 0.06, False),
    "run.peak_gigabytes": ("memory above the libraries'", "GB", 1.0, 0.5, False),
    "features.hours_per_minute": ("log-Mel features", "h/min", None, None, True),
    "features.against_librosa": ("features against librosa, file by file", "times", 40, 80, True),
    "starts.help_seconds": ("train --help", "s", 1.5, 0.5, False),
    "starts.cfg_seconds": ("train --cfg job", "s", None, None, False),
    "starts.status_seconds": ("status --help", "s", None, None, False),
    "starts.overhead_seconds_per_run": ("overhead of a run in a sweep", "s", 0.5, 0.2, False),
    "starts.overhead_seconds_per_job_of_one_run": ("the same, where each job has one run", "s", None, None, False),
    "growth.exponent": ("growth of an epoch with its frames, exponent", "", None, None, False),
    "gpu.hours_of_275_runs": ("all 275 runs on this GPU", "h", 2, 0.5, False),
}


def main() -> None:
    """Measure the parts that were asked for, print them beside what is wanted, and write bench.json."""
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add_output_option(parser)
    parser.add_argument("part", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    options = parser.parse_args()
    unknown = set(options.part) - PARTS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose of {', '.join(PARTS)}")
    output = Path(options.output).resolve() / "bench"
    measured: dict[str, Any] = {"machine": machine()}
    for part in options.part or PARTS:
        print(f"Measuring {part}", flush=True)
        # Each in a process of its own, whose memory nothing was in before
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            measured[part] = pool.submit(measure, part, output).result()
        write_whole(output / "bench.json", json.dumps(measured, indent=1))
    show(measured)
    print(f"All numbers: {output / 'bench.json'}")


def machine() -> dict[str, Any]:
    """What the numbers are of."""
    import torch

    return {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
    }


def show(measured: dict[str, Any]) -> None:
    """Print the numbers that have a name, with bar and aim where there is one."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", "measured", "", "bar", "aim")
    for key, (name, unit, bar, aim, more) in BARS.items():
        part, value = key.split(".")
        if part not in measured:
            continue
        number = measured[part].get(value)
        if number is None:
            table.add_row(name, "not measured", unit, *(_format(limit) for limit in (bar, aim)))
            continue
        met = bar is None or (number >= bar if more else number <= bar)
        table.add_row(name, f"{number:.3g}" + ("" if met else " (missed)"), unit, _format(bar), _format(aim))
    Console().print(table)


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


if __name__ == "__main__":
    main()
