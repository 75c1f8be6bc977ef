"""The recogniser beside the annotators: where they agree with each other, and how well one of them does.

Everywhere an utterance's votes are evaluator -> the raw labels that he chose. A raw label stands for the class that
`class_of` names, for no class where it names none; an evaluator who chose nothing does not count.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import entr, softmax, xlogy

from ser_lightning.metrics import confusion_counts, unweighted_accuracy, weighted_accuracy

Votes = Mapping[str, Sequence[str]]

STRATA = ("all agree", "most agree", "half or fewer")


@dataclass(frozen=True)
class CrossEntropy:
    """Means over the `utterances` with a vote for a class, in nats; the others are `left_out`.

    No probabilities can have a lower `mean` than `lowest`, the votes' own entropy.
    """

    mean: float
    lowest: float
    utterances: int
    left_out: int


@dataclass(frozen=True)
class Ceiling:
    """UA and WA of evaluators, in [0, 1], over the `votes` that face a consensus; the others are `left_out`.

    UA is NaN where no consensus names some class.
    """

    ua: float
    wa: float
    votes: int
    left_out: int


@dataclass(frozen=True)
class Annotators:
    """The functions' results under their names, over the `utterances` with votes; `unknown` counts those without.

    An utterance that several runs tested counts in each; in the ceiling, which no run takes part in, it counts once.
    """

    strata: pd.DataFrame
    utterances: int
    unknown: int
    chosen_by_any: float
    cross_entropy: CrossEntropy
    ceiling: Ceiling


def analyse(
    utterances: pd.DataFrame,
    tested: np.ndarray,
    logits: np.ndarray,
    classes: Sequence[str],
    class_of: Mapping[str, str],
) -> Annotators:
    """Hold test results against the votes.

    Args:
        utterances: a row for each: label (a class) and votes (a mapping or its JSON; empty where unknown).
        tested: the rows of `utterances` that were tested [results], of one run or several.
        logits: what the recogniser said of them [results, classes].
        classes: names of the classes, in the order of logits.
        class_of: raw label -> class.

    Raises `ValueError` for a label that is none of the classes, and votes that are no mapping of evaluators to lists.
    """
    labels = pd.Index(classes).get_indexer(pd.Index(utterances["label"]))
    if (labels < 0).any():
        raise ValueError(f"the label '{utterances['label'].iloc[int(labels.argmin())]}' is none of the classes")
    votes = [_read_votes(cell) for cell in utterances["votes"]]
    stratum = strata(agreement(votes, class_of, utterances["label"].tolist()))[tested]
    counts = class_votes(votes, class_of, classes)[tested]
    has_votes = counts.any(axis=1)
    recognised = logits.argmax(axis=1)
    return Annotators(
        strata=score_strata(stratum, labels[tested], recognised, classes),
        utterances=int(has_votes.sum()),
        unknown=int((~has_votes).sum()),
        chosen_by_any=chosen_by_any(counts, recognised),
        cross_entropy=cross_entropy(counts, softmax(logits, axis=1)),
        ceiling=left_out_evaluator(votes, class_of, classes),
    )


def class_votes(votes: Sequence[Votes], class_of: Mapping[str, str], classes: Sequence[str]) -> np.ndarray:
    """Votes [utterances, classes + 1], the last column for labels of no class.

    Each evaluator has one vote, shared equally between the columns that he chose; several labels of one column are
    one choice of it.
    """
    utterances, shares = _ballots(votes, class_of, classes)
    counts = np.zeros((len(votes), len(classes) + 1))
    np.add.at(counts, utterances, shares)
    return counts


def agreement(votes: Sequence[Votes], class_of: Mapping[str, str], labels: Sequence[str]) -> np.ndarray:
    """Share of an utterance's evaluators [utterances] who chose its class, among others or alone; NaN without votes."""
    shares = np.full(len(votes), np.nan)
    for utterance, (evaluators, label) in enumerate(zip(votes, labels, strict=True)):
        chose = [label in {class_of.get(raw) for raw in chosen} for chosen in evaluators.values() if chosen]
        if chose:
            shares[utterance] = sum(chose) / len(chose)
    return shares


def strata(shares: np.ndarray) -> np.ndarray:
    """The stratum [utterances] of shares as `agreement` returns them: all, more than half, or half of them or fewer.

    Each is one of `STRATA`, or '' for NaN.
    """
    return np.select([shares == 1, shares > 0.5, shares <= 0.5], STRATA, default="")


