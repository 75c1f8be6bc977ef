"""The paper's study on a corpus: `ser reproduce [key=value ...]`; restarted, it goes on."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning.command import run_command
from ser_lightning.config import Config, compose
from ser_lightning.errors import FailedRunsError, UserError
from ser_lightning.invocation import command_line

if TYPE_CHECKING:
    from ser_lightning.training.plan import PlannedRun
    from ser_lightning.training.progress import StudyProgress


def main(config: Config) -> None:
    """Train every run of the study, fold by fold, first log-Mel and then log-STFT, and write its report now and then."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from ser_lightning.runs.signature import settings
    from ser_lightning.runs.study import begin_study, study_folder
    from ser_lightning.training.job import set_damaged_aside, train_all
    from ser_lightning.training.plan import note_other_code
    from ser_lightning.training.progress import StudyProgress

    if HydraConfig.get().mode is RunMode.MULTIRUN:
        raise UserError(f"reproduce is a study already; give it without -m, or sweep with {command_line('train')} -m")
    overrides = list(HydraConfig.get().overrides.task)
    study = study_folder(config.paths.output, config.study.name)
    jobs = {name: compose_setting(overrides, words) for name, words in config.study.settings.items()}
    begin_study(config, study, "reproduce", overrides, [settings(job) for job in jobs.values()])
    rounds = record_plan(jobs, study)
    runs = list(chain.from_iterable(rounds))
    set_damaged_aside(runs)
    failures: list[str] = []
    with StudyProgress(runs, note_other_code(runs)) as progress:
        reports = InterimReports(rounds, partial(try_report, config, study, progress))
        try:
            train_all(runs, progress, reports.after)
        except FailedRunsError as error:
            if config.study.stop_at_failure:
                raise
            failures.append(str(error))
        if any(run.finished for run in runs):
            failures += filter(None, [try_report(config, study, progress)])
    if failures:
        raise FailedRunsError("\n".join(failures))


class InterimReports:
    """Reports while runs are still being trained: one whenever all runs of a fold and its features have ended.

    Of the time of a large study, whose folds follow each other quickly, they take a twentieth at most; the last fold's
    report is the study's.

    Args:
        rounds: the runs of each fold and its features.
        report: writes a report.
    """

    def __init__(self, rounds: Sequence[Sequence["PlannedRun"]], report: Callable[[], object]) -> None:
        self._open = [{run.signature for run in runs if run.finished is None} for runs in rounds]
        self._report = report
        self._due = 0.0

    def after(self, run: "PlannedRun") -> None:
        """Report where this run was the last of its round, others follow, and it is time."""
        rounds = [names for names in self._open if run.signature in names]
        for names in rounds:
            names.remove(run.signature)
        start = time.monotonic()
        if not all(rounds) and any(self._open) and start >= self._due:
            self._report()
            self._due = start + 20 * (time.monotonic() - start)


def try_report(config: Config, study: Path, progress: "StudyProgress") -> str | None:
    """Write and upload the report and print its answer; what went wrong, which ends no training."""
    from ser_lightning.report.failure import keep_failure

    try:
        report, problems = report_so_far(config, study)
    except Exception as error:
        report, problems = None, [keep_failure(study, error)]
    progress.console.print(report or problems[0], soft_wrap=True)
    return "\n".join(problems) or None


def report_so_far(config: Config, study: Path) -> tuple[str, list[str]]:
    """Write the study's report and upload it.

    Returns its answer, what limits it, and where it lies, a line each; and what went wrong with the upload.
    """
    from ser_lightning.report.files import PAGE
    from ser_lightning.report.looks import later_pairs
    from ser_lightning.report.study import read_and_report
    from ser_lightning.report.upload import upload_report

    material, report = read_and_report(study, Path(config.paths.output) / "runs")
    problems = upload_report(config.logger, study)
    lines = [report.answer[0], later_pairs(material), f"Report: {study / PAGE}"]
    return "\n".join(filter(None, lines)), problems


def record_plan(jobs: dict[str, Config], study: Path) -> list[list["PlannedRun"]]:
    """Plan all settings, add them to the study, and return their runs by fold and features."""
    from ser_lightning.runs.study import write_jobs
    from ser_lightning.training.plan import plan_job, record, record_corpus

    plans = {name: plan_job(job) for name, job in jobs.items()}
    # All settings have the same folds.
    record_corpus(study, next(iter(plans.values())))
    write_jobs(study, [record(name, jobs[name], planned) for name, planned in plans.items()])
    by_fold = chain.from_iterable(zip(*plans.values(), strict=True))
    return [list(runs) for _, runs in groupby(by_fold, lambda run: (run.split.digest, run.config.features.name))]


def compose_setting(overrides: Sequence[str], setting: Sequence[str]) -> Config:
    """A setting of the study, with the study's own epochs where it has some and the command line says nothing else."""
    job = compose([*overrides, *setting], "reproduce")
    epochs = job.study.epochs.get(job.corpus.name, {}).get(job.features.name)
    if epochs is None:
        return job
    return compose([f"corpus.training.epochs={epochs}", *overrides, *setting], "reproduce")


def command() -> None:
    """Do what was typed."""
    run_command(main, "reproduce")


if __name__ == "__main__":
    command()
