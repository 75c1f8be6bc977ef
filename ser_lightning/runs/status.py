"""How each run of a study stands: done, damaged, running, failed, interrupted, missing, or replaced."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_lightning.errors import UserError
from ser_lightning.files import parse_yaml, read_text
from ser_lightning.runs.attempt import read_attempt
from ser_lightning.runs.damage import damage_beside
from ser_lightning.runs.jobs import Job, place_name
from ser_lightning.runs.ledger import DamagedRunError, read_result
from ser_lightning.runs.readouts import read_failures
from ser_lightning.runs.signature import flat
from ser_lightning.runs.study import read_jobs

STATES = ("done", "damaged", "running", "failed", "interrupted", "missing", "replaced")


@dataclass(frozen=True)
class RunStatus:
    """A line about a run.

    Attributes:
        run: its signature; empty where its job has not begun.
        job: what its job sets.
        place: its repetition and fold.
        state: one of `STATES`.
        details: UA on dev, where and since when it is running, why it failed, what is damaged or different.
    """

    run: str
    job: str
    place: str
    state: str
    details: str


def study_status(study: Path, runs: Path) -> list[RunStatus]:
    """All runs of a study in the order of its jobs, whichever command added them; then those once made for it
    that it no longer has: of jobs whose corpus or code has changed since, or of an earlier version's settings."""
    jobs = read_jobs(study)
    lines = [line for job in jobs for line in job_status(job, runs)]
    return [*lines, *_replaced_lines(study.name, jobs, runs)]


def job_status(job: Job, runs: Path) -> Iterator[RunStatus]:
    """The runs of a job, and why it could not be begun."""
    if job.failure is not None:
        yield RunStatus("", job.name, "", "failed", job.failure)
    elif not job.runs:
        yield RunStatus("", job.name, "", "missing", "its job has not begun")
    for name, (repeat, fold) in zip(job.runs, job.places, strict=True):
        yield RunStatus(name, job.name, place_name(repeat, fold), *_state(runs / name, job.readouts))


def _state(folder: Path, readouts: Iterable[str]) -> tuple[str, str]:
    try:
        result = read_result(folder)
        damages = damage_beside(folder, result, thorough=False) if result is not None else []
    except DamagedRunError as error:
        return "damaged", str(error)
    except UserError as error:
        return "failed", str(error)
    if result is not None:
        if fatal := [str(damage) for damage in damages if damage.fatal]:
            return "damaged", f"{', '.join(fatal)}; the same command sets {folder} aside and trains the run anew"
        summary = "; ".join([f"dev UA {100 * result.dev_ua:.1f} %, {result.seconds:.0f} s", *map(str, damages)])
        failures = list(read_failures(folder, readouts))
        return ("failed", "; ".join([f"done, {summary}", *failures])) if failures else ("done", summary)
    last = read_attempt(folder)
    if last is None:
        return "missing", ""
    if last.failure is not None:
        return "failed", last.failure
    if last.alive(folder):
        return "running", f"step {last.step} on {last.host} (process {last.pid}), since {_clock(last.started)}"
    return (
        "interrupted",
        f"at step {last.step} on {last.host}, {_clock(last.seen)}; the same command goes on",
    )


def _replaced_lines(study: str, jobs: list[Job], runs: Path) -> Iterator[RunStatus]:
    import yaml

    planned = {name for job in jobs for name in job.runs}
    # As YAML writes it, which would take 2024 for a number
    line = yaml.safe_dump({"name": study}, allow_unicode=True).strip()
    for file in sorted(runs.glob("*/config.yaml")):
        if file.parent.name in planned:
            continue
        # Most runs of a large folder belong to other studies; a plain look is a hundred times faster than YAML.
        try:
            text = read_text(file)
            if f"\n  {line}\n" not in text:
                continue
            config = parse_yaml(text)
            is_own = config["study"]["name"] == study
        except (OSError, ValueError, TypeError, KeyError):
            # Nobody asks for it any more
            continue
        if is_own:
            yield RunStatus(file.parent.name, "", _known_place(file.parent), "replaced", _difference(config, jobs))


def _difference(config: Mapping[str, Any], jobs: list[Job]) -> str:
    """What sets a run apart from the job that is nearest to it."""
    differences: list[list[str]] = [
        [
            f"{key}={_at(config, key)} (now {value})"
            for key, value in flat(job.settings).items()
            # Earlier versions had parts without naming them
            if _at(config, key) not in (value, {} if key.endswith(".name") else value)
        ]
        for job in jobs
    ]
    if not differences:
        return ""
    nearest = min(differences, key=len)
    return ", ".join(nearest) or "other code, files, corpus, sound, division or version"


def _at(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = value.get(name, {}) if isinstance(value, Mapping) else {}
    return value


def _known_place(folder: Path) -> str:
    """Where a run stands that is no longer asked for; empty if unfinished, or damaged, which harms nobody."""
    try:
        result = read_result(folder)
    except UserError:
        return ""
    return place_name(result.repeat, result.fold) if result else ""


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
