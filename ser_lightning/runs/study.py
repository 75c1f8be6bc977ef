"""A study's folder: which jobs it has, which runs belong to each, and what they are compared with."""

import difflib
import json
import logging
import os
import shlex
from argparse import ArgumentParser
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from ser_lightning.errors import UserError
from ser_lightning.files import absolute, read_json, read_text, write_whole
from ser_lightning.runs.jobs import (
    CHOSEN,
    REFERENCE_SYSTEM,
    UNDECIDED,
    Job,
    job_key,
    join_jobs,
    same_settings,
    was_edited,
)
from ser_lightning.runs.seal import SEAL, check_record, record_seal
from ser_lightning.runs.signature import OF_STEPS, flat
from ser_lightning.runs.varying import Baseline, name_parts, settings_key, show_value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ser_lightning.config import Config
    from ser_lightning.runs.ledger import RunResult

# What a study's folder has beside its jobs: who is tested when, the utterances, the commands that made it, what for.
SPLIT, UTTERANCES, COMMAND, STUDY = "split.csv", "utterances.csv", "command.txt", "study.json"
# The jobs that a study has, so that one that is lost is missed.
JOBS = "jobs.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Purpose:
    """What a study is for.

    Attributes:
        baseline: overrides; the jobs that have these settings are what the others are compared with.
        paper: the room of `ser_lightning.papers` that its report is attached to, if any.
        level_margin: points within which a level is said to agree with the paper's.
        effect_margin: the same of an effect.
        references: names of jobs that the others are compared with in place of the baseline, each a family of tests.
        described: names of jobs that the others are set beside, without a test.
    """

    baseline: tuple[str, ...] = ("loss.lam=0",)
    paper: str | None = "icassp2019"
    level_margin: float = 3.0
    effect_margin: float = 1.5
    references: tuple[str, ...] = ()
    described: tuple[str, ...] = ()

    def __str__(self) -> str:
        margins = f"margins: {self.level_margin:g} and {self.effect_margin:g} points"
        compared = ", ".join([*self.references, *self.described]) or " ".join(self.baseline) or "its first job"
        return f"{compared} (paper: {self.paper or 'none'}, {margins})"


@dataclass(frozen=True)
class JobList:
    """What `jobs.json` says: which jobs a study has, and on what.

    Attributes:
        names: number -> what the job sets.
        keys: number -> a digest of its settings.
        corpus: the digest of corpus and sound of the job that was planned last, see `Job.origin`; None before the
            first.
    """

    names: dict[int, str] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    corpus: str | None = None

    def without(self, numbers: Collection[int]) -> "JobList":
        """The list less some jobs."""
        names, keys = (
            {number: value for number, value in table.items() if number not in numbers}
            for table in (self.names, self.keys)
        )
        return replace(self, names=names, keys=keys)


def study_folder(output: str, name: str) -> Path:
    """Where a study lies below `paths.output`."""
    return absolute(output) / "studies" / name


