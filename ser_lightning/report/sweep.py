"""What a sweep (`train -m`) does before its first job and after its last."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from typing import Any, NoReturn

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ser_lightning.config import Config, compose
from ser_lightning.errors import UserError
from ser_lightning.runs.study import forget_jobs, study_folder


class SweepReport(Callback):
    """Refuses a sweep with an invalid job before any is trained; writes and prints the table at the end."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check every job of the sweep, then forget the study's earlier jobs; an invalid job ends the program.

        Of another sweeper than Hydra's own, one that optimises, nobody knows the jobs beforehand.
        """
        known = config.hydra.sweeper._target_.endswith("BasicSweeper")
        try:
            _refuse_mixture(list(_jobs(config)) if known else [])
        except UserError as error:
            _stop(error)
        except (HydraException, OmegaConfBaseException):
            # Hydra composes all jobs once more before it launches the first, and stops there with its own message.
            pass
        forget_jobs(study_folder(config.paths.output, config.study.name))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the sweep's table and curves, print the table, and say where they are."""
        from ser_lightning.report.study import write_sweep
        from ser_lightning.report.summary import provenance, summarise
        from ser_lightning.report.tables import print_table
        from ser_lightning.runs.ledger import read_results
        from ser_lightning.runs.study import read_jobs

        study = study_folder(config.paths.output, config.study.name)
        runs = study.parent.parent / "runs"
        jobs = read_jobs(study)
        if not any(read_results(runs, job.runs) for job in jobs):
            print("No job of this sweep has finished, so that there is no table yet.")
            return
        try:
            table = write_sweep(study, runs)
            print_table(summarise(jobs, runs), provenance(jobs, runs).caption)
        except UserError as error:
            _stop(error)
        curves = study / "curves.png"
        print(f"Table: {table}" + (f"  Curves: {curves}" if curves.exists() else ""))


def _jobs(config: DictConfig) -> Iterator[Config]:
    """The sweep's jobs, composed and checked one after the other."""
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    for batch in BasicSweeper.split_arguments(overrides, None):
        for job in batch:
            yield compose(job, config.hydra.job.config_name)


def _refuse_mixture(jobs: list[Config]) -> None:
    """Jobs of several corpora or protocols have no table in common."""
    for first, job in pairwise(jobs):
        if job.split.protocol != first.split.protocol:
            raise UserError("split.protocol differs between the jobs of this sweep; give each protocol its own sweep")
        if _identity(job) != _identity(first):
            raise UserError("the corpus differs between the jobs of this sweep; give each corpus its own sweep")


def _identity(config: Config) -> dict[str, Any]:
    return {name: value for name, value in asdict(config.corpus).items() if name != "training"}


def _stop(error: UserError) -> NoReturn:
    # Hydra makes a warning of an exception in a callback and goes on; SystemExit is none.
    sys.exit(f"ser_lightning: {error}")
