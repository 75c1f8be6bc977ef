"""Which interval covers which question: simulated studies of known truth, for `docs/statistics.md`.

    python -m benchmarks.coverage --draws 2000 --table coverage.csv    # goes on where it was stopped
    python -m benchmarks.coverage --table coverage.csv --show          # the tables of docs/statistics.md

Two worlds make studies. *Latent*: what an utterance gains is the sum of a speaker's, a speaker's in this class, the
utterance's own, and the luck of a training, of which runs share what they share of their training parts. *Learner*:
ridge classifiers are trained on drawn features of speakers and recordings, once with and once without more features.
Truth is no formula: a question's truth is the mean over studies in which what the question takes as given stays (the
people; the corpus), and all else is drawn anew.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Protocol

import joblib
import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from ser_lightning.report.statistics import QUESTIONS, Sample, estimate, p_value, two_way, unpaired, variance

CLASSES = 4
FOLDS = 5
# What a known voice is worth
BETWEEN = "between protocols"
# Studies that share what a question takes as given
GIVEN = 40


@dataclass(frozen=True)
class People:
    """What is true of the speakers [speakers] and of each in each class, in one world's own terms."""

    speakers: np.ndarray
    by_class: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """Recordings: speaker and class of each [n], and what is true of them in one world's own terms."""

    people: People
    speaker: np.ndarray
    label: np.ndarray
    own: np.ndarray


