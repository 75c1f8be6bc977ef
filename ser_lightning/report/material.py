"""All that the sections of a report are written from, read once."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ser_lightning.errors import UserError
from ser_lightning.metrics import METRICS
from ser_lightning.report.chapter import Chapter, Group, open_chapter
from ser_lightning.report.comparison import differences, references, tells_apart
from ser_lightning.report.scored import ScoredRun, score_runs
from ser_lightning.report.summary import Provenance, average, column_names, provenance, speakers_by_id
from ser_lightning.report.tables import FEW
from ser_lightning.runs.jobs import REFERENCE_SYSTEM, Job, rows_of_study, short_names
from ser_lightning.runs.seal import read_with_seal, seal_file
from ser_lightning.runs.signature import flat
from ser_lightning.runs.study import UTTERANCES, Purpose, read_current_jobs, read_study
from ser_lightning.runs.varying import Baseline, say

# References that are answered for one by one; of more, the best job alone.
MOST_ANSWERS = 4

# Settings that figures can show side by side.
MOST_SHOWN = 4


@dataclass(frozen=True)
class Material:
    """A study's finished runs and what is known of them.

    Attributes:
        study: its folder.
        runs: where all runs lie.
        jobs: of the study; those that share all their runs are one.
        members: of each, the names under which the study has it.
        purpose: what the jobs are compared with, and the paper that the study is for.
        scored: the finished runs by signature.
        summary: a row per job, in their order, see `average`.
        facts: what all numbers are of.
        utterances: the corpus's, see `utterances_csv`; None where an earlier version made the study.
        selection: the jobs that figures of single settings are to show; empty: those that `shown` chooses.
        interim: whether an answer is wanted of an unfinished study.
        metrics: the scores that tables and figures show; files for machines have all.
        left_out: the names of those of the study's jobs whose runs are of another corpus than its last command's.
        candidates: the jobs of which divisions have chosen by dev, see `Job.candidate_of`.
    """

    study: Path
    runs: Path
    jobs: Sequence[Job]
    members: Sequence[list[str]]
    purpose: Purpose
    scored: dict[str, ScoredRun]
    summary: pd.DataFrame
    facts: Provenance
    utterances: pd.DataFrame | None
    selection: Sequence[int] = ()
    interim: bool = False
    metrics: Sequence[str] = field(default_factory=lambda: tuple(METRICS))
    left_out: Sequence[str] = ()
    candidates: Sequence[Job] = ()

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of logits."""
        return list(self.facts.class_counts)

    @cached_property
    def complete(self) -> bool:
        """Whether every planned run has finished, and every job that has not failed has been planned."""
        jobs, _ = read_current_jobs(self.study)
        begun = all(job.runs or job.failure is not None for job in jobs)
        return begun and self.facts.finished == self.facts.planned

    @property
    def decided(self) -> bool:
        """Whether the study is to be answered: once, when it is complete, or asked for."""
        return self.complete or self.interim

    @cached_property
    def speaker_of(self) -> dict[str, str]:
        """id -> who spoke; empty where this is not known of every utterance."""
        return speakers_by_id(self.utterances)

    @property
    def question(self) -> str:
        """Of `statistics.QUESTIONS` the one that the study answers first."""
        return self.facts.question

    @cached_property
    def names(self) -> list[str]:
        """What jobs are called in tables."""
        return short_names(self.jobs)

    @cached_property
    def columns(self) -> dict[str, str]:
        """Dotted key -> column of the summary, of the settings in which jobs differ."""
        return column_names(self.jobs)

    @property
    def axes(self) -> dict[str, str]:
        """The same, the baseline's first: where others would do as well, they stand on the x axis."""
        first = self.baseline.keys([job.settings for job in self.jobs])
        return dict(sorted(self.columns.items(), key=lambda pair: pair[0] not in first))

    @cached_property
    def baseline(self) -> Baseline:
        """What makes a job one that others are compared with."""
        return Baseline.read(self.purpose.baseline)

    @cached_property
    def compared(self) -> dict[int, int]:
        """What each job is compared with: job -> reference, by their numbers."""
        if self.purpose.references:
            return self.compared_with(self.purpose.references[0])
        return references(self.jobs, self.scored, self.baseline, self._described)

    @cached_property
    def _described(self) -> set[int]:
        return self._all_named(self.purpose.described)

    def _all_named(self, names: Sequence[str]) -> set[int]:
        return {job for name in names for job in self.named(name)}

    def compared_with(self, name: str) -> dict[int, int]:
        """The jobs that stand in one table with the reference of this name: job -> reference, by their numbers.

        Those that are described alone are left out of tests; so are earlier references, whose own tables have the pair.
        """
        references = self.purpose.references
        others = [*references[: references.index(name)], *self.purpose.described] if name in references else []
        left_out = self._all_named(others)
        return {
            job: reference
            for reference in self.named(name)[:1]
            for job in range(len(self.jobs))
            if job != reference and self.finished(job) and self.finished(reference)
            if job not in left_out
        }

    @cached_property
    def families(self) -> dict[str, pd.DataFrame]:
        """Name of a reference, or of what is described -> a row per job compared with it, see `differences`."""
        return {
            name: differences(self.jobs, self.compared_with(name), self.scored, self.speaker_of)
            for name in (*self.purpose.references, *self.purpose.described)
        }

    @cached_property
    def differences(self) -> pd.DataFrame:
        """A row per compared job, see `comparison.differences`."""
        if self.purpose.references:
            return self.families[self.purpose.references[0]]
        return differences(self.jobs, self.compared, self.scored, self.speaker_of)

    @property
    def against_baseline(self) -> bool:
        """Whether jobs are compared with the baseline's, or one that is named, not with the first for want of it."""
        tested = [job for number, job in enumerate(self.jobs) if number not in self._described]
        return bool(self.purpose.references) or tells_apart(self.baseline, tested)

    @cached_property
    def chapter(self) -> Chapter | None:
        """What the study's paper adds, if it has one and is of its kind."""
        return open_chapter(self)

    @cached_property
    def shown(self) -> list[Group]:
        """The jobs that figures of single settings show: those asked for, or the paper's, or the best of all and what
        it is compared with. A study without a comparison shows its first finished job."""
        if self.selection:
            return [self.gather(self.selection)]
        if self.chapter:
            return self.chapter.groups
        if not self.compared:
            return [self.gather([int(np.flatnonzero(self.summary["runs"] > 0)[0])])]
        best = self.best(list(self.compared))
        return [self.gather([self.compared[best], best], rivals=list(self.compared))]

    @cached_property
    def answered(self) -> list[Group]:
        """The pairs that the study's answer is about: for each reference the best of those compared with it."""
        if self.chapter and not self.selection:
            return [group for group in self.shown if len(group.labels) == 2]
        rivals: dict[int, list[int]] = {}
        for job, reference in self.compared.items():
            rivals.setdefault(reference, []).append(job)
        if len(rivals) > MOST_ANSWERS:
            best = self.best(list(self.compared))
            return [self.gather([self.compared[best], best], rivals=list(self.compared))]
        return [self.gather([one, self.best(jobs)], rivals=jobs) for one, jobs in rivals.items()]

    def best(self, jobs: Sequence[int]) -> int:
        """Of several jobs with finished runs the one with the highest mean UA on dev, the first of equals."""
        return max(jobs, key=lambda job: float(np.mean([run.result.dev_ua for run in self.finished(job)])))

    def finished(self, job: int) -> list[ScoredRun]:
        """A job's finished runs."""
        return [self.scored[name] for name in self.jobs[job].runs if name in self.scored]

    def has_probabilities(self, job: int) -> bool:
        """Whether a softmax loss trained a job's logits. An SVM's and a nearest mean's are scores, of any scale."""
        settings = self.jobs[job].settings
        trained = settings.get("model", {}).get("trained", True)
        return bool(trained and settings.get("loss", {}).get("softmax", 1))

    def folder(self, run: ScoredRun) -> Path:
        """Where a run lies."""
        return self.runs / run.result.signature

    def label(self, job: int) -> str:
        """What a job is called in figures: the settings in which it may differ from others, else its name."""
        return self._labels[job]

    def gather(self, jobs: Sequence[int], suffix: str = "", rivals: Sequence[int] = ()) -> Group:
        """Jobs to be shown side by side, see `Group`: what they have in common goes into the title."""
        tables = [flat(self.jobs[job].settings) for job in jobs]
        keys = [key for key in self.columns if all(key in table for table in tables)]
        shared = [key for key in keys if len(tables) > 1 and len({str(table[key]) for table in tables}) == 1]
        if self._labels == self.names or not shared:
            return Group({job: self.label(job) for job in jobs}, suffix=suffix, rivals=rivals)
        labels = {job: self._say(job, [key for key in self.columns if key not in shared]) for job in jobs}
        return Group(labels, self._say(jobs[0], shared), suffix, rivals)

    def named(self, name: str) -> list[int]:
        """The numbers of the jobs that are called so: by their name in full or in short, or by their label."""
        names = zip(self.members, self.jobs, self.names, self._labels, strict=True)
        return [number for number, (full, job, *short) in enumerate(names) if name in (*full, job.name, *short)]

    @cached_property
    def _labels(self) -> list[str]:
        # By their names settings are compared, so that people know them
        if self.purpose.references:
            return self.names
        labels = [
            job.name if job.name == REFERENCE_SYSTEM else self._say(number, list(self.columns))
            for number, job in enumerate(self.jobs)
        ]
        telling = all(labels) and len(set(labels)) == len(labels) and len(self.columns) <= FEW
        return labels if telling else self.names

    def _say(self, job: int, keys: Sequence[str]) -> str:
        table = flat(self.jobs[job].settings)
        return ", ".join(say(key, self.columns[key], table[key]) for key in keys if key in table)


