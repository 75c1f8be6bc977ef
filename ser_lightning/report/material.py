"""All that the sections of a report are written from, read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ser_lightning.errors import UserError
from ser_lightning.report import paper
from ser_lightning.report.comparison import differences, group_of, levels, references
from ser_lightning.report.summary import (
    Provenance,
    ScoredRun,
    average,
    further_settings,
    provenance,
    score_runs,
)
from ser_lightning.report.tables import INPUTS
from ser_lightning.runs.study import UTTERANCES, Job, read_jobs, short_names


@dataclass(frozen=True)
class Material:
    """A study's finished runs and what is known of them.

    Attributes:
        study: its folder.
        runs: where all runs lie.
        jobs: of the study.
        scored: the finished runs by signature.
        summary: a row per job, in their order, see `average`, with the intervals by speakers.
        facts: what all numbers are of.
        utterances: the corpus's, as `write_utterances` wrote them; None where an earlier version made the study.
    """

    study: Path
    runs: Path
    jobs: Sequence[Job]
    scored: dict[str, ScoredRun]
    summary: pd.DataFrame
    facts: Provenance
    utterances: pd.DataFrame | None

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of logits."""
        return list(self.facts.class_counts)

    @cached_property
    def names(self) -> list[str]:
        """What jobs are called in tables."""
        return short_names(self.jobs)

    @cached_property
    def compared(self) -> dict[int, int]:
        """What each job is compared with: job -> reference, by their numbers."""
        return references(self.jobs, self.scored)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """A row per compared job, see `comparison.differences`."""
        return differences(self.jobs, self.compared, self.scored, group_of(self.utterances))

    @property
    def against_softmax(self) -> bool:
        """Whether the reference is softmax alone."""
        return any(self.summary["lam"][of] == 0 for of in self.compared.values())

    @cached_property
    def shown(self) -> dict[str, list[int]]:
        """The jobs that figures of single settings show: features -> a reference and one that is compared with it.

        That one has the paper's lambda and alpha, or, where none has, the best mean dev UA. A study without a
        comparison shows its first finished job.
        """
        found: dict[str, list[int]] = {}
        for reference in dict.fromkeys(self.compared.values()):
            others = [job for job, of in self.compared.items() if of == reference]
            chosen = next((job for job in others if self._like_the_papers(job)), None)
            best = max(others, key=self._dev_ua) if chosen is None else chosen
            found.setdefault(self.summary["features"][reference], [reference, best])
        for job in np.flatnonzero(self.summary["runs"] > 0):
            found.setdefault(self.summary["features"][job], [int(job)])
        return found

    def finished(self, job: int) -> list[ScoredRun]:
        """A job's finished runs."""
        return [self.scored[name] for name in self.jobs[job].runs if name in self.scored]

    def folder(self, run: ScoredRun) -> Path:
        """Where a run lies."""
        return self.runs / run.result.signature

    def label(self, job: int) -> str:
        """What a job is called in figures: its lambda and alpha where jobs differ in nothing else, else its name."""
        row = self.summary.loc[job]
        if further_settings(self.summary):
            return self.names[job]
        return f"lambda = {row['lam']:g}" + ("" if np.isnan(row["alpha"]) else f", alpha = {row['alpha']:g}")

    def full_label(self, job: int) -> str:
        """The same, with the input where jobs differ in it."""
        several = self.summary["features"].nunique() > 1 and not further_settings(self.summary)
        return self.label(job) + (f", {INPUTS[self.summary['features'][job]]}" if several else "")

    def setting(self, of: paper.Setting) -> int | None:
        """The number of the job that is one of settings 1-4, if it has a finished run."""
        rows = self.summary
        alpha = rows["alpha"].isna() if of.alpha is None else np.isclose(rows["alpha"], of.alpha)
        found = (rows["features"] == of.features) & np.isclose(rows["lam"], of.lam) & alpha & (rows["runs"] > 0)
        return int(np.flatnonzero(found)[0]) if found.any() else None

    def _like_the_papers(self, job: int) -> bool:
        row = self.summary.loc[job]
        return bool(np.isclose(row["lam"], paper.LAM) and np.isclose(row["alpha"], paper.ALPHA))

    def _dev_ua(self, job: int) -> float:
        return float(np.mean([run.result.dev_ua for run in self.finished(job)]))


def read_material(study: Path, runs: Path) -> Material:
    """Read a study. Raises `UserError` where it has no jobs, and as `score_runs` and `provenance` do."""
    jobs = read_jobs(study)
    if not jobs:
        raise UserError(f"{study} is no study: it has no jobs. Give the folder that train -m or reproduce wrote")
    facts = provenance(jobs, runs)
    scored = score_runs(jobs, runs)
    utterances = _read_utterances(study / UTTERANCES, {name for run in scored.values() for name in run.test.ids})
    summary = average(jobs, scored).join(levels(jobs, scored, group_of(utterances)))
    return Material(study, runs, jobs, scored, summary, facts, utterances)


def _read_utterances(file: Path, needed: set[str]) -> pd.DataFrame | None:
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        if missing := needed - set(table["id"]):
            raise ValueError(f"{len(missing)} tested utterances are not in it")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as error:
        raise UserError(f"{file} is damaged ({error}); delete it and repeat the study's command") from error
    return table
