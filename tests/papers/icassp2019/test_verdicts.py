import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import gamma

from ser_lightning.papers.icassp2019 import numbers as paper
from ser_lightning.papers.icassp2019.verdicts import compare, section
from ser_lightning.report.material import read_material
from ser_lightning.report.statistics import over_runs
from tests.report.simulated import CLASSES, Simulation, predictions, settings_of


def test_a_published_mean_is_taken_to_have_our_spread():
    ours = over_runs([60.0, 62.0, 64.0, 66.0], ratio=1 / 8)
    found = compare(ours, 60.0)
    error = np.sqrt(2 * (1 / 4 + 1 / 8) * 20 / 3)
    assert (found["ours"], found["paper"], found["difference"]) == (63.0, 60.0, 3.0)
    assert found["half"] == pytest.approx(stats.t.ppf(0.975, 3) * error)
    assert found["p"] == pytest.approx(2 * stats.t.sf(3 / error, 3))


def test_25_runs_by_hand():
    """Twelve of 62, twelve of 66 and one of 64: mean 64, variance 24 x 4 / 24 = 4."""
    ours = over_runs([62.0] * 12 + [66.0] * 12 + [64.0], ratio=1 / 8)
    found = compare(ours, 65.5)
    error = np.sqrt(2 * (1 / 25 + 1 / 8) * 4)
    assert error == pytest.approx(1.148913)
    assert (found["ours"], found["difference"]) == pytest.approx((64, -1.5))
    assert found["half"] == pytest.approx(2.0638986 * error)  # 97.5 % of Student's t with 24 degrees of freedom
    t = 1.5 / error
    beyond, _ = quad(lambda x: gamma(12.5) / (np.sqrt(24 * np.pi) * gamma(12)) * (1 + x * x / 24) ** -12.5, t, np.inf)
    assert found["p"] == pytest.approx(2 * beyond)


def test_the_very_number_is_consistent():
    assert compare(over_runs([60.0, 62.0, 64.0], 1 / 8), 62.0)["p"] == 1
    assert compare(over_runs([62.0] * 3, 1 / 8), 62.0)["p"] == 1


def test_without_spread_any_other_number_is_not():
    found = compare(over_runs([62.0] * 3, 1 / 8), 62.5)
    assert (found["difference"], found["half"], found["p"]) == (-0.5, 0, 0)


def with_recalls(*right):
    """A hundred utterances of each class, of which so many are recognised."""
    wrong = dict(zip(CLASSES, reversed(CLASSES), strict=True))
    recognised = zip(CLASSES, right, strict=True)
    return predictions([(name, name if i < of else wrong[name]) for name, of in recognised for i in range(100)])


@pytest.fixture
def iemocap(tmp_path, monkeypatch):
    """Settings 1 and 2 on what passes for IEMOCAP, four folds, and a setting that the paper has not."""
    simulation = Simulation(tmp_path, corpus="iemocap", synthetic=False)
    monkeypatch.setattr(paper, "COUNTS", dict.fromkeys(CLASSES, 300))
    odd, even = (63, 64, 63, 64), (64, 65, 64, 65)
    jobs = {0.0: [odd, odd, even, even], 0.3: [(50, 51, 50, 51), (51,) * 4, (51,) * 4, (50,) * 4], 0.5: [odd] * 4}
    for number, (lam, folds) in enumerate(jobs.items()):
        settings = settings_of("logmel", lam, 0.5)
        simulation.add_job(number, f"loss.lam={lam}", settings, folds=range(4))
        for fold, right in enumerate(folds):
            simulation.finish(settings, 0, fold, with_recalls(*right))
    return simulation


def test_verdicts_on_numbers_that_are_met_and_missed(iemocap):
    told, _, table = section(read_material(iemocap.study, iemocap.runs)).blocks
    assert told.words == "Of the paper's 22 numbers, 4 were measured; 1 of them are consistent with ours."
    rows = table.numbers
    # Setting 1: 63.5, 63.5, 64.5, 64.5 in both measures; setting 2: 50.5, 51, 51, 50
    assert rows["ours"].tolist() == pytest.approx([64, 64, 50.625, 50.625])
    assert rows["paper"].tolist() == [63.80, 61.83, 66.86, 65.40]
    error = np.sqrt(2 * (1 / 4 + 1 / 8) / 3)
    p = [2 * stats.t.sf(difference / error, 3) for difference in (0.2, 2.17)]
    assert rows["p"].tolist()[:2] == pytest.approx(p)
    # The largest as it is, the next times two
    assert rows["p_holm"].tolist()[:2] == pytest.approx([p[0], 2 * p[1]])
    assert rows["verdict"].tolist() == ["consistent", "higher", "lower", "lower"]
