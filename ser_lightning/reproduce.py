"""The paper's study on a corpus: `ser reproduce [key=value ...]`; restarted, it goes on."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning.command import explain, run_command
from ser_lightning.config import Config, StudyConfig, compose, reference_system
from ser_lightning.errors import FailedRunsError, UserError, listing
from ser_lightning.runs.jobs import REFERENCE_SYSTEM
from ser_lightning.terminal import console

if TYPE_CHECKING:
    from rich.console import Console

    from ser_lightning.training.plan import PlannedRun

log = logging.getLogger(__name__)


def main(config: Config) -> None:
    """Train every run of the study, fold by fold, first log-Mel and then log-STFT, with reports in between.

    Where settings have several values, or further seeds, these follow when each fold has chosen by its dev part.
    """
    from hydra.core.hydra_config import HydraConfig

    from ser_lightning.runs.study import begin_study, refuse_other_settings, study_folder, write_jobs
    from ser_lightning.training.choice import Setting, common_settings
    from ser_lightning.training.job import set_damaged_aside
    from ser_lightning.training.plan import record_corpus, refuse_unlike_plans, refuse_unlike_utterances

    overrides = list(HydraConfig.get().overrides.task)
    study = study_folder(config.paths.output, config.study.name)
    configs = compose_settings(config, overrides)
    refuse_unlike_utterances(chain.from_iterable(configs.values()))
    common = {name: common_settings(several) for name, several in configs.items()}
    if config.study.references:
        refuse_other_settings(study, common, defaults_of_own_parts(chain.from_iterable(configs.values())))
    begin_study(config, study, "reproduce", overrides, list(common.values()))
    settings = [Setting.plan(name, several, config.study.more_seeds) for name, several in configs.items()]
    refuse_unlike_plans({setting.name: setting.candidates[0] for setting in settings})
    first = rounds(runs for setting in settings for runs in setting.candidates)
    # What is chosen from must stand
    set_damaged_aside(list(chain.from_iterable(first)))
    # All settings have the same utterances, and so the same folds
    record_corpus(study, settings[0].candidates[0])
    write_jobs(study, [job for setting in settings for job in setting.jobs()])
    failures = train(config, study, first)
    later = rounds(runs for setting in settings for runs in setting.later_runs())
    set_damaged_aside(list(chain.from_iterable(later)))
    write_jobs(study, [job for setting in settings for job in setting.jobs()])
    if later:
        failures += train(config, study, later)
    failures += filter(None, [try_report(config, study, console())])
    if failures:
        raise FailedRunsError("\n".join(failures))


def train(config: Config, study: Path, planned: list[list["PlannedRun"]]) -> list[str]:
    """Train the runs of these rounds, with reports in between; returns what failed.

    Raises `FailedRunsError` at the first run that fails, with `study.stop_at_failure`.
    """
    from ser_lightning.training.job import train_all
    from ser_lightning.training.plan import note_other_code
    from ser_lightning.training.progress import StudyProgress

    runs = list(chain.from_iterable(planned))
    with StudyProgress(runs, note_other_code(runs)) as progress:
        # With `rerun` former runs are moved aside meanwhile, which a report would miss
        reported = [] if config.rerun else planned
        reports = InterimReports(reported, partial(try_report, config, study, progress.console))
        try:
            train_all(runs, progress, reports.after)
        except FailedRunsError as error:
            if config.study.stop_at_failure:
                raise
            return [str(error)]
    return []


class InterimReports:
    """Reports while runs are still being trained: one whenever all runs of a fold and its features have ended.

    Of the time of a large study, whose folds follow each other quickly, they take a twentieth at most; the last fold's
    report is the study's.

    Args:
        rounds: the runs of each fold and its features; of runs in none there is no report.
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


def try_report(config: Config, study: Path, terminal: "Console") -> str | None:
    """Write and upload the report and print its answer; what went wrong, which ends no training.

    Before the first run of a setting, not only of what it may choose, has finished there is none.
    """
    from ser_lightning.report.failure import keep_failure

    try:
        report, problems = report_so_far(config, study)
    except Exception as error:
        report, problems = None, [keep_failure(study, error)]
    if report or problems:
        terminal.print(report or problems[0], soft_wrap=True)
    return "\n".join(problems) or None


def report_so_far(config: Config, study: Path) -> tuple[str, list[str]]:
    """Write the study's report and upload it.

    Returns its answer, what limits it, and where it lies, a line each, nothing where there is no report yet; and what
    went wrong with the upload.
    """
    from ser_lightning.report.files import PAGE
    from ser_lightning.report.looks import later_pairs
    from ser_lightning.report.study import read_and_report
    from ser_lightning.report.upload import upload_report
    from ser_lightning.runs.ledger import read_results
    from ser_lightning.runs.study import read_jobs

    runs = Path(config.paths.output) / "runs"
    if not any(read_results(runs, job.runs) for job in read_jobs(study) if job.candidate_of is None):
        return "", []
    material, report = read_and_report(study, runs)
    problems = upload_report(config.logger, study)
    lines = [report.answer[0], later_pairs(material), f"Report: {study / PAGE}"]
    return "\n".join(filter(None, lines)), problems


