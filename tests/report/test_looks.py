"""Runs that were added after an answer had been seen are said to be so, and nothing else is."""

import json
from dataclasses import replace

import pytest

from ser_lightning.errors import UserError
from ser_lightning.report import study
from ser_lightning.report.__main__ import main
from ser_lightning.report.looks import LOOKS, later_pairs, record_look, shared_pairs
from ser_lightning.report.material import read_material
from ser_lightning.report.study import compile_report, keep_report
from ser_lightning.report.sweep import SweepReport
from ser_lightning.runs.study import read_jobs, write_job
from tests.report.simulated import predictions, settings_of

LABELS = ["neu", "ang", "hap", "sad"] * 5
FIVE = range(5)


def train(simulation, *lams, folds=FIVE, repeats=1, seed=0, finished=None):
    """Plan runs of these settings, in place of a former plan, and finish those of so many folds: all, if not said.

    Of 20 utterances lambda = 0 misses 6 or 7, any other 1 or 2.
    """
    for lam in lams:
        settings = settings_of("logmel", lam, 0.5) | {"seed": seed}
        simulation.add_job(int(10 * lam) + 100 * seed, f"loss.lam={lam} seed={seed}", settings, folds, repeats)
        for repeat in range(repeats):
            for fold in list(folds)[:finished]:
                errors = (1 if lam else 6) + (repeat + fold) % 2
                simulation.finish(settings, repeat, fold, recognised(errors, fold))


def recognised(errors, fold):
    names = [label if i >= errors else {"neu": "sad"}.get(label, "neu") for i, label in enumerate(LABELS)]
    return predictions(list(zip(LABELS, names, strict=True)), first=20 * fold)


@pytest.fixture
def look(simulation, monkeypatch):
    """Reports the study, but for its files, and returns what it says of runs that were added."""
    monkeypatch.setattr(study, "write_report", lambda *arguments: None)

    def report(interim=False):
        made = keep_report(read_material(simulation.study, simulation.runs, interim=interim))
        return [words for words in made.warnings if words.startswith("After an answer")]

    return report


def warning(seen, added, scope=""):
    """What the report says of so many pairs of runs."""
    return [
        f"After an answer from {seen} of runs had been seen, {added} added{scope}; the p-values are those of a single "
        "look, and too small for more than one."
    ]


def test_a_study_that_is_reported_once_or_twice_as_it_is_has_no_warning(simulation, look):
    train(simulation, 0.0, 0.3, repeats=2)
    assert look() == look() == look(interim=True) == []
    assert [len(pairs) for pairs in json.loads((simulation.study / LOOKS).read_text())] == [10]


def test_repetitions_after_an_answer_are_told_and_the_first_answer_stays_known(simulation, look):
    train(simulation, 0.0, 0.3)
    assert look() == []
    for repeats, added in ((2, 5), (5, 20)):
        train(simulation, 0.0, 0.3, repeats=repeats)
        assert look() == look() == warning("5 pairs", f"{added} pairs were")
    assert [len(pairs) for pairs in json.loads((simulation.study / LOOKS).read_text())] == [5, 5, 15]


def test_folds_and_seeds_after_an_answer_are_told(simulation, look):
    train(simulation, 0.0, 0.3)
    look()
    train(simulation, 0.0, 0.3, folds=range(6))
    assert look() == warning("5 pairs", "1 pair was")
    train(simulation, 0.0, 0.3, seed=1)
    assert look() == warning("5 pairs", "6 pairs were")


def test_while_the_added_runs_train_there_is_no_answer_and_no_warning(simulation, look):
    train(simulation, 0.0, 0.3)
    look()
    train(simulation, 0.0, 0.3, folds=range(10), finished=8)
    assert look() == []
    assert look(interim=True) == warning("5 pairs", "3 pairs were")


def test_an_interim_answer_is_a_look(simulation, look):
    train(simulation, 0.0, 0.3, folds=range(8), finished=6)
    assert look() == []
    assert look(interim=True) == []
    train(simulation, 0.0, 0.3, folds=range(8))
    assert look() == warning("6 pairs", "2 pairs were")


def test_a_report_without_a_p_is_no_look(simulation, look):
    """Four pairs of runs, of which there is no interval; and an unfinished study."""
    train(simulation, 0.0, 0.3, folds=range(4))
    look()
    train(simulation, 0.0, 0.3, folds=range(8), finished=6)
    look()
    assert not (simulation.study / LOOKS).exists()
    train(simulation, 0.0, 0.3, folds=range(8))
    assert look() == []


