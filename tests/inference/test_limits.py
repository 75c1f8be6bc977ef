"""How a model was tested: the numbers of its own setting in its study's report."""

from dataclasses import replace

import numpy as np

from ser_lightning.inference.limits import read_test
from ser_lightning.inference.sources import Source
from ser_lightning.report.material import read_material
from ser_lightning.runs.ledger import read_results
from ser_lightning.runs.study import Purpose, read_jobs, write_job, write_study
from tests.report.simulated import CLASSES, Simulation, predictions, settings_of


def test_settings_that_have_chosen_the_same_run_have_numbers_of_their_own(tmp_path):
    simulation, rng = Simulation(tmp_path, speaker=0.0), np.random.default_rng(0)
    for number, (name, right) in enumerate([("softmax", 0.5), ("island", 0.9)]):
        settings = settings_of("logmel", 0.3 * number, 0.5)
        simulation.add_job(number, name, settings, folds=range(3))
        for fold in range(3):
            labels = CLASSES * 6
            recognised = [one if rng.random() < right else "sad" for one in labels]
            test = predictions(list(zip(labels, recognised, strict=True)))
            simulation.finish(settings, 0, fold, test.assign(id=[f"{fold} {i}" for i in range(24)]))
    softmax, island = read_jobs(simulation.study)
    write_job(simulation.study, 1, replace(island, runs=[softmax.runs[0], *island.runs[1:]]))
    write_study(simulation.study, Purpose(baseline=(), paper=None, references=("softmax",)), [])
    material = read_material(simulation.study, simulation.runs)
    for number, job in enumerate(read_jobs(simulation.study)):
        results = read_results(simulation.runs, job.runs)
        source = Source(simulation.runs, simulation.study, job.name, results, results, 3, "")
        assert read_test(source).ua.mean == material.summary["ua"][number]
    assert material.summary["ua"][1] > material.summary["ua"][0]


def test_what_numbers_rest_on_is_that_of_the_networks_that_answer(tmp_path):
    simulation = Simulation(tmp_path, speaker=0.0)
    phrase = "normalised by all utterances of each tested speaker, unlabelled (transductive)"
    for number in range(2):
        settings = settings_of("logmel", 0.3 * number, 0.5)
        simulation.add_job(number, f"setting {number}", settings, folds=range(3))
        for fold in range(3):
            simulation.finish(settings, 0, fold, predictions([(one, one) for one in CLASSES * 6]))
    plain, speaker = read_jobs(simulation.study)
    for name in speaker.runs:
        result = read_results(simulation.runs, [name])[0]
        replace(result, uses=[phrase]).write(simulation.runs / name)

    def caption(job, study, runs):
        results = read_results(simulation.runs, runs)
        return read_test(Source(simulation.runs, study, job.name, results, results, 3, "")).caption

    assert caption(speaker, simulation.study, speaker.runs).endswith(f" | {phrase}")
    assert "transductive" not in caption(plain, simulation.study, plain.runs)
    alone = caption(speaker, None, speaker.runs[:1])
    assert "protocol; one run, without a study | test shares with training: speakers 0 %" in alone
    assert alone.endswith(f" | {phrase}")
