from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ser_lightning.report.material import read_material
from ser_lightning.report.sections.curves import on_common_steps, section
from ser_lightning.runs.ledger import METRICS, read_result
from tests.report.simulated import CLASSES, predictions, settings_of


def test_runs_are_put_on_the_steps_of_the_first_as_far_as_all_go():
    first = pd.DataFrame({"step": [0, 5, 10, 15, 20], "dev/ua": [0.0, np.nan, 0.4, np.nan, 0.6]})
    # Told twice at one step: the later counts; ends earlier, at other steps
    second = pd.DataFrame({"step": [0, 8, 8, 16], "dev/ua": [0.2, 0.0, 0.4, 0.8]})
    found = on_common_steps([first, second], "dev/ua")
    assert found.index.tolist() == [0, 10]
    np.testing.assert_allclose(found.to_numpy(), [[0.0, 0.2], [0.4, 0.5]])


def test_a_column_in_reverse_or_with_one_value_is_read_as_it_stands():
    one = pd.DataFrame({"step": [9, 4], "dev/ua": [0.5, 0.3]})
    other = pd.DataFrame({"step": [9], "dev/ua": [0.7]})
    found = on_common_steps([one, other], "dev/ua")
    assert found.index.tolist() == [9]
    np.testing.assert_allclose(found.to_numpy(), [[0.5, 0.7]])


@pytest.mark.parametrize(
    "content", ["step,train/softmax,dev/ua\n", "step,dev/ua\n3,0.5\n", "step,train/softmax,dev/ua\n3,\0\0,0.5\n"]
)
def test_damaged_curves_are_named_and_the_others_drawn(simulation, content):
    settings = settings_of("logmel", 0.3, 0.5)
    job = simulation.add_job(0, "centre", settings, folds=[0, 1])
    for fold in (0, 1):
        folder = simulation.finish(settings, 0, fold, predictions([(name, name) for name in CLASSES]))
    (folder / METRICS).write_text(content)
    picture, text = section(read_material(simulation.study, simulation.runs)).blocks
    assert text.words == f"Left out, their metrics.csv being missing or damaged: {job.runs[1]}."
    assert picture.figure.get_supxlabel().endswith("mean and range over 1 run")


def test_without_a_training_step_there_is_no_section(simulation):
    settings = settings_of("logmel", 0.3, 0.5)
    simulation.add_job(0, "frames alone", settings, folds=[0])
    folder = simulation.finish(settings, 0, 0, predictions([(name, name) for name in CLASSES]))
    result = read_result(folder)
    assert section(read_material(simulation.study, simulation.runs)) is not None
    replace(result, steps=0).write(folder)
    assert section(read_material(simulation.study, simulation.runs)) is None
