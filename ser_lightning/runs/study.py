"""A study's folder: which jobs it has and which runs belong to each."""

import json
import os
import shlex
import shutil
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ser_lightning.errors import UserError
from ser_lightning.files import write_whole

# What a study's folder has beside its jobs: who is tested when, the utterances, the command that made it.
SPLIT, UTTERANCES, COMMAND = "split.csv", "utterances.csv", "command.txt"


@dataclass(frozen=True)
class Job:
    """One configuration of a study.

    Attributes:
        name: what the job sets.
        settings: what its numbers depend on.
        runs: signatures; empty until the job has begun.
        places: (repetition, fold) of each run.
        failure: why the job has no runs.
        readouts: name -> what each of the job's runs keeps it as, see `readout_names`.
    """

    name: str
    settings: dict[str, Any]
    runs: list[str] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    failure: str | None = None
    readouts: dict[str, str] = field(default_factory=dict)


def study_folder(output: str, name: str) -> Path:
    """Where a study lies below `paths.output`."""
    return Path(output).expanduser().resolve() / "studies" / name


def find_study(name: str, output: Path) -> Path:
    """The folder of a study, by its path or by its name below `output`. Raises `UserError` where there is none."""
    for folder in (Path(name).expanduser().resolve(), output / "studies" / name):
        if (folder / "jobs").is_dir():
            return folder
    known = sorted(jobs.parent.name for jobs in output.glob("studies/*/jobs"))
    there = f"there are {', '.join(known)}" if known else "there are none; --output names another folder"
    raise UserError(f"{name} is not a study in {output}; {there}")


def add_output_option(parser: ArgumentParser) -> None:
    """Let a command that does not go through Hydra be told of `paths.output`."""
    parser.add_argument(
        "--output",
        default=os.environ.get("SER_OUTPUT", "outputs"),
        metavar="FOLDER",
        help="paths.output of the study; default: $SER_OUTPUT or outputs",
    )


def write_job(folder: Path, number: int, job: Job) -> None:
    """Record a job in the study's folder."""
    write_whole(folder / "jobs" / str(number) / "job.json", json.dumps(asdict(job), indent=1))


def write_jobs(folder: Path, jobs: Sequence[Job]) -> None:
    """Make these the study's jobs, and forget others: a study is what was asked for last. Runs are kept elsewhere.

    Of a job that was recorded with the same settings, the runs stay.
    """
    known = {}
    for file in _job_files(folder):
        # One that cannot be read is written anew
        with suppress(UserError):
            job = _read_job(file)
            known[json.dumps(job.settings, sort_keys=True)] = job
    for number, job in enumerate(jobs):
        before = known.get(json.dumps(job.settings, sort_keys=True))
        if before is not None and not job.runs:
            job = replace(job, runs=before.runs, places=before.places)
        write_job(folder, number, job)
    for other in folder.glob("jobs/*"):
        if not other.name.isdigit() or int(other.name) >= len(jobs):
            shutil.rmtree(other)


def read_jobs(folder: Path) -> list[Job]:
    """The jobs of a study, in their order. Raises `UserError` where one cannot be read."""
    return [_read_job(file) for file in _job_files(folder)]


def _job_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("jobs/*/job.json"), key=lambda file: int(file.parent.name))


def _read_job(file: Path) -> Job:
    try:
        job = Job(**json.loads(file.read_text()))
        if len(job.places) != len(job.runs):
            raise ValueError("runs without their places, as earlier versions wrote it")
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{file} cannot be read ({error}); repeat the study's command, which writes it anew and keeps finished runs"
        ) from error
    return job


def write_command(folder: Path, entry: str, overrides: Sequence[str]) -> None:
    """Tell a study's folder which command makes it, e.g. entry 'train -m'."""
    write_whole(folder / COMMAND, f"python -m ser_lightning.{entry} {shlex.join(overrides)}".strip() + "\n")


def short_names(jobs: Sequence[Job]) -> list[str]:
    """The names of jobs less the settings (key=value) that all of them name alike.

    >>> short_names([Job("corpus=emodb loss.lam=0", {}), Job("corpus=emodb loss.lam=0.3", {})])
    ['loss.lam=0', 'loss.lam=0.3']
    """
    alike = said_alike([job.name for job in jobs])
    return [" ".join(word for word in job.name.split() if word not in alike) or job.name for job in jobs]


def said_alike(names: Sequence[str]) -> set[str]:
    """The settings (key=value) that all of several names of jobs have."""
    words = [set(name.split()) for name in names]
    return {word for word in set.intersection(*words) if "=" in word} if len(words) > 1 else set()


def job_name(overrides: Sequence[str]) -> str:
    """How a job is called in tables: what it sets, e.g. 'loss.alpha=0.1 loss.lam=0.5'."""
    telling = [
        word for word in overrides if not word.startswith(("study.", "paths.", "logger", "rerun", "corpus.root"))
    ]
    return " ".join(telling) or "default"
