"""From a word on the command line, a study or a run, to the finished runs whose networks answer."""

from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser_lightning.errors import UserError, listing
from ser_lightning.files import absolute
from ser_lightning.runs.jobs import REFERENCE_SYSTEM, Job, has_settings, place_name, rows_of_study, short_names
from ser_lightning.runs.ledger import CONFIG, RESULT, RunResult, read_result, read_results
from ser_lightning.runs.study import add_output_option, all_studies, find_study, read_current_jobs, read_study

# Where a study's folder lies below `paths.output`: studies/NAME
RUNS = "runs"


@dataclass(frozen=True)
class Source:
    """The runs whose networks answer.

    Attributes:
        runs: the folder that has the runs' folders.
        study: the study's folder; None for a run that no study has.
        setting: what the setting is called in its study, or the run's signature.
        results: of the runs that answer.
        all_results: of all finished runs of the setting, those that answer among them.
        planned: how many runs the setting has, finished or not.
        reason: why this setting answers and no other; '' where there is no other.
    """

    runs: Path
    study: Path | None
    setting: str
    results: list[RunResult]
    all_results: list[RunResult]
    planned: int
    reason: str

    @property
    def folders(self) -> list[Path]:
        """Of the runs that answer."""
        return [self.runs / result.signature for result in self.results]

    def __str__(self) -> str:
        """Who answers, in a line."""
        first = self.results[0]
        place = f"{first.corpus}, {first.protocol} protocol"
        if self.study:
            place = f"study {self.study.name} ({place})"
        if len(self.results) == 1:
            who = f"run {first.signature}, {place_name(first.repeat, first.fold)}"
        else:
            who = f"{len(self.results)} networks"
        missing = self.planned - len(self.all_results)
        unfinished = f"; {missing} of its {self.planned} runs are not finished" if missing else ""
        made_up = "; it was trained on synthetic speech, and says nothing about people" if first.synthetic else ""
        return f"{place}, {self.setting}{self.reason}: {who}{unfinished}{made_up}"


def add_source_options(parser: ArgumentParser) -> None:
    """Let a command be told which runs of a study answer, see `find_source`, and where the study lies."""
    parser.add_argument(
        "--setting",
        default="",
        metavar="NAME",
        help="the setting that answers, by name or by what it sets, e.g. 'loss.lam=0.3'; default: the best UA on dev",
    )
    parser.add_argument("--run", default="", metavar="SIGNATURE", help="one run, which answers alone")
    parser.add_argument("--trust", action="store_true", help="import code that comes with a run: a user's own parts")
    add_output_option(parser)


def add_root_option(parser: ArgumentParser) -> None:
    """Let a command be told where the corpus lies, see `read_corpus` of `corpus_recordings`."""
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="FOLDER",
        help="where the corpus lies, if it has moved; of corpora that are joined NAME=FOLDER, once for each; default: "
        "where it was",
    )


def find_source(word: str, output: Path, setting: str = "", run: str = "") -> Source:
    """The runs that answer for a study, by its name or folder, or for a run, by its signature or folder.

    Of a study one setting answers, by all of its finished runs: folds, repetitions and seeds.

    Args:
        word: the study or run.
        output: `paths.output`.
        setting: which setting of a study, by its name or by settings of its, e.g. 'loss=center loss.lam=0.3'; of
            several that fit, the one with the best mean UA on dev.
        run: the signature of one run of the study, which answers alone.

    Raises `UserError` where there is no such study, setting or run, or none that is finished.
    """
    for folder in (absolute(word), output / RUNS / word):
        if (folder / RESULT).exists() or (folder / CONFIG).exists():
            if setting or run:
                raise UserError(f"{word} is one run; --setting and --run choose among those of a study")
            return _of_run(folder)
    study = find_study(word, output)
    runs, jobs = study.parent.parent / RUNS, _jobs(study)
    if run:
        return _run_of_study(study, runs, jobs, run, bool(setting))
    names = short_names(jobs)
    fitting = [number for number, job in enumerate(jobs) if _fits(setting, job, names[number])]
    # It is compared with the study's settings, and none of them, unless it is asked for or all that there is
    own = [number for number in fitting if jobs[number].name != REFERENCE_SYSTEM]
    fitting = fitting if setting else own or fitting
    if not fitting:
        raise UserError(f"--setting {setting}: {study.name} has no such setting; it has {listing(names, '; ')}")
    finished = {number: read_results(runs, jobs[number].runs) for number in fitting}
    finished = {number: results for number, results in finished.items() if results}
    if not finished:
        what = f"{setting} of {study.name} has" if setting else f"{study.name} has"
        raise UserError(f"{what} no finished run yet; `ser status {study.name}` says how it stands")
    ua = {number: float(np.mean([result.dev_ua for result in results])) for number, results in finished.items()}
    best = max(ua, key=lambda number: ua[number])
    reason = ""
    if len(fitting) > 1:
        others = f"that fit {setting}" if setting else "settings"
        some = f", {len(finished)} of them with finished runs," if len(finished) < len(fitting) else ""
        reason = f" (the best of {len(fitting)} {others}{some} by mean UA on dev, {100 * ua[best]:.1f} %)"
    job, results = jobs[best], finished[best]
    return Source(runs, study, names[best], results, results, len(job.runs), reason)


def _jobs(study: Path) -> list[Job]:
    """The settings of a study, without those that folds alone have chosen from, as its report has them."""
    current, _ = read_current_jobs(study)
    own = [job for job in current if job.candidate_of is None]
    return [job for job, _ in rows_of_study(own, by_runs=not read_study(study).references)]


def _fits(setting: str, job: Job, name: str) -> bool:
    """Whether a job is called so, or has all of these settings."""
    if not setting or setting in (name, job.name):
        return True
    return has_settings(job, setting)


def _of_run(folder: Path) -> Source:
    result = read_result(folder)
    if result is None:
        raise UserError(f"the run {folder} is not finished; give the study's command again, which goes on with it")
    runs = folder.parent
    for study in all_studies(runs.parent).values():
        # What is the matter with another study does not matter here
        with suppress(UserError):
            jobs = _jobs(study)
            if any(result.signature in job.runs for job in jobs):
                return _run_of_study(study, runs, jobs, result.signature)
    return Source(runs, None, f"run {result.signature}", [result], [result], 1, "")


def _run_of_study(study: Path, runs: Path, jobs: Sequence[Job], run: str, chosen: bool = False) -> Source:
    if chosen:
        raise UserError("--run names one run, and --setting a setting; give one of the two")
    names = short_names(jobs)
    number = next((number for number, job in enumerate(jobs) if run in job.runs), None)
    if number is None:
        raise UserError(f"--run {run}: {study.name} has no such run; `ser status {study.name}` lists them")
    results = read_results(runs, jobs[number].runs)
    own = [result for result in results if result.signature == run]
    if not own:
        raise UserError(f"--run {run}: it is not finished; give the study's command again, which goes on with it")
    return Source(runs, study, names[number], own, results, len(jobs[number].runs), "")
