"""The table of read-outs: four utterances, three runs, worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

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


def outputs(right):
    """An utterance of each class, of which the first ones are recognised."""
    recognised = [*range(right), *((label + 1) % 4 for label in range(right, 4))]
    table = pd.DataFrame(np.eye(4)[recognised], columns=[f"logit_{name}" for name in CLASSES])
    return table.assign(id=[f"u{label}" for label in range(4)], label=CLASSES)


@pytest.fixture
def add(simulation):
    """Adds a job of which softmax recognises 2 of 4 in each of three runs, and its read-outs as many as given."""

    def make(number=0, readouts=KEPT, **rights):
        job = simulation.add_job(number, f"job {number}", SETTINGS)
        write_job(simulation.study, number, replace(job, readouts=readouts))
        for fold, signature in enumerate(job.runs):
            folder = simulation.finish(SETTINGS, 0, fold, outputs(2))
            assert folder.name == signature
            for name, right in rights.items():
                if right[fold] is not None:
                    # Dev, which must not count, is all right
                    table = pd.concat([outputs(4).assign(part="dev"), outputs(right[fold]).assign(part="test")])
                    kept = next(kept for kept, own in readouts.items() if own["name"] == name)
                    write_whole(readout_file(folder, kept), table.to_parquet(index=False))

    return make


def material(simulation):
    return read_material(simulation.study, simulation.runs)


def rows_of(simulation):
    study = material(simulation)
    return readout_rows(study.jobs, study.scored, study.runs)


def test_means_and_paired_differences_by_hand(simulation, add):
    add(svm=[4, 3, 2], centers=[2, None, 1])
    rows = rows_of(simulation).set_index("readout")
    assert rows.index.tolist() == ["network's softmax", "svm", "centers"]
    assert rows["runs"].tolist() == [3, 3, 2]
    assert rows["ua"].tolist() == rows["wa"].tolist() == pytest.approx([50, 75, 37.5])
    assert rows["ua_gain"].tolist()[1:] == pytest.approx([25, -12.5])
    # s.d. 25 over three runs whose test part is an eighth of the training part; t of 2 degrees of freedom
    half = 4.302652729749464 * 25 * (1 / 3 + 1 / 8) ** 0.5
    assert rows.loc["svm", ["ua_half", "wa_gain_half"]].tolist() == pytest.approx([half, half])
    # Two runs are too few for an interval, and softmax is not compared with itself
    assert rows.loc["centers", ["ua_half", "ua_gain_half"]].isna().all()
    assert rows.loc["network's softmax", ["ua_gain", "wa_gain"]].isna().all()


def test_as_text(simulation, add):
    add(svm=[3, 3, 3])
    table = section(material(simulation)).blocks[1]
    assert table.shown.columns.tolist()[:5] == ["setting", "read-out", "runs", "UA (%)", "UA against softmax"]
    assert table.shown.iloc[1].tolist()[1:5] == ["svm", "3", "75.00 ± 0.00", "+25.00 ± 0.00"]
    study = material(simulation)
    assert readout_lines(study.jobs, study.scored, study.runs)[0] == (
        "readout svm: UA 75.00 ± 0.00 % (+25.00 ± 0.00 against softmax), "
        "WA 75.00 ± 0.00 % (+25.00 ± 0.00 against softmax)"
    )


def test_none_without_read_outs(simulation, add):
    add(readouts={})
    assert section(material(simulation)) is None


def test_none_where_they_are_not_computed_yet(simulation, add):
    add()
    assert section(material(simulation)) is None


def test_settings_in_which_those_of_one_name_differ_are_named(simulation, add):
    add(readouts={SVM: {"name": "svm", "C": 0.1}}, svm=[4, 4, 4])
    add(readouts={"svm-89": {"name": "svm", "C": 1.0}}, svm=[1, 1, 1])
    write_job(simulation.study, 1, replace(read_jobs(simulation.study)[0], readouts={SVM: {"name": "svm", "C": 0.1}}))
    rows = rows_of(simulation)
    # Jobs with the same runs are one, with the read-outs of both
    assert rows["readout"].tolist() == ["network's softmax", "svm C=1.0", "svm C=0.1"]
    assert rows["ua"].tolist() == [50, 25, 100]


def test_a_damaged_file_is_named(simulation, add):
    add(svm=[4, 4, 4])
    file = next(simulation.runs.glob("*/readouts/svm-0123.parquet"))
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(UserError, match=r"svm-0123\.parquet is damaged .* delete it and repeat"):
        rows_of(simulation)
