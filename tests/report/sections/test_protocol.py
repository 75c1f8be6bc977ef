"""What a reader is warned of before any number."""

import dataclasses

import numpy as np
import pytest

from ser_lightning.report.material import read_material
from ser_lightning.report.sections.protocol import section, warnings
from ser_lightning.runs.ledger import read_result
from tests.report.simulated import CLASSES, Simulation, predictions, settings_of


def study(simulation, right, **audit):
    """Five folds of forty utterances, of whom each fold has so many recognised of each class's ten."""
    settings = settings_of("logmel", 0.0, 0.5)
    simulation.add_job(0, "softmax", settings, folds=range(5))
    for fold, number in enumerate(right):
        pairs = [
            (name, name if place < number else CLASSES[(position + 1) % 4])
            for position, name in enumerate(CLASSES)
            for place in range(10)
        ]
        test = predictions(pairs)
        folder = simulation.finish(settings, 0, fold, test.assign(id=[f"u{fold}-{place}" for place in range(40)]))
        result = read_result(folder)
        dataclasses.replace(result, audit={**result.audit, **audit}).write(folder)
    return read_material(simulation.study, simulation.runs)


@pytest.mark.parametrize(("cues", "warned"), [(0.59, False), (0.66, True), (0.75, True)])
def test_cues_that_reach_the_networks_interval_are_a_warning(simulation, cues, warned):
    # UA 60, 70, 70, 70, 80: 70 %, whose interval begins above 59 and below 66
    material = study(simulation, [6, 7, 7, 7, 8], cue_ua=cues)
    low = material.summary["ua"][0] - material.summary["ua_half"][0]
    assert 59 < low < 66
    words = [line for line in warnings(material) if line.startswith("A random forest")]
    assert bool(words) == warned
    if warned:
        assert f"reaches a UA of {100 * cues:.0f} %, where the best network has 70.0 %" in words[0]
        assert f"from {low:.1f} %" in words[0]


def test_without_an_interval_the_mean_is_what_cues_are_held_against(simulation):
    settings = settings_of("logmel", 0.0, 0.5)
    simulation.add_job(0, "softmax", settings, folds=(0,))
    # Recalls of a quarter, and the cues' UA is 30 %
    simulation.finish(settings, 0, 0, predictions([(name, "neu") for name in CLASSES]))
    lines = warnings(read_material(simulation.study, simulation.runs))
    assert any("reaches a UA of 30 %, where the best network has 25.0 %: the recordings" in line for line in lines)


@pytest.mark.parametrize(
    ("splits", "told"),
    [
        (
            1,
            "There is one division into parts: its intervals hold given its training part, and know nothing of the",
        ),
        (3, "All trainings of a setting test the same speakers: the intervals hold given these training parts, and kn"),
    ],
)
def test_intervals_of_one_group_of_speakers_say_what_they_are_conditional_on(tmp_path, splits, told):
    simulation, settings = Simulation(tmp_path, protocol="official", speaker=0.0), settings_of("logmel", 0.0, 0.5)
    simulation.add_job(0, "softmax", settings, folds=range(splits))
    rng = np.random.default_rng(0)
    test = predictions([(name, rng.choice([name, "sad"], p=[0.8, 0.2])) for name in CLASSES * 24])
    for fold in range(splits):
        simulation.finish(settings, 0, fold, test)
    for speakers, warned in ((12, True), (9, False)):
        simulation.add_utterances(test[["id", "label"]].assign(speaker=[f"s{n % speakers}" for n in range(len(test))]))
        material = read_material(simulation.study, simulation.runs)
        assert (material.question, np.isfinite(material.summary["ua_half"][0])) == ("new people", warned)
        assert any(line.startswith(told) for line in warnings(material)) == warned


def test_folds_that_test_speakers_of_their_own_are_conditional_on_nothing(simulation):
    material = study(simulation, [6, 7, 7, 7, 8])
    assert not any("hold given" in line for line in warnings(material))


def test_runs_that_make_no_step_are_told_apart(simulation):
    for number, (lam, steps) in enumerate(((0.0, 0), (0.3, 3520))):
        settings = settings_of("logmel", lam, 0.5)
        simulation.add_job(number, f"loss.lam={lam}", settings, folds=(0,))
        folder = simulation.finish(settings, 0, 0, predictions([(name, "neu") for name in CLASSES]))
        dataclasses.replace(read_result(folder), steps=steps).write(folder)
    material = read_material(simulation.study, simulation.runs)
    facts = material.facts
    assert (facts.steps, facts.untrained) == ("3520", 1)
    fitted = "no step is made, and the head is fitted to the training part."
    assert "Training: 3520 steps of 32 utterances (" in training(material)
    assert f"are tested. In 1 run {fitted} It took" in training(material)
    none = dataclasses.replace(material, facts=dataclasses.replace(facts, steps="", untrained=2))
    assert training(none).startswith(f"Training: {fitted} It took")


def training(material):
    (words,) = (block.words for block in section(material).blocks if getattr(block, "words", "").startswith("Training"))
    return words


def test_takes_and_what_dev_shares_are_told(simulation):
    material = study(simulation, [7] * 5, take=0.24, copy=0.01, dev_speaker=1.0, dev_take=0.03, dev_copy=0.0)
    assert "takes 24 %, recordings 1 %" in material.facts.caption
    (words,) = (block.words for block in section(material).blocks if getattr(block, "words", "").startswith("Protocol"))
    assert "test shares with dev: speakers 100 %, takes 3 %, recordings 0 %" in words
