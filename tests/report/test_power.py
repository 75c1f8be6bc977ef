from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ser_lightning.errors import UserError
from ser_lightning.report.__main__ import main
from ser_lightning.report.material import read_material
from ser_lightning.report.power import plan
from ser_lightning.report.statistics import Sample, after, estimate, power
from tests.report.simulated import CLASSES, predictions, settings_of


def sample(repetitions, seed=0, speakers=10, spread=3.0):
    """Differences of ten speakers, two in each of five folds, every utterance tested once in a repetition."""
    rng = np.random.default_rng(seed)
    utterances = np.arange(200)
    speaker = utterances % speakers
    own = spread * rng.standard_normal(speakers)
    terms, divisions, tested, scores = [], [], [], []
    for repetition in range(repetitions):
        group = rng.permutation(speakers) % 5
        for fold in range(5):
            chosen = utterances[group[speaker] == fold]
            values = own[speaker[chosen]] + 10 * rng.standard_normal(len(chosen)) + rng.standard_normal()
            scores.append(values.mean())
            terms.append(values / len(chosen))
            divisions.append(np.full(len(chosen), 5 * repetition + fold))
            tested.append(chosen)
    mean, count = np.mean(scores), len(scores)
    terms = [(one - mean / len(one)) / count for one in terms]
    tested = np.concatenate(tested)
    partitions = np.repeat(np.arange(repetitions), 5)
    codes = np.concatenate(divisions), tested, speaker[tested]
    return Sample(float(mean), np.array(scores), np.concatenate(terms), *codes, partitions, True)


def test_as_many_repetitions_as_there_are_have_the_error_that_the_interval_has():
    one = sample(3)
    error, freedom = after(one, "new people", 3)
    interval = estimate(one, "new people")
    assert (error, freedom) == (pytest.approx(interval.error), interval.freedom)


def test_equal_gains_promise_no_certainty():
    """Of ten runs, of forty utterances each, one utterance of each otherwise is the least error."""
    equal = replace(sample(2), terms=np.zeros(400))
    assert after(equal, "new people", 2)[0] == pytest.approx(estimate(equal, "new people").error) == 100 / 40 / 10**0.5
    assert after(equal, "new people", 8)[0] == pytest.approx(100 / 40 / 40**0.5)


def test_one_repetition_counts_its_speakers_as_the_interval_does():
    one = sample(1)
    assert after(sample(3), "new people", 1)[1] == estimate(one, "new people").freedom == 9


def test_for_the_same_people_repetitions_beyond_four_bring_nothing():
    pilot = sample(2)
    errors = [after(pilot, "same people", number) for number in (1, 4, 5, 100)]
    assert errors[1] == errors[2] == errors[3]
    assert errors[0][0] > errors[1][0]
    assert errors[1][1] == 4 + 3


def test_repetitions_take_away_what_lies_between_runs_alone():
    errors = [after(sample(4), "new people", number)[0] ** 2 for number in (1, 2, 4, 10**6)]
    # a + b, a + b / 2, a + b / 4, a
    assert errors[0] - errors[1] == pytest.approx((errors[0] - errors[3]) / 2, rel=1e-4)
    assert errors[1] - errors[2] == pytest.approx((errors[0] - errors[3]) / 4, rel=1e-4)


def test_power_is_how_often_a_noncentral_t_is_beyond_the_limit_of_all_comparisons():
    rng = np.random.default_rng(0)
    t = (rng.normal(3.0 / 1.2, 1, 400_000)) / np.sqrt(rng.chisquare(9, 400_000) / 9)
    expected = np.mean(np.abs(t) > stats.t.ppf(1 - 0.025 / 4, 9))
    assert power(3.0, 1.2, 9, comparisons=4) == pytest.approx(expected, abs=0.003)


@pytest.fixture
def pilot(simulation):
    """lambda = 0 and 0.3 on five folds, twice: forty utterances a fold, of whom one gains in some folds."""
    rng = np.random.default_rng(0)
    for number, lam in enumerate((0.0, 0.3)):
        settings = settings_of("logmel", lam, 0.5)
        simulation.add_job(number, f"loss.lam={lam}", settings, folds=range(5), repeats=2)
        for repeat in range(2):
            for fold in range(5):
                right = rng.random(40) < 0.5 + lam
                pairs = [(CLASSES[i % 4], CLASSES[i % 4] if right[i] else CLASSES[(i + 1) % 4]) for i in range(40)]
                test = predictions(pairs).assign(id=[f"u{fold}-{i}" for i in range(40)])
                simulation.finish(settings, repeat, fold, test)
    return simulation


def test_a_plan_says_how_many_repetitions_and_hours(pilot):
    material = read_material(pilot.study, pilot.runs)
    made = plan(material, 20.0)
    rows = made.table.set_index("repetitions")
    # Two settings of five folds, a minute a run
    assert rows.loc[2, ["runs", "hours"]].tolist() == pytest.approx([20, 20 / 60])
    assert rows["power"].is_monotonic_increasing
    assert rows.loc[made.repetitions, "power"] >= 0.8
    assert made.words.startswith(f"{made.repetitions} repetition")
    assert "of 20 points for new recordings of the same speakers" in made.words


def test_where_no_number_would_do_it_is_said(pilot):
    made = plan(read_material(pilot.study, pilot.runs), 0.1)
    assert made.repetitions is None
    assert made.words.startswith("No number of repetitions up to 100 would show a true difference of 0.1 points")


def test_a_pilot_of_one_repetition_is_refused(simulation):
    for number, lam in enumerate((0.0, 0.3)):
        settings = settings_of("logmel", lam, 0.5)
        simulation.add_job(number, f"loss.lam={lam}", settings, folds=range(5))
        for fold in range(5):
            simulation.finish(settings, 0, fold, predictions([(name, name) for name in CLASSES]))
    with pytest.raises(UserError, match=r"simulated is a pilot of one repetition, .*split.repeats=\[0,1\]"):
        plan(read_material(simulation.study, simulation.runs), 3.0)


def test_the_command_prints_the_plan(pilot, capsys):
    main(["power", "simulated", "--effect", "20", "--output", str(pilot.output)])
    out = capsys.readouterr().out
    assert "repetitions" in out
    assert "with a probability of 80% or more" in out
    for arguments in (["power", "simulated"], ["simulated", "--effect", "3"]):
        with pytest.raises(UserError, match="power STUDY --effect 3"):
            main([*arguments, "--output", str(pilot.output)])
