"""The jobs of a study, one configuration each: how they are called, which of them are one, and how those are joined."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ser_lightning.identity import digest
from ser_lightning.runs.signature import flat
from ser_lightning.runs.varying import Baseline, name_parts, settings_key

# How the names begin that stand for runs that are not known yet
UNDECIDED = "undecided"
# What stands for a setting that has several values, of which each division takes one
CHOSEN = "chosen on dev"

# The job of `study.reference_system`
REFERENCE_SYSTEM = "reference system"

# Settings in a name, those that all share left out, up to which it says them all
MOST_WORDS = 4


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


def undecided(name: str, repeat: int, fold: int) -> str:
    """What stands for a job's run until its division has chosen one: no run is called so, so that it is missing."""
    return f"{UNDECIDED}-{digest([name, repeat, fold])}"


def job_name(overrides: Sequence[str]) -> str:
    """How a job is called in tables: what it sets, e.g. 'loss.alpha=0.1 loss.lam=0.5'.

    Neither read-outs nor which of its runs are trained, where and how many at a time name a job.
    """
    machine = ("trainer.workers", "trainer.accelerator", "trainer.devices")
    others = ("split.folds", "split.repeats", "study.", "paths.", "logger", "rerun", "corpus.root", "readout", *machine)
    words = [word for word in overrides if not word.startswith(others)]
    return " ".join(words) or "default"


def place_name(repeat: int, fold: int) -> str:
    """Where a run stands in its job: 'fold 2', or from the second repetition on 'repeat 1 fold 2'."""
    return f"repeat {repeat} fold {fold}" if repeat else f"fold {fold}"


def shared_words(names: Sequence[str]) -> list[str]:
    """The settings (key=value) that all of several names of jobs have, in the order of the first."""
    first, *others = (name.split() for name in names)
    return [word for word in first if "=" in word and all(word in words for words in others)]


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


def has_settings(job: Job, words: str) -> bool:
    """Whether a job has all of the settings that stand in the words, e.g. 'loss=center loss.lam=0.3'.

    >>> job = Job("default", {"loss": {"lam": 0.3}})
    >>> has_settings(job, "loss.lam=0.3"), has_settings(job, "loss.lam=0"), has_settings(job, "default")
    (True, False, False)
    """
    return all("=" in word for word in words.split()) and Baseline.read(words.split()).has(job.settings)


def same_settings(one: Job, other: Job) -> bool:
    """Whether two jobs are the same configuration, for the same use."""
    first, second = (settings_key(name_parts(job.settings)) for job in (one, other))
    return first == second and one.candidate_of == other.candidate_of


def was_edited(former: Job, job: Job) -> bool:
    """Whether two jobs were typed alike, with parts of the same names, and a part's code has changed between them."""
    parts = [key for key in former.origin.keys() & job.origin.keys() if key != "corpus" and "." not in key]
    tables = [
        {key: value for key, value in flat(one.settings).items() if key.endswith(".name")} for one in (former, job)
    ]
    alike = former.name == job.name and tables[0] == tables[1]
    return alike and any(former.origin[key] != job.origin[key] for key in parts)


def job_key(job: Job) -> str:
    """A digest of what tells a job from others, see `same_settings`."""
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
    # Of earlier versions without the content of what a setting names that is no path
    known = {key: version for key, version in job.origin.items() if "." not in key or key in former.origin}
    changed = bool(former.origin and job.origin) and former.origin != known
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


def join_names(jobs: Sequence[Job]) -> Job:
    """Jobs that are one, under the name of what all of them set, or of the first."""
    return replace(jobs[0], name=_shared_name([job.name for job in jobs]), readouts=_join_readouts(jobs))


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


def _shared_name(names: Sequence[str]) -> str:
    return " ".join(shared_words(names)) or names[0] if len(set(names)) > 1 else names[0]


def _is_same(one: Job, other: Job, by_runs: bool) -> bool:
    if by_runs and one.runs and other.runs:
        return set(one.runs) == set(other.runs)
    return same_settings(one, other)


def mixed_origins(jobs: Sequence[Job]) -> list[str]:
    """Of what the jobs do not all have one version, though their settings call it the same: 'the code of loss=mine'."""
    tables = [flat(job.settings) for job in jobs]
    versions: dict[tuple[str, Any], set[str]] = {}
    for job, table in zip(jobs, tables, strict=True):
        for key, version in job.origin.items():
            versions.setdefault((key, table.get(f"{key}.name", table.get(key))), set()).add(version)
    return [_describe_origin(*one) for one, several in versions.items() if len(several) > 1]


def _describe_origin(key: str, value: Any) -> str:
    if key == "corpus":
        return "the corpus"
    return f"the content of {key}" if "." in key else f"the code of {key}={value}"
