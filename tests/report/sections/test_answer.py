import pytest

from ser_lightning.report.material import read_material
from ser_lightning.report.sections.answer import answer, claim
from tests.report.simulated import predictions, settings_of


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
    assert claim(material) == "Other settings change UA against lambda = 0.3, alpha = 0.1."
    said = answer(material)
    assert said[0].startswith("Of 2 settings compared, 0 have a higher UA and 1 a lower one")
    assert (
        said[1]
        == "Farthest away: UA is 55.0 % with lambda = 0.3, alpha = 0.9 and 80.0 % with lambda = 0.3, alpha = 0.1."
    )
    assert said[2].startswith("No, it is worse: -25.0 points of UA")
