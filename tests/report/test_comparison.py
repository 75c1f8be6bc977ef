import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ser_lightning.report.comparison import differences, references
from ser_lightning.report.material import read_material
from ser_lightning.report.scored import score_runs
from ser_lightning.report.statistics import detectable, with_ends
from ser_lightning.report.summary import speakers_by_id
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.ledger import RESULT
from ser_lightning.runs.study import write_job
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


def test_where_all_have_the_baseline_the_first_job_is_the_reference(simulation):
    """As of normalisations that are swept with lambda = 0; what is described alone does not count."""
    jobs = [
        add(simulation, number, settings_of(features, 0.0, 0.5), [RIGHT])
        for number, features in enumerate(("logmel", "logstft"))
    ]
    jobs.append(add(simulation, 2, settings_of("logmel", 0.3, 0.5), [RIGHT]))
    scored = score_runs(jobs, simulation.runs)
    assert references(jobs[:2], scored, SOFTMAX) == {1: 0}
    assert references(jobs, scored, SOFTMAX, described={2}) == {1: 0}
    assert references(jobs, scored, SOFTMAX) == {2: 0}


def test_nothing_else_is_the_reference_while_softmax_alone_is_unfinished(simulation):
    simulated = [simulation.add_job(0, "softmax", settings_of("logmel", 0.0, 0.5))]
    simulated += [
        add(simulation, number, settings_of("logmel", 0.3, alpha), [RIGHT]) for number, alpha in ((1, 0.1), (2, 0.5))
    ]
    scored = score_runs(simulated, simulation.runs)
    assert references(simulated, scored, SOFTMAX) == {}
    assert references(simulated[1:], scored, SOFTMAX) == {1: 0}


def of_folds(tests):
    """Other utterances in every fold."""
    return [test.assign(id=[f"f{fold}{name}" for name in test["id"]]) for fold, test in enumerate(tests)]


def variance(first, second):
    """That of the mean difference of UA, for new recordings of the same people, of five runs with an utterance of each
    class, tested once: the largest of those by run, by utterance, and of one utterance a run. The program's slopes of
    so small classes are off by a millionth."""
    logits = [f"logit_{name}" for name in CLASSES]
    right = [
        [[row[logits].argmax() == i for i, (_, row) in enumerate(test.iterrows())] for test in tests]
        for tests in (first, second)
    ]
    gains = np.array(right[0], dtype=float) - np.array(right[1])  # [5, 4]
    by_run = np.var(25 * gains.sum(axis=1), ddof=1) / 5
    by_utterance = 20 / 19 * ((5 * (gains - gains.mean(axis=0))) ** 2).sum()
    return max(by_run, by_utterance, 5 * 5**2)


def test_differences_by_hand_and_corrected_for_their_number(simulation):
    softmax, better, same = (
        of_folds(tests) for tests in ([HALF, HALF, RIGHT, HALF, RIGHT], [RIGHT] * 5, [HALF, RIGHT, HALF, HALF, RIGHT])
    )
    jobs = [
        add(simulation, number, settings_of("logmel", lam, 0.5), tests)
        for number, (lam, tests) in enumerate([(0.0, softmax), (0.3, better), (0.03, same)])
    ]
    table = differences(jobs, {1: 0, 2: 0}, score_runs(jobs, simulation.runs), {})
    # 50, 50, 0, 50, 0 and 0, 50, -50, 0, 0
    assert table["ua"].tolist() == pytest.approx([30, 0])
    assert table[["job", "reference", "runs"]].to_numpy().tolist() == [[1, 0, 5], [2, 0, 5]]
    # By run (3 x 20^2 + 2 x 30^2) / 4 / 5 = 150; by utterance 20 / 19 x 2 x 5 x (5^2 x 0.24) = 63
    assert variance(better, softmax) == pytest.approx(150)
    p = 2 * stats.t.sf(30 / 150**0.5, 4)
    assert table["ua_p"].tolist() == pytest.approx([p, 1], rel=1e-5)
    assert table["ua_half"][0] == pytest.approx(stats.t.ppf(0.975, 4) * 150**0.5, rel=1e-5)
    assert table["ua_p_holm"].tolist() == pytest.approx([2 * p, 1], rel=1e-5)
    # What is shown is shown after the correction
    assert table["ua_detectable"][0] == pytest.approx(detectable(with_ends(30, 150, 4), comparisons=2), rel=1e-5)


def test_p_values_are_corrected_for_all_rows_together(simulation):
    """Holm by hand: the smallest times three, the next times two, the largest as it is, never falling."""
    against = [settings_of("logmel", lam, 0.5) for lam in (0.03, 0.3, 3.0)]
    softmax = of_folds([HALF, QUARTER, HALF, HALF, HALF])
    tests = [of_folds([RIGHT, RIGHT, HALF, RIGHT, RIGHT]), of_folds([RIGHT] * 5), of_folds([HALF, RIGHT] * 2 + [HALF])]
    jobs = [add(simulation, 0, settings_of("logmel", 0.0, 0.5), softmax)]
    jobs += [add(simulation, 1 + number, *one) for number, one in enumerate(zip(against, tests, strict=True))]
    table = differences(jobs, {1: 0, 2: 0, 3: 0}, score_runs(jobs, simulation.runs), {})
    # UA 50, 25, 50, 50, 50 against 100, 100, 50, 100, 100; 100 every time; 50, 100, 50, 100, 50
    assert table["ua"].tolist() == pytest.approx([45, 55, 25])
    p = [
        2 * stats.t.sf(mean / np.sqrt(variance(one, softmax)), 4) for mean, one in zip((45, 55, 25), tests, strict=True)
    ]
    assert table["ua_p"].tolist() == pytest.approx(p, rel=1e-5)
    assert p[1] < p[0] < p[2] < 0.5
    middle = max(3 * p[1], 2 * p[0])
    assert table["ua_p_holm"].tolist() == pytest.approx([middle, 3 * p[1], max(middle, p[2])], rel=1e-5)


