"""Settings compared on the same divisions: effect, interval, p-value, and what the study could have seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.metrics import recalls
from ser_lightning.report.statistics import Interval, holm, over_groups
from ser_lightning.report.summary import Outputs, ScoredRun, paired_difference, pairs
from ser_lightning.runs.signature import flat
from ser_lightning.runs.study import Job

# What lambda 0 has no say in, so that jobs which differ in nothing else differ in the centre loss alone.
CENTRE_LOSS = ("loss.lam", "loss.alpha", "loss.rule", "loss.warm_up")


def references(jobs: Sequence[Job], scored: Mapping[str, ScoredRun]) -> dict[int, int]:
    """What each job is compared with: softmax alone (lambda = 0) with else the same settings, or the study's first job
    where no job has lambda = 0, finished or not: what is tested must not change while the study runs. Jobs without a
    finished run, and references themselves, are left out."""
    finished = [number for number, job in enumerate(jobs) if any(name in scored for name in job.runs)]
    softmax = [number for number, job in enumerate(jobs) if flat(job.settings).get("loss.lam") == 0]
    if softmax:
        plain = {_rest(jobs[number]): number for number in reversed(softmax) if number in finished}
        found = {number: plain[_rest(jobs[number])] for number in finished if _rest(jobs[number]) in plain}
    else:
        found = dict.fromkeys(finished, finished[0]) if finished else {}
    return {number: of for number, of in found.items() if set(jobs[number].runs) != set(jobs[of].runs)}


def _rest(job: Job) -> str:
    """A job's settings but those of the centre loss."""
    return str(sorted((key, str(value)) for key, value in flat(job.settings).items() if key not in CENTRE_LOSS))


def differences(
    jobs: Sequence[Job], compared: Mapping[int, int], scored: Mapping[str, ScoredRun], groups: Mapping[str, str]
) -> pd.DataFrame:
    """A row per compared job, points: `job`, `reference` (their numbers), runs (pairs), and for ua and wa the mean,
    half of the corrected 95 % interval over runs, p, p corrected for all rows (Holm), detectable; and the ends of the
    interval by resampling speakers (ua_speakers_low, ...), paired by run and utterance. A pair of jobs without a
    common division has no row.

    Args:
        jobs: of the study.
        compared: job -> its reference.
        scored: the finished runs.
        groups: id -> who spoke, see `group_of`.
    """
    common = {number: pairs(jobs[number], jobs[of], scored) for number, of in compared.items()}
    common = {number: of for number, of in common.items() if of}
    rows: list[dict[str, Any]] = [
        {"job": number, "reference": compared[number], **paired_difference(of)} for number, of in common.items()
    ]
    if not rows:
        return pd.DataFrame(columns=["job", "reference", "runs"])
    table = pd.DataFrame(rows)
    sides = [[[run.test for run in side] for side in zip(*of, strict=True)] for of in common.values()]
    gains = over_groups(grouped_counts(sides, groups), _gains)
    for i, measure in enumerate(("ua", "wa")):
        table[f"{measure}_p_holm"] = holm(table[f"{measure}_p"].tolist())
        _add_ends(table, measure, gains[i::2])
    return table


def levels(jobs: Sequence[Job], scored: Mapping[str, ScoredRun], groups: Mapping[str, str]) -> pd.DataFrame:
    """A row per job: the ends of the 95 % intervals of UA and WA, percent, by resampling speakers; NaN without runs."""
    sides = [[[scored[name].test for name in job.runs if name in scored]] for job in jobs]
    found = over_groups(grouped_counts(sides, groups), lambda drawn: _scores(drawn[..., 0, :, :]))
    table = pd.DataFrame(index=range(len(jobs)))
    for i, measure in enumerate(("ua", "wa")):
        _add_ends(table, measure, found[i::2])
    return table


def group_of(utterances: pd.DataFrame | None) -> dict[str, str]:
    """id -> speaker, from a study's table of utterances; empty where the corpus does not tell of every utterance."""
    if utterances is None or (utterances["speaker"] == "").any():
        return {}
    return dict(zip(utterances["id"], utterances["speaker"], strict=True))


def grouped_counts(sides: Sequence[Sequence[Sequence[Outputs]]], groups: Mapping[str, str]) -> np.ndarray:
    """Confusion counts by speaker [groups, jobs, sides, classes, classes] of outputs [jobs][sides][runs].

    An utterance whose speaker is unknown is a group of its own.
    """
    outputs = [(i, j, one) for i, job in enumerate(sides) for j, side in enumerate(job) for one in side]
    classes = outputs[0][2].logits.shape[1]
    codes: dict[str, int] = {}
    shape = (len(sides), len(sides[0]), classes, classes)
    found = []
    for i, j, one in outputs:
        group = np.array([codes.setdefault(groups.get(name, f"utterance {name}"), len(codes)) for name in one.ids])
        found.append(np.stack([group, np.full_like(group, i), np.full_like(group, j), one.labels, one.recognised]))
    counts = np.zeros((len(codes), *shape))
    np.add.at(counts, tuple(np.concatenate(found, axis=1)), 1)
    return counts


def _scores(counts: np.ndarray) -> np.ndarray:
    """UA and WA in percent [draws, jobs * 2] of counts [draws, jobs, classes, classes]."""
    right = np.diagonal(counts, axis1=-2, axis2=-1).sum(axis=-1)
    total = counts.sum(axis=(-2, -1))
    wa = np.divide(right, total, out=np.full(total.shape, np.nan), where=total > 0)
    both = 100 * np.stack([recalls(counts).mean(axis=-1), wa], axis=-1)  # [draws, jobs, 2]
    return both.reshape(len(counts), -1)


def _gains(counts: np.ndarray) -> np.ndarray:
    """The first side's scores minus the second's [draws, jobs * 2], of counts [draws, jobs, 2, classes, classes]."""
    return _scores(counts[..., 0, :, :]) - _scores(counts[..., 1, :, :])


def _add_ends(table: pd.DataFrame, measure: str, intervals: Sequence[Interval]) -> None:
    table[f"{measure}_speakers_low"] = [interval.low for interval in intervals]
    table[f"{measure}_speakers_high"] = [interval.high for interval in intervals]
