import numpy as np
import pytest

from ser_lightning.papers.icassp2019 import numbers as paper


def test_spot_checks_against_the_paper():
    assert [(of.ua, of.wa) for of in paper.SETTINGS] == [(63.80, 61.83), (66.86, 65.40), (60.98, 58.93), (65.13, 62.96)]
    assert paper.FIG3A[0.7] == (66.96, 65.34)
    assert paper.FIG3B[3.0] == (60.08, 56.85)
    assert paper.CONFUSIONS["2b"][1] == (0.103, 0.720, 0.153, 0.022)


def test_figures_and_settings_agree_where_they_show_the_same():
    first, second = paper.SETTINGS[:2]
    assert paper.FIG3B[0.0] == (first.ua, first.wa)
    assert paper.FIG3A[paper.ALPHA] == paper.FIG3B[paper.LAM] == (second.ua, second.wa)


@pytest.mark.parametrize("setting", paper.SETTINGS, ids=lambda of: of.table)
def test_confusions_are_shares_and_their_diagonal_gives_the_ua(setting):
    shares = np.array(paper.CONFUSIONS[setting.table])
    # The paper rounds to three digits, and sums before it normalises.
    assert shares.sum(axis=1) == pytest.approx(1, abs=0.003)
    assert 100 * shares.diagonal().mean() == pytest.approx(setting.ua, abs=0.15)