def read_material(
    study: Path, runs: Path, show: str = "", metrics: Sequence[str] = (), interim: bool = False
) -> Material:
    """Read a study.

    Args:
        study: its folder.
        runs: where all runs lie.
        show: the jobs that figures of single settings are to show, with commas between them.
        metrics: the scores that tables and figures show; all, if none is named.
        interim: whether an answer is wanted of an unfinished study.

    Raises `UserError` where it has no jobs, none of those to be shown, and as `score_runs` and `provenance` do.
    """
    current, others = read_current_jobs(study)
    # Below all others, whichever command came last
    all_jobs = sorted(
        (job for job in current if job.candidate_of is None), key=lambda job: job.name == REFERENCE_SYSTEM
    )
    if not all_jobs:
        raise UserError(f"{study} is no study: it has no jobs. Give the folder that train -m or reproduce wrote")
    purpose = read_study(study)
    # Two settings that are compared by their names may have chosen the same runs
    jobs, members = map(list, zip(*rows_of_study(all_jobs, by_runs=not purpose.references), strict=True))
    scored = score_runs(jobs, runs)
    utterances = read_utterances(study, scored)
    summary = average(jobs, scored, speakers_by_id(utterances))
    facts = provenance(jobs, runs, utterances).beside(summary)
    left_out = [job.name for job in others]
    whole = Material(
        study,
        runs,
        jobs,
        members,
        purpose,
        scored,
        summary,
        facts,
        utterances,
        left_out=left_out,
        candidates=[job for job in current if job.candidate_of in {one.name for one in all_jobs}],
    )
    selection = tuple(_choose(whole, name.strip()) for name in _split(show))
    if len(selection) > MOST_SHOWN:
        raise UserError(f"--show {show}: figures have room for {MOST_SHOWN} settings")
    return replace(whole, selection=selection, metrics=tuple(metrics) or tuple(METRICS), interim=interim)


