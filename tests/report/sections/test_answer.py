import numpy as np
import pytest
from scipy import stats

from ser_lightning.report.material import read_material
from ser_lightning.report.sections.answer import answer, claim
from tests.report.simulated import Simulation, predictions, settings_of


def with_errors(count):
    """Twenty utterances, five of each class, of which some are taken for another: UA falls by 5 points each."""
    labels = ["neu", "ang", "hap", "sad"] * 5
    return predictions(
        [(label, label if i >= count else {"neu": "sad"}.get(label, "neu")) for i, label in enumerate(labels)]
    )


def answers(simulation, softmax, *others, features="logmel"):
    """The answer of a study whose jobs made these errors, fold by fold."""
    for number, (lam, errors) in enumerate([(0.0, softmax), *others]):
        settings = settings_of(features, lam, 0.5)
        simulation.add_job(number, f"loss.lam={lam}", settings, folds=range(len(errors)))
        for fold, count in enumerate(errors):
            simulation.finish(settings, 0, fold, with_errors(count))
    material = read_material(simulation.study, simulation.runs)
    assert claim(material).startswith("Centre loss recognises better than softmax alone")
    return answer(material)


@pytest.mark.parametrize(
    "softmax, centre, verdict",
    [
        ([6, 7, 6, 7], [1, 2, 1, 2], "Yes: +25.0 points of UA"),
        ([1, 2, 1, 2], [6, 7, 6, 7], "No, it is worse: -25.0 points of UA"),
        ([4, 6, 1, 3], [3, 2, 4, 1], "Not shown: +5.0 points of UA"),
        ([4, 6], [1, 2], "Not known: 2 pairs of runs, too few for an interval, which needs 3."),
    ],
)
def test_the_verdict(simulation, softmax, centre, verdict):
    said = answers(simulation, softmax, (0.3, centre))
    assert said[0].startswith(verdict)
    assert said[1].startswith("UA is ")
    assert ("would have been found" in said[1]) == verdict.startswith("Not shown")


def test_not_shown_in_numbers(simulation):
    """Differences of 5, 20, -15 and 10: mean 5, variance 650 / 3, three degrees of freedom."""
    error = np.sqrt((1 / 4 + 1 / 8) * 650 / 3)
    half, p = stats.t.ppf(0.975, 3) * error, 2 * stats.t.sf(5 / error, 3)
    assert (round(5 - half, 1), round(5 + half, 1), round(p, 2)) == (-23.7, 33.7, 0.62)

    def power(difference):
        limit, centre = stats.t.ppf(0.975, 3), difference / error
        return stats.nct.sf(limit, 3, centre) + stats.nct.cdf(-limit, 3, centre)

    assert power(38.35) < 0.8 < power(38.45)
    assert answers(simulation, [4, 6, 1, 3], (0.3, [3, 2, 4, 1])) == [
        "Not shown: +5.0 points of UA (95 % interval -23.7 to +33.7; p = 0.62; 4 pairs of runs).",
        "UA is 87.5 % with lambda = 0.3 and 82.5 % with lambda = 0; a true difference of 38.4 points "
        "would have been found with a probability of 80 %.",
    ]


def test_yes_and_no_in_numbers(tmp_path):
    """Differences of 20, 30, 20, 30: variance 100 / 3, standard error 3.54."""
    half = stats.t.ppf(0.975, 3) * np.sqrt((1 / 4 + 1 / 8) * 100 / 3)
    p = 2 * stats.t.sf(25 / np.sqrt(12.5), 3)
    assert (round(25 - half, 1), round(25 + half, 1), round(p, 4)) == (13.7, 36.3, 0.0058)
    few, many = [1, 1, 2, 2], [5, 7, 6, 8]
    assert answers(Simulation(tmp_path / "yes"), many, (0.3, few)) == [
        "Yes: +25.0 points of UA (95 % interval +13.7 to +36.3; p = 0.0058; 4 pairs of runs).",
        "UA is 92.5 % with lambda = 0.3 and 67.5 % with lambda = 0.",
    ]
    assert answers(Simulation(tmp_path / "no"), few, (0.3, many)) == [
        "No, it is worse: -25.0 points of UA (95 % interval -36.3 to -13.7; p = 0.0058; 4 pairs of runs).",
        "UA is 67.5 % with lambda = 0.3 and 92.5 % with lambda = 0.",
    ]


