import numpy as np
import pytest
from scipy import stats

from ser_lightning.report.sections.verdicts import compare
from ser_lightning.report.statistics import over_runs


def test_a_published_mean_is_taken_to_have_our_spread():
    ours = over_runs([60.0, 62.0, 64.0, 66.0], ratio=1 / 8)
    found = compare(ours, 60.0)
    error = np.sqrt(2 * (1 / 4 + 1 / 8) * 20 / 3)
    assert (found["ours"], found["paper"], found["difference"]) == (63.0, 60.0, 3.0)
    assert found["half"] == pytest.approx(stats.t.ppf(0.975, 3) * error)
    assert found["p"] == pytest.approx(2 * stats.t.sf(3 / error, 3))


def test_the_very_number_is_consistent():
    assert compare(over_runs([60.0, 62.0, 64.0], 1 / 8), 62.0)["p"] == 1
