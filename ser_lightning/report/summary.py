"""From run folders to numbers: a row per job, and what every number must be shown with.

UA and WA are counted from the predictions, never copied from result.json.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ser_lightning.errors import UserError
from ser_lightning.leakage import FoldAudit, audit_line, average_audit
from ser_lightning.metrics import confusion_counts, unweighted_accuracy, weighted_accuracy
from ser_lightning.report import paper
from ser_lightning.report.statistics import Interval, over_runs, paired
from ser_lightning.runs.ledger import FEATURES, PREDICTIONS, RunResult, read_features, read_predictions, read_results
from ser_lightning.runs.signature import flat
from ser_lightning.runs.study import Job

# Runs for which an interval is shown: that of two is 14 times as wide as they are apart, and says nothing.
FEWEST = 3

PROTOCOLS = {
    "paper": "random, speaker-dependent",
    "session": "sessions apart",
    "speaker": "speakers apart",
    "text": "speakers and sentences apart",
    "file": "a division of one's own",
}


@dataclass(frozen=True)
class ScoredRun:
    """A finished run and its test part's confusion counts [classes, classes], rows true, from its predictions."""

    result: RunResult
    confusion: np.ndarray

    @property
    def ua(self) -> float:
        """UA of the test part, percent."""
        return 100 * unweighted_accuracy(self.confusion)

    @property
    def wa(self) -> float:
        """WA of the test part, percent."""
        return 100 * weighted_accuracy(self.confusion)


def score_runs(jobs: Sequence[Job], runs: Path) -> dict[str, ScoredRun]:
    """The jobs' finished runs by signature, each scored once however many jobs share it.

    Raises `UserError` where a finished run's predictions are missing or damaged.
    """
    scored = {}
    for result in read_results(runs, _signatures(jobs)):
        try:
            confusion = _test_confusion(read_predictions(runs, [result.signature]), result)
        except (OSError, ValueError, KeyError) as error:
            raise damaged(runs / result.signature, PREDICTIONS, error) from error
        scored[result.signature] = ScoredRun(result, confusion)
    return scored


def summarise(jobs: Sequence[Job], runs: Path) -> pd.DataFrame:
    """A row per job: what it is, and the mean and spread of its finished runs' UA and WA; see `average`."""
    return average(jobs, score_runs(jobs, runs))


def average(jobs: Sequence[Job], scored: Mapping[str, ScoredRun]) -> pd.DataFrame:
    """A row per job, in their order.

    Columns: name, features, lam, alpha (NaN where lambda is 0); any other setting in which jobs of equal features,
    lambda and alpha differ, under its dotted key; runs (finished), planned; ua, wa (percent, mean over runs); ua_half,
    wa_half (half of their 95 % interval, see `statistics.over_runs`, from three runs on); ua_sd (standard deviation
    over runs). What cannot be computed, a mean of no runs or a spread of one, is NaN.
    """
    settings = pd.DataFrame([flat(job.settings) for job in jobs], index=range(len(jobs)))
    rows = []
    for job in jobs:
        finished = [scored[name] for name in job.runs if name in scored]
        ua, wa = ([getattr(run, measure) for run in finished] for measure in ("ua", "wa"))
        means = {
            **_interval("ua", over_runs(ua, test_to_train(finished))),
            **_interval("wa", over_runs(wa, test_to_train(finished))),
        }
        means["ua_sd"] = float(np.std(ua, ddof=1)) if len(ua) > 1 else np.nan
        rows.append({"runs": len(finished), "planned": len(job.runs), **means})
    keys = {"features.name": "features", "loss.lam": "lam", "loss.alpha": "alpha"}
    # A study of lambda 0 alone has no alpha anywhere.
    settings = settings.reindex(columns=list(dict.fromkeys([*settings.columns, *keys])))
    described = settings[[*keys, *_further(settings, list(keys))]].rename(columns=keys)
    described.insert(0, "name", [job.name for job in jobs])
    return described.join(pd.DataFrame(rows)).astype({"lam": float, "alpha": float})


def further_settings(summary: pd.DataFrame) -> list[str]:
    """The columns of a summary that hold settings besides features, lambda and alpha."""
    columns = list(summary.columns)
    return columns[columns.index("alpha") + 1 : columns.index("runs")]


def confusion_of(job: Job, scored: Mapping[str, ScoredRun]) -> np.ndarray:
    """Confusion counts [classes, classes] of a job, summed over its finished runs, of which there must be one."""
    return np.sum([scored[name].confusion for name in job.runs if name in scored], axis=0)


def paired_difference(job: Job, reference: Job, scored: Mapping[str, ScoredRun]) -> dict[str, float]:
    """UA and WA of `job` minus `reference`, in points, over the folds both have finished.

    Pairs share their division into parts, so that its luck cancels. Keys: runs, and for ua and wa the mean, half of its
    95 % interval (ua_half), the p-value of no difference (ua_p), and the smallest difference that so many runs of this
    spread find with a probability of 80 % (ua_detectable); see `statistics.paired`.
    """
    ours, theirs = (
        {(run.result.repeat, run.result.fold): run for name in one.runs if (run := scored.get(name))}
        for one in (job, reference)
    )
    common = sorted(ours.keys() & theirs.keys())
    share = test_to_train([ours[pair] for pair in common])
    found: dict[str, float] = {"runs": len(common)}
    for measure in ("ua", "wa"):
        one, other = ([getattr(of[pair], measure) for pair in common] for of in (ours, theirs))
        difference = paired(one, other, share)
        extra = {f"{measure}_p": difference.p, f"{measure}_detectable": difference.detectable}
        found |= {**_interval(measure, difference), **extra}
    return found


