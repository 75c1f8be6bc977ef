"""From run folders to numbers: a row per job, and what every number must be shown with.

Scores are counted from the predictions, never copied from result.json.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ser_lightning.data.leakage import FoldAudit, audit_line, average_audit
from ser_lightning.errors import UserError
from ser_lightning.metrics import HEADLINE, METRICS, confusion_counts
from ser_lightning.report.statistics import Interval, over_runs, paired
from ser_lightning.runs.ledger import (
    FEATURES,
    PREDICTIONS,
    RunResult,
    damaged,
    read_features,
    read_outputs,
    read_results,
)
from ser_lightning.runs.schedule import steps_of, steps_per_epoch
from ser_lightning.runs.signature import flat
from ser_lightning.runs.study import Job
from ser_lightning.runs.varying import short_keys, show_value, varying_settings

# Runs for which an interval is shown: that of two is 14 times as wide as they are apart, and says nothing.
FEWEST = 3

# Columns of tables that a setting of one's own may be called like; such a one keeps its dots.
TAKEN = (
    *("name", "job", "setting", "against", "runs", "planned", "repeat", "fold", "steps", "best_step", "seconds"),
    *("precision", "device", "split", "signature", "provenance"),
)

PROTOCOLS = {
    "paper": "random, speaker-dependent",
    "session": "sessions apart",
    "speaker": "speakers apart",
    "text": "speakers and sentences apart",
}


def describe_protocol(name: str) -> str:
    """What a protocol keeps apart, in a few words."""
    return PROTOCOLS.get(name, "a division of one's own")


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
    def division(self) -> tuple[int, int, str]:
        """Names the division into parts, by which runs are paired."""
        return self.result.repeat, self.result.fold, self.result.split

    def score(self, metric: str) -> float:
        """A metric of the test part, percent."""
        return 100 * float(METRICS[metric].score(self.confusion))


def score_runs(jobs: Sequence[Job], runs: Path) -> dict[str, ScoredRun]:
    """The jobs' finished runs by signature, each scored once however many jobs share it.

    Raises `UserError` where a finished run's predictions are missing or damaged.
    """
    scored = {}
    for result in read_results(runs, _signatures(jobs)):
        try:
            table = read_outputs(runs / result.signature)
            dev, test = (_outputs(table, part, result) for part in ("dev", "test"))
        except (OSError, ValueError, KeyError) as error:
            raise damaged(runs / result.signature, PREDICTIONS, error) from error
        confusion = confusion_counts(test.labels, test.recognised, len(result.classes))
        scored[result.signature] = ScoredRun(result, dev, test, confusion)
    return scored


def average(jobs: Sequence[Job], scored: Mapping[str, ScoredRun]) -> pd.DataFrame:
    """A row per job, in their order.

    Columns: name; each setting in which jobs differ, under its short name (see `setting_columns`), NaN where a job
    lacks it; runs (finished), planned; for every metric the mean over runs (ua, percent) and half of its 95 % interval
    (ua_half, see `statistics.over_runs`, from three runs on); ua_sd (standard deviation over runs). What cannot be
    computed, a mean of no runs or a spread of one, is NaN.
    """
    rows = []
    for job in jobs:
        finished = [scored[name] for name in job.runs if name in scored]
        row: dict[str, float] = {"runs": len(finished), "planned": len(job.runs)}
        for metric in METRICS:
            row |= _interval(metric, over_runs([run.score(metric) for run in finished], test_to_train(finished)))
        values = [run.score(HEADLINE) for run in finished]
        rows.append({**row, f"{HEADLINE}_sd": float(np.std(values, ddof=1)) if len(values) > 1 else np.nan})
    described = _settings_table([job.settings for job in jobs])
    described.insert(0, "name", [job.name for job in jobs])
    return described.join(pd.DataFrame(rows))


def _settings_table(settings: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The settings that differ, a row per job: numbers as such, null and lists as words, NaN where a job has none."""
    words = column_names(settings)
    table = pd.DataFrame(index=range(len(settings)))
    for key, word in words.items():
        values = [flat(one).get(key, np.nan) for one in settings]
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        plain = [value if isinstance(value, (int, float, str)) else show_value(value) for value in values]
        table[word] = pd.Series(plain, dtype=np.float64 if numeric else object)
    return table


