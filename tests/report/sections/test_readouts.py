"""The table of read-outs: four utterances of a run, five runs, worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ser_lightning.errors import UserError
from ser_lightning.files import write_whole
from ser_lightning.report.material import read_material
from ser_lightning.report.sections.readouts import readout_lines, readout_rows, section
from ser_lightning.runs.ledger import readout_file
from ser_lightning.runs.study import read_jobs, write_job
from tests.report.simulated import CLASSES, settings_of

SETTINGS = settings_of("logmel", 0.3, 0.5)
SVM, CENTERS = "svm-0123", "centers-4567"
KEPT = {SVM: {"name": "svm", "C": 1.0}, CENTERS: {"name": "centers"}}

# UA of 100, 100, 0, 50 and 50 is 60; squares 40, 40, 60, 10 and 10; of the mean of five, variance 350.
RIGHT, SQUARED = [4, 4, 0, 2, 2], (2 * 40**2 + 60**2 + 2 * 10**2) / 4 / 5
HALF = stats.t.ppf(0.975, 4) * SQUARED**0.5


def outputs(right, fold=0):
    """An utterance of each class, of which the first ones are recognised."""
    recognised = [*range(right), *((label + 1) % 4 for label in range(right, 4))]
    table = pd.DataFrame(np.eye(4)[recognised], columns=[f"logit_{name}" for name in CLASSES])
    return table.assign(id=[f"fold {fold} utterance {label}" for label in range(4)], label=CLASSES)


@pytest.fixture
def add(simulation):
    """Adds a job of which softmax recognises 2 of 4 in each of five runs, and its read-outs as many as given."""

    def make(number=0, readouts=KEPT, **rights):
        job = simulation.add_job(number, f"job {number}", SETTINGS, folds=range(5))
        write_job(simulation.study, number, replace(job, readouts=readouts))
        for fold, signature in enumerate(job.runs):
            folder = simulation.finish(SETTINGS, 0, fold, outputs(2, fold))
            assert folder.name == signature
            for name, right in rights.items():
                if right[fold] is not None:
                    # Dev, which must not count, is all right
                    parts = [outputs(4, fold).assign(part="dev"), outputs(right[fold], fold).assign(part="test")]
                    kept = next(kept for kept, own in readouts.items() if own["name"] == name)
                    write_whole(readout_file(folder, kept), pd.concat(parts).to_parquet(index=False))

    return make


def material(simulation):
    return read_material(simulation.study, simulation.runs)


def rows_of(simulation):
    study = material(simulation)
    return readout_rows(study.jobs, study.scored, study.runs, study.speaker_of)


def test_means_and_paired_differences_by_hand(simulation, add):
    add(svm=RIGHT, centers=[2, None, 1, None, None])
    rows = rows_of(simulation).set_index("readout")
    assert rows.index.tolist() == ["network's head", "svm", "centers"]
    assert rows["runs"].tolist() == [5, 5, 2]
    assert rows["ua"].tolist() == rows["wa"].tolist() == pytest.approx([50, 60, 37.5])
    assert rows["ua_gain"].tolist()[1:] == pytest.approx([10, -12.5])
    # An utterance is 5 points of the mean: twenty, of classes that are right in 4, 4, 2 and 2 of 5 runs, make less
    assert SQUARED > 20 / 19 * 5**2 * 5 * (2 * 0.8 * 0.2 + 2 * 0.4 * 0.6)
    halves = rows.loc["svm", ["ua_half", "wa_half", "ua_gain_half", "wa_gain_half"]].tolist()
    assert halves == pytest.approx([HALF] * 4, rel=1e-5)
    # Two runs are too few for an interval, and softmax is not compared with itself
    assert rows.loc["centers", ["ua_half", "ua_gain_half"]].isna().all()
    assert rows.loc["network's head", ["ua_gain", "wa_gain"]].isna().all()


def test_as_text(simulation, add):
    add(svm=RIGHT)
    table = section(material(simulation)).blocks[1]
    assert table.shown.columns.tolist()[:5] == ["setting", "read-out", "runs", "UA (%)", "UA against the head"]
    assert table.shown.iloc[1].tolist()[1:5] == ["svm", "5", f"60.00 ± {HALF:.2f}", f"+10.00 ± {HALF:.2f}"]
    study = material(simulation)
    assert readout_lines(study.jobs, study.scored, study.runs, study.speaker_of)[0] == (
        f"readout svm: UA 60.00 ± {HALF:.2f} % (+10.00 ± {HALF:.2f} against the head), "
        f"WA 60.00 ± {HALF:.2f} % (+10.00 ± {HALF:.2f} against the head)"
    )


def test_of_people_apart_intervals_are_for_other_people(simulation, add):
    """Two speakers in a fold, of two utterances each: what theirs add to the mean; freedom as of the folds."""
    simulation.speaker = 0.0
    add(svm=RIGHT)
    people = pd.concat([outputs(2, fold).assign(speaker=[f"s{fold}", f"t{fold}"] * 2) for fold in range(5)])
    simulation.add_utterances(people[["id", "label", "speaker"]])
    recalls = [sum(right > label for right in RIGHT) / 5 for label in range(4)]
    sums = [
        sum(5 * ((right > label) - recalls[label]) for label in labels)
        for right in RIGHT
        for labels in ((0, 2), (1, 3))
    ]
    squared = max(10 / 9 * sum(one**2 for one in sums), SQUARED)
    row = rows_of(simulation).set_index("readout").loc["svm"]
    assert row["ua_half"] == pytest.approx(stats.t.ppf(0.975, 4) * squared**0.5, rel=1e-5)


def test_none_without_read_outs(simulation, add):
    add(readouts={})
    assert section(material(simulation)) is None


def test_none_where_they_are_not_computed_yet(simulation, add):
    add()
    assert section(material(simulation)) is None


def test_settings_in_which_those_of_one_name_differ_are_named(simulation, add):
    add(readouts={SVM: {"name": "svm", "C": 0.1}}, svm=[4] * 5)
    add(readouts={"svm-89": {"name": "svm", "C": 1.0}}, svm=[1] * 5)
    write_job(simulation.study, 1, replace(read_jobs(simulation.study)[0], readouts={SVM: {"name": "svm", "C": 0.1}}))
    rows = rows_of(simulation)
    # Jobs with the same runs are one, with the read-outs of both
    assert rows["readout"].tolist() == ["network's head", "svm C=1.0", "svm C=0.1"]
    assert rows["ua"].tolist() == [50, 25, 100]


def test_a_damaged_file_is_named(simulation, add):
    add(svm=[4] * 5)
    file = next(simulation.runs.glob("*/readouts/svm-0123.parquet"))
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(UserError, match=r"svm-0123\.parquet is damaged .* delete it and repeat"):
        rows_of(simulation)
