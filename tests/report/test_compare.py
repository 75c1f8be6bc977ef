"""`report` and `report compare` as a user types them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ser_lightning.errors import UserError
from ser_lightning.report.__main__ import main
from ser_lightning.report.compare import choose, compare, question_of, show
from ser_lightning.report.material import read_material
from ser_lightning.report.tables import show_p
from tests.report.simulated import CLASSES, Simulation, predictions, settings_of

RIGHT = predictions([(name, name) for name in CLASSES])
HALF = predictions([("neu", "neu"), ("ang", "ang"), ("hap", "neu"), ("sad", "neu")])
SOFTMAX, CENTRE = settings_of("logmel", 0.0, 0.5), settings_of("logmel", 0.3, 0.5)


def make(output, tests, first_fold=0, **simulation):
    """A study of softmax and centre loss; `tests` by job and fold, of other utterances in every fold."""
    made = Simulation(output, **simulation)
    for number, (settings, of) in enumerate(zip((SOFTMAX, CENTRE), tests, strict=True)):
        folds = range(first_fold, first_fold + len(of))
        made.add_job(number, f"loss.lam={settings['loss']['lam']:g}", settings, folds=folds)
        for fold, test in zip(folds, of, strict=True):
            made.finish(settings, 0, fold, test.assign(id=[f"f{fold}{name}" for name in test["id"]]))
    return made


def side(study, job=None):
    return choose(str(study.study), read_material(study.study, study.runs), job)


FIVE = [HALF, HALF, RIGHT, HALF, RIGHT]
SIX = [RIGHT, RIGHT, RIGHT, RIGHT, HALF, HALF]
# Of the mean of the first: 50 and 100, mean 70, (3 x 20^2 + 2 x 30^2) / 4 / 5; its utterances alone have 63
VARIANCE_OF_FIVE = 150
# Of the second: mean 250 / 3, (4 x (50 / 3)^2 + 2 x (100 / 3)^2) / 5 / 6; its utterances alone have 50
VARIANCE_OF_SIX = 1000 / 9
T4 = 2.7764451051977987  # 97.5 % of Student's t with 4 degrees of freedom


def test_two_settings_of_a_study_are_paired(tmp_path):
    study = make(tmp_path, [FIVE, [RIGHT] * 5])
    table, remarks = compare(side(study, "loss.lam=0"), side(study, "loss.lam=0.3"))
    (row,) = table.to_dict("records")
    assert (row["pairs"], row["ua_a"], row["ua_b"]) == (5, pytest.approx(70), 100)
    # 50, 50, 0, 50, 0 have the variance of the first, the second having none
    assert (row["ua"], row["ua_half"]) == pytest.approx((30, T4 * np.sqrt(VARIANCE_OF_FIVE)), rel=1e-5)
    assert remarks == ["2 of 5 pairs made the very same predictions."]


def test_other_divisions_of_other_utterances_are_independent(tmp_path):
    mine = make(tmp_path / "mine", [FIVE] * 2)
    yours = make(tmp_path / "yours", [SIX] * 2, first_fold=3)
    shared = make(tmp_path / "shared", [SIX] * 2, first_fold=5)
    assert compare(side(mine), side(yours))[0]["pairs"].tolist() == [2, 2]
    table, remarks = compare(side(mine), side(shared))
    row = table.iloc[0]
    error, difference = np.sqrt(VARIANCE_OF_FIVE + VARIANCE_OF_SIX), 250 / 3 - 70
    assert (row["pairs"], row["ua"], row["ua_half"]) == pytest.approx((0, difference, T4 * error), rel=1e-5)
    assert row["ua_p"] == pytest.approx(2 * stats.t.sf(difference / error, 4), rel=1e-5)
    assert remarks == ["Where there are no pairs, the divisions differ: means are compared, utterance by utterance."]


def test_independent_means_without_spread_differ_by_an_utterance_a_run_more_or_less(tmp_path):
    """One of four utterances is 25 points, a fifth of it in a mean of five: variance 5 x 5^2 on either side."""
    mine = make(tmp_path / "mine", [[HALF] * 5] * 2)
    yours = make(tmp_path / "yours", [[HALF] * 5, [RIGHT] * 5], first_fold=5)
    table, _ = compare(side(mine), side(yours))
    assert table[["pairs", "ua"]].to_numpy().tolist() == [[0, 0], [0, 50]]
    assert table["ua_half"].tolist() == pytest.approx([T4 * np.sqrt(250)] * 2)
    p = 2 * stats.t.sf(50 / np.sqrt(250), 4)
    assert table["ua_p"].tolist() == pytest.approx([1, p])
    assert table["ua_p_holm"].tolist() == pytest.approx([1, 2 * p])


def test_four_independent_runs_have_no_interval(tmp_path):
    mine = make(tmp_path / "mine", [[HALF, RIGHT] * 2] * 2)
    yours = make(tmp_path / "yours", [[RIGHT] * 5] * 2, first_fold=5)
    row = compare(side(mine), side(yours))[0].iloc[0]
    assert (row["pairs"], row["ua"]) == (0, 25)
    assert np.isnan([row["ua_half"], row["ua_p"]]).all()


def test_four_pairs_that_differ_alike_are_not_certain(tmp_path):
    study = make(tmp_path, [[HALF] * 4, [RIGHT] * 4])
    row = compare(side(study, "loss.lam=0"), side(study, "loss.lam=0.3"))[0].iloc[0]
    assert (row["pairs"], row["ua"], row["wa"]) == (4, 50, 50)
    assert np.isnan([row[f"{measure}_{end}"] for measure in ("ua", "wa") for end in ("half", "p", "p_holm")]).all()


def test_five_pairs_that_differ_alike_differ_by_an_utterance_a_run_more_or_less(tmp_path):
    study = make(tmp_path, [[HALF] * 5, [RIGHT] * 5])
    row = compare(side(study, "loss.lam=0"), side(study, "loss.lam=0.3"))[0].iloc[0]
    assert (row["pairs"], row["ua"], row["ua_half"]) == pytest.approx((5, 50, T4 * np.sqrt(125)))
    # t^2 = 20; Student's t with 4 degrees of freedom is within it with probability x (3 - x^2) / 2, x^2 = 20 / 24
    assert row["ua_p"] == pytest.approx(1 - np.sqrt(5 / 6) * (3 - 5 / 6) / 2)


def test_repeated_studies_made_the_very_same_predictions(tmp_path):
    mine, yours = (make(tmp_path / name, [FIVE, [RIGHT] * 5]) for name in ("mine", "yours"))
    table, remarks = compare(side(mine), side(yours))
    assert table[["pairs", "same", "ua", "wa", "ua_p"]].to_numpy().tolist() == [[5, 5, 0, 0, 1]] * 2
    assert remarks == ["10 of 10 pairs made the very same predictions."]


def swept(output, softmax=FIVE):
    """Softmax and centre loss, and lambda = 3, which is no better than lambda = 0."""
    study = make(output, [softmax, [RIGHT] * 5])
    settings = settings_of("logmel", 3.0, 0.5)
    study.add_job(2, "loss.lam=3", settings, folds=range(5))
    for fold, test in enumerate(reversed(FIVE)):
        study.finish(settings, 0, fold, test.assign(id=[f"f{fold}{name}" for name in test["id"]]))
    return study


def test_one_of_several_swept_settings_has_the_corrected_p_of_the_report(tmp_path):
    study = swept(tmp_path)
    table, remarks = compare(side(study, "loss.lam=0.3"), side(study, "loss.lam=0"))
    differences = read_material(study.study, study.runs).differences
    first = differences[differences["job"] == 1].iloc[0]
    assert table["ua_p_holm"].tolist() == [first["ua_p_holm"]]
    # The smaller of two
    assert table["ua_p_holm"][0] == pytest.approx(2 * table["ua_p"][0])
    assert show(table)["p for all"].tolist() == [show_p(first["ua_p_holm"])]
    assert remarks[-1] == (
        "p for all is corrected (Holm) for 1 other comparison too, of settings that were swept and are not named here."
    )


def test_one_of_several_settings_that_two_studies_have_is_corrected_for_all_of_them(tmp_path):
    mine, yours = swept(tmp_path / "mine"), swept(tmp_path / "yours", softmax=[RIGHT] * 5)
    named, _ = compare(side(mine, "loss.lam=0"), side(yours, "loss.lam=0"))
    assert named["ua_p_holm"][0] == pytest.approx(3 * named["ua_p"][0])
    every, remarks = compare(side(mine), side(yours))
    assert every["ua_p_holm"][0] == named["ua_p_holm"][0]
    assert "corrected" not in " ".join(remarks)


def test_a_choice_that_no_sweep_has_made_is_said_to_be_uncorrected(tmp_path):
    study = swept(tmp_path)
    table, remarks = compare(side(study, "loss.lam=3"), side(study, "loss.lam=0.3"))
    assert table["ua_p_holm"].tolist() == table["ua_p"].tolist()
    assert remarks[-1] == "p is not corrected for the choice of what is compared, from the 3 settings of simulated."


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
    assert remarks == [
        "3 of 3 pairs made the very same predictions.",
        "No interval: 1 run on divisions of their own, where an interval needs 5.",
    ]
    # By name it is still found
    assert side(study, "loss.alpha=0.5 loss.lam=0").jobs == side(study, "loss.lam=0").jobs == [0]


def test_settings_of_equal_name_belong_together_where_none_are_equal(tmp_path):
    mine = make(tmp_path / "mine", [[HALF], [RIGHT]])
    yours = Simulation(tmp_path / "yours")
    for number, lam in enumerate((3.0, 0.3)):
        settings = settings_of("logmel", lam, 0.5, learning_rate=0.01)
        yours.add_job(number, f"loss.lam={lam:g}", settings, folds=[0])
        yours.finish(settings, 0, 0, HALF)
    table, remarks = compare(side(mine), side(yours))
    assert table[["first", "second", "pairs", "ua"]].to_numpy().tolist() == [["loss.lam=0.3", "loss.lam=0.3", 1, -50]]
    assert remarks[1:] == [f"In {mine.study} alone: loss.lam=0.", f"In {yours.study} alone: loss.lam=3."]


def test_studies_with_other_seeds_are_paired_by_their_divisions(tmp_path):
    mine, yours = make(tmp_path / "mine", [FIVE, FIVE]), Simulation(tmp_path / "yours")
    settings = CENTRE | {"seed": 1}
    yours.add_job(0, "loss.lam=0.3", settings, folds=range(5))
    for fold in range(5):
        yours.finish(settings, 0, fold, RIGHT.assign(id=[f"f{fold}{name}" for name in RIGHT["id"]]))
    table, remarks = compare(side(mine, "loss.lam=0.3"), side(yours))
    assert table[["pairs", "ua"]].to_numpy().tolist() == [[5, 30]]
    assert "divisions differ" not in " ".join(remarks)


def test_what_only_one_has_is_named(tmp_path):
    mine = make(tmp_path / "mine", [[HALF], [RIGHT]])
    settings = settings_of("logmel", 3.0, 0.5)
    mine.add_job(2, "loss.lam=3", settings, folds=[0])
    mine.finish(settings, 0, 0, HALF)
    yours = make(tmp_path / "yours", [[HALF], [RIGHT]])
    table, remarks = compare(side(mine), side(yours))
    assert table["first"].tolist() == ["loss.lam=0", "loss.lam=0.3"]
    assert remarks[-1] == f"In {mine.study} alone: loss.lam=3."


def test_other_corpora_are_refused(tmp_path):
    mine, yours = (make(tmp_path / corpus, [[HALF], [RIGHT]], corpus=corpus) for corpus in ("demo", "emodb"))
    with pytest.raises(UserError, match=r"these cannot be compared: demo, 12 utterances .* against emodb, 12"):
        compare(side(mine), side(yours))


def test_between_protocols_it_is_said_what_each_trains_on(tmp_path):
    known = make(tmp_path / "paper", [FIVE] * 2)
    unknown = make(tmp_path / "speaker", [SIX] * 2, protocol="speaker", speaker=0.0, first_fold=6)
    ids = [f"f{fold}{name}" for fold in (*range(5), *range(6, 12)) for name in RIGHT["id"]]
    for study in (known, unknown):
        # Everybody says one utterance, so that nothing cancels
        study.add_utterances(pd.DataFrame({"id": ids, "label": list(RIGHT["label"]) * 11, "speaker": ids}))
    sides = side(unknown, "loss.lam=0"), side(known, "loss.lam=0")
    table, remarks = compare(*sides)
    assert question_of(*sides) == question_of(*sides[::-1]) == "new people"
    assert (table["pairs"][0], table["ua"][0]) == (0, pytest.approx(70 - 250 / 3))
    assert table["ua_half"][0] == pytest.approx(T4 * np.sqrt(VARIANCE_OF_FIVE + VARIANCE_OF_SIX), rel=1e-5)
    assert remarks[-2] == "A is of the speaker protocol, trained on 32 utterances, B of paper, on 32."


def test_whose_speakers_are_not_all_known_answers_for_the_same_people(tmp_path):
    study = make(tmp_path, [FIVE, SIX[:5]], protocol="speaker", speaker=0.0)
    ids = [f"f{fold}{name}" for fold in range(5) for name in RIGHT["id"]]
    people = [f"{number % 10}" for number in range(len(ids))]
    table = pd.DataFrame({"id": ids, "label": list(RIGHT["label"]) * 5, "speaker": people})
    for speakers, question in ((people, "new people"), ([*people[1:], ""], "same people")):
        study.add_utterances(table.assign(speaker=speakers))
        material = read_material(study.study, study.runs)
        assert material.question == question
        low = material.differences[f"ua_{question.partition(' ')[0]}_low"][0]
        assert material.differences["ua"][0] - material.differences["ua_half"][0] == pytest.approx(low)


def test_trainings_that_test_the_same_speakers_are_what_intervals_hold_given(tmp_path):
    simulation = Simulation(tmp_path, protocol="official", speaker=0.0)
    settings = [settings_of("logmel", lam, 0.5) for lam in (0.0, 0.3)]
    table = predictions([(name, name) for name in CLASSES * 6])
    for number, one in enumerate(settings):
        simulation.add_job(number, f"loss.lam={one['loss']['lam']:g}", one, folds=range(2))
        for fold in range(2):
            wrong = table.assign(logit_neu=[9.0 * (place % 7 == number) for place in range(24)])
            simulation.finish(one, 0, fold, wrong)
    spoken = table[["id", "label"]].assign(speaker=[f"{place % 12}" for place in range(24)])
    simulation.add_utterances(spoken)
    _, remarks = compare(side(simulation, "loss.lam=0"), side(simulation, "loss.lam=0.3"))
    given = "Intervals hold given these training parts: the luck of another training is not in them."
    assert given in remarks
    # Of unlike divisions both sides' luck is in the interval
    other = Simulation(tmp_path / "other", protocol="official", speaker=0.0)
    other.add_job(0, "loss.lam=0", settings[0], folds=range(2, 7))
    for fold in range(2, 7):
        other.finish(settings[0], 0, fold, wrong)
    other.add_utterances(spoken)
    table, remarks = compare(side(simulation, "loss.lam=0"), side(other))
    assert (table["pairs"][0], given in remarks) == (0, False)


def test_an_unfinished_study_is_compared_if_that_is_asked_for(tmp_path):
    study = make(tmp_path, [FIVE, [RIGHT] * 5])
    study.add_job(2, "loss.lam=3", settings_of("logmel", 3.0, 0.5), folds=[0])
    with pytest.raises(
        UserError, match=r"10 of 11 runs have finished, and a comparison waits for all of them; --inter"
    ):
        compare(side(study, "loss.lam=0"), side(study, "loss.lam=0.3"))
    material = read_material(study.study, study.runs, interim=True)
    sides = [choose("study", material, name) for name in ("loss.lam=0", "loss.lam=0.3")]
    assert compare(*sides)[0]["ua"].tolist() == [30]


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
    make(tmp_path / "mine", [FIVE] * 2)
    yours = make(tmp_path / "yours", [SIX] * 2, first_fold=5)
    main(["--output", str(tmp_path / "mine"), "compare", "simulated:loss.lam=0", f"{yours.study}:loss.lam=0.3"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"A: simulated:loss.lam=0 B: {yours.study}:loss.lam=0.3 synthetic demo | paper protocol" in said
    # As in test_other_divisions_of_other_utterances_are_independent; the half interval is 2.7764 x 16.159
    assert "loss.lam=0 | loss.lam=0.3 │ 0 │ 70.00 │ 83.33 │ +13.33 ± 44.86" in said
    assert said.endswith(
        "the divisions differ: means are compared, utterance by utterance. p is not corrected for the choice of what "
        "is compared, from the 2 settings of simulated and the 2 settings of simulated."
    )


def test_the_command_prints_the_comparison(tmp_path, capsys):
    study = make(tmp_path, [FIVE, [RIGHT] * 5])
    main(["--output", str(tmp_path), "compare", "simulated:loss.lam=0", "simulated:loss.lam=0.3"])
    said = capsys.readouterr().out
    assert "A: simulated:loss.lam=0\nB: simulated:loss.lam=0.3\n" in said
    assert "70.00" in said
    assert "+30.00 ± 34.00" in said
    assert "± is half of the 95 % interval for new recordings of the same speakers" in said
    assert not (study.study / "report.md").exists()


def test_the_command_reports_what_it_can_and_names_what_it_cannot(tmp_path, capsys):
    make(tmp_path, [[HALF], [RIGHT]])
    with pytest.raises(UserError, match=r"nothing: nothing is not a study; in .* there are simulated"):
        main(["--output", str(tmp_path), "nothing", "simulated"])
    said = capsys.readouterr().out
    assert said.startswith(
        "Centre loss for speech emotion recognition on the synthetic demo corpus\n  Not known, 1 pair of runs: no "
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
