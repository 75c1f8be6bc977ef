"""What a study says to its claim, in sentences whose numbers are worked out by plain loops."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from ser_lightning.report.files import markdown_report
from ser_lightning.report.material import read_material
from ser_lightning.report.sections.answer import INTERIM, answer, claim, section
from ser_lightning.report.study import compile_report
from ser_lightning.runs.ledger import RESULT
from ser_lightning.runs.study import Purpose, read_jobs, write_job, write_study
from tests.report.simulated import Simulation, parts_of, predictions, settings_of

LABELS = ["neu", "ang", "hap", "sad"] * 5


def with_errors(count, fold=0):
    """Twenty utterances of a fold, five of each class, of which the first ones are taken for another: UA falls by 5
    points each."""
    recognised = [label if i >= count else {"neu": "sad"}.get(label, "neu") for i, label in enumerate(LABELS)]
    table = predictions(list(zip(LABELS, recognised, strict=True)))
    return table.assign(id=[f"fold {fold} utterance {i}" for i in range(20)])


def finish(simulation, settings, errors, dev=0.6):
    """Runs with so many errors, fold by fold; UA on dev as given."""
    for fold, count in enumerate(errors):
        file = simulation.finish(settings, 0, fold, with_errors(count, fold)) / RESULT
        result = json.loads(file.read_text())
        result["scores"]["dev"]["ua"] = dev
        file.write_text(json.dumps(result))


def study_of(simulation, softmax, *others, features="logmel", planned=None, interim=False):
    """A study whose jobs made these errors, fold by fold."""
    for number, (lam, errors) in enumerate([(0.0, softmax), *others]):
        settings = settings_of(features, lam, 0.5)
        simulation.add_job(number, f"loss.lam={lam}", settings, folds=range(planned or len(errors)))
        finish(simulation, settings, errors)
    material = read_material(simulation.study, simulation.runs, interim=interim)
    assert claim(material).startswith("Centre loss recognises better than softmax alone")
    return material


def answers(simulation, softmax, *others):
    return answer(study_of(simulation, softmax, *others))


def effect(before, after):
    """Mean difference in UA, standard error and p for new recordings of the same people, by plain loops.

    Each utterance is tested once, five of each class in each run, so that one is 5 points of its run. The variance is
    that of the mean over runs, or that of the sum over utterances, each less the mean of its class, whichever is
    larger.
    """
    runs = len(before)
    differences = [5 * (one - other) for one, other in zip(before, after, strict=True)]
    mean = sum(differences) / runs
    by_runs = sum((one - mean) ** 2 for one in differences) / (runs - 1) / runs
    gains = {label: [] for label in LABELS}
    for one, other in zip(before, after, strict=True):
        for i, label in enumerate(LABELS):
            gains[label].append((i >= other) - (i >= one))
    squares = sum((gain - sum(of_class) / len(of_class)) ** 2 for of_class in gains.values() for gain in of_class)
    by_utterances = (5 / runs) ** 2 * squares * 20 * runs / (20 * runs - 1)
    error = max(by_runs, by_utterances) ** 0.5
    return mean, error, 2 * stats.t.sf(abs(mean) / error, runs - 1)


def interval(before, after):
    """Its ends, as they are written."""
    mean, error, _ = effect(before, after)
    half = stats.t.ppf(0.975, len(before) - 1) * error
    return f"{mean - half:+.1f} to {mean + half:+.1f}"


def power(difference, error, freedom, level=0.05):
    limit, shift = stats.t.ppf(1 - level / 2, freedom), difference / error
    return stats.nct.sf(limit, freedom, shift) + stats.nct.sf(limit, freedom, -shift)


FEW, MANY = [1, 2, 1, 2, 1], [6, 7, 6, 7, 5]
BEFORE, AFTER = [4, 6, 1, 3, 4], [3, 2, 4, 1, 3]


@pytest.mark.parametrize(
    "softmax, centre, verdict",
    [
        (MANY, FEW, "Yes: lambda = 0.3 against lambda = 0 changes UA by +24.0 points"),
        (FEW, MANY, "No, it is worse: lambda = 0.3 against lambda = 0 changes UA by -24.0 points"),
        (BEFORE, AFTER, "Not shown: lambda = 0.3 against lambda = 0 changes UA by +5.0 points"),
        (MANY[:4], FEW[:4], "Not known, 4 pairs of runs: "),
    ],
)
def test_the_verdict(simulation, softmax, centre, verdict):
    first, second = answers(simulation, softmax, (0.3, centre))
    assert first.startswith(verdict)
    assert second.startswith("UA is ")
    assert ("would have been shown" in second) == verdict.startswith("Not shown")


def test_the_sentence_names_setting_corpus_protocol_question_interval_and_p(simulation):
    """Differences of 5, 20, -15, 10 and 5: mean 5, squares 0, 225, 400, 25 and 0, variance 650 / 4, of the mean a
    fifth. Of eleven utterances that change each adds at most a point: 11 x 100 / 99, which is less."""
    error = np.sqrt(650 / 4 / 5)
    half, p = stats.t.ppf(0.975, 4) * error, 2 * stats.t.sf(5 / error, 4)
    assert (round(5 - half, 1), round(5 + half, 1), round(p, 2)) == (-10.8, 20.8, 0.43)
    assert effect(BEFORE, AFTER) == pytest.approx((5, error, p))
    detectable = optimize.brentq(lambda difference: power(difference, error, 4) - 0.8, 5, 50)
    assert answers(simulation, BEFORE, (0.3, AFTER)) == [
        "Not shown: lambda = 0.3 against lambda = 0 changes UA by +5.0 points on demo under the paper protocol, for "
        "new recordings of the same speakers (95 % interval -10.8 to +20.8; p = 0.43; 5 pairs of runs).",
        "UA is 87.0 % with lambda = 0.3 and 82.0 % with lambda = 0. "
        f"A true difference of {detectable:.1f} points would have been shown with a probability of 80 %.",
    ]


def test_yes_and_no_in_numbers(tmp_path):
    """The same study, once with the settings exchanged."""
    mean, _, p = effect(MANY, FEW)
    assert mean == 24
    assert p < 0.05
    scope = "on demo under the paper protocol, for new recordings of the same speakers"
    assert answers(Simulation(tmp_path / "yes"), MANY, (0.3, FEW)) == [
        f"Yes: lambda = 0.3 against lambda = 0 changes UA by +24.0 points {scope} (95 % interval "
        f"{interval(MANY, FEW)}; p = {p:.2g}; 5 pairs of runs).",
        "UA is 93.0 % with lambda = 0.3 and 69.0 % with lambda = 0.",
    ]
    assert answers(Simulation(tmp_path / "no"), FEW, (0.3, MANY)) == [
        f"No, it is worse: lambda = 0.3 against lambda = 0 changes UA by -24.0 points {scope} (95 % interval "
        f"{interval(FEW, MANY)}; p = {p:.2g}; 5 pairs of runs).",
        "UA is 69.0 % with lambda = 0.3 and 93.0 % with lambda = 0.",
    ]


def test_equal_gains_in_all_runs_are_no_certainty(simulation):
    """Five utterances more in each run: 25 points, without a spread over runs. Of five hap in a run two change, of
    each other class one: squares of 25 x 0.4 x 0.6 and three times 25 x 0.2 x 0.8, each utterance a point."""
    error = np.sqrt(100 / 99 * (6 + 3 * 4))
    assert effect([7] * 5, [2] * 5)[:2] == pytest.approx((25, error))
    half, p = stats.t.ppf(0.975, 4) * error, 2 * stats.t.sf(25 / error, 4)
    (first, _) = answers(simulation, [7] * 5, (0.3, [2] * 5))
    assert f"(95 % interval {25 - half:+.1f} to {25 + half:+.1f}; p = {p:.2g}; 5 pairs" in first


def test_people_apart_are_answered_for_other_people(tmp_path):
    """Ten speakers, two in each fold, whom training does not know: their variance decides, with nine degrees of
    freedom, and the interval is another."""
    simulation = Simulation(tmp_path, protocol="speaker", speaker=0.0)
    tests = [with_errors(0, fold) for fold in range(5)]
    speakers = [f"s{2 * fold + i % 2}" for fold in range(5) for i in range(20)]
    simulation.add_utterances(pd.concat(tests)[["id", "label"]].assign(speaker=speakers))
    first, second = answer(study_of(simulation, BEFORE, (0.3, AFTER)))
    rows = [
        (f"s{2 * fold + i % 2}", label, (i >= other) - (i >= one))
        for fold, (one, other) in enumerate(zip(BEFORE, AFTER, strict=True))
        for i, label in enumerate(LABELS)
    ]
    means = {name: np.mean([gain for _, label, gain in rows if label == name]) for name in LABELS}
    sums = [sum(gain - means[label] for who, label, gain in rows if who == name) for name in set(speakers)]
    by_speakers = 10 / 9 * sum(one**2 for one in sums)
    error = max(by_speakers, 650 / 4 / 5) ** 0.5
    half, p = stats.t.ppf(0.975, 9) * error, 2 * stats.t.sf(5 / error, 9)
    assert first == (
        "Not shown: lambda = 0.3 against lambda = 0 changes UA by +5.0 points on demo under the speaker protocol, for "
        f"other speakers (95 % interval {5 - half:+.1f} to {5 + half:+.1f}; p = {p:.2g}; 5 pairs of runs)."
    )
    assert "would have been shown" in second


def test_too_few_runs_are_no_answer(simulation):
    first, second = answers(simulation, [4] * 4, (0.3, [3] * 4))
    assert first.startswith("Not known, 4 pairs of runs: no interval for new recordings of the same speakers, 4 runs ")
    assert first.endswith("where an interval needs 5.")
    assert second == "UA is 85.0 % with lambda = 0.3 and 80.0 % with lambda = 0."


def test_pairs_are_counted_and_not_the_runs_of_one_side(simulation):
    """Five runs with centre loss, of which three have a counterpart."""
    for number, (lam, folds) in enumerate([(0.0, 3), (0.3, 5)]):
        settings = settings_of("logmel", lam, 0.5)
        simulation.add_job(number, f"loss.lam={lam}", settings, folds=range(folds))
        finish(simulation, settings, [4 - number] * folds)
    material = read_material(simulation.study, simulation.runs)
    first = answer(material)[0]
    assert first.startswith("Not known, 3 pairs of runs: ")
    assert "a class is absent" not in first
    assert first.endswith("where an interval needs 5.")
    (reasons,) = (block.words for block in section(material).blocks if getattr(block, "words", "").startswith("No int"))
    assert [reasons.count(words) for words in ("same people (3 ", "repeat (3 ", "new people (")] == [1, 1, 1]


# A study that is not finished

# 'p = 0.1', 'p < 0.001', or a column of them
P_VALUE = re.compile(r"\bp [=<] |\| p( for all)? +\||, p +\|")


def test_an_unfinished_study_says_how_far_it_is_and_gives_no_p(simulation):
    """However clear what has finished is: whoever looks until he likes it finds something."""
    for number, (lam, errors) in enumerate([(0.0, MANY), (0.3, FEW), (3.0, MANY[:4])]):
        settings = settings_of("logmel", lam, 0.5)
        simulation.add_job(number, f"loss.lam={lam}", settings, folds=range(5))
        finish(simulation, settings, errors)
    report = compile_report(read_material(simulation.study, simulation.runs))
    assert report.answer == [
        "Not yet: 14 of 15 runs have finished, and the answer waits for all of them; report --interim shows what they "
        "say so far."
    ]
    text = markdown_report(report)
    assert not P_VALUE.search(text)
    # Nor an interval of a difference, which is as good an answer
    assert "+24.00" not in text
    interim = markdown_report(compile_report(read_material(simulation.study, simulation.runs, interim=True)))
    assert len(P_VALUE.findall(interim)) > 3
    assert "+24.00 ± " in interim


def test_of_an_unfinished_study_an_answer_is_given_with_its_caveat_where_it_is_asked_for(simulation):
    material = study_of(simulation, MANY, (0.3, FEW), planned=6, interim=True)
    mean, _, p = effect(MANY, FEW)
    first, _, last = answer(material)
    assert first.startswith(f"Yes: lambda = 0.3 against lambda = 0 changes UA by {mean:+.1f} points on demo")
    assert f"{interval(MANY, FEW)}; p = {p:.2g}; 5 pairs of runs)." in first
    assert last == INTERIM
    assert "before the study was finished" in INTERIM


def test_a_finished_study_answers_alike_whether_it_is_asked_early_or_not(simulation):
    plain = answer(study_of(simulation, MANY, (0.3, FEW)))
    assert answer(read_material(simulation.study, simulation.runs, interim=True)) == plain
    assert INTERIM not in plain


def test_a_job_that_has_not_begun_is_unfinished_and_one_that_failed_is_not_waited_for(simulation):
    study_of(simulation, MANY, (0.3, FEW))
    begun = simulation.add_job(2, "loss.lam=3", settings_of("logmel", 3.0, 0.5), folds=[])
    assert begun.runs == []
    assert answer(read_material(simulation.study, simulation.runs))[0].startswith("Not yet: 10 of 10 runs ")
    write_job(simulation.study, 2, replace(begun, failure="out of memory"))
    assert answer(read_material(simulation.study, simulation.runs))[0].startswith("Yes: ")


def test_each_input_has_its_answer(simulation):
    for number, (features, lam, folds) in enumerate(
        [("logmel", 0.0, range(5)), ("logmel", 0.3, range(5)), ("logstft", 0.0, (0, 1)), ("logstft", 0.3, (2,))]
    ):
        settings = settings_of(features, lam, 0.5)
        simulation.add_job(number, f"{features} {lam}", settings, folds=range(5))
        for fold in folds:
            simulation.finish(settings, 0, fold, with_errors(2 if lam else 7, fold))
    p = effect([7] * 5, [2] * 5)[2]
    assert answer(read_material(simulation.study, simulation.runs, interim=True)) == [
        "Yes: lambda = 0.3 against lambda = 0 changes UA on log-Mel by +25.0 points on demo under the paper "
        f"protocol, for new recordings of the same speakers (95 % interval {interval([7] * 5, [2] * 5)}; p = {p:.2g}; "
        "5 pairs of runs).",
        "UA on log-Mel is 90.0 % with lambda = 0.3 and 65.0 % with lambda = 0.",
        "Not known yet on log-STFT: no division has been run with and without.",
        INTERIM,
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


def test_many_settings_need_more(tmp_path):
    """What one comparison shows may not be shown among many; the paper's setting is the one that is answered for."""
    softmax, centre = [4, 4, 5, 4, 5], [3, 2, 2, 2, 3]
    mean, error, p = effect(softmax, centre)
    assert mean == 10
    alone = answers(Simulation(tmp_path / "alone"), softmax, (0.3, centre))
    assert alone[0].startswith("Yes: lambda = 0.3 against lambda = 0 changes UA by +10.0 points")
    noise = [[4, 6, 3, 4, 6], [5, 2, 6, 5, 3], [4, 3, 7, 4, 4], [6, 4, 2, 5, 3]]
    others = [(0.01 * (1 + number), errors) for number, errors in enumerate(noise)]
    among = answers(Simulation(tmp_path / "among"), softmax, *others, (0.3, centre))
    assert min(effect(softmax, errors)[2] for errors in noise) > p
    assert among[0].startswith("Not shown: lambda = 0.3 against lambda = 0 changes UA by +10.0 points")
    # The smallest of five, by Holm's method, counts five times
    assert 0.05 < 5 * p < 1
    assert f"p = {p:.2g}, {5 * p:.2g} for all comparisons; 5 pairs of runs" in among[0]
    # What would have been shown is by the same rule
    detectable = optimize.brentq(lambda difference: power(difference, error, 4, 0.05 / 5) - 0.8, 5, 100)
    assert f"A true difference of {detectable:.1f} points would have been shown" in among[1]
    assert among[-1].startswith("Of 5 settings compared, none is shown to differ in UA, p below 0.05")