def study_lock(folder: Path) -> FileLock:
    """Held while a file of a study's folder is read and written anew: of several commands one at a time adds to it."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "jobs.lock")


def all_studies(output: Path) -> dict[str, Path]:
    """The studies below `paths.output`: name -> folder; a command that was refused has left none."""
    return {folder.name: folder for folder in sorted(output.glob("studies/*")) if _is_study(folder)}


def find_study(name: str, output: Path) -> Path:
    """The folder of a study, by its path or by its name below `output`. Raises `UserError` where there is none."""
    for folder in (absolute(name), output / "studies" / name):
        if _is_study(folder):
            return folder
    raise UserError(f"{name} is not a study; {known_studies(output)}")


def known_studies(output: Path) -> str:
    """Which studies there are below `paths.output`, for messages."""
    names = ", ".join(all_studies(output))
    return f"in {output} there are {names}" if names else f"in {output} there are none; --output names another folder"


def default_output() -> str:
    """`paths.output` where nothing else is said."""
    return os.environ.get("SER_OUTPUT", "outputs")


def add_output_option(parser: ArgumentParser) -> None:
    """Let a command that does not go through Hydra be told of `paths.output`."""
    parser.add_argument(
        "--output",
        default=default_output(),
        metavar="FOLDER",
        help="paths.output of the study; default: $SER_OUTPUT or outputs",
    )


def begin_study(
    config: "Config", folder: Path, entry: str, overrides: Sequence[str], settings: Sequence[Mapping[str, Any]]
) -> None:
    """Tell a study's folder of a command before its first job: what it is for, and the command.

    Args:
        config: the command's configuration.
        folder: the study's.
        entry: what was called, e.g. 'train -m'.
        overrides: the rest of the command line.
        settings: those of the command's jobs; nothing where nobody knows them beforehand.

    Raises `UserError` where `train` is given a study that has settings, and as `refuse_other_corpus` and `write_study`.
    """
    if config.study.settings and entry != "reproduce":
        raise UserError(
            f"the study {folder.name} has settings of its own, which reproduce trains; train has those of its command "
            "line, and study.name= names what it adds to"
        )
    refuse_other_corpus(folder, folder.parent.parent / "runs", config.corpus.name, config.split.name)
    chosen = config.study
    purpose = Purpose(
        baseline=tuple(chosen.baseline),
        paper=chosen.paper,
        level_margin=chosen.level_margin,
        effect_margin=chosen.effect_margin,
        references=tuple(chosen.references),
        described=(*chosen.described, *([REFERENCE_SYSTEM] if chosen.reference_system else [])),
    )
    write_study(folder, purpose, settings)
    write_command(folder, entry, overrides)


def write_study(folder: Path, purpose: Purpose, settings: Sequence[Mapping[str, Any]]) -> None:
    """Tell a study's folder what it is for, in place of what an earlier command said.

    `settings` are those of the command's jobs, or nothing where nobody knows them beforehand. Raises `UserError` where
    the baseline is none of key=value, or sets what is no setting of any job, and where there is no such paper.
    """
    baseline = Baseline.read(purpose.baseline)
    tables = [flat(one) for one in settings]
    keys = sorted({key for table in tables for key in table})
    # Jobs that make no step have nothing of what belongs to steps
    beside = {*OF_STEPS} - {key.partition(".")[0] for key in keys}
    for key in baseline.values:
        if key.partition(".")[0] in beside:
            continue
        if tables and all(baseline.key_in(key, table) is None for table in tables):
            close = difflib.get_close_matches(key, keys, n=1)
            hint = f"did you mean {close[0]}?" if close else "the jobs of this study have no such setting"
            raise UserError(f"study.baseline: {key} is not a setting that numbers depend on; {hint}")
    if purpose.paper is not None and purpose.paper not in known_papers():
        raise UserError(f"study.paper={purpose.paper}: choose one of {', '.join(known_papers())}, or null for none")
    if (folder / STUDY).exists() and (former := read_study(folder)) != purpose:
        log.info("%s is now compared with %s, before with %s", folder.name, purpose, former)
    _write_record(folder / STUDY, purpose)


def read_study(folder: Path) -> Purpose:
    """What a study is for; what one of an earlier version did not say is as by default. Raises `UserError`."""
    try:
        record = read_json(folder / STUDY)
        purpose = _validated(Purpose, record)
        if missing := {"baseline", "paper"} - record.keys():
            raise ValueError(f"it has no {' and no '.join(sorted(missing))}")
        return purpose
    except FileNotFoundError:
        return Purpose()
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / STUDY} cannot be read ({_reason(error)}); repeat the study's command") from error


def known_papers() -> list[str]:
    """The rooms of `ser_lightning.papers`."""
    spec = find_spec("ser_lightning.papers")
    places = (spec.submodule_search_locations or []) if spec else []
    return sorted(file.parent.name for place in places for file in Path(place).glob("*/__init__.py"))


def write_job(folder: Path, number: int, job: Job) -> None:
    """Record a job in the study's folder under this number, whatever is there."""
    _write_record(_job_file(folder, number), job)


def write_jobs(folder: Path, jobs: Sequence[Job], beside: bool = False) -> None:
    """Add jobs to the study. One that has the settings of a former job is that job, and so is one of the same name
    with other code, whose edit may have changed a default; see `join_jobs`.

    A job that cannot be read, or is lost, is written anew by the command that has its settings. What a setting chooses
    from is what its last command says, and seeds of what it has chosen before are no longer of the study; that, and
    runs that are no longer of a job, is told in a line. `beside`: other jobs of the same command may have the same
    settings, on other folds; that one of them failed is kept. Raises `UserError` where the list of jobs cannot be read.
    """
    with study_lock(folder):
        listed = _read_list(folder) or JobList()
        recorded: dict[int, Job] = {}
        written: set[int] = set()
        outdated: set[str] = set()
        damaged: list[int] = []
        for number in _job_numbers(folder, listed):
            try:
                recorded[number] = _read_job(folder, number, listed)
            except UserError:
                damaged.append(number)
        for job in jobs:
            # Studies of earlier versions have a job for every name
            numbers = [number for number, one in recorded.items() if same_settings(one, job) or was_edited(one, job)]
            for number in numbers or [_free_number(job, listed, recorded, damaged)]:
                former = recorded.get(number)
                joined = join_jobs(former, job) if former else job
                failures = [former.failure, job.failure] if former and beside else [job.failure]
                recorded[number] = replace(joined, failure=" | ".join(dict.fromkeys(filter(None, failures))) or None)
                write_job(folder, number, recorded[number])
                written.add(number)
                if former:
                    _tell_dropped(folder.name, former, recorded[number])
                    if _chooses_anew(former, recorded[number]):
                        outdated.add(_but_for_seed(job))
        families = {job.candidate_of for job in jobs} - {None}
        withdrawn = [
            number
            for number, one in recorded.items()
            if number not in written and (one.candidate_of in families or _but_for_seed(one) in outdated)
        ]
        for number in withdrawn:
            name = recorded.pop(number).name
            log.warning(f"{name} is no longer of the study {folder.name}; its runs are kept in runs/")
        # First, so that a command that is killed in between leaves files that the next one withdraws again
        _write_list(folder, listed.without(withdrawn), recorded, jobs)
        for number in withdrawn:
            _job_file(folder, number).unlink()


