"""A study's folder: which jobs it has and which runs belong to each."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ser_lightning.files import write_whole


@dataclass(frozen=True)
class Job:
    """One configuration of a study: a name, its settings and the signatures of its runs."""

    name: str
    settings: dict[str, Any]
    runs: list[str]


def study_folder(output: str, name: str) -> Path:
    """Where a study lies below `paths.output`."""
    return Path(output).expanduser().resolve() / "studies" / name


def write_job(folder: Path, number: int, job: Job) -> None:
    """Record a job in the study's folder."""
    write_whole(folder / "jobs" / str(number) / "job.json", json.dumps(asdict(job), indent=1))


def read_jobs(folder: Path) -> list[Job]:
    """The jobs of a study, in their order."""
    files = sorted(folder.glob("jobs/*/job.json"), key=lambda file: int(file.parent.name))
    return [Job(**json.loads(file.read_text())) for file in files]


def forget_jobs(folder: Path) -> None:
    """Remove the record of earlier jobs, so that a study is what was asked for last. Runs are kept elsewhere."""
    shutil.rmtree(folder / "jobs", ignore_errors=True)


def job_name(overrides: Sequence[str]) -> str:
    """How a job is called in tables: what it sets, e.g. 'loss.alpha=0.1 loss.lam=0.5'."""
    telling = [word for word in overrides if not word.startswith(("study.", "paths.", "logger", "corpus.root"))]
    return " ".join(telling) or "default"