def test_to_train(finished: Sequence[ScoredRun]) -> float:
    """Test utterances over training utterances, the mean over runs; NaN without any."""
    shares = [run.result.utterances["test"] / run.result.utterances["train"] for run in finished]
    return float(np.mean(shares)) if shares else np.nan


def _interval(measure: str, interval: Interval) -> dict[str, float]:
    half = interval.high - interval.mean if interval.count >= FEWEST else np.nan
    return {measure: interval.mean, f"{measure}_half": half}


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
    def like_the_paper(self) -> bool:
        """Whether the numbers may stand beside the published ones: same corpus, whole, same classes and protocol."""
        same = (self.corpus, self.protocol, self.synthetic) == (paper.CORPUS, paper.PROTOCOL, False)
        return same and self.class_counts == paper.COUNTS

    @property
    def caption(self) -> str:
        """Corpus, protocol, folds x repetitions, leak audit: what stands under every figure and table."""
        corpus = f"synthetic {self.corpus}" if self.synthetic else self.corpus
        protocol = f"{self.protocol} protocol ({PROTOCOLS[self.protocol]})"
        words = [corpus, protocol, f"{_count(self.folds, 'fold')} x {_count(self.repeats, 'repetition')}"]
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
        steps=_by_features(results, lambda settings: settings["trainer"]["max_steps"]),
        batch_size=_by_features(results, lambda settings: settings["batching"]["size"]),
        learning_rate=_by_features(results, lambda settings: f"{settings['optimizer']['learning_rate']:g}"),
        note=_training_note(runs / first.signature),
        precision=_distinct(result.precision for result in results),
        device=_distinct(result.device for result in results),
        seconds=sum(result.seconds for result in results),
        versions=_distinct(", ".join(f"{name} {of}" for name, of in result.versions.items()) for result in results),
    )


def damaged(folder: Path, file: str, error: Exception) -> UserError:
    """The error for a finished run of which a file cannot be read: which one, and what mends it."""
    reason = "is missing" if isinstance(error, FileNotFoundError) else f"is damaged ({error})"
    return UserError(f"{folder / file} {reason}; delete the folder {folder} and repeat the command: the run is redone")


def _audit(results: Sequence[RunResult]) -> FoldAudit:
    """Over all divisions, each counted once however many runs share it."""
    by_division = {result.split: result.audit for result in results}
    return average_audit(FoldAudit(**audit) for audit in by_division.values())


def _signatures(jobs: Sequence[Job]) -> list[str]:
    return list(dict.fromkeys(chain.from_iterable(job.runs for job in jobs)))


def _test_confusion(predictions: pd.DataFrame, result: RunResult) -> np.ndarray:
    test = predictions[predictions["part"] == "test"]
    if len(test) != result.utterances["test"]:
        raise ValueError(f"{len(test)} test utterances instead of {result.utterances['test']}")
    labels = pd.Categorical(test["label"], categories=result.classes).codes.astype(np.int64)
    if (labels < 0).any():
        raise ValueError("a label is none of the run's classes")
    logits = test[[f"logit_{name}" for name in result.classes]].to_numpy()
    return confusion_counts(labels, logits.argmax(axis=1), len(result.classes))


def _further(settings: pd.DataFrame, keys: list[str]) -> list[str]:
    """The settings that differ between jobs of equal `keys`; a key's own consequences, e.g. its steps, do not."""
    groups = settings.groupby(keys, dropna=False, sort=False)
    return [key for key in settings.columns if key not in keys and (groups[key].nunique() > 1).any()]


def _refuse_mixture(results: Sequence[RunResult]) -> None:
    kinds = {
        f"{result.corpus} ({sum(result.utterances.values())} utterances of {' '.join(result.classes)}), "
        f"{result.protocol} protocol"
        for result in results
    }
    if len(kinds) > 1:
        found = "; ".join(sorted(kinds))
        raise UserError(
            f"one study, different corpora or protocols: {found}. Give each a study of its own (study.name=)"
        )


def _class_counts(folder: Path, classes: Sequence[str]) -> dict[str, int]:
    """Utterances per class in all three parts of a run."""
    try:
        counts = read_features(folder)["label"].value_counts()
    except (OSError, ValueError, KeyError) as error:
        raise damaged(folder, FEATURES, error) from error
    return {name: int(counts.get(name, 0)) for name in classes}


def _training_note(folder: Path) -> str:
    """Why these steps, batches and learning rate: the corpus's own word, or that they are not the corpus's."""
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        training, features = config["corpus"]["training"], config["features"]["name"]
        own = training["steps"][features], training["batch_size"], training["learning_rate"]
        used = config["trainer"]["max_steps"], config["batching"]["size"], config["optimizer"]["learning_rate"]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise damaged(folder, "config.yaml", error) from error
    if used == own:
        return training["note"]
    return f"not this corpus's own setting, which is {own[0]} steps of {own[1]} utterances at {own[2]:g}"


def _by_features(results: Sequence[RunResult], value: Any) -> str:
    """A setting's value, or one per kind of features where it goes by them, e.g. '3520 (logmel), 2920 (logstft)'."""
    pairs = list(
        dict.fromkeys((str(value(result.settings)), result.settings["features"]["name"]) for result in results)
    )
    if len({shown for shown, _ in pairs}) == 1:
        return pairs[0][0]
    if len({name for _, name in pairs}) == 1:
        return ", ".join(shown for shown, _ in pairs)
    return ", ".join(f"{shown} ({name})" for shown, name in pairs)


def _distinct(values: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(values))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
