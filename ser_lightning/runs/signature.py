"""What makes a run this run: everything that its numbers depend on, and nothing else."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ser_lightning.identity import digest

if TYPE_CHECKING:
    from ser_lightning.components import Part
    from ser_lightning.config import Config
    from ser_lightning.corpora import Manifest
    from ser_lightning.data.splits import Split
    from ser_lightning.runs.schedule import Schedule

# Raised when the same settings would give other numbers.
SCHEMA = 2
# Settings that came later, of a group or of a class of ours, with the value that means what was done before: it is left
# out, so that runs of before keep their names
_LATER: dict[str, dict[str, Any]] = {
    "model": {"trained": True},
    "loss": {"focal": 0, "smoothing": 0, "softmax": 1},
    "CRNN": {"dropout": 0},
    "Adam": {"weight_decay": 0},
    "Speaker": {"dev": "speakers"},
    "Distortion": {"mixup": 0},
}
# What plays a part in training steps alone
OF_STEPS = ("augment", "batching", "loss", "optimizer")

# Groups that came later, with the part that does what was done before: likewise
_BEFORE: dict[str, dict[str, Any]] = {
    "normalise": {"class": "TrainingPart"},
    "augment": {"class": "Distortion", "speed": 0, "warp": 0, "time": 0, "frequency": 0},
}


def settings(config: "Config") -> dict[str, Any]:
    """What a study and its report call a job by: the part of a configuration that its numbers depend on.

    No paths, loggers, devices, folds or study. With lambda 0 no loss is added, so that nothing of it is left, and
    nothing of all that belongs to steps where none is made. How long it trains stands as it was said, in epochs or in
    steps.
    """
    described = config.described
    groups = (
        *("features", "normalise", "augment", "split", "batching", "model", "head", "loss", "optimizer"),
        "trainer",
    )
    chosen = {name: described[name] for name in (*groups, "seed")}
    for group in _BEFORE.keys() - _identities(config).keys():
        chosen[group] = {"name": config.parts[group].name}
    if config.model.trained:
        chosen["model"] = _without(chosen["model"], "trained")
    else:
        chosen["trainer"] = {"precision": config.trainer.precision}
        chosen = _without(chosen, *OF_STEPS)
    if config.model.trained and not config.adds_loss:
        chosen["loss"] = _without(chosen["loss"], "name", *config.loss.own)
    chosen["split"] = _without(chosen["split"], "folds", "repeats", "table")
    if config.split.max_train is None:
        del chosen["split"]["max_train"]
    chosen["trainer"] = _without(chosen["trainer"], "accelerator", "devices", "workers")
    return chosen


def identity(config: "Config", schedule: "Schedule") -> dict[str, Any]:
    """What of a configuration decides a run's numbers: the classes of its parts, by name, and what these are given.

    Of a user's own part also its code; of a setting that is a path the content of the file; of the training its steps,
    in whatever way they were said.
    """
    parts = _identities(config)
    # Who trains is in the division
    parts["split"] = _without(parts["split"], "folds", "repeats", "table", "max_train")
    if not config.model.trained:
        return {**_without(parts, *OF_STEPS), "trainer": {"precision": config.trainer.precision}, "seed": config.seed}
    if not config.adds_loss:
        parts["loss"] = _without(parts["loss"], "class", "code", *config.loss.content)
    steps = {name: getattr(schedule, name) for name in ("max_steps", "check_every", "first_check")}
    trainer = {**steps, "precision": config.trainer.precision}
    return {**parts, "batching": config.batching.model_dump(), "trainer": trainer, "seed": config.seed}


def part_identity(part: "Part") -> dict[str, Any]:
    """What of a part decides the numbers that it makes: class, settings, and the code of a user's own."""
    name = part.target.rpartition(".")[2]
    shared = _without(part.settings, "name", *part.own)
    code = {"code": part.code} if part.code else {}
    later = {**_LATER.get(part.group, {}), **({} if part.code else _LATER.get(name, {}))}
    given = {**shared, **part.content}
    values = {key: value for key, value in given.items() if key not in later or value != later[key]}
    return {"class": name, **values, **code}


def origin(config: "Config", manifest: "Manifest", audio: str) -> dict[str, str]:
    """What a job's numbers come from beside its settings: a digest of class and code of each part (under its group), of
    what its settings name, such as files (under their dotted keys), and of the corpus and sound."""
    digests = {"corpus": digest(_corpus(manifest, audio))}
    absent = (*(("loss",) * (not config.adds_loss)), *(OF_STEPS * (not config.model.trained)))
    for group, facts in _identities(config).items():
        if group in absent:
            continue
        digests[group] = digest([facts["class"], facts.get("code")])
        part = config.parts[group]
        named = [key for key, value in part.own.items() if key in part.paths or facts.get(key, value) != value]
        digests |= {f"{group}.{key}": digest(facts[key]) for key in named}
    return digests


def _identities(config: "Config") -> dict[str, dict[str, Any]]:
    """What of each part but the corpus decides numbers, less parts that do what was done before there was a choice."""
    parts = {name: part_identity(part) for name, part in config.parts.items() if name != "corpus"}
    return {name: facts for name, facts in parts.items() if facts != _BEFORE.get(name)}


def _corpus(manifest: "Manifest", audio: str) -> list[Any]:
    return [manifest.corpus, manifest.digest, list(manifest.classes), audio]


def _without(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted keys, as on the command line."""
    values: dict[str, Any] = {}
    for name, value in settings.items():
        values |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return values


def signature(config: "Config", manifest: "Manifest", audio: str, split: "Split", schedule: "Schedule") -> str:
    """The name of a run: a hash of its settings, its corpus and sound, its division and the schema's version.

    `audio` is the feature store's name for the content of all recordings.
    """
    return digest(
        {
            "schema": SCHEMA,
            "settings": identity(config, schedule),
            "corpus": _corpus(manifest, audio),
            "split": [split.repeat, split.fold, split.digest],
        }
    )
