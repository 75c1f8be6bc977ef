"""What makes a run this run: everything that its numbers depend on, and nothing else."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ser_lightning.identity import digest

if TYPE_CHECKING:
    from ser_lightning.config import Config
    from ser_lightning.corpora import Manifest
    from ser_lightning.data.splits import Split

# Raised when the same settings would give other numbers.
SCHEMA = 1


def settings(config: "Config") -> dict[str, Any]:
    """The part of a configuration that decides a run's numbers: no paths, loggers, devices, folds or study.

    With lambda 0 the centres play no part, so that alpha, rule and warm-up are left out.
    """
    whole = asdict(config)
    loss = whole["loss"]
    if loss["lam"] == 0:
        loss = {"lam": 0.0, "class_weights": loss["class_weights"]}
    trainer = {
        name: value for name, value in whole["trainer"].items() if name not in ("accelerator", "devices", "workers")
    }
    split = {name: value for name, value in whole["split"].items() if name not in ("folds", "repeats", "table")}
    return {
        "features": whole["features"],
        "split": split,
        "batching": whole["batching"],
        "model": whole["model"],
        "loss": loss,
        "optimizer": whole["optimizer"],
        "trainer": trainer,
        "seed": whole["seed"],
    }


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted keys, as on the command line."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def signature(config: "Config", manifest: "Manifest", audio: str, split: "Split") -> str:
    """The name of a run: a hash of its settings, its corpus and sound, its division and the schema's version.

    `audio` is the feature store's name for the content of all recordings.
    """
    return digest(
        {
            "schema": SCHEMA,
            "settings": settings(config),
            "corpus": [manifest.corpus, manifest.digest, list(manifest.classes), audio],
            "split": [split.repeat, split.fold, split.digest],
        }
    )
