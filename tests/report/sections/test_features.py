"""How compact classes are over runs, with the interval of a division anew."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ser_lightning.report.compactness import compactness
from ser_lightning.report.material import read_material
from ser_lightning.report.sections.features import section
from tests.report.simulated import CLASSES, predictions, settings_of

SETTINGS = settings_of("logmel", 0.3, 0.5)
TEST = predictions([(name, name) for name in CLASSES * 3])


def clouds(width):
    """Features of all parts: classes around corners of a square, those of test twice as wide."""
    rng, tables = np.random.default_rng(0), []
    corners = np.array([[0, 0], [9, 0], [0, 9], [9, 9]])
    for part, scale in (("train", width), ("dev", width), ("test", 2 * width)):
        z = corners[[CLASSES.index(name) for name in TEST["label"]]] + scale * rng.normal(size=(12, 2))
        tables.append(TEST[["id", "label"]].join(pd.DataFrame(z, columns=["z_0", "z_1"])).assign(part=part))
    return pd.concat(tables, ignore_index=True)


def compactness_table(simulation):
    """The section's last block."""
    return section(read_material(simulation.study, simulation.runs)).blocks[-1].numbers


def ratios(widths, part):
    """Of each run."""
    tables = [clouds(width) for width in widths]
    chosen = [table[table["part"] == part] for table in tables]
    return [compactness(one[["z_0", "z_1"]].to_numpy(), one["label"].to_numpy(), CLASSES) for one in chosen]


WIDTHS = [0.5, 0.8, 0.6, 1.1, 0.9]


def test_the_interval_is_students_over_runs(simulation):
    simulation.add_job(0, "centre", SETTINGS, folds=range(5))
    for fold, width in enumerate(WIDTHS):
        simulation.finish(SETTINGS, 0, fold, TEST, clouds(width))
    numbers = compactness_table(simulation)
    for part in ("train", "test"):
        usual = stats.ttest_1samp(ratios(WIDTHS, part), 0).confidence_interval(0.95)
        assert numbers[part][0] == pytest.approx(np.mean(ratios(WIDTHS, part)))
        assert numbers[f"{part}_half"][0] == pytest.approx((usual.high - usual.low) / 2)


def test_four_runs_have_no_interval(simulation):
    simulation.add_job(0, "centre", SETTINGS, folds=range(4))
    for fold, width in enumerate(WIDTHS[:4]):
        simulation.finish(SETTINGS, 0, fold, TEST, clouds(width))
    assert compactness_table(simulation)[["train_half", "test_half"]].isna().all(axis=None)


def test_features_of_unlike_length_have_no_common_basis(simulation):
    for number, (alpha, lengths) in enumerate(((0.5, ["z_0", "z_1"]), (0.7, ["z_0", "z_1", "z_2"]))):
        settings = settings_of("logmel", 0.3, alpha)
        simulation.add_job(number, f"loss.alpha={alpha}", settings, folds=[0])
        table = clouds(0.5).assign(z_2=0.0)
        simulation.finish(settings, 0, 0, TEST, table[["id", "label", "part", *lengths]])
    material = read_material(simulation.study, simulation.runs, show="loss.alpha=0.5,loss.alpha=0.7")
    blocks = section(material).blocks
    assert [block.name for block in blocks if hasattr(block, "draw")] == ["features"]
    assert blocks[1].words == "No basis for all panels: the settings' features are of different lengths."
    (figure,) = (block.figure for block in blocks if hasattr(block, "draw"))
    assert any("in all 2 or 3 dimensions" in text.get_text() for text in figure.texts)


def test_nor_have_five_seeds_of_one_division(simulation):
    for seed, width in enumerate(WIDTHS):
        settings = {**SETTINGS, "seed": seed}
        simulation.add_job(seed, f"seed={seed}", settings, folds=[0])
        simulation.finish(settings, 0, 0, TEST, clouds(width))
    numbers = compactness_table(simulation)
    assert numbers["test"][0] == pytest.approx(np.mean(ratios(WIDTHS, "test")))
    assert numbers[["train_half", "test_half"]].isna().all(axis=None)
