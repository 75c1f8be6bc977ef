"""From run folders to numbers: a row per job, and what every number must be shown with.

Scores are counted from the predictions, never copied from result.json.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ser_lightning.data.leakage import FoldAudit, audit_line, average_audit
from ser_lightning.errors import UserError
from ser_lightning.files import parse_yaml
from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.report.samples import score_row
from ser_lightning.report.scored import ScoredRun, signatures
from ser_lightning.report.statistics import QUESTIONS
from ser_lightning.runs.jobs import REFERENCE_SYSTEM, Job
from ser_lightning.runs.ledger import (
    CONFIG,
    FEATURES,
    RunResult,
    damaged,
    read_features,
    read_results,
    read_sealed,
)
from ser_lightning.runs.schedule import steps_of, steps_per_epoch
from ser_lightning.runs.signature import flat
from ser_lightning.runs.varying import short_keys, show_value, varying_settings

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
    "official": "the corpus's own partition",
    "corpus": "corpora apart",
    "pairs": "corpora apart, and speakers apart within each",
}


def describe_protocol(name: str) -> str:
    """What a protocol keeps apart, in a few words."""
    return PROTOCOLS.get(name, "a division of one's own")


def speakers_by_id(utterances: pd.DataFrame | None) -> dict[str, str]:
    """id -> speaker, from a study's table of utterances; empty where the corpus does not tell of every utterance."""
    if utterances is None or (utterances["speaker"] == "").any():
        return {}
    return dict(zip(utterances["id"], utterances["speaker"], strict=True))


def average(jobs: Sequence[Job], scored: Mapping[str, ScoredRun], speaker_of: Mapping[str, str]) -> pd.DataFrame:
    """A row per job, in their order.

    Columns: name; each setting in which jobs differ, under its short name (see `setting_columns`), NaN where a job
    lacks it; runs (finished), planned; the numbers of `samples.score_row`; ua_sd (standard deviation over runs);
    dev_ua (mean over runs, percent). What cannot be computed, a mean of no runs or a spread of one, is NaN.

    Args:
        jobs: of a study.
        scored: their finished runs by signature.
        speaker_of: id -> who spoke, see `speakers_by_id`.
    """
    rows = []
    for job in jobs:
        finished = [scored[name] for name in job.runs if name in scored]
        values = [run.score(HEADLINE) for run in finished]
        dev = [100 * run.result.dev_ua for run in finished]
        rows.append(
            {
                "runs": len(finished),
                "planned": len(job.runs),
                **score_row(finished, speaker_of),
                f"{HEADLINE}_sd": float(np.std(values, ddof=1)) if len(values) > 1 else np.nan,
                f"dev_{HEADLINE}": float(np.mean(dev)) if dev else np.nan,
            }
        )
    described = settings_table(jobs)
    described.insert(0, "name", [job.name for job in jobs])
    return described.join(pd.DataFrame(rows))


def settings_table(jobs: Sequence[Job]) -> pd.DataFrame:
    """The settings that differ, a row per job: numbers as such, null and lists as words, NaN where a job has none."""
    table = pd.DataFrame(index=range(len(jobs)))
    for key, word in column_names(jobs).items():
        values = [flat(job.settings).get(key, np.nan) for job in jobs]
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        plain = [value if isinstance(value, (int, float, str)) else show_value(value) for value in values]
        table[word] = pd.Series(plain, dtype=np.float64 if numeric else object)
    return table


def column_names(jobs: Sequence[Job]) -> dict[str, str]:
    """Dotted key -> column, of the settings in which jobs differ; the reference system may differ in all, and is named
    instead."""
    settings = [job.settings for job in jobs if job.name != REFERENCE_SYSTEM]
    return short_keys(varying_settings(settings), [*TAKEN, *METRICS])


def setting_columns(summary: pd.DataFrame) -> list[str]:
    """The columns of a summary that hold settings."""
    columns = list(summary.columns)
    return columns[columns.index("name") + 1 : columns.index("runs")]


@dataclass(frozen=True)
class Provenance:
    """What a study's numbers are made of; values that differ between its runs stand side by side.

    Those of the training are of the runs that are trained, and empty where none is; `untrained` is how many are not.
    Whether UA has `intervals` for the question, a summary tells, see `beside`.
    """

    corpus: str
    synthetic: bool
    protocol: str
    folds: int
    repeats: int
    seeds: int
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
    speakers_known: bool
    uses: tuple[str, ...] = ()
    untrained: int = 0
    intervals: bool = True

    @property
    def utterances(self) -> int:
        """Usable utterances of the corpus: those of all classes."""
        return sum(self.class_counts.values())

    @property
    def question(self) -> str:
        """Of `statistics.QUESTIONS` the one that is answered first: by whether tested voices are trained on, if it is
        known of every utterance who spoke."""
        return "new people" if self.audit.speaker == 0 and self.speakers_known else "same people"

    def beside(self, summary: pd.DataFrame) -> "Provenance":
        """The same for a table of `average`, which may have no interval."""
        return replace(self, intervals=bool(summary[f"{HEADLINE}_half"].notna().any()))

    @property
    def caption(self) -> str:
        """Corpus, protocol, folds x repetitions, leak audit: what stands under every figure and table."""
        corpus = f"synthetic {self.corpus}" if self.synthetic else self.corpus
        protocol = f"{self.protocol} protocol ({describe_protocol(self.protocol)})"
        seeds = f" x {self.seeds} seeds" if self.seeds > 1 else ""
        words = [corpus, protocol, f"{counted(self.folds, 'fold')} x {counted(self.repeats, 'repetition')}{seeds}"]
        if self.finished < self.planned:
            words.append(f"unfinished: {self.finished} of {self.planned} runs")
        if self.intervals:
            others = "" if self.question == "new people" else ", not for other speakers"
            words.append(f"95 % intervals for {QUESTIONS[self.question]}{others}")
        return " | ".join([*words, audit_line(self.audit), *self.uses])