# How the setting that is answered for was chosen


def chosen(simulation, *dev, paper=None, lams=(0.1, 0.2, 0.4)):
    """A study of a loss in which the settings have these UAs on dev, and tell nothing of it on test."""
    jobs = [(0.0, 0.5, 5), *((lam, ua, 4 - number) for number, (lam, ua) in enumerate(zip(lams, dev, strict=True)))]
    for number, (lam, ua, errors) in enumerate(jobs):
        settings = settings_of("logmel", lam, 0.5) if paper else parts_of("mine", lam)
        simulation.add_job(number, f"loss.lam={lam}", settings, folds=range(5))
        finish(simulation, settings, [errors, errors + 1, errors, errors + 1, errors], ua)
    write_study(
        simulation.study, Purpose(("loss.lam=0",), paper), [job.settings for job in read_jobs(simulation.study)]
    )


def test_the_answer_says_of_how_many_settings_the_shown_one_has_the_highest_dev_ua(simulation):
    """And not the highest on test, which the third has."""
    chosen(simulation, 0.6, 0.7, 0.65)
    material = read_material(simulation.study, simulation.runs)
    assert material.summary["ua"].idxmax() == 3
    _, second, *_ = answer(material)
    assert "with lambda = 0.2 and" in second
    assert second.partition("; ")[2].startswith("lambda = 0.2 has the highest dev UA of 3 settings.")


