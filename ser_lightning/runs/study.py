"""A study's folder: which jobs it has and which runs belong to each."""

import json
import os
import shutil
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ser_lightning.files import write_whole


@dataclass(frozen=True)
class Job:
    """One configuration of a study.

    Attributes:
        name: what the job sets.
        settings: what its numbers depend on.
        runs: signatures; empty until the job has begun.
        places: (repetition, fold) of each run.
        failure: why the job has no runs.
    """

    name: str
    settings: dict[str, Any]
    runs: list[str] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    failure: str | None = None


def study_folder(output: str, name: str) -> Path:
    """Where a study lies below `paths.output`."""
    return Path(output).expanduser().resolve() / "studies" / name


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
    known = {json.dumps(job.settings, sort_keys=True): job for job in read_jobs(folder)}
    for number, job in enumerate(jobs):
        before = known.get(json.dumps(job.settings, sort_keys=True))
        if before is not None and not job.runs:
            job = replace(job, runs=before.runs, places=before.places)
        write_job(folder, number, job)
    for other in folder.glob("jobs/*"):
        if not other.name.isdigit() or int(other.name) >= len(jobs):
            shutil.rmtree(other)


def read_jobs(folder: Path) -> list[Job]:
    """The jobs of a study, in their order."""
    files = sorted(folder.glob("jobs/*/job.json"), key=lambda file: int(file.parent.name))
    return [Job(**json.loads(file.read_text())) for file in files]


def job_name(overrides: Sequence[str]) -> str:
    """How a job is called in tables: what it sets, e.g. 'loss.alpha=0.1 loss.lam=0.5'."""
    telling = [word for word in overrides if not word.startswith(("study.", "paths.", "logger", "corpus.root"))]
    return " ".join(telling) or "default"