def test_pairs_that_stand_in_another_studys_answer_are_told_in_both(simulation):
    def shared(study):
        return shared_pairs(read_material(study, simulation.runs))

    train(simulation, 0.0, 0.3)
    second, third = (simulation.study.with_name(name) for name in ("second", "third"))
    for number, job in enumerate(read_jobs(simulation.study)):
        write_job(second, number, job)
    train(simulation, 3.0)
    # Of runs alone, of which nothing was seen, nothing is to be told
    assert shared(simulation.study) is shared(second) is None
    record_look(read_material(simulation.study, simulation.runs))
    assert shared(simulation.study) is None
    words = "Of {} of runs 5 also stand in an answer that was seen of {}; each study's p-values are corrected for its "
    words += "own comparisons alone."
    assert shared(second) == words.format("5 pairs", "simulated")
    record_look(read_material(second, simulation.runs))
    assert shared(simulation.study) == words.format("10 pairs", "second")
    # The baseline's runs alone make no pair
    for number, lam in enumerate((0.0, 2.0)):
        train(simulation, lam)
        write_job(third, number, next(job for job in read_jobs(simulation.study) if job.settings["loss"]["lam"] == lam))
    assert shared(third) is None
    assert words.format("5 pairs", "simulated") in compile_report(read_material(second, simulation.runs)).warnings


def test_a_new_setting_is_no_addition_until_it_is_extended_itself(simulation, look):
    train(simulation, 0.0, 0.3)
    look()
    train(simulation, 3.0)
    assert look() == []
    # Of lambda = 0.3 there are five pairs still
    train(simulation, 0.0, 3.0, repeats=2)
    assert look() == warning("5 pairs", "5 pairs were", " in 1 of 2 comparisons")
    train(simulation, 0.3, repeats=2)
    assert look() == warning("5 pairs", "5 pairs were", " in 2 of 2 comparisons")


def test_runs_trained_anew_are_no_addition(simulation, look):
    """With the same name they are the same; made with other code they take the place of all former ones."""
    train(simulation, 0.0, 0.3)
    look()
    train(simulation, 0.0, 0.3)
    assert look() == []
    for number, job in zip((0, 3), read_jobs(simulation.study), strict=True):
        edited = [f"edited{run}" for run in job.runs]
        for run, name in zip(job.runs, edited, strict=True):
            (simulation.runs / run).rename(simulation.runs / name)
            file = simulation.runs / name / "result.json"
            file.write_text(json.dumps({**json.loads(file.read_text()), "signature": name}))
        write_job(simulation.study, number, replace(job, runs=edited))
    assert look() == []


def test_a_damaged_memory_is_named_and_not_written_over(simulation, look):
    train(simulation, 0.0, 0.3)
    for content in ("[[", "[3]", '[["abc"]]'):
        (simulation.study / LOOKS).write_text(content)
        with pytest.raises(UserError, match=r"looks.json cannot be read .*; put back a copy of it, or delete it"):
            look()
        assert (simulation.study / LOOKS).read_text() == content


def test_an_answer_is_remembered_before_it_can_be_read(simulation, monkeypatch):
    """Also where the command is killed while it writes the report."""

    def killed(*arguments):
        raise KeyboardInterrupt

    train(simulation, 0.0, 0.3)
    monkeypatch.setattr(study, "write_report", killed)
    with pytest.raises(KeyboardInterrupt):
        keep_report(read_material(simulation.study, simulation.runs))
    train(simulation, 0.0, 0.3, repeats=2)
    assert later_pairs(read_material(simulation.study, simulation.runs)) == warning("5 pairs", "5 pairs were")[0]


def test_the_warning_stands_in_all_files_and_in_the_terminal(simulation, sweep, capsys):
    train(simulation, 0.0, 0.3)
    SweepReport().on_multirun_end(sweep())
    assert "After an answer" not in capsys.readouterr().out
    train(simulation, 0.0, 0.3, repeats=2)
    (words,) = warning("5 pairs", "5 pairs were")
    SweepReport().on_multirun_end(sweep())
    assert words in capsys.readouterr().out.splitlines()
    main(["--output", str(simulation.output), "simulated"])
    assert f"  {words}" in capsys.readouterr().out.splitlines()
    assert f"> {words}" in (simulation.study / "report.md").read_text().splitlines()
    assert words in (simulation.study / "report.html").read_text()
    assert words in json.loads((simulation.study / "results.json").read_text())["warnings"]