def test_a_row_without_an_interval_corrects_no_other(simulation):
    """Four pairs beside five: the five are alone."""
    settings = [settings_of("logmel", lam, 0.5) for lam in (0.0, 0.3, 3.0)]
    tests = [[HALF, HALF, RIGHT, HALF, RIGHT], [RIGHT] * 5, [RIGHT] * 4]
    jobs = [add(simulation, i, *one) for i, one in enumerate(zip(settings, map(of_folds, tests), strict=True))]
    table = differences(jobs, {1: 0, 2: 0}, score_runs(jobs, simulation.runs), {})
    assert table["runs"].tolist() == [5, 4]
    assert table["ua_p"][0] == table["ua_p_holm"][0]
    assert table["ua_detectable"][0] == pytest.approx(detectable(with_ends(30, 150, 4)), rel=1e-5)
    assert table.loc[1, ["ua_half", "ua_p", "ua_p_holm", "ua_detectable"]].isna().all()


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


def test_speakers_are_known_only_where_all_are():
    table = pd.DataFrame({"id": ["a", "b"], "speaker": ["1", "2"]})
    assert speakers_by_id(table) == {"a": "1", "b": "2"}
    assert speakers_by_id(table.assign(speaker=["1", ""])) == {}
    assert speakers_by_id(None) == {}


# Seeds: luck to be averaged, and no setting to be chosen


def sweep(simulation, places):
    """A study of jobs of so many (lambda, seed), each of five folds."""
    rng = np.random.default_rng(0)
    for number, (lam, seed) in enumerate(places):
        tests = [predictions([(c, c if rng.random() < 0.5 + lam else "neu") for c in CLASSES * 5]) for _ in range(5)]
        job = {**settings_of("logmel", lam, 0.5), "seed": seed}
        simulation.add_job(number, f"loss.lam={lam:g} seed={seed}", job, folds=range(5))
        for fold, test in enumerate(of_folds(tests)):
            simulation.finish(job, 0, fold, test)
    return simulation


def test_seeds_of_a_sweep_are_one_row_and_one_comparison(simulation):
    sweep(simulation, [(lam, seed) for lam in (0.0, 0.3) for seed in (0, 1, 2)])
    material = read_material(simulation.study, simulation.runs)
    assert [job.name for job in material.jobs] == ["loss.lam=0", "loss.lam=0.3"]
    assert material.members == [[f"loss.lam={lam} seed={seed}" for seed in (0, 1, 2)] for lam in ("0", "0.3")]
    assert material.summary[["runs", "planned"]].to_numpy().tolist() == [[15, 15]] * 2
    assert list(material.columns) == ["loss.lam"]
    (row,) = material.differences.to_dict("records")
    assert (row["job"], row["reference"], row["runs"]) == (1, 0, 15)
    assert row["ua_p"] == row["ua_p_holm"]
    # Five divisions, whose gains are means of three
    scores = [[run.score("ua") for run in material.finished(job)] for job in (0, 1)]
    gains = (np.array(scores[1]) - np.array(scores[0])).reshape(3, 5).mean(axis=0)
    ends = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert (row["ua"], row["ua_repeat_low"], row["ua_repeat_high"]) == pytest.approx(
        (gains.mean(), ends.low, ends.high)
    )


def test_seeds_alone_are_one_setting(simulation):
    sweep(simulation, [(0.3, seed) for seed in (0, 1, 2)])
    material = read_material(simulation.study, simulation.runs)
    assert (len(material.jobs), material.compared, material.differences.empty) == (1, {}, True)
    assert material.summary["runs"].tolist() == [15]


def test_a_seed_that_one_setting_has_and_another_has_not_is_left_out_of_the_pairs(simulation):
    sweep(simulation, [(0.0, 0), (0.3, 0), (0.3, 1)])
    material = read_material(simulation.study, simulation.runs)
    (row,) = material.differences.to_dict("records")
    assert (row["job"], row["reference"], row["runs"]) == (1, 0, 5)


def test_settings_are_compared_whatever_seeds_others_have(simulation):
    sweep(simulation, [(0.0, 5), (0.3, 5), (0.3, 6), (0.03, 6)])
    material = read_material(simulation.study, simulation.runs)
    assert material.compared[1] == 0
    assert material.differences.query("job == 1")["runs"].tolist() == [5]


def test_a_study_is_not_complete_while_a_seed_has_not_begun(simulation):
    sweep(simulation, [(0.0, 0), (0.0, 1), (0.3, 0)])
    assert read_material(simulation.study, simulation.runs).complete
    write_job(simulation.study, 3, Job("loss.lam=0.3 seed=1", {**settings_of("logmel", 0.3, 0.5), "seed": 1}))
    assert not read_material(simulation.study, simulation.runs).complete