def column_names(settings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Dotted key -> column, of the settings in which jobs differ."""
    return short_keys(varying_settings(settings), [*TAKEN, *METRICS])


def setting_columns(summary: pd.DataFrame) -> list[str]:
    """The columns of a summary that hold settings."""
    columns = list(summary.columns)
    return columns[columns.index("name") + 1 : columns.index("runs")]


def pairs(job: Job, reference: Job, scored: Mapping[str, ScoredRun]) -> list[tuple[ScoredRun, ScoredRun]]:
    """The finished runs of two jobs on the same divisions into parts, in their order."""
    sides = [[scored[name] for name in one.runs if name in scored] for one in (job, reference)]
    return on_same_divisions(*sides)


def on_same_divisions(first: Sequence[ScoredRun], second: Sequence[ScoredRun]) -> list[tuple[ScoredRun, ScoredRun]]:
    """The runs of two settings, of one study or two, on the same divisions into parts, in their order."""
    one, other = ({run.division: run for run in side} for side in (first, second))
    return [(one[division], other[division]) for division in sorted(one.keys() & other.keys())]


def paired_difference(common: Sequence[tuple[ScoredRun, ScoredRun]]) -> dict[str, float]:
    """Scores of the first minus the second of each pair of runs, in points.

    The runs of a pair share their division into parts, so that its luck cancels. Keys: runs (pairs), and for a metric
    the mean (ua), half of its 95 % interval (ua_half), the p-value of no difference (ua_p), and the smallest difference
    that so many runs of this spread find with a probability of 80 % (ua_detectable); see `statistics.paired`. From
    three pairs on: two that happen to differ alike would look certain.
    """
    share = test_to_train([one for one, _ in common])
    enough = len(common) >= FEWEST
    row: dict[str, float] = {"runs": len(common)}
    for metric in METRICS:
        one, other = ([pair[side].score(metric) for pair in common] for side in (0, 1))
        difference = paired(one, other, share)
        row |= _interval(metric, difference)
        row[f"{metric}_p"] = difference.p if enough else np.nan
        row[f"{metric}_detectable"] = difference.detectable if enough else np.nan
    return row


def test_to_train(finished: Sequence[ScoredRun]) -> float:
    """Test utterances over training utterances, the mean over runs; NaN without any."""
    shares = [run.result.utterances["test"] / run.result.utterances["train"] for run in finished]
    return float(np.mean(shares)) if shares else np.nan


def half_width(interval: Interval) -> float:
    """Half of an interval over runs; NaN where they are too few for one."""
    return interval.high - interval.mean if interval.count >= FEWEST else np.nan


def _interval(metric: str, interval: Interval) -> dict[str, float]:
    return {metric: interval.mean, f"{metric}_half": half_width(interval)}


@dataclass(frozen=True)
class Provenance:
    """What a study's numbers are made of; values that differ between its runs stand side by side."""

    corpus: str
    synthetic: bool
    protocol: str
    folds: int
    repeats: int
    finished: int
    planned: int
    class_counts: dict[str, int]
    left_out: int
    audit: FoldAudit
    steps: str
    epochs: str
    batch_size: str
    learning_rate: str
    note: str
    precision: str
    device: str
    seconds: float
    versions: str

    @property
    def utterances(self) -> int:
        """Usable utterances of the corpus: those of all classes."""
        return sum(self.class_counts.values())

    @property
    def caption(self) -> str:
        """Corpus, protocol, folds x repetitions, leak audit: what stands under every figure and table."""
        corpus = f"synthetic {self.corpus}" if self.synthetic else self.corpus
        protocol = f"{self.protocol} protocol ({describe_protocol(self.protocol)})"
        words = [corpus, protocol, f"{counted(self.folds, 'fold')} x {counted(self.repeats, 'repetition')}"]
        if self.finished < self.planned:
            words.append(f"unfinished: {self.finished} of {self.planned} runs")
        return " | ".join([*words, audit_line(self.audit)])


def provenance(jobs: Sequence[Job], runs: Path) -> Provenance:
    """What the finished runs of the jobs were trained on, and how.

    Raises `UserError` where no run is finished, or where runs are of different corpora or protocols: their numbers
    must not stand in one table.
    """
    signatures = _signatures(jobs)
    results = read_results(runs, signatures)
    if not results:
        raise UserError("no run of this study has finished yet, so that there is nothing to report")
    _refuse_mixture(results)
    first = results[0]
    return Provenance(
        corpus=first.corpus,
        synthetic=first.synthetic,
        protocol=first.protocol,
        folds=len({result.fold for result in results}),
        repeats=len({result.repeat for result in results}),
        finished=len(results),
        planned=len(signatures),
        class_counts=_class_counts(runs / first.signature, first.classes),
        left_out=first.left_out,
        audit=_audit(results),
        steps=_by_features(results, lambda result: result.steps),
        epochs=_by_features(results, lambda result: float(f"{result.steps / _epoch_steps(result):.3g}")),
        batch_size=_by_features(results, lambda result: result.settings["batching"]["size"]),
        learning_rate=_learning_rate(results),
        note=_training_note(runs / first.signature, first),
        precision=_distinct(result.precision for result in results),
        device=_distinct(result.device for result in results),
        seconds=sum(result.seconds for result in results),
        versions=_distinct(map(_versions, results)),
    )


def _audit(results: Sequence[RunResult]) -> FoldAudit:
    """Over all divisions, each counted once however many runs share it."""
    by_division = {result.split: result.audit for result in results}
    return average_audit(FoldAudit(**audit) for audit in by_division.values())


def _signatures(jobs: Sequence[Job]) -> list[str]:
    return list(dict.fromkeys(chain.from_iterable(job.runs for job in jobs)))


def _outputs(predictions: pd.DataFrame, part: str, result: RunResult) -> Outputs:
    chosen = predictions["part"].to_numpy() == part
    ids = predictions["id"].to_numpy()[chosen]
    if chosen.sum() != result.utterances[part] or len(set(ids)) != len(ids):
        raise ValueError(f"{len(set(ids))} {part} utterances instead of {result.utterances[part]}")
    labels = pd.Index(result.classes).get_indexer(pd.Index(predictions["label"].to_numpy()[chosen]))
    if (labels < 0).any():
        raise ValueError("a label is none of the run's classes")
    columns = [predictions[f"logit_{name}"].to_numpy(dtype=np.float64)[chosen] for name in result.classes]
    logits = np.stack(columns, axis=1)  # [n, classes]
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not a number")
    return Outputs(ids, labels, logits)


def _refuse_mixture(results: Sequence[RunResult]) -> None:
    kinds = {
        f"{result.corpus} ({sum(result.utterances.values())} utterances of {' '.join(result.classes)}), "
        f"{result.protocol} protocol"
        for result in results
    }
    if len(kinds) > 1:
        raise UserError(
            f"one study, different corpora or protocols: {'; '.join(sorted(kinds))}. Give each a study of its own "
            "(study.name=)"
        )


def _class_counts(folder: Path, classes: Sequence[str]) -> dict[str, int]:
    """Utterances per class in all three parts of a run."""
    try:
        counts = read_features(folder)["label"].value_counts()
    except (OSError, ValueError, KeyError) as error:
        raise damaged(folder, FEATURES, error) from error
    return {name: int(counts.get(name, 0)) for name in classes}


def _training_note(folder: Path, result: RunResult) -> str:
    """Why these steps, batches and learning rate: the corpus's own word, or that they are not the corpus's.

    Earlier versions had steps by features where there are epochs now, and not of every front end.
    """
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        training = config["corpus"]["training"]
        own = {name: training[name] for name in ("batch_size", "learning_rate") if name in training}
        if "epochs" in training:
            own["steps"] = steps_of(training["epochs"], _epoch_steps(result))
            words = [f"{training['epochs']:g} epochs"]
        else:
            own["steps"] = training.get("steps", {}).get(config["features"]["name"])
            words = ["batches" if own["steps"] is None else f"{own['steps']} steps"]
        used = {"steps": result.steps, "batch_size": config["batching"]["size"]}
        if "learning_rate" in config["optimizer"]:
            used["learning_rate"] = config["optimizer"]["learning_rate"]
        else:
            own.pop("learning_rate", None)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise damaged(folder, "config.yaml", error) from error
    if all(used[name] == value for name, value in own.items() if value is not None):
        return training.get("note", "")
    words += [f"of {own['batch_size']} utterances"] if "batch_size" in own else []
    words += [f"at {own['learning_rate']:g}"] if "learning_rate" in own else []
    return f"not this corpus's own setting, which is {' '.join(words)}"


def _learning_rate(results: Sequence[RunResult]) -> str:
    """Empty where no optimizer has a setting of this name."""
    having = [result for result in results if "learning_rate" in result.settings["optimizer"]]
    if not having:
        return ""
    rates = _by_features(having, lambda result: result.settings["optimizer"]["learning_rate"])
    return rates if len(having) == len(results) else f"{rates}, where the optimizer has one"


def _epoch_steps(result: RunResult) -> int:
    return steps_per_epoch(result.utterances["train"], result.settings["batching"]["size"])


def _by_features(results: Sequence[RunResult], value: Callable[[RunResult], float]) -> str:
    """A number, or one per kind of features where it goes by them, e.g. '3520 (logmel), 2920 (logstft)'."""
    numbers: dict[str, set[float]] = {}
    for result in results:
        numbers.setdefault(result.settings["features"]["name"], set()).add(value(result))
    shown = {name: _range(several) for name, several in numbers.items()}
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    return ", ".join(f"{text} ({name})" for name, text in shown.items())


def _range(numbers: set[float]) -> str:
    """What folds of unlike size have, e.g. '586 to 603'."""
    low, high = min(numbers), max(numbers)
    return f"{low:.10g}" if low == high else f"{low:.10g} to {high:.10g}"


def _versions(result: RunResult) -> str:
    return ", ".join(f"{name} {version}" for name, version in result.versions.items())


def _distinct(values: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(values))


def counted(number: int, noun: str) -> str:
    """'1 fold' or '2 folds'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