def test_a_setting_that_was_not_chosen_by_dev_ua_is_not_said_to_be(tmp_path):
    """The only one, and the paper's, which were chosen before any number was known."""
    for name, dev, words in (("only", [0.6], {"lams": (0.1,)}), ("paper", [0.6, 0.7], {"lams": (0.3, 1.0)})):
        simulation = Simulation(tmp_path / name)
        chosen(simulation, *dev, paper="icassp2019" if name == "paper" else None, **words)
        sentences = answer(read_material(simulation.study, simulation.runs))
        assert f"with lambda = {words['lams'][0]:g} and" in sentences[1]
        assert "dev UA" not in " ".join(sentences)


def test_of_a_study_for_the_paper_without_its_setting_the_choice_is_told_as_well(simulation):
    chosen(simulation, 0.6, 0.7, 0.65, paper="icassp2019")
    material = read_material(simulation.study, simulation.runs)
    assert material.chapter is not None
    assert "lambda = 0.2 has the highest dev UA of 3 settings" in answer(material)[1]


def test_where_one_setting_stands_for_all_references_it_is_the_best_of_all(simulation):
    """Five learning rates, each with and without a loss: of five comparisons the best on dev is answered for."""
    number = 0
    for rate in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
        for lam in (0.0, 0.1):
            settings = parts_of("mine", lam, **{"optimizer.learning_rate": rate})
            simulation.add_job(number, f"optimizer.learning_rate={rate} loss.lam={lam}", settings, folds=range(5))
            finish(simulation, settings, [5 - bool(lam), 5, 4, 5, 5], 0.7 if rate == 1e-3 else 0.6)
            number += 1
    write_study(simulation.study, Purpose(("loss.lam=0",), None), [job.settings for job in read_jobs(simulation.study)])
    second = answer(read_material(simulation.study, simulation.runs))[1]
    assert second.startswith("UA with learning_rate = 0.001 is ")
    assert "has the highest dev UA of 5 settings." in second