def score_strata(
    stratum: np.ndarray, labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str]
) -> pd.DataFrame:
    """A row per stratum: stratum, utterances, ua and wa in [0, 1], and missing, the classes without an utterance there.

    UA is NaN where a class is missing. The utterances' strata and class indices are [utterances] each.
    """
    rows = []
    for name in STRATA:
        inside = stratum == name
        confusion = confusion_counts(labels[inside], predictions[inside], len(classes))
        missing = [one for one, total in zip(classes, confusion.sum(axis=1), strict=True) if not total]
        wa = weighted_accuracy(confusion) if inside.any() else np.nan
        rows.append((name, int(inside.sum()), unweighted_accuracy(confusion), wa, ", ".join(missing)))
    return pd.DataFrame(rows, columns=["stratum", "utterances", "ua", "wa", "missing"])


def chosen_by_any(counts: np.ndarray, predictions: np.ndarray) -> float:
    """Share of the utterances with votes whose recognised class some evaluator chose; NaN without votes.

    `counts` as `class_votes` returns them, `predictions` class indices [utterances].
    """
    chosen = counts[np.arange(len(counts)), predictions] > 0
    return _mean(chosen[counts.any(axis=1)])


def cross_entropy(counts: np.ndarray, probabilities: np.ndarray) -> CrossEntropy:
    """Cross-entropy of probabilities [utterances, classes] with the votes' distribution over the classes.

    `counts` as `class_votes` returns them; its last column is left out, and so are utterances without a vote beside it.
    Infinite where a class that was chosen has probability 0.
    """
    votes = counts[:, :-1]
    has_votes = votes.any(axis=1)
    distribution = votes[has_votes] / votes[has_votes].sum(axis=1, keepdims=True)
    mean = _mean(-xlogy(distribution, probabilities[has_votes]).sum(axis=1))
    lowest = _mean(entr(distribution).sum(axis=1))
    return CrossEntropy(mean, lowest, int(has_votes.sum()), int((~has_votes).sum()))


def left_out_evaluator(votes: Sequence[Votes], class_of: Mapping[str, str], classes: Sequence[str]) -> Ceiling:
    """How well one evaluator names what the others of the same utterance agree on.

    Each evaluator in turn is left out. The consensus of the others is the column of `class_votes` in which they have
    most votes; his credit is the share of his own vote in it. WA is the mean credit, UA the mean over the classes of
    the mean credit where the consensus is that class. A vote is left out where two columns have most, where no class
    has, and where there is no other evaluator.

    Not the best that can be reached, and not quite what a recogniser is asked, who faces the consensus of all. IEMOCAP
    keeps only utterances with a majority, which flatters evaluators: of four or more, some who fail are gone. Of three
    who differ, two against one, only the one is judged, and fails, since the others face a tie.
    """
    utterances, shares = _ballots(votes, class_of, classes)
    others = class_votes(votes, class_of, classes)[utterances] - shares
    # Thirds of a vote do not sum to exactly one.
    highest = np.isclose(others, others.max(axis=1, keepdims=True))
    judged = (highest.sum(axis=1) == 1) & ~highest[:, -1]
    consensus = highest[judged].argmax(axis=1)
    credit = shares[judged, consensus]
    by_class = [_mean(credit[consensus == number]) for number in range(len(classes))]
    return Ceiling(float(np.mean(by_class)), _mean(credit), int(judged.sum()), int((~judged).sum()))


def _ballots(
    votes: Sequence[Votes], class_of: Mapping[str, str], classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Every evaluator's vote: the index of its utterance [votes], and its shares [votes, classes + 1]."""
    column = {name: number for number, name in enumerate(classes)}
    ballots = [
        (utterance, list({column.get(class_of.get(raw, ""), len(classes)) for raw in chosen}))
        for utterance, evaluators in enumerate(votes)
        for chosen in evaluators.values()
        if chosen
    ]
    shares = np.zeros((len(ballots), len(classes) + 1))
    for ballot, (_, columns) in enumerate(ballots):
        shares[ballot, columns] = 1 / len(columns)
    return np.array([utterance for utterance, _ in ballots], dtype=np.int64), shares


def _read_votes(cell: Any) -> Votes:
    """Votes from a cell of a table: a mapping, its JSON, or nothing."""
    if pd.isna(cell) or not cell:
        return {}
    votes = json.loads(cell) if isinstance(cell, str) else cell
    if not isinstance(votes, Mapping) or not all(isinstance(chosen, list | tuple) for chosen in votes.values()):
        raise ValueError(f"votes are no mapping of evaluators to lists of labels: {cell}")
    return votes


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