def _free_number(job: Job, listed: JobList, recorded: Mapping[int, Job], damaged: list[int]) -> int:
    """The number for a job that the study does not have, or has lost: that of the lost one, if it may be this."""
    for number in damaged:
        if listed.keys.get(number, job_key(job)) == job_key(job):
            damaged.remove(number)
            return number
    return max([*recorded, *damaged], default=-1) + 1


def _write_list(folder: Path, former: JobList, recorded: Mapping[int, Job], jobs: Sequence[Job]) -> None:
    """Say which jobs the study has; those that are lost stay in the list, for they are to be missed."""
    names = {**former.names, **{number: job.name for number, job in recorded.items()}}
    keys = {**former.keys, **{number: job_key(job) for number, job in recorded.items()}}
    planned = [job.origin["corpus"] for job in jobs if "corpus" in job.origin]
    _write_record(folder / JOBS, JobList(names, keys, planned[-1] if planned else former.corpus))


def _read_list(folder: Path) -> JobList | None:
    """Which jobs the study has; None where an earlier version made it. Raises `UserError` where it cannot be read."""
    file = folder / JOBS
    try:
        return _validated(JobList, read_json(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file} cannot be read ({_reason(error)}); put back a copy of it, or delete it: then the study has the "
            f"jobs that are still in {folder / 'jobs'}"
        ) from error


def read_jobs(folder: Path) -> list[Job]:
    """The jobs of a study, in their order. Raises `UserError` where one is missing or cannot be read."""
    listed = _read_list(folder) or JobList()
    return [_read_job(folder, number, listed) for number in _job_numbers(folder, listed)]


def read_current_jobs(folder: Path) -> tuple[list[Job], list[Job]]:
    """The jobs of a study, and those of them whose runs are of another corpus, or other sound, than its last command's.

    The latter are to be left out of a report. A study of an earlier version does not know which was the last. Raises
    `UserError` as `read_jobs`.
    """
    listed, jobs = _read_list(folder) or JobList(), read_jobs(folder)
    others = [job for job in jobs if listed.corpus and job.origin.get("corpus", listed.corpus) != listed.corpus]
    return [job for job in jobs if job not in others], others


def refuse_other_corpus(folder: Path, runs: Path, corpus: str, protocol: str) -> None:
    """Raises `UserError` where a study has finished runs of another corpus or protocol: their tables would be mixed."""
    jobs: list[Job] = []
    with suppress(UserError):
        jobs = read_jobs(folder)
    for result in _first_result(runs, [run for job in jobs for run in job.runs]):
        if (result.corpus, result.protocol) != (corpus, protocol):
            raise UserError(
                f"the study {folder.name} has runs on {result.corpus} under the {result.protocol} protocol; {corpus} "
                f"under the {protocol} protocol needs a study of its own (study.name=)"
            )


def refuse_other_settings(
    folder: Path, settings: Mapping[str, Mapping[str, Any]], edited: Collection[str] = ()
) -> None:
    """Raises `UserError` where a study that compares its settings by their names has one of the same name, but for the
    seed, with other values: which of the two is meant, nobody could tell. `edited` are the dotted keys whose defaults
    stand in a user's own code: see `was_edited`."""
    jobs: list[Job] = []
    with suppress(UserError):
        jobs = read_jobs(folder)
    for job in jobs:
        if job.name not in settings:
            continue
        # Where it is null it is left out
        limit = {"split.max_train": None}
        before, now = ({**limit, **flat(one)} for one in (job.settings, settings[job.name]))
        # A later version may have further settings
        for key in sorted(before.keys() & now.keys() - {"seed", *edited}):
            if settings_key({key: before[key]}) == settings_key({key: now[key]}):
                continue
            raise UserError(
                f"the study {folder.name} has a setting '{job.name}' with {key}={show_value(before[key])}, now "
                f"{show_value(now[key])}; settings that are compared by name need a study of their own (study.name=)"
            )