def test_that_others_have_the_same_dev_ua_is_said(simulation):
    chosen(simulation, 0.6, 0.7, 0.7)
    sentences = answer(read_material(simulation.study, simulation.runs))
    assert "lambda = 0.2 has the highest dev UA of 3 settings, the first of 2 that have it." in sentences[1]


@pytest.mark.parametrize("paper", ["icassp2019", None])
def test_without_softmax_alone_the_first_setting_is_the_measure(simulation, paper):
    """Of the others the one with the highest UA on dev is told, however far another is away on the test part."""
    errors = {0.1: [8, 9, 7, 8, 10], 0.5: [7, 8, 7, 9, 8], 0.9: [13, 14, 15, 12, 13]}
    word = "alpha" if paper else "tau"
    for number, (value, counts) in enumerate(errors.items()):
        settings = settings_of("logmel", 0.3, value) if paper else parts_of("mine", 0.3, **{"loss.tau": value})
        simulation.add_job(number, f"loss.{word}={value}", settings, folds=range(5))
        finish(simulation, settings, counts, dev=0.6 if value < 0.9 else 0.5)
    write_study(
        simulation.study, Purpose(("loss.lam=0",), paper), [job.settings for job in read_jobs(simulation.study)]
    )
    material = read_material(simulation.study, simulation.runs)
    assert claim(material) == (
        f"Other settings change UA against the first, {word} = 0.1; none has the study's baseline, loss.lam=0."
    )
    counts, best, scores = answer(material)
    assert counts.startswith("Of 2 settings compared, UA is higher with 0 and lower with 1,")
    assert best.startswith(f"Not shown: {word} = 0.5 against {word} = 0.1 changes UA by +3.0 points on demo")
    p = effect(errors[0.1], errors[0.5])[2]
    assert f"{interval(errors[0.1], errors[0.5])}; p = {p:.2g}, {p:.2g} for all comparisons; 5 pairs" in best
    assert scores.startswith(f"UA is 61.0 % with {word} = 0.5 and 58.0 % with {word} = 0.1")
    assert paper or f"; {word} = 0.5 has the highest dev UA of 2 settings." in scores