def _split(names: str) -> list[str]:
    """Names between commas, but for commas inside brackets."""
    return [name for name in re.split(r",(?![^\[]*\])", names) if name.strip()]


def _choose(material: Material, name: str) -> int:
    numbers = material.named(name)
    if not numbers:
        raise UserError(f"{material.study.name} has no setting '{name}'; it has: {'; '.join(material.names)}")
    if not material.finished(numbers[0]):
        raise UserError(f"{name}: no run of this setting has finished yet")
    return numbers[0]


def read_utterances(study: Path, scored: Mapping[str, ScoredRun]) -> pd.DataFrame | None:
    """The study's table of utterances, as text; None where an earlier version made the study.

    Raises `UserError` where it is damaged, or lacks an utterance that one of the runs `scored` was tested on.
    """
    file = study / UTTERANCES
    try:
        table = pd.read_csv(io.BytesIO(read_with_seal(file)), dtype=str, keep_default_na=False)
        if missing := {name for run in scored.values() for name in run.test.ids} - set(table["id"]):
            raise ValueError(f"{len(missing)} tested utterances are not in it")
    except FileNotFoundError:
        if seal_file(file).exists():
            raise UserError(f"{file} is missing; repeat the study's command, which writes it anew") from None
        return None
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{file} is damaged ({error}); delete it and repeat the study's command") from error
    return table
