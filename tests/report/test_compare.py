"""`report` and `report compare` as a user types them."""

import numpy as np
import pytest
from scipy import stats

from ser_lightning.errors import UserError
from ser_lightning.report.__main__ import main
from ser_lightning.report.compare import choose, compare
from ser_lightning.report.material import read_material
from tests.report.simulated import CLASSES, Simulation, predictions, settings_of

RIGHT = predictions([(name, name) for name in CLASSES])
HALF = predictions([("neu", "neu"), ("ang", "ang"), ("hap", "neu"), ("sad", "neu")])
SOFTMAX, CENTRE = settings_of("logmel", 0.0, 0.5), settings_of("logmel", 0.3, 0.5)


def make(output, tests, first_fold=0, **simulation):
    """A study of softmax and centre loss; `tests` by job and fold."""
    made = Simulation(output, **simulation)
    for number, (settings, of) in enumerate(zip((SOFTMAX, CENTRE), tests, strict=True)):
        folds = range(first_fold, first_fold + len(of))
        made.add_job(number, f"loss.lam={settings['loss']['lam']:g}", settings, folds=folds)
        for fold, test in zip(folds, of, strict=True):
            made.finish(settings, 0, fold, test)
    return made


def side(study, job=None):
    return choose(str(study.study), read_material(study.study, study.runs), job)


def test_two_settings_of_a_study_are_paired(tmp_path):
    study = make(tmp_path, [[HALF, HALF, RIGHT], [RIGHT, RIGHT, RIGHT]])
    table, remarks = compare(side(study, "loss.lam=0"), side(study, "loss.lam=0.3"))
    (row,) = table.to_dict("records")
    assert (row["pairs"], row["ua_a"], row["ua_b"]) == (3, pytest.approx(200 / 3), 100)
    # 50, 50, 0: variance 2500 / 3; test parts are an eighth of the training parts
    half = stats.t.ppf(0.975, 2) * np.sqrt((1 / 3 + 1 / 8) * 2500 / 3)
    assert (row["ua"], row["ua_half"]) == pytest.approx((100 / 3, half))
    assert remarks == ["1 of 3 pairs made the very same predictions."]


def test_other_divisions_are_compared_as_independent(tmp_path):
    mine = make(tmp_path / "mine", [[HALF, HALF, RIGHT]] * 2)
    yours = make(tmp_path / "yours", [[RIGHT, RIGHT, RIGHT, HALF]] * 2, first_fold=1)
    shared = make(tmp_path / "shared", [[RIGHT, RIGHT, RIGHT, HALF]] * 2, first_fold=5)
    assert compare(side(mine), side(yours))[0]["pairs"].tolist() == [2, 2]
    table, remarks = compare(side(mine), side(shared))
    row = table.iloc[0]
    # Variances 2500 / 3 of three and 625 of four runs
    errors = np.sqrt((1 / 3 + 1 / 8) * 2500 / 3), np.sqrt((1 / 4 + 1 / 8) * 625)
    error, difference = np.hypot(*errors), 87.5 - 200 / 3
    assert (row["pairs"], row["ua"], row["ua_half"]) == pytest.approx((0, difference, stats.t.ppf(0.975, 2) * error))
    assert row["ua_p"] == pytest.approx(2 * stats.t.sf(difference / error, 2))
    assert "as of independent runs" in remarks[0]


def test_without_spread_independent_means_differ_surely_or_not_at_all(tmp_path):
    mine = make(tmp_path / "mine", [[HALF] * 3] * 2)
    yours = make(tmp_path / "yours", [[HALF] * 3, [RIGHT] * 4], first_fold=5)
    table, _ = compare(side(mine), side(yours))
    assert table[["pairs", "ua", "ua_half", "ua_p"]].to_numpy().tolist() == [[0, 0, 0, 1], [0, 50, 0, 0]]
    assert table["ua_p_holm"].tolist() == [1, 0]


