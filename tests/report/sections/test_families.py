"""Settings beside the references that a study names: who is compared, which p-values are corrected together."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from ser_lightning.report.material import read_material
from ser_lightning.report.sections import answer, choices, families, features, protocol, scores
from ser_lightning.runs.jobs import REFERENCE_SYSTEM, undecided
from ser_lightning.runs.study import Purpose, write_job, write_study
from tests.report.simulated import CLASSES, Simulation, predictions, settings_of

NAMES = ["plain", "softmax", "centre", "island", "ring"]
REFERENCES, DESCRIBED = ("softmax", "centre"), ("plain",)


@pytest.fixture
def material(tmp_path):
    """Five settings on five folds of 24 utterances, of two people each whom training does not know; each better than
    the last."""
    simulation = Simulation(tmp_path, speaker=0.0)
    rng, tests = np.random.default_rng(0), []
    for number, name in enumerate(NAMES):
        settings = settings_of("logmel", 0.1 * number, 0.5)
        job = simulation.add_job(number, name, settings, folds=range(5))
        for repeat, fold in job.places:
            labels = [CLASSES[i % 4] for i in range(24)]
            recognised = [one if rng.random() < 0.4 + 0.1 * number else rng.choice(CLASSES) for one in labels]
            test = predictions(list(zip(labels, recognised, strict=True)))
            tests.append(test.assign(id=[f"{fold} {i}" for i in range(24)]))
            simulation.finish(settings, repeat, fold, tests[-1])
    everyone = pd.concat(tests)[["id", "label"]].drop_duplicates("id")
    who = [f"s{name.split()[0]}{int(name.split()[1]) % 2}" for name in everyone["id"]]
    simulation.add_utterances(everyone.assign(speaker=who))
    purpose = Purpose(baseline=(), paper=None, references=REFERENCES, described=DESCRIBED)
    write_study(simulation.study, purpose, [])
    return read_material(simulation.study, simulation.runs)


def test_each_reference_is_a_family_without_earlier_ones_and_those_described(material):
    compared = {
        name: sorted(material.names[job] for job in material.compared_with(name)) for name in (*REFERENCES, *DESCRIBED)
    }
    assert compared == {
        "softmax": ["centre", "island", "ring"],
        "centre": ["island", "ring"],
        "plain": ["centre", "island", "ring", "softmax"],
    }
    assert material.compared == material.compared_with("softmax")
    assert material.compared_with("no such setting") == {}


def test_p_values_are_corrected_within_each_family_and_the_described_have_none(material):
    section = families.section(material)
    numbers = next(block.numbers for block in section.blocks if hasattr(block, "numbers"))
    sizes = numbers.groupby("against", sort=False).size().to_dict()
    assert sizes == {"softmax": 3, "centre": 2, "plain": 4}
    for name in REFERENCES:
        rows = numbers[numbers["against"] == name]
        assert rows["tested"].all()
        assert rows["ua_p_holm"].tolist() == pytest.approx(multipletests(rows["ua_p"], method="holm")[1].tolist())
        assert rows["ua_detectable"].notna().all()
    described = numbers[numbers["against"] == "plain"]
    assert not described["tested"].any()
    assert described[["ua_p", "ua_p_holm", "ua_detectable"]].isna().all(axis=None)
    assert described["ua_half"].notna().all()


def test_what_the_study_has_no_setting_of_is_not_said_to_be_described(material):
    purpose = replace(material.purpose, described=("plain", "left out"))
    words = families.section(replace(material, purpose=purpose)).blocks[0].words
    assert "Plain: described, without a test." in words


def test_what_each_setting_is_stands_beside_what_all_share(material):
    jobs = [
        replace(job, settings={**job.settings, "loss": {**job.settings["loss"], **own}})
        for job, own in zip(material.jobs, [{}, {}, {"push": 1.0}, {}, {}], strict=True)
    ]
    blocks = protocol.section(replace(material, jobs=jobs)).blocks
    (shared,) = [block.lines for block in blocks if getattr(block, "title", None) == "Settings that all runs share"]
    assert "features.name: logmel" in shared
    assert "push" not in shared
    (table,) = [block.shown for block in blocks if getattr(block, "name", None) == "settings"]
    own = table.set_index("setting")["its own"]
    assert [name for name, words in own.items() if "loss.push=1" in words] == [material.names[2]]


def test_the_table_has_the_differences_of_the_scores_and_a_dash_for_the_reference(material):
    section = families.section(material)
    shown = next(block.shown for block in section.blocks if hasattr(block, "shown")).set_index("setting")
    means = material.summary.set_index("name")["ua"]
    for reference in (*REFERENCES, *DESCRIBED):
        for name in shown.index:
            cell = shown.loc[name, f"against {reference}"]
            if name in {material.names[job] for job in material.compared_with(reference)}:
                assert float(cell.split()[0]) == pytest.approx(means[name] - means[reference], abs=0.005)
            else:
                assert cell == "–"
    assert [column for column in shown.columns if column.startswith("p for all")] == [
        "p for all, softmax",
        "p for all, centre",
    ]
    # A run of 3520 steps took a minute
    assert shown["ms per step"].tolist() == ["17.0"] * 5


def test_the_answer_names_its_reference_and_has_a_sentence_for_each_other(material):
    words = answer.answer(material)
    assert " against softmax changes UA by " in words[0]
    assert any(word.startswith("Of 3 settings compared, ") for word in words)
    assert any(word.startswith("Of 2 settings compared with centre, a family of its own, ") for word in words)
    assert sum(" against plain changes UA by " in word and "described and not tested" in word for word in words) == 1
    assert answer.claim(material).startswith("Another setting recognises better than softmax")


def test_an_unfinished_study_has_no_comparison_yet(material):
    unfinished = replace(material, facts=replace(material.facts, planned=material.facts.planned + 1))
    assert families.section(unfinished) is None
    assert families.section(replace(unfinished, interim=True)) is not None


def test_the_features_of_every_setting_are_shown_and_no_sweep(material):
    names = [block.name for block in features.section(material).blocks if hasattr(block, "draw")]
    assert names == ["features", "features_common", "features_2", "features_common_2"]
    assert not [block for block in scores.section(material).blocks if hasattr(block, "draw")]


def test_candidates_are_counted_and_take_no_part(material):
    """Of three candidates of "ring" two were chosen, by four divisions and by one."""
    ring = material.jobs[4]
    runs = [[*ring.runs[:4], "other"], ["another", *["unfinished"] * 3, ring.runs[4]], ["none"] * 5]
    for number, signatures in enumerate(runs):
        settings = {**ring.settings, "candidate": number}
        candidate = replace(ring, name=f"ring: lam={number}", settings=settings, runs=signatures, candidate_of="ring")
        write_job(material.study, 5 + number, candidate)
    again = read_material(material.study, material.runs)
    assert again.names == NAMES
    assert again.summary.equals(material.summary)
    shown = next(block.shown for block in choices.section(again).blocks if hasattr(block, "shown"))
    assert shown["values"].tolist() == ["lam=0", "lam=1", "lam=2"]
    assert shown["chosen"].tolist() == ["4 of 5", "1 of 5", "0 of 5"]
    # A setting of one value that has the same runs has chosen nothing
    write_job(material.study, 8, replace(ring, name="fixed", settings=candidate.settings, runs=runs[1]))
    beside = read_material(material.study, material.runs)
    assert next(block.shown for block in choices.section(beside).blocks if hasattr(block, "shown")).equals(shown)
    # Each run of the simulation has 60 % on dev
    assert shown["dev UA (%)"].tolist() == ["60.00", "60.00", "–"]
    assert choices.section(material) is None


def test_settings_that_have_chosen_the_same_runs_stay_two(material):
    softmax = material.jobs[1]
    twin = replace(softmax, name="twin", settings={**softmax.settings, "candidate": 1})
    write_job(material.study, 5, twin)
    again = read_material(material.study, material.runs)
    assert again.names == [*NAMES, "twin"]
    row = again.differences.set_index("job").loc[5]
    assert (row["ua"], row["runs"]) == (0, 5)
    assert row["ua_half"] > 0


def test_a_division_that_has_not_chosen_is_missing(material):
    ring = material.jobs[4]
    write_job(material.study, 4, replace(ring, runs=[*ring.runs[:4], undecided("ring", 0, 4)]))
    again = read_material(material.study, material.runs)
    assert not again.complete
    assert (again.facts.finished, again.facts.planned) == (24, 25)
    assert answer.answer(again)[0].startswith("Not yet: 24 of 25 runs have finished")


def test_a_reference_that_the_study_does_not_have_is_named(material):
    absent = replace(material, purpose=replace(material.purpose, references=("softmax", "centering")))
    assert answer.answer(absent)[0].startswith("Not known: the study has no setting centering, which")


def test_a_reference_system_is_a_last_row_beside_which_settings_are_described(tmp_path):
    """It may differ in every part, which is no setting that the study varies."""
    simulation = Simulation(tmp_path)
    svm = {"features": {"name": "functionals"}, "split": {}, "model": {"name": "none"}, "head": {"name": "svm"}}
    svm |= {"trainer": {"max_steps": 0}, "seed": 0}
    settings = [settings_of("logmel", 0.0, 0.5), svm, settings_of("logmel", 0.3, 0.5)]
    names = ["corpus=demo loss.lam=0", REFERENCE_SYSTEM, "corpus=demo loss.lam=0.3"]
    for number, (name, own) in enumerate(zip(names, settings, strict=True)):
        simulation.add_job(number, name, own, folds=range(5))
        for fold in range(5):
            recognised = [CLASSES[(place + (place < 8 * number)) % 4] for place in range(24)]
            pairs = [(CLASSES[place % 4], one) for place, one in enumerate(recognised)]
            simulation.finish(own, 0, fold, predictions(pairs, first=24 * fold))
    write_study(simulation.study, Purpose(described=(REFERENCE_SYSTEM,)), [])
    material = read_material(simulation.study, simulation.runs)
    assert material.names == ["loss.lam=0", "loss.lam=0.3", REFERENCE_SYSTEM]
    assert list(material.columns) == ["loss.lam"]
    assert material.compared == {1: 0}
    assert material.chapter is not None
    ua = material.summary["ua"]
    numbers = next(block.numbers for block in families.section(material).blocks if hasattr(block, "numbers"))
    assert numbers["setting"].tolist() == ["lambda = 0", "lambda = 0.3"]
    assert numbers["ua"].tolist() == pytest.approx([ua[0] - ua[2], ua[1] - ua[2]])
    assert numbers["ua_p"].isna().all()
    assert answer.answer(material)[-1].startswith("lambda = 0.3 against reference system changes UA by ")
