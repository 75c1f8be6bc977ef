"""The recogniser beside the annotators: by hand, and against plain loops on random votes."""

import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from ser_lightning.report.annotators import (
    agreement,
    analyse,
    chosen_by_any,
    class_votes,
    cross_entropy,
    left_out_evaluator,
    score_strata,
    strata,
)

CLASSES = ("neu", "ang", "hap")
CLASS_OF = {"neu": "neu", "ang": "ang", "hap": "hap", "exc": "hap"}
CODES = ("neu", "ang", "hap", "exc", "fru", "sur")


def name_each(*labels):
    """Votes of evaluators with one label each."""
    return {f"E{number}": [label] for number, label in enumerate(labels)}


def random_votes(utterances, seed):
    """Zero to five evaluators with none to three labels each."""
    rng = np.random.default_rng(seed)
    return [
        {f"E{k}": rng.choice(CODES, rng.choice(4, p=[0.1, 0.6, 0.2, 0.1])).tolist() for k in range(rng.integers(6))}
        for _ in range(utterances)
    ]


# Votes


def test_votes_by_hand():
    votes = [
        name_each("neu", "neu", "ang"),
        # First mapped, then unique, then shared: hap and exc are one choice, fru and sur another.
        {"E1": ["hap", "exc"], "E2": ["exc", "neu"], "E3": ["ang", "fru", "sur", "ang"]},
        {"E1": ["fru"], "E2": []},
        {},
    ]
    assert class_votes(votes, CLASS_OF, CLASSES).tolist() == [
        [2, 1, 0, 0],
        [0.5, 0.5, 1.5, 0.5],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
    ]


def test_a_label_of_a_class_that_is_not_asked_for_is_another_label():
    assert class_votes([name_each("hap", "neu")], CLASS_OF, ("neu", "ang")).tolist() == [[1, 0, 1]]


def test_every_evaluator_has_one_vote():
    votes = random_votes(300, 1)
    voters = [sum(bool(chosen) for chosen in evaluators.values()) for evaluators in votes]
    assert min(voters) == 0
    assert class_votes(votes, CLASS_OF, CLASSES).sum(axis=1) == pytest.approx(voters)


# Strata


def test_agreement_by_hand():
    votes = [
        name_each("hap", "exc", "exc"),
        {"E1": ["ang", "hap"], "E2": ["exc", "fru"], "E3": ["neu"]},
        name_each("neu", "ang"),
        name_each("fru", "fru"),
        {"E1": ["neu"], "E2": []},
        {"E1": []},
        {},
    ]
    shares = agreement(votes, CLASS_OF, ["hap", "hap", "neu", "neu", "neu", "neu", "neu"])
    assert shares.tolist()[:5] == [1, 2 / 3, 0.5, 0, 1]
    assert np.isnan(shares[5:]).all()
    assert strata(shares).tolist() == ["all agree", "most agree", "half or fewer", "half or fewer", "all agree", "", ""]


def test_votes_and_labels_must_be_as_many():
    with pytest.raises(ValueError, match="shorter"):
        agreement([{}, {}], CLASS_OF, ["neu"])


def test_scores_of_strata_by_hand():
    stratum = np.array(["all agree"] * 4 + ["most agree"] * 3 + [""])
    labels = np.array([0, 0, 1, 2, 0, 0, 2, 1])
    predictions = np.array([0, 1, 1, 2, 0, 0, 0, 0])
    scores = score_strata(stratum, labels, predictions, CLASSES).set_index("stratum")
    assert scores["utterances"].to_dict() == {"all agree": 4, "most agree": 3, "half or fewer": 0}
    # Recalls 1/2, 1, 1
    assert scores.loc["all agree", "ua"] == pytest.approx(5 / 6)
    assert scores.loc["all agree", "wa"] == 0.75
    assert scores.loc["most agree", "wa"] == pytest.approx(2 / 3)
    # Nobody is angry there: the mean of the two other recalls, 1/2, would be no UA.
    assert scores["missing"].to_dict() == {"all agree": "", "most agree": "ang", "half or fewer": "neu, ang, hap"}
    assert scores["ua"].isna().tolist() == [False, True, True]
    assert np.isnan(scores.loc["half or fewer", "wa"])


