"""Which runs answer for a word on the command line."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ser_lightning.errors import UserError
from ser_lightning.inference.sources import find_source
from ser_lightning.runs.jobs import REFERENCE_SYSTEM
from ser_lightning.runs.ledger import RESULT, read_results
from ser_lightning.runs.study import read_jobs, write_job


def test_of_a_study_the_setting_with_the_best_mean_ua_on_dev_answers_by_all_its_folds(trained, study):
    jobs = read_jobs(study)
    ua = [np.mean([result.dev_ua for result in read_results(trained / "runs", job.runs)]) for job in jobs]
    best = jobs[int(np.argmax(ua))]
    by_name, by_folder = find_source("tried", trained), find_source(str(study), trained / "elsewhere")
    assert by_name == by_folder
    assert [result.signature for result in by_name.results] == best.runs
    assert by_name.folders == [trained / "runs" / run for run in best.runs]
    percent = f"{100 * max(ua):.1f} %"
    assert f"the best of 2 settings by mean UA on dev, {percent}" in str(by_name)
    assert "2 networks" in str(by_name)
    assert "synthetic" in str(by_name)


@pytest.mark.parametrize("setting, number", [("loss.lam=0", 0), ("loss.lam=0.3", 1), ("loss=center loss.lam=0.3", 1)])
def test_a_setting_is_chosen_by_its_name_or_by_what_it_sets(trained, study, setting, number):
    source = find_source("tried", trained, setting=setting)
    assert [result.signature for result in source.results] == read_jobs(study)[number].runs
    assert "best" not in str(source)


def test_the_reference_system_answers_only_if_asked_for(trained, study, tmp_path):
    output = tmp_path / "outputs"
    shutil.copytree(trained / "studies", output / "studies")
    (output / "runs").symlink_to(trained / "runs")
    jobs = read_jobs(study)
    ua = [np.mean([result.dev_ua for result in read_results(trained / "runs", job.runs)]) for job in jobs]
    best = int(np.argmax(ua))
    write_job(output / "studies" / study.name, best, replace(jobs[best], name=REFERENCE_SYSTEM))
    assert [one.signature for one in find_source("tried", output).results] == jobs[1 - best].runs
    asked = find_source("tried", output, setting=REFERENCE_SYSTEM)
    assert [one.signature for one in asked.results] == jobs[best].runs


def test_a_run_answers_alone_and_knows_its_setting(trained, study):
    first, second = read_jobs(study)[0].runs
    for source in (
        find_source("tried", trained, run=second),
        find_source(second, trained),
        find_source(str(trained / "runs" / second), trained),
    ):
        assert [result.signature for result in source.results] == [second]
        assert [result.signature for result in source.all_results] == [first, second]
        assert f"run {second}, fold 1" in str(source)


def test_a_run_without_its_study(trained, study, tmp_path):
    run = read_jobs(study)[0].runs[0]
    shutil.copytree(trained / "runs" / run, tmp_path / run)
    source = find_source(str(tmp_path / run), trained)
    assert source.study is None
    assert source.folders == [tmp_path / run]


@pytest.mark.parametrize(
    "word, chosen, message",
    [
        ("tired", {}, "tired is not a study; in .* there are .*tried"),
        ("tried", {"setting": "loss.lam=7"}, "--setting loss.lam=7: tried has no such setting; it has loss.lam=0; "),
        ("tried", {"setting": "nonsense"}, "--setting nonsense: tried has no such setting"),
        ("tried", {"run": "abc"}, "--run abc: tried has no such run"),
        ("tried", {"run": "abc", "setting": "loss.lam=0"}, "give one of the two"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(trained, word, chosen, message):
    with pytest.raises(UserError, match=message) as refusal:
        find_source(word, trained, **chosen)
    assert "\n" not in str(refusal.value)


def test_an_unfinished_study_answers_by_what_is_finished(trained, study, tmp_path):
    output = tmp_path / "outputs"
    for folder in ("studies", "runs"):
        shutil.copytree(trained / folder, output / folder)
    jobs = read_jobs(study)
    for run in [jobs[0].runs[1], *jobs[1].runs]:
        (output / "runs" / run / RESULT).unlink()
    source = find_source("tried", output)
    assert [result.signature for result in source.results] == jobs[0].runs[:1]
    assert "1 of its 2 runs are not finished" in str(source)
    assert "the best of 2 settings, 1 of them with finished runs, by mean UA on dev" in str(source)
    with pytest.raises(UserError, match=r"loss.lam=0.3 of tried has no finished run yet; `ser status tried`"):
        find_source("tried", output, setting="loss.lam=0.3")
    with pytest.raises(UserError, match="is not finished"):
        find_source(jobs[0].runs[1], output)
    (output / "runs" / jobs[0].runs[0] / RESULT).write_text(json.dumps({"schema": 2}))
    with pytest.raises(UserError, match="damaged"):
        find_source("tried", output)
