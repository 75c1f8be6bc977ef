"""How many repetitions would show an effect, from a pilot: `python -m ser_lightning.report power STUDY --effect 3`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ser_lightning.errors import UserError
from ser_lightning.metrics import HEADLINE
from ser_lightning.report.material import Material
from ser_lightning.report.samples import difference_samples
from ser_lightning.report.scored import pairs
from ser_lightning.report.statistics import (
    MOST_REPETITIONS,
    POWER,
    QUESTIONS,
    Sample,
    after,
    estimate,
    power,
)

# Repetitions that are tried
MOST = 100
SHOWN = (1, 2, 3, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Plan:
    """What more repetitions would bring a study.

    Attributes:
        table: repetitions, runs (of all settings), error (standard error of the difference in points), power, hours (of
            one run after the other, as long as the pilot's took), for some numbers of repetitions.
        repetitions: the fewest with a power of 80 %; None where no number up to `MOST` has it.
        words: the conclusion.
    """

    table: pd.DataFrame
    repetitions: int | None
    words: str


def plan(material: Material, effect: float) -> Plan:
    """How many repetitions of a study would show an effect, by the rule that its answer goes by.

    Of the study's differences that with the largest standard error is planned for. Raises `UserError` where the pilot
    has no pair of settings, fewer than two repetitions, or what no number of them gives an interval.
    """
    label, sample = _widest(material)
    question, comparisons = sample.question, len(material.compared)
    seconds = np.mean([run.result.seconds for run in material.scored.values()])
    if refusal := estimate(sample, question).refusal:
        raise UserError(f"{material.study.name} has no interval for {QUESTIONS[question]}: {refusal}")
    rows, seeds = [], _seeds(material)
    for repetitions in range(1, MOST + 1):
        error, freedom = after(sample, question, repetitions)
        runs = round(repetitions * sample.folds * seeds)
        rows.append(
            {
                "repetitions": repetitions,
                "runs": runs,
                "error": error,
                "power": power(effect, error, freedom, comparisons),
                "hours": runs * seconds / 3600,
            }
        )
    table = pd.DataFrame(rows)
    enough = table[table["power"] >= POWER]
    several = f", with {comparisons} comparisons" if comparisons > 1 else ""
    scope = f"a true difference of {effect:g} points for {QUESTIONS[question]}{several}"
    if enough.empty:
        words = f"No number of repetitions up to {MOST} would show {scope}: {_limit(label, sample, question)}."
        return Plan(table[table["repetitions"].isin(SHOWN)], None, words)
    first = int(enough.iloc[0]["repetitions"])
    words = f"{first} repetition{'s' * (first > 1)} would show {scope} with a probability of {POWER:.0%} or more."
    return Plan(table[table["repetitions"].isin({*SHOWN, first})], first, words)


def _seeds(material: Material) -> float:
    """Runs of one division, of all settings."""
    finished = [material.finished(job) for job in range(len(material.jobs))]
    return sum(len(runs) / len({run.result.split for run in runs}) for runs in finished if runs)


def _limit(label: str, sample: Sample, question: str) -> str:
    """What no repetition mends, and what would."""
    lasting, freedom = after(sample, question, MOST)
    if question != "new people":
        return (
            f"all repetitions train on the same recordings, so that beyond {MOST_REPETITIONS} of them the standard "
            f"error of what {label} gains stays {lasting:.1f} points; more recordings are needed"
        )
    grouped = freedom < sample.speakers_tested - 1
    mend = f"speakers, or more than {freedom + 1} groups of them (split.groups)," if grouped else "speakers"
    return (
        f"what {label} gains differs between speakers by a standard error of {lasting:.1f} points that no repetition "
        f"makes less; more {mend} are needed"
    )


def _widest(material: Material) -> tuple[str, Sample]:
    """The label and sample of the difference with the largest standard error."""
    samples = []
    for job, reference in material.compared.items():
        common = pairs(material.jobs[job], material.jobs[reference], material.scored)
        if common:
            samples.append((material.label(job), difference_samples(common, material.speaker_of)[HEADLINE]))
    if not samples:
        raise UserError(f"{material.study.name} has no two settings with finished runs on the same division")
    if any(sample.repetitions < 2 for _, sample in samples):
        raise UserError(
            f"{material.study.name} is a pilot of one repetition, of which it cannot be told what more would bring; "
            "run two: split.repeats=[0,1]; a protocol that draws nothing, as session, has but one"
        )
    return max(samples, key=lambda pair: after(pair[1], pair[1].question, 1)[0])
