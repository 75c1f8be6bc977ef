"""Settings compared on the same divisions: effect, interval, p-value, and what the study could have seen."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

import pandas as pd

from ser_lightning.metrics import METRICS
from ser_lightning.report.samples import add_detectable, difference_row
from ser_lightning.report.scored import ScoredRun, pairs
from ser_lightning.report.statistics import holm
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.signature import flat
from ser_lightning.runs.varying import Baseline, varying_settings


def references(
    jobs: Sequence[Job], scored: Mapping[str, ScoredRun], baseline: Baseline, described: Set[int] = frozenset()
) -> dict[int, int]:
    """What each job is compared with: the baseline's job with else the same settings, or the study's first job where
    the baseline tells none from the others: what is tested must not change while the study runs. Jobs without a
    finished run, those that are `described` alone, and references themselves, are left out."""
    tested = [number for number in range(len(jobs)) if number not in described]
    finished = [number for number in tested if any(name in scored for name in jobs[number].runs)]
    candidates = [number for number in finished if baseline.has(jobs[number].settings)]
    if tells_apart(baseline, [jobs[number] for number in tested]):
        ignored = baseline.keys([job.settings for job in jobs])
        # A seed is no setting, and jobs that differ in it alone are one without it
        ignored = [*ignored, "seed"]
        keys = [key for key in varying_settings([job.settings for job in jobs]) if key not in ignored]
        choices = {number: _reference(number, jobs, candidates, keys, ignored) for number in finished}
    else:
        choices = dict.fromkeys(finished, finished[0]) if finished else {}
    return {
        number: reference
        for number, reference in choices.items()
        if reference is not None and set(jobs[number].runs) != set(jobs[reference].runs)
    }


def tells_apart(baseline: Baseline, jobs: Sequence[Job]) -> bool:
    """Whether some of the jobs, finished or not, are of the baseline, and others not."""
    return len({baseline.has(job.settings) for job in jobs}) > 1


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
    jobs: Sequence[Job], compared: Mapping[int, int], scored: Mapping[str, ScoredRun], speaker_of: Mapping[str, str]
) -> pd.DataFrame:
    """A row per compared job, points: `job`, `reference` (their numbers), the numbers of `samples.difference_row`, and
    for every metric p corrected for all rows by Holm's method (ua_p_holm) and the detectable difference
    (ua_detectable). A pair of jobs without a common division has no row.

    Args:
        jobs: of the study.
        compared: job -> its reference.
        scored: the finished runs.
        speaker_of: id -> who spoke, see `summary.speakers_by_id`.
    """
    common = {number: pairs(jobs[number], jobs[reference], scored) for number, reference in compared.items()}
    rows: list[dict[str, Any]] = [
        {"job": number, "reference": compared[number], **difference_row(runs, speaker_of)}
        for number, runs in common.items()
        if runs
    ]
    if not rows:
        return pd.DataFrame(columns=["job", "reference", "runs"])
    table = add_detectable(pd.DataFrame(rows))
    return table.assign(**{f"{metric}_p_holm": holm(table[f"{metric}_p"].tolist()) for metric in METRICS})
