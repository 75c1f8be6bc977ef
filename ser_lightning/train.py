"""Train one configuration on its folds: `ser train [key=value ...]`; with `-m`, a sweep."""

import logging
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning.command import run_command
from ser_lightning.config import Config, reference_system
from ser_lightning.errors import FailedRunsError, NoSpaceError, UserError, ends_the_job
from ser_lightning.files import explain_file
from ser_lightning.invocation import command_line
from ser_lightning.runs.attempt import reason_for
from ser_lightning.runs.jobs import REFERENCE_SYSTEM, Job, job_name, same_settings
from ser_lightning.runs.signature import settings
from ser_lightning.runs.study import begin_study, read_jobs, study_folder, write_jobs

if TYPE_CHECKING:
    from ser_lightning.runs.ledger import RunResult

log = logging.getLogger(__name__)


def main(config: Config) -> float:
    """Train a job's runs, record them in its study, and return the mean dev UA, for sweepers that optimise.

    The study's reference system is trained too, by the first of its jobs that comes to it. In a sweep a job that fails
    is recorded, and the others go on; what it returns then is not a number.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from ser_lightning.training.job import mean_dev_ua
    from ser_lightning.training.plan import refuse_unlike_utterances

    hydra = HydraConfig.get()
    study = study_folder(config.paths.output, config.study.name)
    overrides = list(hydra.overrides.task)
    name = job_name([word for word in overrides if not config.lacks(word)])
    system = reference_system(config, overrides)
    if hydra.mode is RunMode.RUN:
        if system:
            refuse_unlike_utterances([config, system])
        begin_study(config, study, "train", overrides, [settings(config)])
        results = train_job(config, study, name, alone=True)
        if system:
            train_job(system, study, REFERENCE_SYSTEM, alone=True)
        show(config, study)
        return mean_dev_ua(results)
    score = try_job(config, study, name)
    if system:
        try_job(system, study, REFERENCE_SYSTEM)
    return score


def try_job(config: Config, study: Path, name: str) -> float:
    """Train a job of a sweep; the mean dev UA, or where it fails, which is recorded, not a number."""
    from ser_lightning.training.job import mean_dev_ua

    try:
        return mean_dev_ua(train_job(config, study, name))
    except NoSpaceError:
        raise
    except Exception as error:
        if config.study.stop_at_failure or ends_the_job(error):
            raise
        expected = isinstance(error, UserError) or explain_file(error)
        log.error("%s: %s", name, reason_for(error) if expected else error, exc_info=not expected)
        if not isinstance(error, FailedRunsError):
            write_jobs(study, [Job(name, settings(config), failure=reason_for(error))], beside=True)
        return nan


def train_job(config: Config, study: Path, name: str, alone: bool = False) -> list["RunResult"]:
    """Plan a job's runs, tell the study of them, train those that are missing; the results of all, in order.

    `alone`: this is no job of a sweep, at whose end is said which runs are kept although the code has changed.
    """
    from ser_lightning.training.job import set_damaged_aside, train_all
    from ser_lightning.training.plan import note_other_code, plan_job, record, record_corpus
    from ser_lightning.training.progress import StudyProgress

    planned = plan_job(config)
    record_corpus(study, planned)
    write_jobs(study, [record(name, config, planned)], beside=not alone)
    set_damaged_aside(planned)
    with StudyProgress(planned, note_other_code(planned) if alone else None) as progress:
        return train_all(planned, progress)


def show(config: Config, study: Path) -> None:
    """Print the mean and spread over the job's runs, and a line per read-out."""
    from ser_lightning.report.material import read_utterances
    from ser_lightning.report.scored import score_runs
    from ser_lightning.report.sections.readouts import readout_lines
    from ser_lightning.report.summary import average, provenance, speakers_by_id
    from ser_lightning.report.tables import print_table

    own = Job("", settings(config))
    jobs, runs = [job for job in read_jobs(study) if same_settings(job, own)], Path(config.paths.output) / "runs"
    scored = score_runs(jobs, runs)
    utterances = read_utterances(study, scored)
    speaker_of = speakers_by_id(utterances)
    summary = average(jobs, scored, speaker_of)
    print_table(summary, provenance(jobs, runs, utterances).beside(summary).caption)
    for line in readout_lines(jobs, scored, runs, speaker_of):
        print(line)
    print(f"Runs: {', '.join(jobs[0].runs)} in {runs}")
    print(f"Figures, tables and a page of them: {command_line('report')} {study}")


def command() -> None:
    """Do what was typed."""
    run_command(main, "train")


if __name__ == "__main__":
    command()
