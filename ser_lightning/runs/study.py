"""A study's folder: which jobs it has, which runs belong to each, and what they are compared with."""

import difflib
import json
import logging
import os
import shlex
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
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
from ser_lightning.identity import digest
from ser_lightning.runs.seal import SEAL, check_record, record_seal
from ser_lightning.runs.signature import OF_STEPS, flat
from ser_lightning.runs.varying import Baseline, name_parts, settings_key

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from ser_lightning.config import Config
    from ser_lightning.runs.ledger import RunResult

# What a study's folder has beside its jobs: who is tested when, the utterances, the commands that made it, what for.
SPLIT, UTTERANCES, COMMAND, STUDY = "split.csv", "utterances.csv", "command.txt", "study.json"
# The jobs that a study has, so that one that is lost is missed.
JOBS = "jobs.json"

UNDECIDED = "undecided"

# The job of `study.reference_system`
REFERENCE_SYSTEM = "reference system"

# Settings in a name, those that all share left out, up to which it says them all
MOST_WORDS = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One configuration of a study.

    Attributes:
        name: what the job sets.
        settings: what its numbers depend on.
        runs: signatures; empty until the job has begun; see `undecided` for those that are not known yet.
        places: (repetition, fold) of each run.
        failure: why the job has no runs.
        readouts: what the job's runs keep a read-out as, see `readout_names` -> its name and settings.
        origin: what all runs come from beside the settings, see `signature.origin`; empty until the job has begun.
        candidate_of: the job whose folds may choose this one's settings, by their UA on dev; no report shows its runs.
    """

    name: str
    settings: dict[str, Any]
    runs: list[str] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    failure: str | None = None
    readouts: dict[str, dict[str, Any]] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    candidate_of: str | None = None


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

    Raises `UserError` as `refuse_other_corpus` and `write_study` do.
    """
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

    A job that cannot be read, or is lost, is written anew by the command that has its settings. Runs that are no
    longer of a job are told in a line. `beside`: other jobs of the same command may have the same settings, on other
    folds; that one of them failed is kept. Raises `UserError` where the list of jobs cannot be read.
    """
    with study_lock(folder):
        listed = _read_list(folder) or JobList()
        recorded: dict[int, Job] = {}
        damaged: list[int] = []
        for number in _job_numbers(folder, listed):
            try:
                recorded[number] = _read_job(folder, number, listed)
            except UserError:
                damaged.append(number)
        for job in jobs:
            # Studies of earlier versions have a job for every name
            numbers = [number for number, one in recorded.items() if same_settings(one, job) or _was_edited(one, job)]
            for number in numbers or [_free_number(job, listed, recorded, damaged)]:
                former = recorded.get(number)
                joined = join_jobs(former, job) if former else job
                failures = [former.failure, job.failure] if former and beside else [job.failure]
                recorded[number] = replace(joined, failure=" | ".join(dict.fromkeys(filter(None, failures))) or None)
                write_job(folder, number, recorded[number])
                if former:
                    _tell_dropped(folder.name, former, recorded[number])
        _write_list(folder, listed, recorded, jobs)


def undecided(name: str, repeat: int, fold: int) -> str:
    """What stands for a job's run until its division has chosen one: no run is called so, so that it is missing."""
    return f"{UNDECIDED}-{digest([name, repeat, fold])}"


def _free_number(job: Job, listed: JobList, recorded: Mapping[int, Job], damaged: list[int]) -> int:
    """The number for a job that the study does not have, or has lost: that of the lost one, if it may be this."""
    for number in damaged:
        if listed.keys.get(number, _key(job)) == _key(job):
            damaged.remove(number)
            return number
    return max([*recorded, *damaged], default=-1) + 1


def _write_list(folder: Path, former: JobList, recorded: Mapping[int, Job], jobs: Sequence[Job]) -> None:
    """Say which jobs the study has; those that are lost stay in the list, for they are to be missed."""
    names = {**former.names, **{number: job.name for number, job in recorded.items()}}
    keys = {**former.keys, **{number: _key(job) for number, job in recorded.items()}}
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


def _key(job: Job) -> str:
    key = settings_key(name_parts(job.settings))
    # As earlier versions have it where there is no choice
    return digest(key if job.candidate_of is None else [key, job.candidate_of])


