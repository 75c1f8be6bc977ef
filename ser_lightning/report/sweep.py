"""What a sweep (`train -m`) does before its first job and after its last."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ser_lightning.config import Config, LoggerConfig, compose
from ser_lightning.errors import UserError, stop
from ser_lightning.runs.signature import settings
from ser_lightning.runs.status import study_status
from ser_lightning.runs.study import Job, job_name, study_folder, write_command, write_jobs


class SweepReport(Callback):
    """Refuses a sweep with an invalid job before any is trained; writes and prints the table at the end."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check every job of the sweep, and tell the study of them; an invalid job ends the program.

        Of another sweeper than Hydra's own, one that optimises, nobody knows the jobs beforehand.
        """
        # Hydra makes a warning of an exception in a callback and goes on; the SystemExit of `stop` is none.
        known = config.hydra.sweeper._target_.endswith("BasicSweeper")
        try:
            jobs = list(_jobs(config)) if known else []
            _refuse_mixture([job for _, job in jobs])
        except UserError as error:
            stop(error)
        except (HydraException, OmegaConfBaseException):
            # Hydra composes all jobs once more before it launches the first, and stops there with its own message.
            return
        planned = [Job(job_name(overrides), settings(job)) for overrides, job in jobs]
        study = study_folder(config.paths.output, config.study.name)
        write_jobs(study, planned)
        write_command(study, "train -m", list(config.hydra.overrides.task))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the sweep's report, print its table, answer and place; end in error if any run failed."""
        from ser_lightning.report.files import PAGE, write_report
        from ser_lightning.report.material import read_material
        from ser_lightning.report.study import compile_report
        from ser_lightning.report.tables import print_table
        from ser_lightning.report.upload import upload_report
        from ser_lightning.runs.code import describe_other_code
        from ser_lightning.runs.ledger import read_results
        from ser_lightning.runs.study import read_jobs

        study = study_folder(config.paths.output, config.study.name)
        runs = study.parent.parent / "runs"
        try:
            names = {name for job in read_jobs(study) for name in job.runs}
            results = read_results(runs, names)
        except UserError as error:
            stop(error)
        if results:
            try:
                material = read_material(study, runs)
                report = compile_report(material)
                write_report(report, study)
                upload_report(LoggerConfig(**config.logger), study)
                print_table(material.summary, report.caption)
            except UserError as error:
                stop(error)
            kept = describe_other_code(results)
            print("\n".join([*filter(None, [kept]), *report.answer, f"Report: {study / PAGE}"]))
        else:
            print("No job of this sweep has finished, so that there is no report yet.")
        _stop_at_failures(study, runs)


def _stop_at_failures(study: Path, runs: Path) -> None:
    """List what failed, each once, and end the program in error; nothing if nothing did."""
    failed = {
        entry.run or entry.job: f"  {', '.join(filter(None, (entry.job, entry.place)))}: {entry.said}"
        for entry in study_status(study, runs)
        if entry.state == "failed"
    }
    if failed:
        head = f"{len(failed)} of this sweep's runs failed; the same command tries them again"
        stop("\n".join([head, *failed.values()]))


def _jobs(config: DictConfig) -> Iterator[tuple[list[str], Config]]:
    """The overrides of the sweep's jobs and what they make, composed and checked one after the other."""
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    for batch in BasicSweeper.split_arguments(overrides, None):
        for job in batch:
            yield job, compose(job, config.hydra.job.config_name)


def _refuse_mixture(jobs: list[Config]) -> None:
    """Jobs of several corpora or protocols have no table in common."""
    for first, job in pairwise(jobs):
        if job.split.name != first.split.name:
            raise UserError(
                "the protocol (split) differs between the jobs of this sweep; give each protocol its own sweep"
            )
        if _identity(job) != _identity(first):
            raise UserError("the corpus differs between the jobs of this sweep; give each corpus its own sweep")


def _identity(config: Config) -> dict[str, Any]:
    return config.corpus.model_dump(exclude={"training"})
