"""Two configurations, or two people's studies, side by side: `python -m ser_lightning.report compare A B`."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.errors import UserError
from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.report.material import Material
from ser_lightning.report.samples import difference_row, difference_samples, pair_refusals, score_row, unpaired_row
from ser_lightning.report.scored import ScoredRun, on_same_divisions
from ser_lightning.report.statistics import holm
from ser_lightning.report.summary import counted
from ser_lightning.report.tables import show_number, show_p, with_halves
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.varying import settings_key


@dataclass(frozen=True)
class Side:
    """One of the two: a study, or one job of it."""

    name: str
    material: Material
    jobs: list[int]


def choose(name: str, material: Material, job: str | None) -> Side:
    """A side of the comparison. Raises `UserError` where the study has no such job, or it has no finished run."""
    jobs = list(range(len(material.jobs))) if job is None else material.named(job)
    if not jobs:
        names = "; ".join(one.name for one in material.jobs)
        raise UserError(f"{material.study.name} has no setting '{job}'; it has: {names}")
    jobs = [number for number in jobs if material.finished(number)]
    if not jobs:
        raise UserError(f"{name}: no run of this setting has finished yet")
    return Side(name, material, jobs)


def compare(first: Side, second: Side) -> tuple[pd.DataFrame, list[str]]:
    """A row per pair of settings, the second minus the first, and remarks.

    Columns: first, second (names of the settings), pairs (runs on the same division; 0 where there are none, and the
    means of unlike divisions are compared), for every metric the two means, the difference, half of its 95 % interval
    for `question_of` both and p, corrected by Holm's method for all comparisons of the sweeps that the settings are
    named from; same (runs of which both made the very same predictions); refusal (why UA has no interval); given (on
    what its interval is conditional); comparisons (for how many p is corrected).

    Raises `UserError` where a study is not finished and `--interim` was not said, where the corpora, their utterances
    or classes differ, and where no setting of one has its like in the other.
    """
    for side in (first, second):
        _refuse_unfinished(side)
    _refuse_unlike(first.material, second.material)
    matched = _matched(first, second)
    others = _not_named(first, second, matched)
    table = pd.DataFrame([_row(first, i, second, j) for i, j in [*matched, *(others or [])]])
    for metric in METRICS:
        table[f"{metric}_p_holm"] = holm(table[f"{metric}_p"].tolist())
    table["comparisons"] = int(np.isfinite(table[f"{HEADLINE}_p"]).sum())
    table = table.head(len(matched))
    remarks = _remarks(first, second, matched, table)
    return table, [*remarks, *_correction(first, second, others)]


def show(table: pd.DataFrame, metrics: Sequence[str] = ()) -> pd.DataFrame:
    """The comparison as text; `metrics` are those shown, all if none is named."""
    named = table["first"] if (table["first"] == table["second"]).all() else table["first"] + " | " + table["second"]
    shown = pd.DataFrame({"setting": named, "pairs": table["pairs"].astype(str)})
    for metric in metrics or METRICS:
        label, decimals = METRICS[metric].label, METRICS[metric].decimals
        for side in "ab":
            means = table[f"{metric}_{side}"]
            shown[f"{label}, {side.upper()}"] = [show_number(mean, decimals) for mean in means]
        shown[f"{label}, B - A"] = with_halves(table, metric, signed=True)
        shown["p" if metric == HEADLINE else f"{label}, p"] = table[f"{metric}_p"].map(show_p)
        if metric == HEADLINE and (table["comparisons"] > 1).any():
            shown["p for all"] = table[f"{metric}_p_holm"].map(show_p)
    return shown


def question_of(first: Side, second: Side) -> str:
    """Of `statistics.QUESTIONS` the one that a comparison answers: *new people* if a protocol has speakers apart, so
    that between `paper` and `speaker` it is what a known voice is worth."""
    questions = {first.material.question, second.material.question}
    return "new people" if "new people" in questions else "same people"


def _refuse_unfinished(side: Side) -> None:
    facts = side.material.facts
    if not side.material.decided:
        raise UserError(
            f"{side.name}: {facts.finished} of {facts.planned} runs have finished, and a comparison waits for all of "
            "them; --interim compares what there is"
        )


def _refuse_unlike(first: Material, second: Material) -> None:
    kinds = [
        f"{one.facts.corpus}, {one.facts.utterances} utterances of {' '.join(one.classes)}" for one in (first, second)
    ]
    if kinds[0] != kinds[1]:
        raise UserError(f"these cannot be compared: {kinds[0]} against {kinds[1]}")


def _matched(first: Side, second: Side) -> list[tuple[int, int]]:
    """Settings that belong together: the only ones, else those with equal settings, whatever the protocols, else those
    of equal name."""
    if len(first.jobs) == len(second.jobs) == 1:
        return [(first.jobs[0], second.jobs[0])]
    for key in (lambda job: settings_key({**job.settings, "split": {}}), lambda job: job.name):
        jobs: Mapping[str, int] = {key(second.material.jobs[j]): j for j in second.jobs}
        pairs = [(i, jobs[like]) for i in first.jobs if (like := key(first.material.jobs[i])) in jobs]
        if pairs:
            return pairs
    raise UserError(f"{first.name} and {second.name} have no setting in common; name one of each, as STUDY:SETTING")


def _not_named(first: Side, second: Side, matched: list[tuple[int, int]]) -> list[tuple[int, int]] | None:
    """The comparisons from among which those of named settings were chosen: within a study its own, with the baseline;
    between two all settings that belong together. None where those named are not among them."""
    pairs: list[tuple[int, int]] = []
    within = first.material.study == second.material.study
    if within:
        pairs = [(reference, job) for job, reference in first.material.compared.items()]
    else:
        with suppress(UserError):
            pairs = _matched(_whole(first), _whole(second))
    named, swept = ({frozenset(pair) if within else pair for pair in some} for some in (matched, pairs))
    if not named <= swept:
        return None
    return [pair for pair in pairs if (frozenset(pair) if within else pair) not in named]


def _whole(side: Side) -> Side:
    return choose(side.name, side.material, None)


def _correction(first: Side, second: Side, others: list[tuple[int, int]] | None) -> list[str]:
    """For which comparisons p is corrected, where there are more than are shown; or that it is for none."""
    if others:
        words = counted(len(others), "other comparison")
        return [f"p for all is corrected (Holm) for {words} too, of settings that were swept and are not named here."]
    if others is not None:
        return []
    chosen = {
        side.material.study: counted(len(_whole(side).jobs), "setting")
        for side in (first, second)
        if len(side.jobs) < len(_whole(side).jobs)
    }
    words = " and ".join(f"the {settings} of {study.name}" for study, settings in chosen.items())
    return [f"p is not corrected for the choice of what is compared, from {words}."] if words else []


def _row(first: Side, i: int, second: Side, j: int) -> dict[str, Any]:
    sides = [first.material.finished(i), second.material.finished(j)]
    speaker_of = first.material.speaker_of
    common = on_same_divisions(sides[1], sides[0])
    row: dict[str, Any] = {"first": first.material.names[i], "second": second.material.names[j], "given": ""}
    question = question_of(first, second)
    row["pairs"] = len(common)
    row["same"] = sum(_same(*pair) for pair in common)
    if common:
        sides = [[pair[side] for pair in common] for side in (1, 0)]
        row |= difference_row(common, speaker_of)
        row["refusal"] = pair_refusals(common, speaker_of).get(question, "")
        # Where there are no pairs, both sides' spread over runs is in the interval
        given = difference_samples(common, speaker_of)[HEADLINE].given
        row["given"] = given if question == "new people" else ""
    a, b = (score_row(side, speaker_of) for side in sides)
    for metric in METRICS:
        row |= {f"{metric}_a": a[metric], f"{metric}_b": b[metric]}
    if not common:
        row |= unpaired_row(sides[0], sides[1], speaker_of, question)
    return row


def _same(one: ScoredRun, other: ScoredRun) -> bool:
    return np.array_equal(one.test.ids, other.test.ids) and np.array_equal(one.test.logits, other.test.logits)


def _remarks(first: Side, second: Side, matched: list[tuple[int, int]], table: pd.DataFrame) -> list[str]:
    remarks = []
    if table["same"].any():
        remarks.append(f"{table['same'].sum()} of {table['pairs'].sum()} pairs made the very same predictions.")
    if (table["pairs"] == 0).any():
        unit = "speaker" if question_of(first, second) == "new people" else "utterance"
        remarks.append(f"Where there are no pairs, the divisions differ: means are compared, {unit} by {unit}.")
        remarks += _unlike_protocols(first, second)
    remarks += [f"No interval: {reason}." for reason in table["refusal"].unique() if reason]
    conditions = table.loc[(table["refusal"] == "") & (table["given"] != ""), "given"].unique()
    remarks += [f"Intervals hold {condition}: the luck of another training is not in them." for condition in conditions]
    for side, place in ((first, 0), (second, 1)):
        alone = [side.material.jobs[job] for job in side.jobs if job not in {pair[place] for pair in matched}]
        if alone:
            remarks.append(f"In {side.name} alone: {_names(alone)}.")
    return remarks


def _unlike_protocols(first: Side, second: Side) -> list[str]:
    """Which protocols are compared, and what each leaves for training."""
    protocols = [side.material.facts.protocol for side in (first, second)]
    if protocols[0] == protocols[1]:
        return []
    sizes = [
        np.mean([run.result.utterances["train"] for job in side.jobs for run in side.material.finished(job)])
        for side in (first, second)
    ]
    words = (
        f"A is of the {protocols[0]} protocol, trained on {sizes[0]:.0f} utterances, B of {protocols[1]}, "
        f"on {sizes[1]:.0f}"
    )
    if abs(sizes[0] - sizes[1]) < 1:
        return [f"{words}."]
    return [f"{words}: the difference is of both; split.max_train=... limits both alike."]


def _names(jobs: list[Job]) -> str:
    return "; ".join(job.name for job in jobs)