def _first_result(runs: Path, signatures: Sequence[str]) -> "list[RunResult]":
    """The result of the first run that has one; what is damaged is named by who reads it for its own sake."""
    from ser_lightning.runs.ledger import read_result

    for name in signatures:
        with suppress(UserError):
            if result := read_result(runs / name):
                return [result]
    return []


def write_command(folder: Path, entry: str, overrides: Sequence[str]) -> None:
    """Tell a study's folder which command makes it, e.g. entry 'train -m', below those that did before."""
    command = f"python -m ser_lightning.{entry} {shlex.join(overrides)}".strip()
    file = folder / COMMAND
    with study_lock(folder):
        former = _former_commands(file)
        write_whole(file, "\n".join([*(line for line in former if line != command), command]) + "\n")


def _former_commands(file: Path) -> list[str]:
    try:
        return read_text(file).splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file} cannot be read ({_reason(error)}); delete it, and the study forgets its commands"
        ) from error


def _dropped(former: Job, job: Job) -> set[str]:
    """The runs that a former job has and this does not."""
    return {run for run in former.runs if not run.startswith(UNDECIDED)} - {*job.runs}


def _chooses_anew(former: Job, job: Job) -> bool:
    """Whether divisions have chosen other runs than those of a former job of the same code, files and corpus."""
    return bool(_dropped(former, job)) and former.origin == job.origin and CHOSEN in flat(job.settings).values()


def _but_for_seed(job: Job) -> str:
    """A key that the seeds of a setting share, and no candidate has."""
    return "" if job.candidate_of else settings_key(name_parts({**job.settings, "seed": None}))


def _tell_dropped(study: str, former: Job, job: Job) -> None:
    count = len(_dropped(former, job))
    if count:
        runs, verb = ("1 run", "is") if count == 1 else (f"{count} runs", "are")
        anew = _chooses_anew(former, job)
        reason = "for its divisions choose anew" if anew else "made with other code, files or corpus than now"
        log.warning(f"{runs} of {job.name} {verb} dropped from the study {study}, {reason}; all are kept in runs/")


def _job_file(folder: Path, number: int) -> Path:
    return folder / "jobs" / str(number) / "job.json"


def _job_numbers(folder: Path, listed: JobList) -> list[int]:
    """Of the jobs that are listed, and those that are there, as a command that was killed leaves them."""
    places = [file.parent.name for file in folder.glob("jobs/*/job.json")]
    return sorted({*listed.names, *(int(name) for name in places if name.isdecimal())})


def _is_study(folder: Path) -> bool:
    return (folder / JOBS).exists() or bool(_job_numbers(folder, JobList()))


def _read_job(folder: Path, number: int, listed: JobList) -> Job:
    file, name = _job_file(folder, number), listed.names.get(number)
    called = f"{file}, the job {name}," if name else str(file)
    try:
        job = _validated(Job, read_json(file))
        if len(job.places) != len(job.runs) or any(len(place) != 2 for place in job.places):
            raise ValueError("runs without their places, as earlier versions wrote it")
        job = replace(job, settings=name_parts(job.settings))
        # Of a job that is written and not listed yet the key is nobody's
        if listed.keys.get(number, job_key(job)) != job_key(job) and job_key(job) in listed.keys.values():
            raise ValueError("it is another job's")
        return job
    except FileNotFoundError as error:
        raise UserError(
            f"{called} is missing; repeat the command that has it, which writes it anew and keeps finished runs, or "
            f"delete {folder / JOBS} to go on without it"
        ) from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{called} cannot be read ({_reason(error)}); repeat the study's command, which writes it anew and keeps "
            "finished runs"
        ) from error


def _write_record(file: Path, content: "DataclassInstance") -> None:
    """Write an object with a seal of its own."""
    # As a reader sees it, to whom e.g. a tuple is a list
    record = json.loads(json.dumps(asdict(content)))
    write_whole(file, json.dumps({**record, SEAL: record_seal(record)}, indent=1))


def _validated(kind: Any, record: Any) -> Any:
    """A record as an object of this kind, unaltered as far as its seal tells. Raises `ValueError` where it is none."""
    if not isinstance(record, dict):
        raise ValueError("it holds no mapping")
    check_record(record)
    return _adapter(kind).validate_python({name: value for name, value in record.items() if name != SEAL})


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _reason(error: Exception) -> str:
    """Why a file cannot be read, in a line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
    return getattr(error, "strerror", None) or str(error)
