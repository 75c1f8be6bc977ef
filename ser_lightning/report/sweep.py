"""What a sweep (`train -m`) does before its first job and after its last."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ser_lightning.config import Config, LoggerConfig, compose, reference_system
from ser_lightning.errors import UserError, stop
from ser_lightning.files import explain_file
from ser_lightning.invocation import command_line
from ser_lightning.report.failure import keep_failure
from ser_lightning.runs.jobs import REFERENCE_SYSTEM, Job, job_key, job_name, replications, same_settings
from ser_lightning.runs.signature import settings
from ser_lightning.runs.status import job_status
from ser_lightning.runs.study import begin_study, read_jobs, study_folder, write_jobs
from ser_lightning.runs.varying import settings_key, varying_settings

# States of a run after a sweep that are an error of it; the others only where the sweep itself was to finish the run
FAILED, UNFINISHED = ("failed", "damaged"), ("interrupted", "missing")
UNKNOWN = "it is not finished, and no reason could be noted"


class SweepReport(Callback):
    """Refuses a sweep with an invalid job before any is trained; writes and prints the table at the end.

    Hydra makes a warning of an exception in a callback and goes on; a `SystemExit` is none, so that whatever happens
    here ends the program.
    """

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check every job of the sweep, and tell the study of them; an invalid job ends the program.

        Of another sweeper than Hydra's own, one that optimises, nobody knows the jobs beforehand.
        """
        is_grid = config.hydra.sweeper._target_.endswith("BasicSweeper")
        try:
            if config.hydra.job.config_name == "reproduce":
                train = command_line("train")
                raise UserError(f"reproduce is a study already; give it without -m, or sweep with {train} -m")
            jobs = list(_jobs(config)) if is_grid else []
            _refuse_mixture([job for _, job in jobs])
            self.jobs = [Job(job_name(_own(overrides, job)), settings(job)) for overrides, job in jobs]
            for line in _lacking(jobs):
                print(line)
            systems = _reference_systems(jobs, self.jobs)
            _refuse_unlike_utterances([*(job for _, job in jobs), *systems])
            study = study_folder(config.paths.output, config.study.name)
            # The jobs agree in what is no setting of theirs
            first = jobs[0][1] if jobs else compose(_fixed(config), config.hydra.job.config_name)
            overrides = list(config.hydra.overrides.task)
            begin_study(first, study, "train -m", overrides, [job.settings for job in self.jobs])
            if not is_grid:
                # Nobody else takes back what earlier commands left failed
                with suppress(UserError):
                    failed = [job for job in read_jobs(study) if job.failure]
                    # Without an origin nothing is said of the corpus
                    write_jobs(study, [replace(job, failure=None, origin={}) for job in failed])
            self.jobs += [Job(REFERENCE_SYSTEM, settings(system)) for system in systems]
            write_jobs(study, self.jobs)
        except UserError as error:
            stop(error)
        except (HydraException, OmegaConfBaseException):
            # Hydra composes all jobs once more before it launches the first, and stops there with its own message.
            return
        except Exception as error:
            if message := explain_file(error):
                stop(message)
            traceback.print_exc()
            stop("the sweep was not begun")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the study's report, print its table, answer and place; end in error if any run failed."""
        study = study_folder(config.paths.output, config.study.name)
        runs = study.parent.parent / "runs"
        problems: list[str] = []
        report = partial(_report, study, runs, LoggerConfig(**config.logger))
        for step in (report, partial(_failures, study, runs, self.jobs, problems)):
            try:
                problems += step()
            except Exception as error:
                problems.append(keep_failure(study, error))
        if problems:
            stop("\n".join(dict.fromkeys(problems)))


def _report(study: Path, runs: Path, logger: LoggerConfig) -> list[str]:
    """Write, upload and print the report; returns what went wrong on the way."""
    from ser_lightning.report.files import PAGE
    from ser_lightning.report.looks import later_pairs
    from ser_lightning.report.sections.readouts import readout_lines
    from ser_lightning.report.study import read_and_report
    from ser_lightning.report.tables import print_table
    from ser_lightning.report.upload import upload_report
    from ser_lightning.runs.code import describe_other_code
    from ser_lightning.runs.ledger import read_results

    results = read_results(runs, {name for job in read_jobs(study) for name in job.runs})
    if not results:
        print("No job of this sweep has finished, so that there is no report yet.")
        return []
    material, report = read_and_report(study, runs)
    problems = upload_report(logger, study)
    print_table(material.summary, report.caption)
    note = describe_other_code(results)
    # Of several jobs the test part's scores are for the report, see `print_table`
    alone = material.jobs if len(material.jobs) == 1 else []
    lines = readout_lines(alone, material.scored, runs, material.speaker_of)
    ending = filter(None, [*report.answer, later_pairs(material), f"Report: {study / PAGE}"])
    print("\n".join([*lines, *filter(None, [note]), *ending]))
    return problems