def test_two_independent_runs_have_no_interval(tmp_path):
    mine = make(tmp_path / "mine", [[HALF, RIGHT]] * 2)
    yours = make(tmp_path / "yours", [[RIGHT] * 4] * 2, first_fold=5)
    row = compare(side(mine), side(yours))[0].iloc[0]
    assert (row["pairs"], row["ua"]) == (0, 25)
    assert np.isnan([row["ua_half"], row["ua_p"]]).all()


def test_two_pairs_that_differ_alike_are_not_certain(tmp_path):
    study = make(tmp_path, [[HALF, HALF], [RIGHT, RIGHT]])
    row = compare(side(study, "loss.lam=0"), side(study, "loss.lam=0.3"))[0].iloc[0]
    assert (row["pairs"], row["ua"], row["wa"]) == (2, 50, 50)
    assert np.isnan([row[f"{measure}_{of}"] for measure in ("ua", "wa") for of in ("half", "p", "p_holm")]).all()


def test_repeated_studies_made_the_very_same_predictions(tmp_path):
    mine, yours = (make(tmp_path / name, [[HALF, RIGHT, HALF], [RIGHT, HALF, HALF]]) for name in ("mine", "yours"))
    table, remarks = compare(side(mine), side(yours))
    assert table[["pairs", "same", "ua", "wa", "ua_p"]].to_numpy().tolist() == [[3, 3, 0, 0, 1]] * 2
    assert remarks == ["6 of 6 pairs made the very same predictions."]


def test_settings_that_share_their_runs_are_compared_once(tmp_path):
    """With lambda = 0 alpha plays no part."""
    study = Simulation(tmp_path)
    for number, (alpha, lam) in enumerate([(0.1, 0.0), (0.1, 0.3), (0.5, 0.0), (0.5, 0.3)]):
        settings = settings_of("logmel", lam, alpha)
        study.add_job(number, f"loss.alpha={alpha} loss.lam={lam:g}", settings, folds=[0])
        study.finish(settings, 0, 0, RIGHT)
    names = ["loss.lam=0", "loss.alpha=0.1 loss.lam=0.3", "loss.alpha=0.5 loss.lam=0.3"]
    table, remarks = compare(side(study), side(study))
    assert table["first"].tolist() == table["second"].tolist() == names
    assert remarks == ["3 of 3 pairs made the very same predictions."]
    # By name it is still found
    assert side(study, "loss.alpha=0.5 loss.lam=0").jobs == side(study, "loss.lam=0").jobs == [0]


def test_settings_of_equal_name_belong_together_where_none_are_equal(tmp_path):
    mine = make(tmp_path / "mine", [[HALF], [RIGHT]])
    yours = Simulation(tmp_path / "yours")
    for number, lam in enumerate((3.0, 0.3)):
        settings = settings_of("logmel", lam, 0.5) | {"seed": 1}
        yours.add_job(number, f"loss.lam={lam:g}", settings, folds=[0])
        yours.finish(settings, 0, 0, HALF)
    table, remarks = compare(side(mine), side(yours))
    assert table[["first", "second", "pairs", "ua"]].to_numpy().tolist() == [["loss.lam=0.3", "loss.lam=0.3", 1, -50]]
    assert remarks == [f"In {mine.study} alone: loss.lam=0.", f"In {yours.study} alone: loss.lam=3."]


def test_what_only_one_has_is_named(tmp_path):
    mine = make(tmp_path / "mine", [[HALF], [RIGHT]])
    settings = settings_of("logmel", 3.0, 0.5)
    mine.add_job(2, "loss.lam=3", settings, folds=[0])
    mine.finish(settings, 0, 0, HALF)
    yours = make(tmp_path / "yours", [[HALF], [RIGHT]])
    table, remarks = compare(side(mine), side(yours))
    assert table["first"].tolist() == ["loss.lam=0", "loss.lam=0.3"]
    assert remarks[-1] == f"In {mine.study} alone: loss.lam=3."


@pytest.mark.parametrize("other", [{"corpus": "emodb"}, {"protocol": "speaker"}])
def test_unlike_studies_are_refused(tmp_path, other):
    mine, yours = make(tmp_path / "mine", [[HALF], [RIGHT]]), make(tmp_path / "yours", [[HALF], [RIGHT]], **other)
    with pytest.raises(UserError, match=r"these cannot be compared: demo, 12 utterances .* against"):
        compare(side(mine), side(yours))