def provenance(jobs: Sequence[Job], runs: Path, utterances: pd.DataFrame | None = None) -> Provenance:
    """What the finished runs of the jobs were trained on, and how.

    `utterances` are the study's, see `material.read_utterances`; None where an earlier version made it.

    Raises `UserError` where no run is finished, or where runs are of different corpora or protocols: their numbers
    must not stand in one table.
    """
    names = signatures(jobs)
    results = read_results(runs, names)
    if not results:
        raise UserError("no run of this study has finished yet, so that there is nothing to report")
    _refuse_mixture(results)
    first, trained = results[0], [result for result in results if result.steps]
    return Provenance(
        corpus=first.corpus,
        synthetic=first.synthetic,
        protocol=first.protocol,
        folds=len({result.fold for result in results}),
        repeats=len({result.repeat for result in results}),
        seeds=len({result.settings.get("seed", 0) for result in results}),
        finished=len(results),
        planned=len(names),
        class_counts=_class_counts(runs / first.signature, first.classes, utterances),
        left_out=first.left_out,
        audit=_audit(results),
        steps=_by_features(trained, lambda result: result.steps),
        epochs=_by_features(trained, lambda result: float(f"{result.steps / _epoch_steps(result):.3g}")),
        batch_size=_by_features(trained, lambda result: result.settings["batching"]["size"]),
        learning_rate=_learning_rate(trained),
        note=_training_note(runs / trained[0].signature, trained[0]) if trained else "",
        precision=_distinct(result.precision for result in results),
        device=_distinct(result.device for result in results),
        seconds=sum(result.seconds for result in results),
        versions=_distinct(map(_versions, results)),
        speakers_known=bool(speakers_by_id(utterances)),
        uses=used(results),
        untrained=len(results) - len(trained),
    )


def used(results: Sequence[RunResult]) -> tuple[str, ...]:
    """What the runs' numbers rest on beyond the protocol; what not all of them use is said of some."""
    counts = Counter(phrase for result in results for phrase in result.uses)
    return tuple(phrase if count == len(results) else f"some runs: {phrase}" for phrase, count in counts.items())


def _audit(results: Sequence[RunResult]) -> FoldAudit:
    """Over all divisions, each counted once however many runs share it."""
    by_division = {result.split: result.audit for result in results}
    return average_audit(FoldAudit(**audit) for audit in by_division.values())


def _refuse_mixture(results: Sequence[RunResult]) -> None:
    # A protocol may leave utterances out, of each fold others; a limit of the training part may differ between settings
    limited = any(result.settings["split"].get("max_train") for result in results)
    kinds: dict[tuple[int, int], set[str]] = {}
    for result in results:
        size = "" if limited else f"{sum(result.utterances.values())} utterances of "
        kind = f"{result.corpus} ({size}{' '.join(result.classes)}), {result.protocol} protocol"
        kinds.setdefault((result.repeat, result.fold), set()).add(kind)
    named = {(result.corpus, tuple(result.classes), result.protocol) for result in results}
    mixed = set().union(*kinds.values()) if len(named) > 1 else max(kinds.values(), key=len)
    if len(mixed) > 1:
        raise UserError(
            f"one study, different corpora or protocols: {'; '.join(sorted(mixed))}. Give each a study of its own "
            "(study.name=)"
        )


def _class_counts(folder: Path, classes: Sequence[str], utterances: pd.DataFrame | None) -> dict[str, int]:
    """Usable utterances per class; where the study does not tell of them, those in the three parts of a run."""
    try:
        counts = (read_features(folder) if utterances is None else utterances)["label"].value_counts()
    except (OSError, ValueError, KeyError) as error:
        raise damaged(folder, FEATURES, error) from error
    return {name: int(counts.get(name, 0)) for name in classes}


def _training_note(folder: Path, result: RunResult) -> str:
    """Why these steps, batches and learning rate: the corpus's own word, or that they are not the corpus's.

    Earlier versions had steps by features where there are epochs now, and not of every front end.
    """
    try:
        config = parse_yaml(read_sealed(folder, CONFIG).decode())
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
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder, CONFIG, error) from error
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


def listed(names: Sequence[str], most: int = 10) -> str:
    """The first of several names with semicolons between them, and how many more there are."""
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return "; ".join([*names[:most], *more])
