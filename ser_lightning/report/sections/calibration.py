"""Is a model over-confident, and does a setting make it so?"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.report.calibration import (
    COLDEST,
    HOTTEST,
    Reliability,
    error_by_chance,
    negative_log_likelihood,
    other_outputs,
    overconfidence,
    probabilities,
    reliability,
    temperature,
)
from ser_lightning.report.document import Block, Picture, Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.portraits import reliability_diagram
from ser_lightning.report.samples import mean_sample, over_divisions
from ser_lightning.report.scored import ScoredRun, pairs
from ser_lightning.report.statistics import QUESTIONS, estimate, p_value
from ser_lightning.report.summary import counted
from ser_lightning.report.tables import say_p, show_number, with_half

EXPLAINED = (
    "Over-confidence: the mean probability of the class recognised minus the share recognised rightly. ECE: expected "
    "calibration error, 15 bins, and what a perfectly calibrated model would have of so few utterances by chance. NLL: "
    "negative log-likelihood, nats. All are means over runs, of each run's own test part; ± is half of the 95 % "
    "interval, of over-confidence for {meaning}, else for the same corpus, divided and trained anew. Scaled: logits "
    "divided by a temperature (Guo et al. 2017), which changes no decision. It is fitted to what the networks of the "
    "repetition's other folds say of their own test parts: dev chose each network's parameters, and flatters it."
)
# Where no other fold has test utterances of its own
ALONE = "Without another fold the temperature is fitted to the dev part, which flatters: it may make calibration worse."
SCORES = "its scores are no probabilities, since no softmax loss trained them."


def section(material: Material) -> Section | None:
    """Reliability of the shown settings, before and after temperature scaling; None where none has probabilities."""
    blocks: list[Block] = [Text(EXPLAINED.format(meaning=QUESTIONS[material.question]), aside=True)]
    rows: list[dict[str, Any]] = []
    remarks: list[str] = []
    for group in material.shown:
        diagrams: dict[str, tuple[Reliability, Reliability]] = {}
        for job, label in group.labels.items():
            if not material.has_probabilities(job):
                remarks.append(f"{material.label(job)}: {SCORES}")
                continue
            runs = material.finished(job)
            fitted = [temperature(run, runs) for run in runs]
            diagrams[label] = _pooled(runs, [1.0] * len(runs)), _pooled(runs, fitted)
            rows.append({"setting": material.label(job), **_numbers(material, runs, fitted)})
            remarks += _remarks(material.label(job), runs, fitted)
        if not diagrams:
            continue
        title = f"Reliability{group.place}, before and after temperature scaling, test utterances of all runs"
        draw = partial(reliability_diagram, diagrams, material.facts.caption)
        blocks.append(Picture(f"calibration{group.suffix}", title, draw))
        if len(diagrams) == len(group.jobs) == 2:
            blocks += _change(material, group.jobs)
    if not rows:
        return None
    numbers = pd.DataFrame(rows)
    blocks.insert(1, Table("calibration", "Calibration", numbers, _show(numbers)))
    return Section("Calibration", [*blocks, *map(Text, remarks)])


def _pooled(runs: Sequence[ScoredRun], temperatures: Sequence[float]) -> Reliability:
    """Of the test utterances of all runs, each run's logits by its own temperature."""
    scaled = [probabilities(run.test.logits, one) for run, one in zip(runs, temperatures, strict=True)]
    return reliability(np.concatenate(scaled), np.concatenate([run.test.labels for run in runs]))


def _numbers(material: Material, runs: Sequence[ScoredRun], temperatures: Sequence[float]) -> dict[str, float]:
    gaps = [100 * overconfidence(run.test.logits, run.test.labels) for run in runs]
    gap = estimate(mean_sample(runs, gaps, material.speaker_of, paired=False), material.question)
    numbers = {
        "overconfidence": gap.mean,
        "overconfidence_half": gap.high - gap.mean,
        "temperature": float(np.median(temperatures)),
    }
    for end, fitted in (("", [1.0] * len(runs)), ("_scaled", temperatures)):
        shares = [probabilities(run.test.logits, one) for run, one in zip(runs, fitted, strict=True)]
        errors = over_divisions(
            runs, [100 * reliability(one, run.test.labels).error for one, run in zip(shares, runs, strict=True)]
        )
        losses = over_divisions(
            runs,
            [
                negative_log_likelihood(run.test.logits, run.test.labels, one)
                for run, one in zip(runs, fitted, strict=True)
            ],
        )
        numbers |= {
            f"ece{end}": errors.mean,
            f"ece{end}_half": errors.high - errors.mean,
            f"ece{end}_by_chance": float(np.mean([100 * error_by_chance(one) for one in shares])),
            f"nll{end}": losses.mean,
            f"nll{end}_half": losses.high - losses.mean,
        }
    return numbers


def _remarks(label: str, runs: Sequence[ScoredRun], temperatures: Sequence[float]) -> list[str]:
    """What a reader must know of a setting's temperatures."""
    remarks = []
    bound = sum(not COLDEST * 1.01 < one < HOTTEST / 1.01 for one in temperatures)
    if bound:
        remarks.append(
            f"{label}: of {counted(len(runs), 'temperature')} {bound} stopped at the end of the range that is "
            f"searched, {COLDEST:g} to {HOTTEST:g}."
        )
    if not all(other_outputs(run, runs) for run in runs):
        remarks.append(f"{label}: {ALONE}")
    return remarks


def _change(material: Material, jobs: list[int]) -> list[Block]:
    """What the second of two jobs changes in over-confidence, paired by division; nothing where they share none."""
    reference, other = jobs
    common = pairs(material.jobs[other], material.jobs[reference], material.scored)
    if not common:
        return []
    gains = []
    for one, before in common:
        order = pd.Index(before.test.ids).get_indexer(pd.Index(one.test.ids))
        first, second = (overconfidence(run.test.logits, run.test.labels) for run in (one, before))
        gains.append(100 * (first - second[order]))
    change = estimate(
        mean_sample([one for one, _ in common], gains, material.speaker_of, paired=True), material.question
    )
    p = "" if change.refusal or not material.decided else f"{say_p(p_value(change))}, "
    words = (
        f"{material.label(other)} against {material.label(reference)}: over-confidence changes by "
        f"{with_half(change.mean, change.high - change.mean, signed=True)} points ({p}"
        f"{counted(len(common), 'pair')} of runs)."
    )
    return [Text(words)]


def _show(rows: pd.DataFrame) -> pd.DataFrame:
    def cells(name: str, signed: bool = False) -> list[str]:
        return [with_half(mean, half, signed) for mean, half in zip(rows[name], rows[f"{name}_half"], strict=True)]

    return pd.DataFrame(
        {
            "setting": rows["setting"],
            "over-confidence (points)": cells("overconfidence", signed=True),
            "ECE (%)": cells("ece"),
            "by chance": rows["ece_by_chance"].map(show_number),
            "ECE, scaled": cells("ece_scaled"),
            "by chance, scaled": rows["ece_scaled_by_chance"].map(show_number),
            "median temperature": rows["temperature"].map(show_number),
            "NLL": cells("nll"),
            "NLL, scaled": cells("nll_scaled"),
        }
    )
