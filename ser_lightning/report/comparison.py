"""Settings compared on the same divisions: effect, interval, p-value, and what the study could have seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.metrics import METRICS
from ser_lightning.report.statistics import Interval, holm, over_groups
from ser_lightning.report.summary import Outputs, ScoredRun, paired_difference, pairs
from ser_lightning.runs.signature import flat
from ser_lightning.runs.study import Job
from ser_lightning.runs.varying import Baseline, varying_settings


def references(jobs: Sequence[Job], scored: Mapping[str, ScoredRun], baseline: Baseline) -> dict[int, int]:
    """What each job is compared with: the baseline's job with else the same settings, or the study's first job where
    no job is of the baseline, finished or not: what is tested must not change while the study runs. Jobs without a
    finished run, and references themselves, are left out."""
    finished = [number for number, job in enumerate(jobs) if any(name in scored for name in job.runs)]
    candidates = [number for number in finished if baseline.has(jobs[number].settings)]
    if any(baseline.has(job.settings) for job in jobs):
        ignored = baseline.keys([job.settings for job in jobs])
        keys = [key for key in varying_settings([job.settings for job in jobs]) if key not in ignored]
        choices = {number: _reference(number, jobs, candidates, keys, ignored) for number in finished}
    else:
        choices = dict.fromkeys(finished, finished[0]) if finished else {}
    return {
        number: reference
        for number, reference in choices.items()
        if reference is not None and set(jobs[number].runs) != set(jobs[reference].runs)
    }


def _reference(
    number: int, jobs: Sequence[Job], candidates: Sequence[int], keys: Sequence[str], ignored: Sequence[str]
) -> int | None:
    """The first candidate whose settings `keys` the job shares.

    What the candidate lacks, as lambda = 0 lacks alpha, plays no part; nor what the job lacks of a part that the
    baseline names, as another loss has no alpha.
    """
    settings = flat(jobs[number].settings)
    parts = tuple(f"{key.removesuffix('.name')}." for key in ignored if key.endswith(".name"))
    if number in candidates:
        return number
    for candidate in candidates:
        table = flat(jobs[candidate].settings)
        compared = [key for key in keys if key in table and not (key.startswith(parts) and key not in settings)]
        if all(key in settings and settings[key] == table[key] for key in compared):
            return candidate
    return None


def differences(
    jobs: Sequence[Job], compared: Mapping[int, int], scored: Mapping[str, ScoredRun], groups: Mapping[str, str]
) -> pd.DataFrame:
    """A row per compared job, points: `job`, `reference` (their numbers), runs (pairs), and for every metric the mean,
    half of the corrected 95 % interval over runs, p, p corrected for all rows (Holm), detectable; and the ends of the
    interval by resampling speakers (ua_speakers_low, ...), paired by run and utterance. A pair of jobs without a
    common division has no row.

    Args:
        jobs: of the study.
        compared: job -> its reference.
        scored: the finished runs.
        groups: id -> who spoke, see `group_of`.
    """
    common = {number: pairs(jobs[number], jobs[reference], scored) for number, reference in compared.items()}
    common = {number: runs for number, runs in common.items() if runs}
    rows: list[dict[str, Any]] = [
        {"job": number, "reference": compared[number], **paired_difference(runs)} for number, runs in common.items()
    ]
    if not rows:
        return pd.DataFrame(columns=["job", "reference", "runs"])
    table = pd.DataFrame(rows)
    sides = [[[run.test for run in side] for side in zip(*runs, strict=True)] for runs in common.values()]
    gains = over_groups(grouped_counts(sides, groups), _gains)
    for place, metric in enumerate(METRICS):
        table[f"{metric}_p_holm"] = holm(table[f"{metric}_p"].tolist())
        _add_ends(table, metric, gains[place :: len(METRICS)])
    return table


def levels(jobs: Sequence[Job], scored: Mapping[str, ScoredRun], groups: Mapping[str, str]) -> pd.DataFrame:
    """A row per job: the ends of the 95 % intervals of scores, percent, by resampling speakers; NaN without runs."""
    sides = [[[scored[name].test for name in job.runs if name in scored]] for job in jobs]
    intervals = over_groups(grouped_counts(sides, groups), lambda drawn: _scores(drawn[..., 0, :, :]))
    table = pd.DataFrame(index=range(len(jobs)))
    for place, metric in enumerate(METRICS):
        _add_ends(table, metric, intervals[place :: len(METRICS)])
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
    entries = []
    for i, j, one in outputs:
        group = np.array([codes.setdefault(groups.get(name, f"utterance {name}"), len(codes)) for name in one.ids])
        entries.append(np.stack([group, np.full_like(group, i), np.full_like(group, j), one.labels, one.recognised]))
    counts = np.zeros((len(codes), *shape))
    np.add.at(counts, tuple(np.concatenate(entries, axis=1)), 1)
    return counts


def _scores(counts: np.ndarray) -> np.ndarray:
    """Every metric in percent [draws, jobs * metrics] of counts [draws, jobs, classes, classes]."""
    values = np.stack([metric.score(counts) for metric in METRICS.values()], axis=-1)  # [draws, jobs, metrics]
    return 100 * values.reshape(len(counts), -1)


def _gains(counts: np.ndarray) -> np.ndarray:
    """The first side's scores minus the second's [draws, jobs * metrics].

    Of counts [draws, jobs, 2, classes, classes].
    """
    return _scores(counts[..., 0, :, :]) - _scores(counts[..., 1, :, :])


def _add_ends(table: pd.DataFrame, metric: str, intervals: Sequence[Interval]) -> None:
    table[f"{metric}_speakers_low"] = [interval.low for interval in intervals]
    table[f"{metric}_speakers_high"] = [interval.high for interval in intervals]