def join_jobs(former: Job, job: Job) -> Job:
    """A job and a former one with the same settings.

    Runs of other folds and repetitions are added. Where code, files or corpus are not those of before, or a run of the
    same fold is another, the new runs stand alone: those of a job are averaged.
    """
    before, now = (
        {tuple(place): run for place, run in zip(one.places, one.runs, strict=True)} for one in (former, job)
    )
    before = {place: run for place, run in before.items() if not run.startswith(UNDECIDED)}
    changed = bool(former.origin and job.origin) and former.origin != job.origin
    if changed or any(before.get(place, run) != run for place, run in now.items()):
        before = {}
    runs = now if before.keys() <= now.keys() else {**before, **now}
    places = [list(place) for place in runs]
    # A command line is called by what all of them set, a setting of a study as it is called now
    name = _shared_name([former.name, job.name]) if "=" in job.name.partition(" ")[0] else job.name
    readouts = _join_readouts([former, job])
    return replace(
        job,
        name=name,
        runs=list(runs.values()),
        places=places,
        readouts=readouts,
        origin=job.origin or former.origin,
    )


def same_settings(one: Job, other: Job) -> bool:
    """Whether two jobs are the same configuration, for the same use."""
    first, second = (settings_key(name_parts(job.settings)) for job in (one, other))
    return first == second and one.candidate_of == other.candidate_of


def mixed_origins(jobs: Sequence[Job]) -> list[str]:
    """Of what the jobs do not all have one version, though their settings call it the same: 'the code of loss=mine'."""
    tables = [flat(job.settings) for job in jobs]
    versions: dict[tuple[str, Any], set[str]] = {}
    for job, table in zip(jobs, tables, strict=True):
        for key, version in job.origin.items():
            versions.setdefault((key, table.get(f"{key}.name", table.get(key))), set()).add(version)
    return [_describe_origin(*one) for one, several in versions.items() if len(several) > 1]


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


def distinct_jobs(jobs: Sequence[Job], by_runs: bool = True) -> dict[int, list[int]]:
    """Jobs that are one: the number of the first -> the numbers of all that have its settings, or `by_runs` its runs.

    >>> first, second = Job("loss=mine loss.lam=0", {}, ["abc"], [[0, 0]]), Job("loss.lam=0", {}, ["abc"], [[0, 0]])
    >>> distinct_jobs([first, second, Job("loss.lam=1", {"lam": 1})])
    {0: [0, 1], 2: [2]}
    """
    groups: dict[int, list[int]] = {}
    for number, job in enumerate(jobs):
        first = next((one for one in groups if _is_same(jobs[one], job, by_runs)), number)
        groups.setdefault(first, []).append(number)
    return groups


def join_names(jobs: Sequence[Job]) -> Job:
    """Jobs that are one, under the name of what all of them set, or of the first."""
    return replace(jobs[0], name=_shared_name([job.name for job in jobs]), readouts=_join_readouts(jobs))


def replications(jobs: Sequence[Job]) -> list[list[int]]:
    """The numbers of jobs that differ in the seed alone, which is no setting to be chosen but luck to be averaged.

    >>> settings = [{"lam": 0, "seed": 0}, {"lam": 1, "seed": 0}, {"lam": 0, "seed": 1}]
    >>> replications([Job("", one) for one in settings])
    [[0, 2], [1]]
    """
    groups: dict[str, list[int]] = {}
    for number, job in enumerate(jobs):
        unseeded = {key: value for key, value in job.settings.items() if key != "seed"}
        groups.setdefault(settings_key(unseeded), []).append(number)
    return list(groups.values())


def pool_seeds(jobs: Sequence[Job]) -> Job:
    """Jobs that differ in the seed alone as one, with the runs of all and without the seed; one job as it is."""
    if len(jobs) == 1:
        return jobs[0]
    places = {run: place for job in jobs for run, place in zip(job.runs, job.places, strict=True)}
    words = [word for word in join_names(jobs).name.split() if not word.startswith("seed=")]
    settings = {key: value for key, value in jobs[0].settings.items() if key != "seed"}
    failure = next((job.failure for job in jobs if job.failure), None)
    origin = jobs[0].origin if all(job.origin == jobs[0].origin for job in jobs) else {}
    runs, name = list(places), " ".join(words) or "all seeds"
    return Job(name, settings, runs, list(places.values()), failure, _join_readouts(jobs), origin)


def rows_of_study(jobs: Sequence[Job], by_runs: bool = True) -> list[tuple[Job, list[str]]]:
    """The settings of a study, a job each, with the names of the jobs that it joins: those that are one, see
    `distinct_jobs`, and those that differ in the seed alone."""
    groups = [[jobs[number] for number in numbers] for numbers in distinct_jobs(jobs, by_runs).values()]
    distinct = [join_names(group) for group in groups]
    return [
        (
            pool_seeds([distinct[number] for number in numbers]),
            [job.name for number in numbers for job in groups[number]],
        )
        for numbers in replications(distinct)
    ]