def _failures(study: Path, runs: Path, jobs: Sequence[Job], told: Sequence[str] = ()) -> list[str]:
    """What failed of a sweep's jobs, each once, a line each below a head; nothing if nothing did.

    A run that was begun and is not finished has failed too: the reason may be what kept it from being noted. Of a sweep
    that did not know its `jobs`, all of the study's count. What kept the report from being made is `told`.
    """
    own = [job for job in read_jobs(study) if not jobs or any(same_settings(job, one) for one in jobs)]
    failed = {
        entry.run or entry.job: f"  {', '.join(filter(None, (entry.job, entry.place)))}: {entry.details or UNKNOWN}"
        for job in own
        for entry in job_status(job, runs)
        if entry.state in (*FAILED, *UNFINISHED * bool(jobs and entry.run)) and entry.details not in told
    }
    head = f"{len(failed)} of this sweep's runs failed; the same command tries them again"
    return [head, *failed.values()] if failed else []


def _fixed(config: DictConfig) -> list[str]:
    """The overrides that all jobs of a sweep have."""
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    return [str(override.input_line) for override in overrides if not override.is_sweep_override()]


def _jobs(config: DictConfig) -> Iterator[tuple[list[str], Config]]:
    """The overrides of the sweep's jobs and what they make, composed and checked one after the other."""
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    for batch in BasicSweeper.split_arguments(overrides, None):
        for job in batch:
            yield job, compose(job, config.hydra.job.config_name)


def _own(overrides: Sequence[str], job: Config) -> list[str]:
    """The overrides of a job less those of settings that its parts do not have."""
    return [word for word in overrides if not job.lacks(word)]


def _lacking(jobs: Sequence[tuple[list[str], Config]]) -> list[str]:
    """A line for each setting that only some of the swept parts have, and each part that has it not."""
    lines: dict[str, None] = {}
    for overrides, job in jobs:
        for word in overrides:
            if job.lacks(word):
                key = word.partition("=")[0]
                group = key.partition(".")[0]
                lines[f"{group}={job.parts[group].name} has no {key}, which is swept where it exists"] = None
    return list(lines)


def _reference_systems(configs: Sequence[tuple[list[str], Config]], jobs: Sequence[Job]) -> list[Config]:
    """The study's reference system, once for each seed of the sweep; nothing where it has none.

    Raises `UserError` where it depends on what else is swept, or is one of the sweep's `jobs`.
    """
    given = filter(None, (reference_system(config, overrides) for overrides, config in configs))
    systems = list({job_key(Job(REFERENCE_SYSTEM, settings(system))): system for system in given}.values())
    distinct = [Job(REFERENCE_SYSTEM, settings(system)) for system in systems]
    if len(replications(distinct)) > 1:
        keys = [key.removesuffix(".name") for key in varying_settings([job.settings for job in distinct])]
        swept = ", ".join(key for key in keys if key != "seed") or "a setting"
        raise UserError(
            f"study.reference_system: {swept} would differ with what is swept, and a study has one reference system; "
            "choose there what it has, as with 'normalise=training'"
        )
    for system in distinct:
        if same := [job.name for job in jobs if same_settings(job, system)]:
            raise UserError(f"study.reference_system is a job of this sweep already: {same[0]}")
    return systems


def _refuse_mixture(jobs: list[Config]) -> None:
    """Jobs of several corpora or protocols have no table in common, and those of several studies no report."""
    for first, job in pairwise(jobs):
        if (job.study, job.paths) != (first.study, first.paths):
            raise UserError(
                "study. or paths. differs between the jobs of this sweep, which has one study; give each its own sweep"
            )
        if job.split.name != first.split.name:
            raise UserError(
                "the protocol (split) differs between the jobs of this sweep; give each protocol its own sweep"
            )
        for key in ("test", "table"):
            if job.split.own.get(key) != first.split.own.get(key):
                raise UserError(f"split.{key} differs between the jobs of this sweep; give each its own sweep")
        if job.corpus.identity != first.corpus.identity:
            raise UserError("the corpus differs between the jobs of this sweep; give each corpus its own sweep")


def _refuse_unlike_utterances(configs: Sequence[Config]) -> None:
    """See `refuse_unlike_utterances`; where all have one front end and encoder, nobody waits for torch."""
    parts = [{group: config.described[group] for group in ("features", "model")} for config in configs]
    if len({*map(settings_key, parts)}) > 1:
        from ser_lightning.training.plan import refuse_unlike_utterances

        refuse_unlike_utterances(configs)