def test_settings_on_other_divisions_each_are_not_compared(simulation):
    """Such as those that differ in how many utterances train."""
    for number, alpha in enumerate([0.1, 0.5]):
        settings = settings_of("logmel", 0.3, alpha)
        simulation.add_job(number, f"loss.alpha={alpha}", settings, folds=[number])
        simulation.finish(settings, 0, number, with_errors(4, number))
    material = read_material(simulation.study, simulation.runs)
    (words,) = answer(material)
    assert words == "Not known: no division has been run with two settings, so that they cannot be compared in pairs."
    assert words in markdown_report(compile_report(material))


@pytest.mark.parametrize(("lam", "described", "words"), [(0.3, 0.0, "none has"), (0.0, 0.3, "all have")])
def test_what_is_described_alone_does_not_count_among_those_that_have_the_baseline(simulation, lam, described, words):
    for number, (features, value) in enumerate((("logmel", lam), ("logstft", lam), ("logmel", described))):
        settings = settings_of(features, value, 0.5)
        simulation.add_job(number, f"setting {number}", settings, folds=range(5))
        finish(simulation, settings, [4, 4, 4, 4, 5])
    purpose = Purpose(("loss.lam=0",), None, described=("setting 2",))
    write_study(simulation.study, purpose, [job.settings for job in read_jobs(simulation.study)])
    material = read_material(simulation.study, simulation.runs)
    assert material.compared == {1: 0}
    assert claim(material).endswith(f"; {words} the study's baseline, loss.lam=0.")
