import numpy as np
import pandas as pd
import pytest

from ser_lightning.report.material import read_material
from ser_lightning.report.sections.speakers import section, speaker_table
from tests.report.simulated import CLASSES, predictions, settings_of

SOFTMAX, CENTRE = settings_of("logmel", 0.0, 0.5), settings_of("logmel", 0.3, 0.5)
# Spoken by zoe, zoe, ann, ann, ann; mia is in no test part
FIRST = predictions([("neu", "neu"), ("ang", "neu"), ("neu", "neu"), ("hap", "sad"), ("sad", "sad")])
SECOND = predictions([("neu", "sad"), ("ang", "ang"), ("neu", "neu"), ("hap", "hap"), ("sad", "neu")])
SPEAKER_OF = dict(zip(["u0", "u1", "u2", "u3", "u4", "u5"], ["zoe", "zoe", "ann", "ann", "ann", "mia"], strict=True))


def test_recalls_by_hand(simulation):
    simulation.add_job(0, "centre", CENTRE, folds=[0, 1, 2])
    for fold, test in enumerate([FIRST, SECOND]):
        simulation.finish(CENTRE, 0, fold, test)
    table = speaker_table(read_material(simulation.study, simulation.runs), 0, SPEAKER_OF)
    assert table.columns.tolist() == [*CLASSES, "UA", "utterances"]
    assert table.index.tolist() == ["ann", "zoe"]
    assert table["utterances"].tolist() == [6, 4]
    # Both runs together; without an utterance of a class there is no UA
    np.testing.assert_equal(table.loc["ann"].to_numpy()[:5], [100, np.nan, 50, 50, np.nan])
    np.testing.assert_equal(table.loc["zoe"].to_numpy()[:5], [50, 50, np.nan, np.nan, np.nan])


def test_ua_is_the_mean_of_the_recalls(simulation):
    simulation.add_job(0, "centre", CENTRE, folds=[0])
    pairs = [("neu", "neu"), ("neu", "sad"), ("ang", "ang"), ("hap", "neu"), ("sad", "sad"), ("sad", "sad")]
    simulation.finish(CENTRE, 0, 0, predictions(pairs))
    material = read_material(simulation.study, simulation.runs)
    table = speaker_table(material, 0, dict.fromkeys((f"u{i}" for i in range(6)), "ann"))
    assert table.loc["ann", "UA"] == pytest.approx((50 + 100 + 0 + 100) / 4)


def test_settings_tested_on_unlike_speakers_are_drawn_side_by_side(simulation):
    """As in an unfinished study whose folds are speakers."""
    for number, (settings, folds) in enumerate(((SOFTMAX, (0, 1)), (CENTRE, (1,)))):
        simulation.add_job(number, f"loss.lam={settings['loss']['lam']:g}", settings, folds=[0, 1])
        for fold in folds:
            test = predictions([(name, name) for name in CLASSES])
            simulation.finish(settings, 0, fold, test.assign(id=[f"{fold}{name}" for name in CLASSES]))
    ids = [f"{fold}{name}" for fold in (0, 1) for name in CLASSES]
    spoken = pd.DataFrame({"id": ids, "label": CLASSES * 2, "speaker": ["ann"] * 4 + ["bob"] * 4})
    simulation.add_utterances(spoken)
    picture, table, _ = section(read_material(simulation.study, simulation.runs)).blocks
    softmax, centre = picture.figure.axes
    assert [label.get_text() for label in softmax.get_yticklabels()] == ["ann", "bob"]
    assert [text.get_text() for text in softmax.texts] == ["100"] * 10
    assert [text.get_text() for text in centre.texts] == ["–"] * 5 + ["100"] * 5
    assert table.numbers[["setting", "speaker"]].to_numpy().tolist() == [
        ["lambda = 0", "ann"],
        ["lambda = 0", "bob"],
        ["lambda = 0.3", "bob"],
    ]


def test_without_speakers_there_is_no_section(simulation):
    simulation.add_job(0, "centre", CENTRE, folds=[0])
    simulation.finish(CENTRE, 0, 0, FIRST)
    table = FIRST[["id", "label"]].assign(speaker=["zoe", "zoe", "ann", "ann", ""])
    simulation.add_utterances(table)
    assert section(read_material(simulation.study, simulation.runs)) is None
