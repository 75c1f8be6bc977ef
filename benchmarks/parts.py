"""The parts of the benchmark, and how much of each is enough."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def measure(part: str, output: Path) -> dict[str, Any]:
    """The numbers of a part, without Lightning's talk."""
    from ser_lightning.training.run import quiet

    with quiet():
        return PARTS[part](output)


def _training(output: Path) -> dict[str, Any]:
    from benchmarks.training import measure_training

    return measure_training(output, blocks=7, steps=12, plain=5)


def _losses(output: Path) -> dict[str, Any]:
    from benchmarks.losses import measure_losses

    return measure_losses(output, blocks=5, steps=4)


def _frozen(output: Path) -> dict[str, Any]:
    from benchmarks.frozen import measure_frozen

    return measure_frozen(output, blocks=5, steps=12, times=0.2)


def _run(output: Path) -> dict[str, Any]:
    from benchmarks.share import measure_run

    return measure_run(output, times=1, epochs=1)


def _features(output: Path) -> dict[str, Any]:
    from benchmarks.features import measure_features

    return measure_features(output, files=80, blocks=5)


def _starts(output: Path) -> dict[str, Any]:
    from benchmarks.starts import measure_starts

    return measure_starts(output, repeats=5, jobs=5)


def _growth(output: Path) -> dict[str, Any]:
    from benchmarks.growth import measure_growth

    return measure_growth(output, steps=24)


def _gpu(output: Path) -> dict[str, Any]:
    import torch

    from benchmarks.gpu import measure_gpu
    from ser_lightning.training.job import ON_A_GPU

    # Nothing is measured where there is none
    return measure_gpu(output, workers=(1, ON_A_GPU), epochs=3) if torch.cuda.is_available() else {}


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "training": _training,
    "losses": _losses,
    "frozen": _frozen,
    "run": _run,
    "features": _features,
    "starts": _starts,
    "growth": _growth,
    "gpu": _gpu,
}
