import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ser_lightning.metrics import unweighted_accuracy
from ser_lightning.report.comparison import differences, group_of, grouped_counts, levels, references
from ser_lightning.report.summary import score_runs
from ser_lightning.runs.ledger import RESULT
from ser_lightning.runs.varying import Baseline
from tests.report.simulated import CLASSES, predictions, settings_of

RIGHT = predictions([(name, name) for name in CLASSES])
QUARTER = predictions([(name, "neu") for name in CLASSES])
HALF = predictions([("neu", "neu"), ("ang", "ang"), ("hap", "neu"), ("sad", "neu")])

SOFTMAX = Baseline({"loss.lam": 0})


def add(simulation, number, settings, tests, **job):
    one = simulation.add_job(number, f"job {number}", settings, folds=range(len(tests)), **job)
    for fold, test in enumerate(tests):
        simulation.finish(settings, 0, fold, test)
    return one


def test_every_setting_has_softmax_alone_with_else_equal_settings_for_reference(simulation):
    settings = [settings_of(features, lam, 0.5) for features in ("logmel", "logstft") for lam in (0.3, 0.0, 3.0)]
    settings.append(settings_of("logmel", 0.3, 0.5, learning_rate=0.01))
    jobs = [add(simulation, number, of, [RIGHT]) for number, of in enumerate(settings)]
    jobs.append(simulation.add_job(7, "unfinished", settings_of("logmel", 0.03, 0.5)))
    # The last but one has no softmax of its own learning rate, the last no run
    assert references(jobs, score_runs(jobs, simulation.runs), SOFTMAX) == {0: 1, 2: 1, 3: 4, 5: 4}


def test_jobs_that_share_their_runs_are_not_compared(simulation):
    jobs = [
        add(simulation, number, settings_of("logmel", 0.0, alpha), [RIGHT]) for number, alpha in enumerate((0.1, 0.5))
    ]
    assert references(jobs, score_runs(jobs, simulation.runs), SOFTMAX) == {}


def test_without_lambda_zero_the_first_job_is_the_reference(simulation):
    jobs = [
        add(simulation, number, settings_of("logmel", 0.3, alpha), [RIGHT])
        for number, alpha in enumerate((0.1, 0.5, 0.9))
    ]
    assert references(jobs, score_runs(jobs, simulation.runs), SOFTMAX) == {1: 0, 2: 0}


def test_nothing_else_is_the_reference_while_softmax_alone_is_unfinished(simulation):
    simulated = [simulation.add_job(0, "softmax", settings_of("logmel", 0.0, 0.5))]
    simulated += [
        add(simulation, number, settings_of("logmel", 0.3, alpha), [RIGHT]) for number, alpha in ((1, 0.1), (2, 0.5))
    ]
    scored = score_runs(simulated, simulation.runs)
    assert references(simulated, scored, SOFTMAX) == {}
    assert references(simulated[1:], scored, SOFTMAX) == {1: 0}


def test_differences_by_hand_and_corrected_for_their_number(simulation):
    better, same = settings_of("logmel", 0.3, 0.5), settings_of("logmel", 0.03, 0.5)
    jobs = [
        add(simulation, 0, settings_of("logmel", 0.0, 0.5), [HALF, HALF, RIGHT]),
        add(simulation, 1, better, [RIGHT, RIGHT, RIGHT]),
        add(simulation, 2, same, [HALF, RIGHT, HALF]),
    ]
    scored = score_runs(jobs, simulation.runs)
    table = differences(jobs, {1: 0, 2: 0}, scored, {})
    # 50, 50, 0 and 0, 50, -50
    assert table["ua"].tolist() == pytest.approx([100 / 3, 0])
    assert table[["job", "reference", "runs"]].to_numpy().tolist() == [[1, 0, 3], [2, 0, 3]]
    assert table["ua_p_holm"].tolist() == pytest.approx([min(1, 2 * table["ua_p"][0]), 1])


def test_p_values_are_corrected_for_all_rows_together(simulation):
    """Holm by hand: the smallest times three, the next times two, the largest as it is, never falling."""
    against = [settings_of("logmel", lam, 0.5) for lam in (0.03, 0.3, 3.0)]
    tests = [[RIGHT, RIGHT, HALF], [RIGHT, RIGHT, RIGHT], [HALF, RIGHT, HALF]]
    jobs = [add(simulation, 0, settings_of("logmel", 0.0, 0.5), [HALF, QUARTER, HALF])]
    jobs += [add(simulation, 1 + number, *of) for number, of in enumerate(zip(against, tests, strict=True))]
    table = differences(jobs, {1: 0, 2: 0, 3: 0}, score_runs(jobs, simulation.runs), {})
    # UA 50, 25, 50 against 100, 100, 50; 100, 100, 100; 50, 100, 50
    assert table["ua"].tolist() == pytest.approx([125 / 3, 175 / 3, 25])
    p = []
    for values in ([50, 75, 0], [50, 75, 50], [0, 75, 0]):
        error = np.sqrt((1 / 3 + 1 / 8) * np.var(values, ddof=1))
        p.append(2 * stats.t.sf(np.mean(values) / error, 2))
    assert table["ua_p"].tolist() == pytest.approx(p)
    assert p[1] < p[0] < p[2] < 0.5
    middle = max(3 * p[1], 2 * p[0])
    assert table["ua_p_holm"].tolist() == pytest.approx([middle, 3 * p[1], max(middle, p[2])])