def test_too_few_runs_in_numbers(simulation):
    assert answers(simulation, [4], (0.3, [3])) == [
        "Not known: 1 pair of runs, too few for an interval, which needs 3.",
        "UA is 85.0 % with lambda = 0.3 and 80.0 % with lambda = 0.",
    ]


def test_each_input_has_its_answer(simulation):
    for number, (features, lam, folds) in enumerate(
        [("logmel", 0.0, (0, 1, 2)), ("logmel", 0.3, (0, 1, 2)), ("logstft", 0.0, (0, 1)), ("logstft", 0.3, (2,))]
    ):
        settings = settings_of(features, lam, 0.5)
        simulation.add_job(number, f"{features} {lam}", settings, folds=[0, 1, 2])
        for fold in folds:
            simulation.finish(settings, 0, fold, with_errors(2 if lam else 7))
    assert answer(read_material(simulation.study, simulation.runs)) == [
        "Yes on log-Mel: +25.0 points of UA (95 % interval +25.0 to +25.0; p < 0.001; 3 pairs of runs).",
        "UA on log-Mel is 90.0 % with lambda = 0.3 and 65.0 % with lambda = 0.",
        "Not known yet on log-STFT: no division has been run with and without.",
    ]


def test_a_single_setting_claims_nothing(simulation):
    settings = settings_of("logmel", 0.3, 0.5)
    simulation.add_job(0, "centre", settings, folds=[0])
    simulation.finish(settings, 0, 0, with_errors(2))
    material = read_material(simulation.study, simulation.runs)
    assert claim(material) == "None: the study has a single setting."
    assert answer(material) == ["None: a comparison needs settings that differ, such as loss.lam=0,0.3."]


def test_while_softmax_alone_is_unfinished_nothing_is_known(simulation):
    simulation.add_job(0, "softmax", settings_of("logmel", 0.0, 0.5))
    for number, alpha in ((1, 0.1), (2, 0.9)):
        settings = settings_of("logmel", 0.3, alpha)
        simulation.add_job(number, f"alpha {alpha}", settings)
        for fold in range(3):
            simulation.finish(settings, 0, fold, with_errors(number))
    material = read_material(simulation.study, simulation.runs)
    assert claim(material) == "None yet."
    assert answer(material) == ["Not known yet: no two settings that could be compared have a finished run."]


def test_many_settings_need_more(simulation):
    """What one comparison shows may not be shown among many; the paper's setting is the one that is told."""
    centre = ([4, 4, 5, 4], [2, 2, 1, 1])
    alone = answers(simulation, centre[0], (0.3, centre[1]))
    assert alone[0].startswith("Yes: +13.8")
    noise = [[4, 6, 3, 4], [5, 2, 6, 5], [4, 3, 7, 4], [6, 4, 2, 5]] * 3
    others = [(0.01 * (1 + number), errors) for number, errors in enumerate(noise)]
    among = answers(simulation, centre[0], *others, (0.3, centre[1]))
    assert among[0].startswith("Not shown: +13.8")
    assert "for all comparisons; 4 pairs of runs" in among[0]
    assert among[-1].startswith("Of 13 settings compared, 0 have a higher UA and 0 a lower one")


def test_without_softmax_alone_the_first_setting_is_the_measure(simulation):
    for number, (alpha, errors) in enumerate([(0.1, [4, 4, 4, 4]), (0.5, [4, 5, 4, 4]), (0.9, [9, 9, 10, 8])]):
        settings = settings_of("logmel", 0.3, alpha)
        simulation.add_job(number, f"loss.alpha={alpha}", settings, folds=range(4))
        for fold, count in enumerate(errors):
            simulation.finish(settings, 0, fold, with_errors(count))
    material = read_material(simulation.study, simulation.runs)
    assert claim(material) == "Other settings change UA against alpha = 0.1."
    said = answer(material)
    assert said[0].startswith("Of 2 settings compared, 0 have a higher UA and 1 a lower one")
    assert said[1] == "Farthest away: UA is 55.0 % with alpha = 0.9 and 80.0 % with alpha = 0.1."
    assert said[2].startswith("No, it is worse: -25.0 points of UA")