def _join_readouts(jobs: Sequence[Job]) -> dict[str, dict[str, Any]]:
    """The read-outs of jobs that are one; of those with the same settings, whose code has changed, the last."""
    readouts = {stem: settings for job in jobs for stem, settings in job.readouts.items()}
    last = {json.dumps(settings, sort_keys=True): stem for stem, settings in readouts.items()}
    return {stem: readouts[stem] for stem in last.values()}


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


def has_settings(job: Job, words: str) -> bool:
    """Whether a job has all of the settings that stand in the words, e.g. 'loss=center loss.lam=0.3'.

    >>> job = Job("default", {"loss": {"lam": 0.3}})
    >>> has_settings(job, "loss.lam=0.3"), has_settings(job, "loss.lam=0"), has_settings(job, "default")
    (True, False, False)
    """
    return all("=" in word for word in words.split()) and Baseline.read(words.split()).has(job.settings)


def short_names(jobs: Sequence[Job]) -> list[str]:
    """The names of jobs less the settings (key=value) that all of them name alike.

    Of names that are long even so, as those of a study that several commands have made, each setting is left out too
    that stands in the same names as another one: features.layers=3 where all that have features=pretrained have it.

    >>> short_names([Job("corpus=emodb loss.lam=0", {}), Job("corpus=emodb loss.lam=0.3", {})])
    ['loss.lam=0', 'loss.lam=0.3']
    """
    # What no command line names shares nothing with those that one does
    names = [job.name for job in jobs if job.name != REFERENCE_SYSTEM]
    if len(names) < 2:
        return [job.name for job in jobs]
    left = {*shared_words(names)}
    if max(len({*name.split()} - left) for name in names) > MOST_WORDS:
        left |= _told_by_others(names)
    return [" ".join(word for word in job.name.split() if word not in left) or job.name for job in jobs]


def _told_by_others(names: Sequence[str]) -> set[str]:
    """Of settings that stand in the same names all but one, a chosen part before what it is set to."""
    places: dict[str, set[int]] = {}
    for number, name in enumerate(names):
        for word in name.split():
            places.setdefault(word, set()).add(number)
    words = sorted((word for word in places if "=" in word), key=lambda word: "." in word.partition("=")[0])
    return {word for count, word in enumerate(words) if any(places[word] == places[one] for one in words[:count])}


def place_name(repeat: int, fold: int) -> str:
    """Where a run stands in its job: 'fold 2', or from the second repetition on 'repeat 1 fold 2'."""
    return f"repeat {repeat} fold {fold}" if repeat else f"fold {fold}"


def shared_words(names: Sequence[str]) -> list[str]:
    """The settings (key=value) that all of several names of jobs have, in the order of the first."""
    first, *others = (name.split() for name in names)
    return [word for word in first if "=" in word and all(word in words for words in others)]


def job_name(overrides: Sequence[str]) -> str:
    """How a job is called in tables: what it sets, e.g. 'loss.alpha=0.1 loss.lam=0.5'.

    Neither read-outs nor which of its runs are trained, where and how many at a time name a job.
    """
    machine = ("trainer.workers", "trainer.accelerator", "trainer.devices")
    others = ("split.folds", "split.repeats", "study.", "paths.", "logger", "rerun", "corpus.root", "readout", *machine)
    words = [word for word in overrides if not word.startswith(others)]
    return " ".join(words) or "default"


def _describe_origin(key: str, value: Any) -> str:
    if key == "corpus":
        return "the corpus"
    return f"the content of {key}" if "." in key else f"the code of {key}={value}"


def _tell_dropped(study: str, former: Job, job: Job) -> None:
    count = len({run for run in former.runs if not run.startswith(UNDECIDED)} - {*job.runs})
    if count:
        runs, verb = ("1 run", "is") if count == 1 else (f"{count} runs", "are")
        log.warning(
            f"{runs} of {job.name} {verb} dropped from the study {study}, made with other code, files or corpus than "
            "now; all are kept in runs/"
        )


def _was_edited(former: Job, job: Job) -> bool:
    """Whether two jobs were typed alike, and the code of a part has changed between them."""
    parts = [key for key in former.origin.keys() & job.origin.keys() if key != "corpus" and "." not in key]
    return former.name == job.name and any(former.origin[key] != job.origin[key] for key in parts)


def _shared_name(names: Sequence[str]) -> str:
    return " ".join(shared_words(names)) or names[0] if len(set(names)) > 1 else names[0]


def _is_same(one: Job, other: Job, by_runs: bool) -> bool:
    if by_runs and one.runs and other.runs:
        return set(one.runs) == set(other.runs)
    return same_settings(one, other)


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
        if listed.keys.get(number, _key(job)) != _key(job) and _key(job) in listed.keys.values():
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