def rounds(planned: Iterable[Sequence["PlannedRun"]]) -> list[list["PlannedRun"]]:
    """The runs of several settings, fold by fold, those of the same features together."""
    by_fold = sorted(chain.from_iterable(planned), key=lambda run: (run.split.repeat, run.split.fold))
    return [list(runs) for _, runs in groupby(by_fold, lambda run: (run.split.digest, run.config.features.name))]


def defaults_of_own_parts(configs: Iterable[Config]) -> set[str]:
    """The dotted keys of settings that parts in a user's own code take."""
    parts = chain.from_iterable(config.parts.items() for config in configs)
    return {f"{group}.{key}" for group, part in parts if part.code for key in part.own}


def compose_settings(config: Config, overrides: Sequence[str]) -> dict[str, list[Config]]:
    """The settings of the study, each with the configurations that it may be: one for each combination of its values;
    last the reference system, where it has one.

    Raises `UserError` where the names that the study compares by, or leaves out, are no settings of it, and as
    `refuse_unlike` and `refuse_doubled`.
    """
    from ser_lightning.training.choice import refuse_doubled, refuse_unlike

    study = config.study
    _refuse_names(study)
    settings = _with_weights(study)
    for line in overruled(overrides, settings):
        log.warning(line)
    configs = {name: _candidates(overrides, name, several) for name, several in settings.items()}
    if system := reference_system(config, overrides, "reproduce"):
        configs[REFERENCE_SYSTEM] = [system]
    refuse_unlike(configs)
    if study.references or system:
        refuse_doubled(configs)
    return configs


def overruled(overrides: Sequence[str], settings: Mapping[str, Sequence[str]]) -> list[str]:
    """What a command line sets that settings of the study set themselves, a line each.

    >>> overruled(["loss.lam=1", "seed=1"], {"softmax": ["loss.lam=0"], "centre": ["loss=center"]})
    ['loss.lam=1 is overruled by softmax (loss.lam=0), and holds for centre']
    """
    lines = []
    for override in overrides:
        key = override.partition("=")[0].lstrip("+")
        own = {name: [word for word in words if word.partition("=")[0] == key] for name, words in settings.items()}
        by = listing([f"{name} ({words[0]})" for name, words in own.items() if words])
        others = listing([name for name, words in own.items() if not words]) or "no other"
        if by:
            lines.append(f"{override} is overruled by {by}, and holds for {others}")
    return lines


def _refuse_names(study: StudyConfig) -> None:
    """Raise `UserError` where a name is none that a setting may have, or none that one has."""
    known = ", ".join(study.settings)
    for name in (*study.references, *study.described):
        if name not in study.settings:
            raise UserError(f"study.references, study.described: {name} is none of {known}")
    for name in study.leave_out:
        if name not in study.settings:
            raise UserError(f"study.leave_out: {name} is none of {known}")
        if name in study.references:
            raise UserError(f"study.leave_out: {name} is what others are compared with; choose study.references anew")
    for name in study.settings:
        if "=" in name or name != " ".join(name.split()) or name == REFERENCE_SYSTEM:
            raise UserError(
                f"study.settings: the name '{name}' has a =, blanks too many, or is that of the reference system; call "
                "it otherwise"
            )


def _with_weights(study: StudyConfig) -> dict[str, list[str]]:
    """The settings that are trained, those that have features=pretrained with the study's weights.

    Raises `UserError` where it has none.
    """
    settings = {name: words for name, words in study.settings.items() if name not in study.leave_out}
    pretrained = [name for name, words in settings.items() if "features=pretrained" in words]
    if pretrained and study.weights is None:
        raise UserError(
            f"study.weights is not set, and {', '.join(pretrained)} need a pretrained network: "
            "study.weights=openai/whisper-base, or a folder; or leave them out: "
            f'"study.leave_out=[{",".join(pretrained)}]"'
        )
    quoted = "'{}'".format((study.weights or "").replace("'", "\\'"))
    return {
        name: [*words, f"features.weights={quoted}"] if name in pretrained else words
        for name, words in settings.items()
    }


def _candidates(overrides: Sequence[str], name: str, setting: Sequence[str]) -> list[Config]:
    """What a setting may be. Raises `UserError` where it makes no configuration, or its front end is not to be had."""
    from hydra.errors import HydraException

    from ser_lightning.training.choice import combinations, distinct_candidates

    try:
        configs = [compose_setting(overrides, words) for words in combinations(setting)]
        configs[0].features.make()
    except (HydraException, UserError) as error:
        reason = error if isinstance(error, UserError) else explain(error)
        raise UserError(f'{name}: {reason}; or leave it out: "study.leave_out=[{name}]"') from error
    return distinct_candidates(configs)


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
