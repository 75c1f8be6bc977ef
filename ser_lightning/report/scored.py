"""Finished runs with what they said of every utterance, read from their folders and scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa

from ser_lightning.metrics import METRICS, confusion_counts
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.ledger import PREDICTIONS, RunResult, damaged, read_results, read_table


@dataclass(frozen=True)
class Outputs:
    """What a run said of a part: `ids` [n], `labels` [n] as class indices, `logits` [n, classes]."""

    ids: np.ndarray
    labels: np.ndarray
    logits: np.ndarray

    @property
    def recognised(self) -> np.ndarray:
        """Class indices [n]."""
        return self.logits.argmax(axis=1)


@dataclass(frozen=True)
class ScoredRun:
    """A finished run with what it said of its parts, and the test part's confusion counts [classes, classes]."""

    result: RunResult
    dev: Outputs
    test: Outputs
    confusion: np.ndarray

    @property
    def division(self) -> tuple[int, int, str, int]:
        """Names the division into parts and the seed, by which runs are paired."""
        return self.result.repeat, self.result.fold, self.result.split, self.result.settings.get("seed", 0)

    def score(self, metric: str) -> float:
        """A metric of the test part, percent."""
        return 100 * float(METRICS[metric].score(self.confusion))


def score_runs(jobs: Sequence[Job], runs: Path) -> dict[str, ScoredRun]:
    """The jobs' finished runs by signature, each scored once however many jobs share it.

    Raises `UserError` where a finished run's predictions are missing or damaged.
    """
    scored = {}
    for result in read_results(runs, signatures(jobs)):
        try:
            table = read_table(runs / result.signature, PREDICTIONS)
            dev, test = (_outputs(table, part, result) for part in ("dev", "test"))
        except (OSError, ValueError, KeyError) as error:
            raise damaged(runs / result.signature, PREDICTIONS, error) from error
        confusion = confusion_counts(test.labels, test.recognised, len(result.classes))
        scored[result.signature] = ScoredRun(result, dev, test, confusion)
    return scored


def pairs(job: Job, reference: Job, scored: Mapping[str, ScoredRun]) -> list[tuple[ScoredRun, ScoredRun]]:
    """The finished runs of two jobs on the same divisions into parts, in their order."""
    sides = [[scored[name] for name in one.runs if name in scored] for one in (job, reference)]
    return on_same_divisions(*sides)


def on_same_divisions(first: Sequence[ScoredRun], second: Sequence[ScoredRun]) -> list[tuple[ScoredRun, ScoredRun]]:
    """The runs of two settings, of one study or two, on the same divisions into parts, in their order."""
    one, other = ({run.division: run for run in side} for side in (first, second))
    if common := sorted(one.keys() & other.keys()):
        return [(one[division], other[division]) for division in common]
    # Two studies may have unlike seeds: those of a division in their order
    sides = _by_place(one), _by_place(other)
    places = sorted(sides[0].keys() & sides[1].keys())
    return [pair for place in places for pair in zip(sides[0][place], sides[1][place], strict=False)]


def _by_place(runs: Mapping[tuple[int, int, str, int], ScoredRun]) -> dict[tuple[int, int, str], list[ScoredRun]]:
    """Division into parts -> its runs, by seed."""
    places: dict[tuple[int, int, str], list[ScoredRun]] = {}
    for (repeat, fold, split, _), run in sorted(runs.items(), key=lambda item: item[0]):
        places.setdefault((repeat, fold, split), []).append(run)
    return places


def signatures(jobs: Sequence[Job]) -> list[str]:
    """Names of the runs of several jobs, each once."""
    return list(dict.fromkeys(chain.from_iterable(job.runs for job in jobs)))


def _outputs(predictions: pa.Table, part: str, result: RunResult) -> Outputs:
    # By no to_numpy(), for which pyarrow imports pandas: that takes longer than to read a run
    chosen = np.array(predictions["part"].to_pylist()) == part
    ids = np.array(predictions["id"].to_pylist(), dtype=object)[chosen]
    if chosen.sum() != result.utterances[part] or len(set(ids)) != len(ids):
        raise ValueError(f"{len(set(ids))} {part} utterances instead of {result.utterances[part]}")
    place = {name: number for number, name in enumerate(result.classes)}
    names = np.array(predictions["label"].to_pylist(), dtype=object)[chosen]
    labels = np.array([place.get(name, -1) for name in names], dtype=np.int64)
    if (labels < 0).any():
        raise ValueError("a label is none of the run's classes")
    columns = [_floats(predictions[f"logit_{name}"])[chosen] for name in result.classes]
    logits = np.stack(columns, axis=1)  # [n, classes]
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not a number")
    return Outputs(ids, labels, logits)


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    """A column's numbers [rows], float64, those that are missing NaN."""
    return np.array([np.nan if value is None else value for value in column.to_pylist()], dtype=np.float64)
