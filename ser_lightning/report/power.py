"""How many repetitions would show an effect, from a pilot: `python -m ser_lightning.report power STUDY --effect 3`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ser_lightning.errors import UserError
from ser_lightning.metrics import HEADLINE
from ser_lightning.report.material import Material
from ser_lightning.report.samples import difference_samples
from ser_lightning.report.scored import pairs
from ser_lightning.report.statistics import FEWEST, POWER, QUESTIONS, Sample, after, power

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
    has no pair of settings, fewer than two repetitions or fewer than five folds.
    """
    label, sample = _widest(material)
    question, comparisons = sample.question, len(material.compared)
    seconds = np.mean([run.result.seconds for run in material.scored.values()])
    if sample.folds < FEWEST:
        raise UserError(
            f"{material.study.name} has {sample.folds} folds; an interval needs {FEWEST}, whatever the repetitions"
        )
    rows = []
    for repetitions in range(1, MOST + 1):
        error, freedom = after(sample, question, repetitions)
        runs = repetitions * sample.folds * len(material.jobs)
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
        lasting, _ = after(sample, question, 10**6)
        owners = "speakers" if question == "new people" else "utterances"
        words = (
            f"No number of repetitions up to {MOST} would show {scope}: what {label} gains differs between "
            f"{owners} by a standard error of {lasting:.1f} points that no repetition makes less; more "
            f"{owners} are needed."
        )
        return Plan(table[table["repetitions"].isin(SHOWN)], None, words)
    first = int(enough.iloc[0]["repetitions"])
    words = f"{first} repetition{'s' * (first > 1)} would show {scope} with a probability of {POWER:.0%} or more."
    return Plan(table[table["repetitions"].isin({*SHOWN, first})], first, words)


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
            "run two: split.repeats=[0,1]"
        )
    return max(samples, key=lambda pair: after(pair[1], pair[1].question, 1)[0])