class World(Protocol):
    """Makes people, what they record, and what trained recognizers make of it."""

    def people(self, rng: np.random.Generator, speakers: int) -> People:
        """Draw speakers."""
        ...

    def record(self, rng: np.random.Generator, people: People, size: int) -> Corpus:
        """Draw so many recordings of them."""
        ...

    def train(self, rng: np.random.Generator, corpus: Corpus, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Who recognised the utterances `test` rightly after training on `train` (indices): [2, n], without and with
        what is studied."""
        ...


@dataclass(frozen=True)
class Latent:
    """See the module. Standard deviations are shares of recognised utterances; a true effect is `effect`."""

    effect: float = 0.0
    speaker: float = 0.04
    speaker_class: float = 0.04
    utterance: float = 0.1
    training: float = 0.2
    training_speaker: float = 0.03
    seed: float = 0.01
    disagreement: float = 0.2
    level: float = 0.65

    def people(self, rng: np.random.Generator, speakers: int) -> People:
        """The gains of speakers [speakers, 3], the third the luck of training on them, and by class."""
        return People(rng.standard_normal((speakers, 3)), rng.standard_normal((speakers, CLASSES, 2)))

    def record(self, rng: np.random.Generator, people: People, size: int) -> Corpus:
        """The utterances' own gains [n, 3], the third the luck of training on them."""
        speaker, label = _places(size, len(people.speakers))
        return Corpus(people, speaker, label, rng.standard_normal((size, 3)))

    def train(self, rng: np.random.Generator, corpus: Corpus, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """See `World`."""
        people, own, speaker, label = corpus.people, corpus.own, corpus.speaker, corpus.label
        of_speakers = np.bincount(speaker[train], minlength=len(people.speakers)) / len(train)
        luck = (
            self.training * own[train, 2].mean()
            + self.training_speaker * (of_speakers * people.speakers[:, 2]).sum()
            + self.seed * rng.standard_normal()
        )
        gains = (
            self.speaker * people.speakers[speaker[test], :2]
            + self.speaker_class * people.by_class[speaker[test], label[test]]
            + self.utterance * own[test, :2]
            + luck
        )  # [n, 2]
        gain = np.clip(self.effect + gains[:, 0], -self.disagreement, self.disagreement)
        draw = rng.random(len(test))
        change = np.where(draw < (self.disagreement + gain) / 2, 1, np.where(draw < self.disagreement, -1, 0))
        alike = rng.random(len(test)) < self.level + gains[:, 1]
        return np.stack([np.where(change == 0, alike, change < 0), np.where(change == 0, alike, change > 0)])


@dataclass(frozen=True)
class Learner:
    """See the module. `effect` is how far the features that are studied part the classes, in standard deviations."""

    effect: float = 0.0
    features: int = 6
    speaker: float = 0.7
    speaker_class: float = 0.5

    def people(self, rng: np.random.Generator, speakers: int) -> People:
        """Places of speakers in the features, and of their classes."""
        by_class = self.speaker_class * rng.standard_normal((speakers, CLASSES, self.features))
        return People(self.speaker * rng.standard_normal((speakers, self.features)), by_class)

    def record(self, rng: np.random.Generator, people: People, size: int) -> Corpus:
        """The features [n, features + 6]: of the classes, three that tell nothing, and the three that are studied."""
        speaker, label = _places(size, len(people.speakers))
        means = np.random.default_rng(0).standard_normal((CLASSES, self.features + 6))
        means[:, self.features : self.features + 3] = 0
        means[:, self.features + 3 :] *= self.effect
        own = means[label] + rng.standard_normal((size, self.features + 6))
        own[:, : self.features] += people.speakers[speaker] + people.by_class[speaker, label]
        return Corpus(people, speaker, label, own)

    def train(self, rng: np.random.Generator, corpus: Corpus, train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """See `World`; a training sees four fifths of its utterances, drawn by its seed."""
        seen = train[rng.random(len(train)) < 0.8]
        y = np.eye(CLASSES)[corpus.label]
        columns = np.arange(self.features + 3), np.r_[: self.features, self.features + 3 : self.features + 6]
        right = []
        for chosen in columns:
            x = np.c_[corpus.own[:, chosen], np.ones(len(y))]
            weights = np.linalg.solve(x[seen].T @ x[seen] + 3 * np.eye(x.shape[1]), x[seen].T @ y[seen])
            right.append((x[test] @ weights).argmax(axis=1) == corpus.label[test])
        return np.stack(right)


def _places(size: int, speakers: int) -> tuple[np.ndarray, np.ndarray]:
    """Speaker and class of each utterance [size], evenly."""
    number = np.arange(size)
    return number % speakers, (number // speakers) % CLASSES


def divide(rng: np.random.Generator, corpus: Corpus, protocol: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Training and test utterances of each fold, divided as `ser_lightning.data.protocols` does."""
    if protocol == "paper":
        part = np.empty(len(corpus.label), dtype=int)
        for label in range(CLASSES):
            members = rng.permutation(np.flatnonzero(corpus.label == label))
            part[members] = np.arange(len(members)) % 10
        pairs = [(2 * fold, 2 * fold + 1) for fold in range(FOLDS)]
    else:
        speakers = len(corpus.people.speakers)
        groups = min(FOLDS, speakers)
        group = np.empty(speakers, dtype=int)
        group[rng.permutation(speakers)] = np.arange(speakers) % groups
        part = group[corpus.speaker]
        pairs = [((fold + 1) % groups, fold) for fold in range(groups)]
    for dev, test in pairs:
        yield np.flatnonzero((part != dev) & (part != test)), np.flatnonzero(part == test)


def study(
    rng: np.random.Generator, world: World, corpus: Corpus, protocol: str, repeats: int, most: int | None = None
) -> tuple[Sample, Sample]:
    """What a study finds: the difference, and the level without what is studied; at most so many utterances train."""
    tests, right, partitions = [], [], []
    for repeat in range(repeats):
        for train, test in divide(rng, corpus, protocol):
            tests.append(test)
            limited = train if most is None else rng.permutation(train)[:most]
            right.append(100.0 * world.train(rng, corpus, limited, test))
            partitions.append(repeat)
    runs = np.repeat(np.arange(len(tests)), [len(test) for test in tests])
    utterances, values = np.concatenate(tests), np.concatenate(right, axis=1)
    plain = partial(_sample, corpus, runs, utterances, np.array(partitions), protocol)
    return plain(values[1] - values[0], True), plain(values[0], False)


def _sample(
    corpus: Corpus,
    runs: np.ndarray,
    utterances: np.ndarray,
    partitions: np.ndarray,
    protocol: str,
    values: np.ndarray,
    paired: bool,
) -> Sample:
    """UA, or a difference of UA, over runs."""
    number = len(partitions)
    cell = runs * CLASSES + corpus.label[utterances]
    counts = np.bincount(cell, minlength=number * CLASSES)
    means = (np.bincount(cell, values, minlength=number * CLASSES) / counts).reshape(number, CLASSES)
    centred = values - means.mean(axis=0)[corpus.label[utterances]]
    return Sample(
        value=float(means.mean()),
        scores=means.mean(axis=1),
        terms=centred / (CLASSES * counts[cell] * number),
        divisions=runs,
        utterances=utterances,
        speakers=corpus.speaker[utterances],
        partitions=partitions,
        apart=protocol == "speaker",
        paired=paired,
    )


Candidate = Callable[[Sample], tuple[float, int]]


def _repetitions(sample: Sample) -> tuple[float, int]:
    means = pd.Series(sample.scores).groupby(sample.partitions).mean()
    return (float(means.var(ddof=1) / len(means)), len(means) - 1) if len(means) > 1 else (np.nan, 1)


def _spread(sample: Sample) -> float:
    return float(np.var(sample.scores, ddof=1))


def _clustered(clusters: str, sample: Sample) -> float:
    """By speaker, or utterance, and by run at once."""
    return two_way(sample.terms, getattr(sample, clusters), sample.divisions)


def _plus_runs(clusters: str, sample: Sample) -> float:
    return variance(sample.terms, getattr(sample, clusters)) + variance(sample.terms, sample.divisions)


CANDIDATES: dict[str, Candidate] = {
    "runs, as if independent": lambda one: (_spread(one) / len(one.scores), len(one.scores) - 1),
    # Of five groups of speakers three train and one tests, of ten parts eight and one
    "Nadeau-Bengio": lambda one: (
        (1 / len(one.scores) + (1 / 3 if one.apart else 1 / 8)) * _spread(one),
        len(one.scores) - 1,
    ),
    "repetitions": _repetitions,
    "speakers": lambda one: (variance(one.terms, one.speakers), one.speakers_tested - 1),
    "speakers plus runs": lambda one: (_plus_runs("speakers", one), min(one.speakers_tested, one.groups) - 1),
    "speakers x runs, speakers - 1": lambda one: (_clustered("speakers", one), one.speakers_tested - 1),
    "speakers x runs, folds - 1": lambda one: (
        _clustered("speakers", one),
        min(one.speakers_tested, one.groups, one.folds) - 1,
    ),
    "utterances x runs, runs - 1": lambda one: (_clustered("utterances", one), len(one.scores) - 1),
    "utterances x runs, folds + repetitions - 2": lambda one: (
        _clustered("utterances", one),
        one.folds + one.repetitions - 2,
    ),
    "utterances x runs, folds - 1": lambda one: (_clustered("utterances", one), one.folds - 1),
    "utterances plus runs, folds - 1": lambda one: (_plus_runs("utterances", one), one.folds - 1),
}


def mixed_model(sample: Sample) -> tuple[float, int]:
    """A crossed mixed model of what each speaker adds in each run: a random intercept per speaker and per run (REML).

    Returns the variance of the mean and folds - 1; NaN where the fit fails.
    """
    cells = pd.DataFrame(
        {"term": sample.terms * len(sample.terms), "speaker": sample.speakers, "run": sample.divisions}
    )
    cells = cells.groupby(["speaker", "run"])["term"].mean().reset_index()
    model = MixedLM.from_formula(
        "term ~ 1",
        cells,
        groups=np.ones(len(cells)),
        vc_formula={"speaker": "0 + C(speaker)", "run": "0 + C(run)"},
    )
    with warnings.catch_warnings():
        # A component at zero, which small studies often have
        warnings.simplefilter("ignore")
        try:
            squared = float(model.fit().bse["Intercept"]) ** 2
        except np.linalg.LinAlgError:
            squared = np.nan
    return squared, min(sample.speakers_tested, sample.groups, sample.folds) - 1


def by_permutation(sample: Sample, rng: np.random.Generator, times: int = 999) -> float:
    """p of no difference by turning the signs of what whole speakers add to it."""
    # The terms sum to 0, and with an even share of the value to the value
    sums = np.bincount(sample.speakers, sample.terms + sample.value / len(sample.terms))
    signs = rng.choice([-1, 1], (times, len(sums)))
    return float((1 + (np.abs(signs @ sums) >= abs(sums.sum()) - 1e-12).sum()) / (times + 1))


def answers(sample: Sample, question: str, rng: np.random.Generator) -> dict[str, tuple[float, float, float]]:
    """What each candidate, and the report for this question, says: half an interval, p, standard error."""
    rows = {}
    # Its fit takes as long as all others together, and it knows no utterances
    slow: dict[str, Candidate] = {"mixed model, folds - 1": mixed_model} if question == "new people" else {}
    for name, candidate in (CANDIDATES | slow).items():
        squared, freedom = candidate(sample)
        error = np.sqrt(squared)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2 * stats.t.sf(abs(sample.value) / error, freedom)
        rows[name] = stats.t.ppf(0.975, freedom) * error, p, error
    rows["permutation by speaker"] = (np.nan, by_permutation(sample, rng), np.nan)
    interval = estimate(sample, question)
    rows["report"] = interval.high - interval.mean, p_value(interval), interval.error
    return rows


def outcomes(
    rng: np.random.Generator, world: World, corpus: Corpus, protocol: str, repeats: int, question: str
) -> Iterator[tuple[str, float, dict[str, tuple[float, float, float]]]]:
    """Each quantity of a study, what it finds, and what `answers` makes of it.

    Between protocols it is the level with known voices less that with unknown ones, after equally long trainings.
    """
    if protocol == BETWEEN:
        most = 3 * len(corpus.label) // 5
        unknown, known = (study(rng, world, corpus, one, repeats, most)[1] for one in ("speaker", "paper"))
        interval = unpaired(unknown, known, question)
        yield protocol, interval.mean, {"report": (interval.high - interval.mean, p_value(interval), interval.error)}
        return
    for quantity, sample in zip(("difference", "level"), study(rng, world, corpus, protocol, repeats), strict=True):
        yield quantity, sample.value, answers(sample, question, rng)


def simulate(
    world: World, size: int, speakers: int, protocol: str, repeats: int, question: str, draws: int, seed: int = 0
) -> pd.DataFrame:
    """A row per quantity and candidate: coverage of the question's truth, share of rejections, mean width, and the
    power of an oracle that knows the standard error."""
    rng = np.random.default_rng([seed, size, speakers, repeats, len(protocol), len(question)])
    outer, inner = (draws, 1) if question == "new people" else (max(1, draws // GIVEN), GIVEN)
    values: dict[str, list[float]] = {}
    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for _ in range(outer):
        people = world.people(rng, speakers)
        corpus = world.record(rng, people, size)
        for _ in range(inner):
            if question == "same people":
                corpus = world.record(rng, people, size)
            for quantity, value, intervals in outcomes(rng, world, corpus, protocol, repeats, question):
                values.setdefault(quantity, []).append(value)
                for name, interval in intervals.items():
                    rows.setdefault((quantity, name), []).append(interval)
    return pd.DataFrame([_judge(*key, np.array(one), np.array(values[key[0]]), inner) for key, one in rows.items()])


def _judge(quantity: str, name: str, told: np.ndarray, values: np.ndarray, inner: int) -> dict[str, float | str]:
    truth = values.mean()
    if inner > 1:
        # The others' mean, and what its own spread adds to the distance taken away
        sets = values.reshape(-1, inner)
        others = (sets.sum(axis=1, keepdims=True) - sets) / (inner - 1)
        distance = (np.abs(sets - others) / np.sqrt(1 + 1 / (inner - 1))).ravel()
        error = np.sqrt(sets.var(axis=1, ddof=1).mean())
    else:
        distance, error = np.abs(values - truth), values.std(ddof=1)
    known = np.isfinite(told[:, 0])
    return {
        "quantity": quantity,
        "method": name,
        "answered": known.mean(),
        "coverage": (distance <= told[:, 0])[known].mean() if known.any() else np.nan,
        "rejected": (told[:, 1] < 0.05).mean(),
        "oracle": (np.abs(values) > 1.96 * error).mean(),
        "width": 2 * np.nanmean(told[:, 0]) if known.any() else np.nan,
        "error": np.nanmean(told[:, 2]) if known.any() else np.nan,
        "true_error": error,
        "effect": truth,
    }


SIZES = ((168, 6), (339, 10), (1440, 24), (5531, 10))
WORLDS: dict[str, Latent | Learner] = {"latent": Latent(), "learner": Learner()}
CELL = ["world", "size", "speakers", "protocol", "repeats", "question"]


def cells(sizes: Sequence[tuple[int, int]], repeats: Sequence[int]) -> list[tuple[str, int, int, str, int, str]]:
    """World, size, speakers, protocol, repetitions, question of every simulated study."""
    return [
        (world, size, speakers, protocol, number, question)
        for world, (size, speakers), protocol, number, question in product(
            WORLDS, sizes, ("paper", "speaker", BETWEEN), repeats, QUESTIONS
        )
        # Voices that were trained on say nothing of others
        if question in {"paper": ("same people", "repeat"), "speaker": QUESTIONS, BETWEEN: ("new people",)}[protocol]
    ]


def coverage_table(table: pd.DataFrame) -> pd.DataFrame:
    """What the report's intervals of differences cover (%), latent world / learner, and in brackets their width.

    Where most studies have none there is no number.
    """
    chosen = table[(table["method"] == "report") & (table["quantity"] != "level")].sort_values("world")
    text = (100 * chosen["coverage"]).map("{:.1f}".format) + chosen["width"].map(" ({:.1f})".format)
    text = text.where(chosen["answered"] > 0.5, "refused")
    rows = chosen.assign(text=text).pivot_table(
        index=["question", "protocol", "size", "speakers"], columns="repeats", values="text", aggfunc=" / ".join
    )
    rows = rows.add_suffix(" x 5 folds").loc[list(QUESTIONS)].reset_index()
    return rows.rename(columns={"size": "utterances"})


def candidate_table(table: pd.DataFrame) -> pd.DataFrame:
    """The lowest and the highest coverage of differences in percent, of each candidate for each question."""
    chosen = table[(table["quantity"] == "difference") & (table["answered"] > 0.99) & (table["method"] != "report")]
    bounds = (100 * chosen["coverage"]).groupby([chosen["method"], chosen["question"]], sort=False).agg(["min", "max"])
    text = bounds.apply(lambda row: f"{row['min']:.0f} to {row['max']:.0f}", axis=1)
    return text.unstack(fill_value="–")[list(QUESTIONS)].reset_index()


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate every cell that the table does not have yet, print each as it ends, and write it into the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=main.__doc__)
    parser.add_argument("--draws", type=int, default=2000, help="studies of each cell")
    parser.add_argument("--table", type=Path, required=True, help="CSV that is read and written")
    parser.add_argument("--show", action="store_true", help="print the table as docs/statistics.md has it, and end")
    parser.add_argument("--workers", type=int, default=joblib.cpu_count())
    parser.add_argument("--repeats", type=int, nargs="+", default=[1, 2, 5])
    parser.add_argument("--effect", type=float, default=0.0, help="true effect; 0: none, and rejections are errors")
    options = parser.parse_args(arguments)
    table = pd.read_csv(options.table) if options.table.exists() else pd.DataFrame(columns=CELL)
    if options.show:
        for shown in (coverage_table(table), candidate_table(table)):
            print(shown.to_markdown(index=False, disable_numparse=True) + "\n")
        return
    known = set(table[CELL].itertuples(index=False, name=None))
    results = joblib.Parallel(options.workers, return_as="generator_unordered")(
        joblib.delayed(_simulate_cell)(cell, options.effect, options.draws)
        for cell in cells(SIZES, options.repeats)
        if cell not in known
    )
    for rows in results:
        print(rows.round(3).to_string(index=False), flush=True)
        table = pd.concat([table, rows]) if len(table) else rows
        table.to_csv(options.table, index=False, float_format="%.4f")


def _simulate_cell(cell: tuple[str, int, int, str, int, str], effect: float, draws: int) -> pd.DataFrame:
    world, size, speakers, protocol, repeats, question = cell
    rows = simulate(replace(WORLDS[world], effect=effect), size, speakers, protocol, repeats, question, draws)
    rows[CELL] = pd.DataFrame([cell] * len(rows), index=rows.index)
    return rows


if __name__ == "__main__":
    main()