def test_any_evaluator_s_word_will_do():
    votes = [{"E1": ["neu", "ang"], "E2": ["neu"]}, name_each("neu", "hap"), name_each("fru"), {}, name_each("exc")]
    counts = class_votes(votes, CLASS_OF, CLASSES)
    # Right by one word of two, wrong, wrong (no class was chosen), not counted, right
    assert chosen_by_any(counts, np.array([1, 1, 0, 0, 2])) == 0.5
    assert math.isnan(chosen_by_any(counts[3:4], np.array([0])))


# Distributions


def test_cross_entropy_by_hand():
    votes = [name_each("neu", "neu", "neu", "ang"), name_each("hap", "fru", "fru"), name_each("fru"), {}]
    probabilities = np.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.9, 0.05, 0.05], [0.9, 0.05, 0.05]])
    found = cross_entropy(class_votes(votes, CLASS_OF, CLASSES), probabilities)
    # 3/4 log 2 + 1/4 log 4 = 5/4 log 2, and log 2: the two votes for frustration play no part
    assert found.mean == pytest.approx(9 / 8 * math.log(2))
    assert found.lowest == pytest.approx((0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / 2)
    assert (found.utterances, found.left_out) == (2, 2)


def test_the_votes_themselves_do_best():
    counts = class_votes(random_votes(300, 2), CLASS_OF, CLASSES)
    totals = counts[:, :3].sum(axis=1, keepdims=True)
    own = np.divide(counts[:, :3], totals, out=np.full((300, 3), 1 / 3), where=totals > 0)
    best = cross_entropy(counts, own)
    assert best.mean == pytest.approx(best.lowest)
    other = cross_entropy(counts, 0.9 * own + 0.1 * own[:, ::-1])
    assert other.lowest == best.lowest < other.mean


def test_probability_zero():
    counts = np.array([[1.0, 0.0, 0.0, 0.0]])
    assert cross_entropy(counts, np.array([[1.0, 0.0, 0.0]])).mean == 0
    assert cross_entropy(counts, np.array([[0.0, 0.5, 0.5]])).mean == math.inf


def test_cross_entropy_without_votes():
    found = cross_entropy(np.zeros((2, 4)), np.full((2, 3), 1 / 3))
    assert np.isnan([found.mean, found.lowest]).all()
    assert (found.utterances, found.left_out) == (0, 2)


# An evaluator against the others


def test_left_out_evaluators_by_hand():
    votes = [
        # All right for each of the three
        name_each("neu", "neu", "neu"),
        # The happy one against two angry ones: no credit; each of those faces a tie
        name_each("ang", "ang", "hap"),
        # Half a vote for each against one happy other; against the half-angry one, the happy one faces a tie
        {"E1": ["exc"], "E2": ["hap", "ang"]},
        # Against two frustrated ones, and one of those against two who differ
        name_each("fru", "fru", "ang"),
        name_each("sad"),
        {},
    ]
    found = left_out_evaluator(votes, CLASS_OF, CLASSES)
    # Credits: neu 1 1 1, ang 0, hap 1/2
    assert (found.votes, found.left_out) == (5, 2 + 1 + 3 + 1)
    assert found.wa == pytest.approx(3.5 / 5)
    assert found.ua == pytest.approx((1 + 0 + 0.5) / 3)


def test_rounded_shares_make_no_consensus():
    pair, third = ["neu", "ang"], ["neu", "ang", "hap"]
    for order in itertools.permutations([third, third, pair, ["neu"]]):
        found = left_out_evaluator([dict(zip("ABCD", order, strict=True))], CLASS_OF, CLASSES)
        # The neutral one faces neu 7/6, ang 7/6; the three others neutral, with credits 1/3, 1/3 and 1/2.
        assert (found.votes, found.left_out) == (3, 1)
        assert found.wa == pytest.approx((1 / 3 + 1 / 3 + 1 / 2) / 3)


def test_of_three_evaluators_only_a_consensus_of_two_judges():
    """Utterances on which three evaluators with one label each all differ say nothing, kept or not."""
    rng = np.random.default_rng(3)
    votes = [name_each(*rng.choice(CLASSES, 3)) for _ in range(200)]
    kept = [one for one in votes if len({chosen[0] for chosen in one.values()}) < 3]
    every, some = left_out_evaluator(votes, CLASS_OF, CLASSES), left_out_evaluator(kept, CLASS_OF, CLASSES)
    assert (every.ua, every.wa, every.votes) == (some.ua, some.wa, some.votes)
    assert every.left_out - some.left_out == 3 * (len(votes) - len(kept)) > 0


def test_a_majority_flatters_four_evaluators():
    votes = [name_each("neu", "neu", "neu", "ang"), name_each("neu", "neu", "ang", "ang")]
    # The first: 1 1 1 and 0; the second: 0 from each of the four
    assert left_out_evaluator(votes, CLASS_OF, CLASSES).wa == 3 / 8
    assert left_out_evaluator(votes[:1], CLASS_OF, CLASSES).wa == 3 / 4


@pytest.mark.parametrize("votes", [[], [{}], [name_each("neu")], [name_each("neu", "neu")] * 2])
def test_left_out_evaluators_without_a_consensus_on_each_class(votes):
    found = left_out_evaluator(votes, CLASS_OF, CLASSES)
    assert math.isnan(found.ua)
    assert math.isnan(found.wa) == (found.votes == 0) == (len(votes) < 2)


# Against plain loops


def loop_choices(votes):
    """Per utterance and evaluator: column -> share, in fractions."""
    choices = []
    for evaluators in votes:
        choices.append([])
        for chosen in evaluators.values():
            columns = []
            for raw in chosen:
                name = CLASS_OF.get(raw)
                column = CLASSES.index(name) if name in CLASSES else 3
                if column not in columns:
                    columns.append(column)
            if columns:
                choices[-1].append({column: Fraction(1, len(columns)) for column in columns})
    return choices


def loop_left_out(votes):
    """Credits by class, and how many votes had no consensus to face."""
    credits, left_out = {0: [], 1: [], 2: []}, 0
    for ballots in loop_choices(votes):
        for number, own in enumerate(ballots):
            totals = [Fraction(0)] * 4
            for other in ballots[:number] + ballots[number + 1 :]:
                for column, share in other.items():
                    totals[column] += share
            best = [column for column in range(4) if totals[column] == max(totals)]
            if len(best) == 1 and best[0] < 3:
                credits[best[0]].append(own.get(best[0], Fraction(0)))
            else:
                left_out += 1
    return credits, left_out


@pytest.mark.parametrize("seed", range(5))
def test_against_loops(seed):
    votes = random_votes(200, 10 + seed)
    rng = np.random.default_rng(seed)
    labels = rng.choice(CLASSES, 200)
    predictions = rng.integers(3, size=200)
    choices = loop_choices(votes)
    counts = class_votes(votes, CLASS_OF, CLASSES)
    shares = agreement(votes, CLASS_OF, labels)
    hits = []
    for utterance, ballots in enumerate(choices):
        sums = [float(sum((one.get(column, Fraction(0)) for one in ballots), Fraction(0))) for column in range(4)]
        assert counts[utterance] == pytest.approx(sums)
        own = CLASSES.index(labels[utterance])
        if ballots:
            assert shares[utterance] == sum(own in one for one in ballots) / len(ballots)
            hits.append(any(predictions[utterance] in one for one in ballots))
        else:
            assert np.isnan(shares[utterance])
    assert chosen_by_any(counts, predictions) == pytest.approx(sum(hits) / len(hits))
    credits, left_out = loop_left_out(votes)
    found = left_out_evaluator(votes, CLASS_OF, CLASSES)
    everyone = [credit for each in credits.values() for credit in each]
    assert (found.votes, found.left_out) == (len(everyone), left_out)
    assert found.wa == pytest.approx(float(sum(everyone) / len(everyone)))
    assert found.ua == pytest.approx(float(sum(sum(each) / len(each) for each in credits.values()) / 3))


# All together


def results(rows):
    """A table of label, votes and logits, from probabilities."""
    frame = pd.DataFrame([(label, votes) for label, votes, _ in rows], columns=["label", "votes"])
    logits = np.log([probabilities for _, _, probabilities in rows]) + 5.0
    return frame.join(pd.DataFrame(logits, columns=[f"logit_{name}" for name in CLASSES]))


def analyse_results(table, times=1):
    """`analyse` of a table of results, all of them from as many runs."""
    tested = np.tile(np.arange(len(table)), times)
    logits = table.filter(like="logit_").to_numpy()[tested]
    return analyse(table, tested, logits, CLASSES, CLASS_OF)


def test_analyse_by_hand():
    table = results(
        [
            ("neu", json.dumps(name_each("neu", "neu", "neu")), [0.5, 0.25, 0.25]),
            ("ang", json.dumps(name_each("ang", "ang", "ang")), [0.25, 0.5, 0.25]),
            ("hap", name_each("hap", "exc", "hap"), [0.5, 0.25, 0.25]),
            ("hap", name_each("exc", "hap", "neu"), [0.5, 0.25, 0.25]),
            ("neu", "{}", [0.5, 0.25, 0.25]),
            ("neu", "", [0.5, 0.25, 0.25]),
            ("neu", np.nan, [0.5, 0.25, 0.25]),
        ]
    )
    found = analyse_results(table)
    assert (found.utterances, found.unknown) == (4, 3)
    scores = found.strata.set_index("stratum")
    assert scores["utterances"].tolist() == [3, 1, 0]
    assert scores.loc["all agree", ["ua", "wa"]].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert scores["missing"].tolist() == ["", "neu, ang", "neu, ang, hap"]
    # The fourth is taken for neutral, as one of its evaluators took it.
    assert found.chosen_by_any == 0.75
    # In units of log 2: 1, 1, 2, and 2/3 of 2 with 1/3 of 1
    assert found.cross_entropy.mean == pytest.approx((1 + 1 + 2 + 5 / 3) / 4 * math.log(2))
    assert found.cross_entropy.lowest == pytest.approx((2 / 3 * math.log(1.5) + math.log(3) / 3) / 4)
    assert (found.cross_entropy.utterances, found.cross_entropy.left_out) == (4, 3)
    # neu 1 1 1, ang 1 1 1, hap 1 1 1 and the neutral one's 0
    assert found.ceiling.ua == pytest.approx((1 + 1 + 0.75) / 3)
    assert found.ceiling.wa == pytest.approx(9 / 10)
    assert (found.ceiling.votes, found.ceiling.left_out) == (10, 2)


def test_as_many_runs_as_you_like():
    rng = np.random.default_rng(4)
    votes = random_votes(60, 5)
    table = results([(rng.choice(CLASSES), one, rng.dirichlet(np.ones(3))) for one in votes])
    once, twice = analyse_results(table), analyse_results(table, times=2)
    pd.testing.assert_frame_equal(twice.strata.drop(columns="utterances"), once.strata.drop(columns="utterances"))
    assert twice.strata["utterances"].tolist() == (2 * once.strata["utterances"]).tolist()
    assert (twice.utterances, twice.unknown) == (2 * once.utterances, 2 * once.unknown)
    assert twice.chosen_by_any == once.chosen_by_any
    assert twice.cross_entropy.mean == pytest.approx(once.cross_entropy.mean)
    assert twice.ceiling == once.ceiling


def test_a_corpus_without_votes():
    table = results([(label, "{}", [0.5, 0.25, 0.25]) for label in CLASSES])
    found = analyse_results(table)
    assert (found.utterances, found.unknown) == (0, 3)
    assert found.strata["utterances"].tolist() == [0, 0, 0]
    assert found.strata[["ua", "wa"]].isna().all(axis=None)
    numbers = [found.chosen_by_any, found.cross_entropy.mean, found.cross_entropy.lowest]
    assert np.isnan([*numbers, found.ceiling.ua, found.ceiling.wa]).all()


def test_a_foreign_label_is_refused():
    with pytest.raises(ValueError, match="'sad' is none of the classes"):
        analyse_results(results([("neu", "{}", [0.5, 0.25, 0.25]), ("sad", "{}", [0.5, 0.25, 0.25])]))


@pytest.mark.parametrize("cell", ['["neu"]', '{"E1": "neu"}', {"E1": "neu"}, "3"])
def test_malformed_votes_are_refused(cell):
    with pytest.raises(ValueError, match="no mapping of evaluators to lists"):
        analyse_results(results([("neu", cell, [0.5, 0.25, 0.25])]))