def test_studies_without_a_setting_in_common_are_refused(tmp_path):
    mine, yours = make(tmp_path / "mine", [[HALF], [RIGHT]]), Simulation(tmp_path / "yours")
    for number, lam in enumerate((3.0, 0.03)):
        settings = settings_of("logmel", lam, 0.5)
        yours.add_job(number, f"loss.lam={lam:g}", settings, folds=[0])
        yours.finish(settings, 0, 0, HALF)
    with pytest.raises(UserError, match="have no setting in common; name one of each, as STUDY:SETTING"):
        compare(side(mine), side(yours))
    # A single one of each is compared, whatever they are
    table, _ = compare(side(mine, "loss.lam=0.3"), side(yours, "loss.lam=3"))
    assert table[["first", "second", "ua"]].to_numpy().tolist() == [["loss.lam=0.3", "loss.lam=3", -50]]


def test_a_setting_without_a_finished_run_is_named(tmp_path):
    study = make(tmp_path, [[HALF], [RIGHT]])
    study.add_job(2, "loss.lam=3", settings_of("logmel", 3.0, 0.5))
    with pytest.raises(UserError, match=r"simulated: no run of this setting has finished yet"):
        side(study, "loss.lam=3")
    assert side(study).jobs == [0, 1]


def test_the_command_prints_a_comparison_of_other_divisions(tmp_path, capsys):
    make(tmp_path / "mine", [[HALF, HALF, RIGHT]] * 2)
    yours = make(tmp_path / "yours", [[RIGHT, RIGHT, RIGHT, HALF]] * 2, first_fold=5)
    main(["--output", str(tmp_path / "mine"), "compare", "simulated:loss.lam=0", f"{yours.study}:loss.lam=0.3"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"A: simulated:loss.lam=0 B: {yours.study}:loss.lam=0.3 synthetic demo | paper protocol" in said
    # As in test_other_divisions_are_compared_as_independent; the half interval is 4.3027 x 24.826
    assert "loss.lam=0 | loss.lam=0.3 │ 0 │ 66.67 │ 87.50 │ +20.83 ± 106.82" in said
    assert said.endswith("the divisions differ: the means are compared as of independent runs.")


def test_the_command_prints_the_comparison(tmp_path, capsys):
    study = make(tmp_path, [[HALF, HALF, RIGHT], [RIGHT, RIGHT, RIGHT]])
    main(["--output", str(tmp_path), "compare", "simulated:loss.lam=0", "simulated:loss.lam=0.3"])
    said = capsys.readouterr().out
    assert "A: simulated:loss.lam=0\nB: simulated:loss.lam=0.3\n" in said
    assert "66.67" in said
    assert "+33.33 ± 84.09" in said
    assert not (study.study / "report.md").exists()


def test_the_command_reports_what_it_can_and_names_what_it_cannot(tmp_path, capsys):
    make(tmp_path, [[HALF], [RIGHT]])
    with pytest.raises(UserError, match=r"nothing: nothing is not a study; in .* there are simulated"):
        main(["--output", str(tmp_path), "nothing", "simulated"])
    said = capsys.readouterr().out
    assert said.startswith(
        "Centre loss for speech emotion recognition on the synthetic demo corpus\n  Not known: 1 pair"
    )
    assert said.endswith(f"Report: {tmp_path / 'studies' / 'simulated' / 'report.html'}\n")
    assert (tmp_path / "studies" / "simulated" / "results.json").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        (["compare", "simulated"], "compare takes two studies"),
        (
            ["compare", "simulated:loss.lam=7", "simulated"],
            "has no setting 'loss.lam=7'; it has: loss.lam=0; loss.lam=0.3",
        ),
        (["compare", "simulated", "other"], "other is not a study"),
    ],
)
def test_what_cannot_be_compared_is_said(tmp_path, words, message):
    make(tmp_path, [[HALF], [RIGHT]])
    with pytest.raises(UserError, match=message):
        main(["--output", str(tmp_path), *words])
