from math import log

import pandas as pd
import pytest

from ser_lightning.report.material import read_material
from ser_lightning.report.sections.calibration import section
from tests.report.simulated import CLASSES, settings_of

SETTINGS = [settings_of("logmel", lam, 0.5) for lam in (0.0, 0.3)]


def sure(probability, wrong=0):
    """Ten utterances of neu; what is recognised, wrongly in some, is given this probability."""
    rows = []
    for i in range(10):
        recognised, rest = "ang" if i < wrong else "neu", (1 - probability) / 3
        rows.append([log(probability if name == recognised else rest) for name in CLASSES])
    table = pd.DataFrame(rows, columns=[f"logit_{name}" for name in CLASSES])
    return table.assign(id=[f"u{i}" for i in range(10)], label="neu")


def of(simulation, *finished):
    """The section of a study of softmax and centre loss, of which these (job, fold, test) are finished."""
    for number, settings in enumerate(SETTINGS):
        simulation.add_job(number, f"loss.lam={settings['loss']['lam']:g}", settings, folds=[0, 1])
    for job, fold, test in finished:
        simulation.finish(SETTINGS[job], 0, fold, test, dev=sure(0.7, wrong=2))
    explained, table, picture, *sentences = section(read_material(simulation.study, simulation.runs)).blocks
    assert (explained.aside, picture.name) == (True, "calibration")
    return table.numbers, [text.words for text in sentences]


def test_numbers_and_change_by_hand(simulation):
    finished = [(0, 0, sure(0.7, 3)), (0, 1, sure(0.7, 1)), (1, 0, sure(0.9, 2)), (1, 1, sure(0.7, 1))]
    numbers, sentences = of(simulation, *finished)
    # 0 and -20; 10 and -20
    assert numbers["overconfidence"].tolist() == pytest.approx([-10, -5])
    # 16 of 20 right in one bin; 8 of 10 and 9 of 10 in two
    assert numbers["ece"].tolist() == pytest.approx([10, 15])
    # On dev 8 of 10 are right: 0.7 becomes 0.8
    assert numbers["temperature"].tolist() == pytest.approx([log(7) / log(12)] * 2, rel=1e-3)
    (sentence,) = sentences
    # Two pairs are too few for an interval or a p-value
    assert sentence == ("lambda = 0.3 against lambda = 0: over-confidence changes by +5.00 points (2 pairs of runs).")


def test_without_a_common_division_nothing_is_said_of_a_change(simulation):
    numbers, sentences = of(simulation, (0, 0, sure(0.7)), (1, 1, sure(0.7)))
    assert len(numbers) == 2
    assert sentences == []
