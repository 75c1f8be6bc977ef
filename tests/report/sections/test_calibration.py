"""The table of calibration by hand: ten utterances of a run, some of them recognised wrongly, all with one
probability."""

from dataclasses import replace
from math import log

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ser_lightning.report.calibration import COLDEST, HOTTEST, temperature
from ser_lightning.report.material import read_material
from ser_lightning.report.sections.calibration import ALONE, SCORES, section
from tests.report.simulated import CLASSES, settings_of

SETTINGS = [settings_of("logmel", lam, 0.5) for lam in (0.0, 0.3)]
LABELS = [CLASSES[i % 4] for i in range(10)]


def sure(probability, wrong=0, fold=0):
    """Ten utterances of a fold; what is recognised, wrongly in some, is given this probability."""
    rows = []
    for i, label in enumerate(LABELS):
        recognised = CLASSES[(CLASSES.index(label) + (i < wrong)) % 4]
        rows.append([log(probability if name == recognised else (1 - probability) / 3) for name in CLASSES])
    table = pd.DataFrame(rows, columns=[f"logit_{name}" for name in CLASSES])
    return table.assign(id=[f"fold {fold} utterance {i}" for i in range(10)], label=LABELS)


def odds(probability):
    """How much likelier the class recognised is than another: by its logarithm temperatures go."""
    return log(3 * probability / (1 - probability))


DEV = sure(0.7, wrong=2)