def test_runs_of_other_divisions_are_no_pair(simulation):
    settings = [settings_of("logmel", lam, 0.5) for lam in (0.0, 0.3)]
    jobs = [add(simulation, number, of, [RIGHT, RIGHT]) for number, of in enumerate(settings)]
    file = simulation.runs / jobs[1].runs[0] / RESULT
    file.write_text(json.dumps({**json.loads(file.read_text()), "split": "another"}))
    scored = score_runs(jobs, simulation.runs)
    assert differences(jobs, {1: 0}, scored, {})["runs"].tolist() == [1]
    other = {
        name: dataclasses.replace(run, result=dataclasses.replace(run.result, split=name))
        for name, run in scored.items()
    }
    assert differences(jobs, {1: 0}, other, {}).empty


def test_counts_by_speaker_are_those_of_a_plain_loop(simulation):
    rng = np.random.default_rng(0)
    tests = [predictions([(label, rng.choice(CLASSES)) for label in rng.choice(CLASSES, 30)]) for _ in range(2)]
    job = add(simulation, 0, settings_of("logmel", 0.3, 0.5), tests)
    runs = list(score_runs([job], simulation.runs).values())
    speaker_of = {f"u{i}": "abc"[i % 3] for i in range(29)}
    counts = grouped_counts([[[run.test for run in runs]]], speaker_of)[:, 0, 0]
    expected = {name: np.zeros((4, 4)) for name in ("a", "b", "c", "u29")}
    for run in runs:
        for name, label, recognised in zip(run.test.ids, run.test.labels, run.test.recognised, strict=True):
            expected[speaker_of.get(name, name)][label, recognised] += 1
    assert counts.tolist() == [of.tolist() for of in expected.values()]


def test_counts_keep_jobs_and_sides_apart(simulation):
    rng = np.random.default_rng(2)
    tests = [predictions([(label, rng.choice(CLASSES)) for label in CLASSES * 3]) for _ in range(4)]
    job = add(simulation, 0, settings_of("logmel", 0.3, 0.5), tests)
    runs = [run.test for run in score_runs([job], simulation.runs).values()]
    sides = [[runs[:2], runs[2:]], [runs[1:2], runs[3:]]]
    speaker_of = {f"u{i}": "ba"[i % 2] for i in range(12)}
    expected = np.zeros((2, 2, 2, 4, 4))
    for i, both in enumerate(sides):
        for j, side in enumerate(both):
            for one in side:
                for name, label, logits in zip(one.ids, one.labels, one.logits, strict=True):
                    expected["ba".index(speaker_of[name]), i, j, label, int(np.argmax(logits))] += 1
    np.testing.assert_array_equal(grouped_counts(sides, speaker_of), expected)


def drawn_levels(test, groups):
    """95 % interval of UA when these groups of utterances [groups][utterances] are drawn anew, in a plain loop."""
    rng = np.random.default_rng(3)
    values = []
    for _ in range(4000):
        chosen = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        found = [(test.recognised == test.labels)[chosen[test.labels[chosen] == label]] for label in range(4)]
        if all(map(len, found)):
            values.append(100 * np.mean([of.mean() for of in found]))
    return np.quantile(values, [0.025, 0.975])


def test_where_speakers_are_unknown_utterances_are_drawn(simulation):
    """Two speakers of whom one is never understood: other people would make far more of a difference."""
    test = predictions([(label, label if i < 48 else "neu") for i, label in enumerate(CLASSES * 24)])
    job = add(simulation, 0, settings_of("logmel", 0.3, 0.5), [test])
    unfinished = simulation.add_job(1, "unfinished", settings_of("logmel", 3.0, 0.5))
    scored = score_runs([job], simulation.runs)
    (run,) = scored.values()
    by_utterance, by_speaker = (
        levels([job, unfinished], scored, speaker_of)
        for speaker_of in ({}, {f"u{i}": "ann" if i < 48 else "bob" for i in range(96)})
    )
    ends = ["ua_speakers_low", "ua_speakers_high"]
    expected = drawn_levels(run.test, np.arange(96)[:, None])
    assert by_utterance.loc[0, ends].tolist() == pytest.approx(expected.tolist(), abs=1)
    # bob alone: only neu is right; ann alone: all
    assert by_speaker.loc[0, ends].tolist() == pytest.approx([25, 100])
    assert by_utterance.loc[1].isna().all()


def test_the_interval_over_speakers_is_that_of_drawing_them(simulation):
    rng = np.random.default_rng(1)
    test = predictions(
        [(label, label if rng.random() < 0.3 + 0.1 * (i % 6) else "neu") for i, label in enumerate(CLASSES * 30)]
    )
    job = add(simulation, 0, settings_of("logmel", 0.3, 0.5), [test])
    scored = score_runs([job], simulation.runs)
    speaker_of = {f"u{i}": str(i % 6) for i in range(120)}
    row = levels([job], scored, speaker_of).iloc[0]
    counts = grouped_counts([[[run.test for run in scored.values()]]], speaker_of)[:, 0, 0]
    drawn = [100 * unweighted_accuracy(counts[rng.integers(6, size=6)].sum(axis=0)) for _ in range(4000)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    assert (row["ua_speakers_low"], row["ua_speakers_high"]) == pytest.approx((low, high), abs=1.5)


def test_speakers_are_used_only_where_all_are_known():
    table = pd.DataFrame({"id": ["a", "b"], "speaker": ["1", "2"]})
    assert group_of(table) == {"a": "1", "b": "2"}
    assert group_of(table.assign(speaker=["1", ""])) == {}
    assert group_of(None) == {}