def study_of(simulation, *jobs, planned=None, repeats=1, dev=DEV, all_settings=SETTINGS):
    """A study of softmax and centre loss, of which these runs are finished: (probability, wrong) fold by fold."""
    for number, (settings, runs) in enumerate(zip(all_settings, jobs, strict=False)):
        job = simulation.add_job(
            number,
            f"loss.lam={settings['loss']['lam']:g}",
            settings,
            folds=range(planned or len(runs) // repeats),
            repeats=repeats,
        )
        for (repeat, fold), outcome in zip(job.places, runs, strict=False):
            if outcome:
                simulation.finish(settings, repeat, fold, sure(*outcome, fold), dev=dev)
    return read_material(simulation.study, simulation.runs)


def numbers_of(material):
    """The section's table, and its sentences."""
    explained, table, picture, *sentences = section(material).blocks
    assert (explained.aside, picture.name) == (True, "calibration")
    return table.numbers, [text.words for text in sentences]


def test_numbers_and_change_by_hand(simulation):
    material = study_of(simulation, [(0.7, 3), (0.7, 1)], [(0.9, 2), (0.7, 1)])
    numbers, (sentence, *_) = numbers_of(material)
    # 0 and -20; 10 and -20
    assert numbers["overconfidence"].tolist() == pytest.approx([-10, -5])
    assert numbers["ece"].tolist() == pytest.approx([(0 + 20) / 2, (10 + 20) / 2])
    losses = [
        [-(0.7 * log(0.7) + 0.3 * log(0.1)), -(0.9 * log(0.7) + 0.1 * log(0.1))],
        [-(0.8 * log(0.9) + 0.2 * log(0.1 / 3)), -(0.9 * log(0.7) + 0.1 * log(0.1))],
    ]
    assert numbers["nll"].tolist() == pytest.approx(np.mean(losses, axis=1))
    # By the other fold 0.7 becomes 0.9 in the first, and stays in the second
    assert numbers["temperature"][0] == pytest.approx((odds(0.7) / odds(0.9) + 1) / 2, rel=1e-3)
    assert numbers["ece_scaled"][0] == pytest.approx((90 - 70 + 90 - 70) / 2, abs=0.02)
    scaled = -(0.7 * log(0.9) + 0.3 * log(0.1 / 3))
    assert numbers["nll_scaled"][0] == pytest.approx((scaled + losses[0][1]) / 2, rel=1e-3)
    # Of centre loss it does the same in the first, and in the second 0.9 becomes 0.8
    assert numbers["temperature"][1] == pytest.approx((odds(0.7) / odds(0.9) + odds(0.9) / odds(0.8)) / 2, rel=1e-3)
    # Two pairs are too few for an interval or a p-value
    assert sentence == "lambda = 0.3 against lambda = 0: over-confidence changes by +5.00 points (2 pairs of runs)."
    assert numbers.filter(like="_half").isna().all(axis=None)


def test_intervals_by_hand(simulation):
    """Of five runs 0, 4, 1, 3 and 2 of ten are wrong at 0.7: gaps of -30, 10, -20, 0 and -10."""
    numbers, _ = numbers_of(study_of(simulation, [(0.7, wrong) for wrong in (0, 4, 1, 3, 2)]))
    t = stats.t.ppf(0.975, 4)
    # Squares of 20, 20, 10, 0 and 10; utterances, 40 at -20 and 10 at 80 from the mean, would make it less
    assert 50 / 49 * (40 * 20**2 + 10 * 80**2) / 50**2 < 1000 / 4 / 5
    assert numbers["overconfidence"][0] == pytest.approx(-10)
    assert numbers["overconfidence_half"][0] == pytest.approx(t * np.sqrt(1000 / 4 / 5))
    # 30, 10, 20, 0 and 10
    assert numbers["ece"][0] == pytest.approx(14)
    assert numbers["ece_half"][0] == pytest.approx(t * np.sqrt((16**2 + 4**2 + 6**2 + 14**2 + 4**2) / 4 / 5))
    losses = [-(1 - wrong / 10) * log(0.7) - wrong / 10 * log(0.1) for wrong in (0, 4, 1, 3, 2)]
    assert numbers["nll_half"][0] == pytest.approx(t * np.std(losses, ddof=1) / np.sqrt(5))


def test_errors_of_opposite_sign_do_not_cancel_out(simulation):
    """At 0.7 nine of ten are right in one run, and five in the other: fourteen of twenty, as it says of both."""
    numbers, _ = numbers_of(study_of(simulation, [(0.7, 1), (0.7, 5)]))
    assert numbers["overconfidence"][0] == pytest.approx(0)
    assert numbers["ece"][0] == pytest.approx(20)


def test_what_chance_alone_makes_is_that_of_each_runs_utterances(simulation):
    """How far a share of ten lies from the probability on average, by the binomial distribution; in percent."""
    numbers, _ = numbers_of(study_of(simulation, [(0.7, 1), (0.9, 5), (0.7, 3)]))
    rights = np.arange(11)
    seven, nine = (stats.binom.pmf(rights, 10, share) @ np.abs(10 * rights - 100 * share) for share in (0.7, 0.9))
    assert numbers["ece_by_chance"][0] == pytest.approx((2 * seven + nine) / 3, abs=1.5)


def test_a_change_has_the_p_of_its_pairs(simulation):
    """Gaps of -30, 10, -20, 0 and -10 against five of -20: as in the intervals by hand, less what was constant."""
    material = study_of(simulation, [(0.7, 1)] * 5, [(0.7, wrong) for wrong in (0, 4, 1, 3, 2)])
    error = np.sqrt(1000 / 4 / 5)
    p, half = 2 * stats.t.sf(10 / error, 4), stats.t.ppf(0.975, 4) * error
    _, sentences = numbers_of(material)
    assert sentences[0] == (
        f"lambda = 0.3 against lambda = 0: over-confidence changes by +10.00 ± {half:.2f} points (p = {p:.2g}, 5 pairs "
        "of runs)."
    )


def test_of_an_unfinished_study_the_change_has_none(simulation):
    material = study_of(simulation, [(0.7, 1)] * 5, [(0.7, wrong) for wrong in (0, 4, 1, 3, 2)], planned=6)
    _, sentences = numbers_of(material)
    assert sentences[0].endswith(" points (5 pairs of runs).")


def test_without_a_common_division_nothing_is_said_of_a_change(simulation):
    numbers, sentences = numbers_of(study_of(simulation, [(0.7, 0), None], [None, (0.7, 0)]))
    assert len(numbers) == 2
    assert not any("against" in words for words in sentences)


def softmax_left_out(settings):
    """Of the total loss, as two-step systems have it."""
    return {**settings, "loss": {**settings["loss"], "softmax": 0.0}}


def not_trained(settings):
    """As statistics of frames and a head that is fitted to them have it."""
    return {**settings, "model": {"trained": False}}


@pytest.mark.parametrize("change", [softmax_left_out, not_trained])
def test_scores_that_no_softmax_loss_trained_are_no_probabilities(simulation, change):
    material = study_of(
        simulation, [(0.7, 3), (0.7, 1)], [(0.9, 2), (0.7, 1)], all_settings=[SETTINGS[0], change(SETTINGS[1])]
    )
    scored = replace(material, selection=(0, 1))
    numbers, sentences = numbers_of(scored)
    assert numbers["overconfidence"].tolist() == pytest.approx([-10])
    assert sentences == [f"{material.label(1)}: {SCORES}"]
    assert section(replace(material, selection=(1,))) is None


# Temperatures


def finished(simulation, runs, **words):
    return study_of(simulation, runs, **words).finished(0)


def test_a_temperature_is_fitted_to_the_other_folds_test_parts(simulation):
    """Of whose twenty utterances 3 and 1 are wrong; not to dev, of which 2 of ten are, nor to another repetition."""
    runs = finished(simulation, [(0.7, 5), (0.7, 3), (0.7, 1), (0.7, 7), (0.7, 7), (0.7, 7)], repeats=2)
    assert [run.result.repeat for run in runs] == [0, 0, 0, 1, 1, 1]
    assert temperature(runs[0], runs) == pytest.approx(odds(0.7) / odds(16 / 20), rel=1e-3)
    assert temperature(runs[1], runs) == pytest.approx(odds(0.7) / odds(14 / 20), rel=1e-3)
    assert temperature(runs[3], runs) == pytest.approx(odds(0.7) / odds(6 / 20), rel=1e-3)


def test_what_a_run_is_tested_on_plays_no_part_in_its_temperature(simulation):
    """Whatever its own network says of it."""
    runs = finished(simulation, [(0.7, 5), (0.7, 3), (0.7, 1)])
    before = temperature(runs[0], runs)
    runs[0].test.logits[:] = np.random.default_rng(0).normal(0, 9, runs[0].test.logits.shape)
    runs[0].test.labels[:] = 0
    runs[0].dev.labels[:] = 0
    assert temperature(runs[0], runs) == before


def test_nor_does_what_other_folds_say_of_the_same_utterances(simulation):
    """Four utterances of the first test part stand in the second as well, where they are certain and wrong."""
    runs = finished(simulation, [(0.7, 5), (0.7, 3), (0.7, 1)])
    runs[1].test.ids[:4] = runs[0].test.ids[:4]
    runs[1].test.logits[:4] = 50 * np.eye(4)[(runs[1].test.labels[:4] + 1) % 4]
    # Left are six that are right, and ten of the third of which one is wrong
    assert temperature(runs[0], runs) == pytest.approx(odds(0.7) / odds(15 / 16), rel=1e-3)
    # For the third, which does not share them, they count, and are devastating
    assert temperature(runs[2], runs) > 5 * temperature(runs[0], runs)


def test_without_an_utterance_of_others_it_is_fitted_to_dev(simulation):
    """One fold; or two folds that are tested on the same utterances."""
    runs = finished(simulation, [(0.7, 5), (0.7, 3)])
    expected = pytest.approx(odds(0.7) / odds(0.8), rel=1e-3)
    assert temperature(runs[0], runs[:1]) == expected
    runs[1].test.ids[:] = runs[0].test.ids
    assert temperature(runs[0], runs) == expected


def test_a_seed_more_of_the_same_division_is_no_other_fold(simulation):
    for seed in (0, 1):
        settings = {**SETTINGS[0], "seed": seed}
        simulation.add_job(seed, f"seed={seed}", settings, folds=[0])
        simulation.finish(settings, 0, 0, sure(0.7, 5), dev=DEV)
    material = read_material(simulation.study, simulation.runs)
    runs = material.finished(0)
    assert len(runs) == 2
    assert temperature(runs[0], runs) == pytest.approx(odds(0.7) / odds(0.8), rel=1e-3)
    _, sentences = numbers_of(material)
    assert sentences[-1].endswith(ALONE)


@pytest.mark.parametrize("repeats", [1, 3])
def test_that_it_is_fitted_to_dev_is_said(simulation, repeats):
    """Of a single fold, however often the corpus is divided anew."""
    _, sentences = numbers_of(study_of(simulation, [(0.7, 5)] * repeats, repeats=repeats))
    assert sentences == [f"loss.lam=0: {ALONE}"]


def test_of_several_folds_it_is_not_said(simulation):
    _, sentences = numbers_of(study_of(simulation, [(0.7, 5), (0.7, 3)]))
    assert sentences == []


def test_temperatures_at_the_end_of_the_range_are_named(simulation):
    """By folds without an error probabilities cannot be high enough; by those with nothing right, not low enough."""
    runs = {0: [(0.7, 0), (0.7, 0), (0.7, 2)], 1: [(0.7, 10), (0.7, 10), (0.9, 8)]}
    material = study_of(simulation, *runs.values())
    numbers, sentences = numbers_of(material)
    fitted = [[temperature(run, material.finished(job)) for run in material.finished(job)] for job in runs]
    # The third of each is fitted to the two before
    assert fitted[0][2] == pytest.approx(COLDEST, rel=0.01)
    assert min(fitted[0][:2]) > 2 * COLDEST
    assert fitted[1][2] == pytest.approx(HOTTEST, rel=0.01)
    range_ = "stopped at the end of the range that is searched, 0.05 to 20."
    named = [words for words in sentences if "range" in words]
    assert named[0] == f"lambda = 0: of 3 temperatures 1 {range_}"
    # Where fewer than a quarter are right of four classes, the flattest probabilities are the best
    assert named[1] == f"lambda = 0.3: of 3 temperatures 3 {range_}"
    assert len(numbers) == 2


def test_the_more_errors_others_make_the_higher_the_temperature(simulation):
    runs = finished(simulation, [(0.7, wrong) for wrong in range(7)])
    fitted = [temperature(runs[0], [runs[0], one]) for one in runs[1:]]
    assert fitted == sorted(fitted)
    assert fitted == pytest.approx([odds(0.7) / odds(1 - wrong / 10) for wrong in range(1, 7)], rel=1e-3)


# Seeds


def test_seeds_of_one_division_are_one_run_of_the_interval(simulation):
    """Five seeds of one fold say nothing of another division."""
    for seed, wrong in enumerate([0, 4, 1, 3, 2]):
        settings = {**SETTINGS[0], "seed": seed}
        simulation.add_job(seed, f"seed={seed}", settings, folds=[0])
        simulation.finish(settings, 0, 0, sure(0.7, wrong), dev=DEV)
    numbers, _ = numbers_of(read_material(simulation.study, simulation.runs))
    assert len(numbers) == 1
    assert numbers[["overconfidence_half", "ece_half", "nll_half"]].isna().all(axis=None)
    assert numbers["ece"][0] == pytest.approx(14)
