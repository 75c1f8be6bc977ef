"""A study's folder: a second command adds to it, and what it is for is written beside it."""

import json
import os
import threading
from dataclasses import replace
from itertools import product

import pandas as pd
import pytest
import yaml

from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.runs import study
from ser_lightning.runs.jobs import Job, distinct_jobs, job_name, join_names, pool_seeds, replications, undecided
from ser_lightning.runs.ledger import RESULT
from ser_lightning.runs.signature import settings
from ser_lightning.runs.status import study_status
from ser_lightning.runs.study import (
    COMMAND,
    JOBS,
    SPLIT,
    STUDY,
    Purpose,
    all_studies,
    begin_study,
    known_papers,
    read_current_jobs,
    read_jobs,
    read_study,
    refuse_other_settings,
    study_folder,
    write_command,
    write_job,
    write_jobs,
    write_study,
)
from ser_lightning.training import plan
from ser_lightning.training.plan import plan_job, record_corpus
from tests.report.simulated import Simulation, parts_of, predictions, settings_of

RIGHT = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])


def job(lam, runs=(), name=None, repeat=0):
    places = [[repeat, fold] for fold in range(len(runs))]
    return Job(name or f"loss.lam={lam:g}", settings_of("logmel", lam, 0.5), list(runs), places)


def test_a_second_command_adds_its_jobs_and_keeps_the_first_ones(tmp_path):
    write_jobs(tmp_path, [job(0.0, ["a"]), job(0.3, ["b"])])
    write_jobs(tmp_path, [job(0.3), job(3.0), job(0.0)])
    assert [(one.name, one.runs) for one in read_jobs(tmp_path)] == [
        ("loss.lam=0", ["a"]),
        ("loss.lam=0.3", ["b"]),
        ("loss.lam=3", []),
    ]
    assert sorted(file.parent.name for file in tmp_path.glob("jobs/*/job.json")) == ["0", "1", "2"]


def test_a_job_is_recorded_where_its_settings_are_whatever_its_number_in_the_sweep(tmp_path):
    write_jobs(tmp_path, [job(0.0, ["a"]), job(0.3)])
    # The second sweep's first job
    write_jobs(tmp_path, [job(0.3, ["b"])])
    assert [one.runs for one in read_jobs(tmp_path)] == [["a"], ["b"]]


def test_other_folds_are_added_and_the_same_folds_replaced(tmp_path):
    write_jobs(tmp_path, [job(0.3, ["a", "b"])])
    write_jobs(tmp_path, [job(0.3, ["c"], repeat=1)])
    (one,) = read_jobs(tmp_path)
    assert (one.runs, one.places) == (["a", "b", "c"], [[0, 0], [0, 1], [1, 0]])
    # The corpus is another now: what was of the old one goes
    write_jobs(tmp_path, [job(0.3, ["d"])])
    (one,) = read_jobs(tmp_path)
    assert (one.runs, one.places) == (["d"], [[0, 0]])


def test_runs_of_one_job_have_one_code_and_those_of_before_are_dropped_in_a_line(tmp_path, caplog):
    one, other = {"loss": "a1", "corpus": "c"}, {"loss": "b2", "corpus": "c"}
    write_jobs(tmp_path, [replace(job(0.3, ["a"]), origin=one)])
    # announced by a sweep
    write_jobs(tmp_path, [job(0.3)])
    write_jobs(tmp_path, [replace(job(0.3, ["b"], repeat=1), origin=one)])
    assert read_jobs(tmp_path)[0].runs == ["a", "b"]
    assert caplog.messages == []
    write_jobs(tmp_path, [replace(job(0.3, ["c"], repeat=2), origin=other)])
    (last,) = read_jobs(tmp_path)
    assert (last.runs, last.places, last.origin) == (["c"], [[2, 0]], other)
    assert caplog.messages == [
        f"2 runs of loss.lam=0.3 are dropped from the study {tmp_path.name}, made with other code, files or corpus "
        "than now; all are kept in runs/"
    ]


def test_an_edited_default_takes_the_place_of_the_row_that_was_typed_alike(tmp_path, caplog):
    typed = "loss=mine loss.lam=0.3"
    former = Job(typed, parts_of("mine", 0.3, **{"loss.tau": 0.1}), ["a"], [[0, 0]], origin={"loss": "a1"})
    edited = Job(typed, parts_of("mine", 0.3, **{"loss.tau": 0.5}))
    write_jobs(tmp_path, [former])
    # announced by a sweep, then planned
    write_jobs(tmp_path, [edited])
    edited = replace(edited, runs=["b"], places=[[0, 0]], origin={"loss": "b2"})
    write_jobs(tmp_path, [edited])
    assert [join_names([edited])] == [join_names(jobs) for jobs in grouped(read_jobs(tmp_path))]
    assert [message.split(",")[0] for message in caplog.messages] == [
        f"1 run of {typed} is dropped from the study {tmp_path.name}"
    ]
    # the same code under another setting of that name, as a yaml may say, is a row of its own
    write_jobs(tmp_path, [replace(edited, settings=former.settings, runs=["c"])])
    assert len(grouped(read_jobs(tmp_path))) == 2


def grouped(jobs):
    return [[jobs[number] for number in numbers] for numbers in distinct_jobs(jobs).values()]


def test_a_command_that_was_refused_leaves_no_study(tmp_path):
    write_study(study_folder(tmp_path, "refused"), Purpose(), [])
    (study_folder(tmp_path, "refused") / "jobs" / "0").mkdir(parents=True)
    write_jobs(study_folder(tmp_path, "begun"), [job(0.3)])
    assert list(all_studies(tmp_path)) == ["begun"]


def test_a_failure_is_told_and_forgotten_when_the_job_is_tried_again(tmp_path):
    write_jobs(tmp_path, [job(0.3, ["a"])])
    write_jobs(tmp_path, [Job("loss.lam=0.3", settings_of("logmel", 0.3, 0.5), failure="there is no folder /x")])
    (one,) = read_jobs(tmp_path)
    assert (one.runs, one.failure) == (["a"], "there is no folder /x")
    assert [entry.state for entry in study_status(tmp_path, tmp_path / "runs")] == ["failed", "missing"]
    write_jobs(tmp_path, [job(0.3)])
    assert read_jobs(tmp_path)[0].failure is None


def test_settings_of_an_earlier_version_are_the_same_job(tmp_path):
    write_job(tmp_path, 0, job(0.3, ["a"]))
    named = settings_of("logmel", 0.3, 0.5) | {"model": {"name": "crnn"}, "head": {"name": "linear"}}
    named["loss"] = {"name": "center", **named["loss"]}
    write_jobs(tmp_path, [Job("loss=center loss.lam=0.3", named)])
    (one,) = read_jobs(tmp_path)
    assert (one.name, one.runs) == ("loss.lam=0.3", ["a"])


def test_a_job_that_cannot_be_read_is_written_anew(tmp_path):
    write_jobs(tmp_path, [job(0.0), job(0.3), job(3.0)])
    (tmp_path / "jobs" / "1" / "job.json").write_text("{")
    write_jobs(tmp_path, [job(0.0), job(0.3), job(3.0)])
    assert [one.name for one in read_jobs(tmp_path)] == ["loss.lam=0", "loss.lam=0.3", "loss.lam=3"]


def test_a_job_that_is_lost_is_missed_by_its_name_until_a_command_brings_it_back(tmp_path):
    write_jobs(tmp_path, [job(0.0, ["a"]), job(0.3, ["b"])])
    lost = tmp_path / "jobs" / "1" / "job.json"
    lost.unlink()
    with pytest.raises(UserError, match=f"{lost}, the job loss.lam=0.3, is missing; repeat the command that has it"):
        read_jobs(tmp_path)
    # another setting does not take its place
    write_jobs(tmp_path, [job(3.0, ["c"])])
    with pytest.raises(UserError, match=r"the job loss.lam=0.3, is missing"):
        read_jobs(tmp_path)
    write_jobs(tmp_path, [job(0.3, ["b"], name="typed otherwise loss.lam=0.3")])
    assert [one.runs for one in read_jobs(tmp_path)] == [["a"], ["b"], ["c"]]


def test_a_study_of_before_has_no_list_and_has_the_jobs_that_are_there(tmp_path):
    write_jobs(tmp_path, [job(0.0), job(0.3)])
    (tmp_path / JOBS).unlink()
    (tmp_path / "jobs" / "mine").mkdir()
    (tmp_path / "jobs" / "mine" / "job.json").write_text("notes")
    for file in tmp_path.glob("jobs/[01]/job.json"):
        record = json.loads(file.read_text())
        del record["seal"]
        file.write_text(json.dumps(record))
    assert [one.name for one in read_jobs(tmp_path)] == ["loss.lam=0", "loss.lam=0.3"]


def test_a_command_killed_before_it_could_list_a_job_has_recorded_it(tmp_path):
    write_jobs(tmp_path, [job(0.0)])
    write_job(tmp_path, 1, job(0.3))
    assert [one.name for one in read_jobs(tmp_path)] == ["loss.lam=0", "loss.lam=0.3"]


def alter(file):
    file.write_text(file.read_text().replace("0.5", "0.7"))


SPOILT = {
    "latin-1": (lambda file: file.write_bytes('{"name": "zo\xeb"}'.encode("latin-1")), "not text in UTF-8"),
    "too deep": (lambda file: file.write_text("[" * 100_000), "nested too deeply"),
    "a list": (lambda file: file.write_text("[1]"), "it holds no mapping"),
    "another type": (lambda file: file.write_text('{"name": "x", "settings": 3}'), "settings"),
    "another value": (alter, "its values are not those that were written"),
    "a pipe": (lambda file: (file.unlink(), os.mkfifo(file)), "not a regular file"),
    "a folder": (lambda file: (file.unlink(), file.mkdir()), "it is a folder"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_job_that_is_spoilt_is_named_in_a_line(tmp_path, kind):
    write_jobs(tmp_path, [job(0.3)])
    file = tmp_path / "jobs" / "0" / "job.json"
    spoil, reason = SPOILT[kind]
    spoil(file)
    with pytest.raises(UserError, match=reason) as refusal:
        read_jobs(tmp_path)
    assert str(refusal.value).startswith(f"{file}, the job loss.lam=0.3, cannot be read (")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", [STUDY, JOBS])
def test_what_a_study_is_for_and_has_is_not_believed_when_altered(tmp_path, name):
    write_study(tmp_path, Purpose(), [])
    write_jobs(tmp_path, [job(0.3)])
    file = tmp_path / name
    file.write_text(file.read_text().replace("loss.lam=0", "loss.lam=1"))
    with pytest.raises(UserError, match=rf"{file} cannot be read \(its values are not those that were written\)"):
        read_study(tmp_path) if name == STUDY else read_jobs(tmp_path)


def test_jobs_of_another_corpus_than_the_last_are_told_apart(tmp_path):
    first = [replace(job(lam, [name]), origin={"corpus": "old"}) for lam, name in ((0.0, "a"), (0.3, "b"))]
    write_jobs(tmp_path, first)
    assert read_current_jobs(tmp_path) == (read_jobs(tmp_path), [])
    # the table was edited, and so far one setting has been trained anew
    write_jobs(tmp_path, [replace(job(0.0, ["c"]), origin={"corpus": "new"})])
    current, others = read_current_jobs(tmp_path)
    assert [one.runs for one in current] == [["c"]]
    assert [one.runs for one in others] == [["b"]]


def test_losses_with_lambda_zero_are_one_job(tmp_path):
    jobs = [
        Job(f"loss={loss} loss.lam={lam:g}", parts_of(loss, lam)) for loss in ("mine", "center") for lam in (0, 0.1)
    ]
    assert distinct_jobs(jobs) == {0: [0, 2], 1: [1], 3: [3]}
    write_jobs(tmp_path, jobs)
    assert [one.name for one in read_jobs(tmp_path)] == [
        "loss.lam=0",
        "loss=mine loss.lam=0.1",
        "loss=center loss.lam=0.1",
    ]


def test_a_study_of_before_is_for_the_paper(tmp_path):
    assert read_study(tmp_path) == Purpose(("loss.lam=0",), "icassp2019", 3, 1.5)
    (tmp_path / STUDY).write_text('{"baseline": ["model=crnn"], "paper": null}')
    assert read_study(tmp_path) == Purpose(("model=crnn",), None, 3, 1.5)


def test_other_margins_are_another_purpose_of_the_same_runs(tmp_path, caplog):
    """What jobs and runs are called by does not know them."""
    configs = [compose([f"study.level_margin={level}", "study.effect_margin=1"]) for level in (2, 4.5)]
    assert settings(configs[0]) == settings(configs[1])
    assert job_name(["loss.lam=0", "study.level_margin=2", "study.effect_margin=1"]) == "loss.lam=0"
    for config in configs:
        with caplog.at_level("INFO"):
            begin_study(config, tmp_path / "studies" / "one", "train", [], [settings(config)])
    assert read_study(tmp_path / "studies" / "one") == Purpose(level_margin=4.5, effect_margin=1)
    told = "loss.lam=0 (paper: icassp2019, margins: {} and 1 points)"
    assert f"one is now compared with {told.format(4.5)}, before with {told.format(2)}" in caplog.text


def test_train_refuses_a_study_that_has_settings_of_its_own(tmp_path):
    folder = tmp_path / "studies" / "losses"
    with pytest.raises(
        UserError, match=r"^the study losses has settings of its own, which reproduce trains; train has"
    ):
        begin_study(compose(["study=losses"]), folder, "train", ["study=losses"], [])
    assert not folder.exists()


def test_what_a_study_is_for_is_written_and_read(tmp_path):
    purpose = Purpose(("model=crnn",), None, 2.5, 0.75)
    write_study(tmp_path, purpose, [parts_of("mine", 0.1)])
    written = {"baseline": ["model=crnn"], "paper": None, "level_margin": 2.5, "effect_margin": 0.75}
    assert json.loads((tmp_path / STUDY).read_text()).items() >= written.items()
    assert read_study(tmp_path) == purpose
    (tmp_path / STUDY).write_text('{"baseline": 3}')
    with pytest.raises(UserError, match=r"study.json cannot be read .*; repeat the study's command"):
        read_study(tmp_path)


def test_a_baseline_or_paper_that_there_is_not_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(UserError, match=r"loss.lamda is not a setting that numbers depend on; did you mean loss.lam\?"):
        write_study(tmp_path, Purpose(("loss.lamda=0",)), [parts_of("mine", 0.1)])
    with pytest.raises(
        UserError, match=r"los.lam is not a setting that numbers depend on; the jobs of this study have"
    ):
        write_study(tmp_path, Purpose(("los.lam=0",)), [{"seed": 0}])
    with pytest.raises(UserError, match=r"study.paper=icassp2020: choose one of icassp2019, or null for none"):
        write_study(tmp_path, Purpose(paper="icassp2020"), [])
    assert list(tmp_path.iterdir()) == []
    assert known_papers() == ["icassp2019"]


def test_the_baseline_may_be_a_setting_of_steps_in_a_study_that_makes_none(tmp_path):
    write_study(tmp_path, Purpose(("loss.lam=0",)), [{"seed": 0}])
    assert read_study(tmp_path).baseline == ("loss.lam=0",)


def test_another_part_under_the_same_name_is_another_row(tmp_path, caplog):
    """As of `reproduce`, whose jobs are called as the study calls its settings."""
    settings = [parts_of("mine", 0.3, **{"model.name": name}) for name in ("crnn", "gru")]
    for number, one in enumerate(settings):
        origin = {"loss": "a1", "model": f"m{number}"}
        write_jobs(tmp_path, [Job("setting 1", one, [f"run{number}"], [[0, 0]], origin=origin)])
    assert [job.runs for job in read_jobs(tmp_path)] == [["run0"], ["run1"]]
    assert not caplog.messages


def test_settings_that_are_compared_by_name_keep_their_values(tmp_path):
    before, now = settings_of("logmel", 0.3, 0.5), settings_of("logmel", 0.3, 0.5)
    write_jobs(
        tmp_path, [Job("centre", {**before, "loss": {**before["loss"], "lam": "chosen on dev"}}, ["a"], [[0, 0]])]
    )
    now["loss"] |= {"lam": "chosen on dev", "later": 1}
    for seed in (0, 1):
        refuse_other_settings(tmp_path, {"centre": {**now, "seed": seed}, "triplet": before})
    message = (
        rf"the study {tmp_path.name} has a setting 'centre' with loss.lam=chosen on dev, now 0\.3; .*\(study.name=\)"
    )
    with pytest.raises(UserError, match=message):
        refuse_other_settings(tmp_path, {"centre": before})
    with pytest.raises(UserError, match=r"'centre' with split\.max_train=null, now 100"):
        refuse_other_settings(tmp_path, {"centre": {**now, "split": {**now["split"], "max_train": 100}}})
    # As a file has what in the program is a tuple, and as an own part's default may be edited
    write_jobs(tmp_path, [Job("mine", parts_of("mine", 0.3, **{"loss.sizes": [1, 2], "loss.tau": 0.1}))])
    own = parts_of("mine", 0.3, **{"loss.sizes": (1, 2), "loss.tau": 0.5})
    refuse_other_settings(tmp_path, {"mine": own}, {"loss.tau"})
    with pytest.raises(UserError, match=r"'mine' with loss\.tau=0\.1, now 0\.5"):
        refuse_other_settings(tmp_path, {"mine": own})
    now["trainer"]["max_steps"] = 50
    with pytest.raises(UserError, match=r"'centre' with trainer\.max_steps=3520, now 50"):
        refuse_other_settings(tmp_path, {"centre": now})


@pytest.mark.parametrize("name", ["simulated", "2024", "on", "ö: a"])
def test_runs_that_were_replaced_are_found_whatever_the_study_is_called(tmp_path, name):
    simulation = Simulation(tmp_path)
    settings = settings_of("logmel", 0.0, 0.5)
    file = simulation.finish(settings, 0, 0, RIGHT) / "config.yaml"
    described = {**yaml.safe_load(file.read_text()), "study": {"name": name}}
    file.write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True))
    study = tmp_path / "studies" / name
    write_jobs(study, [Job("loss.lam=0", settings, ["another"], [[0, 0]])])
    assert [entry.state for entry in study_status(study, simulation.runs)] == ["missing", "replaced"]


def test_status_lists_the_jobs_of_both_commands_and_runs_that_were_replaced(tmp_path):
    simulation = Simulation(tmp_path)
    first, second = settings_of("logmel", 0.0, 0.5), settings_of("logmel", 0.3, 0.5)
    simulation.add_job(0, "loss.lam=0", first, folds=[0])
    folder = simulation.finish(first, 0, 0, RIGHT)
    write_jobs(simulation.study, [Job("loss.lam=0.3", second)])
    entries = study_status(simulation.study, simulation.runs)
    assert [(entry.job, entry.state) for entry in entries] == [("loss.lam=0", "done"), ("loss.lam=0.3", "missing")]
    # The sound is another now: the same settings, another run
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(f"{config}study:\n  name: simulated\n")
    write_jobs(simulation.study, [Job("loss.lam=0", first, ["another"], [[0, 0]])])
    states = [(entry.run, entry.state, entry.details) for entry in study_status(simulation.study, simulation.runs)]
    assert states[0][:2] == ("another", "missing")
    assert states[-1] == (folder.name, "replaced", "other code, files, corpus, sound, division or version")
    assert (folder / RESULT).exists()


def test_the_folds_of_a_second_command_stand_beside_those_of_the_first(small, tmp_path):
    for folds in ("[1]", "[0]", "[1]"):
        record_corpus(tmp_path, plan_job(small(f"split.folds={folds}")))
    table = pd.read_csv(tmp_path / SPLIT)
    assert table["fold"].unique().tolist() == [0, 1]
    assert not table.duplicated(["fold", "id"]).any()
    assert table.groupby("fold")["part"].nunique().tolist() == [3, 3]


def test_ids_such_as_null_stand_in_the_division_as_they_are(small, tmp_path):
    planned = plan_job(small())
    table = planned[0].split.table
    names = {table["id"].iloc[place]: name for place, name in enumerate(("null", "NA", "007"))}
    table["id"] = table["id"].replace(names)
    record_corpus(tmp_path, planned)
    others = plan_job(small("split.folds=[1]"))
    record_corpus(tmp_path, others)
    former = pd.read_csv(tmp_path / SPLIT, dtype=str, keep_default_na=False).query("fold == '0'")
    assert former["id"].tolist() == table["id"].tolist()


def meanwhile(monkeypatch, module, work, name="write_whole"):
    """Starts `work` in a thread when `module` first writes a file, and gives it half a second."""
    write, threads = getattr(module, name), []

    def write_and_let_another_in(*content):
        if not threads:
            threads.append(threading.Thread(target=work))
            threads[0].start()
            threads[0].join(0.5)
        write(*content)

    monkeypatch.setattr(module, name, write_and_let_another_in)
    return lambda: threads[0].join(60)


def test_of_two_commands_at_a_time_both_are_told(tmp_path, monkeypatch):
    wait = meanwhile(monkeypatch, study, lambda: write_command(tmp_path, "train -m", ["loss.lam=1"]))
    write_command(tmp_path, "train -m", ["loss.lam=0"])
    wait()
    commands = (tmp_path / COMMAND).read_text().splitlines()
    assert commands == [f"python -m ser_lightning.train -m loss.lam={lam}" for lam in (0, 1)]


def test_of_two_commands_at_a_time_the_folds_of_both_are_told(small, tmp_path, monkeypatch):
    plans = [plan_job(small(f"split.folds=[{fold}]")) for fold in range(3)]
    record_corpus(tmp_path, plans[2])
    wait = meanwhile(monkeypatch, plan, lambda: record_corpus(tmp_path, plans[1]), "write_with_seal")
    record_corpus(tmp_path, plans[0])
    wait()
    assert pd.read_csv(tmp_path / SPLIT)["fold"].unique().tolist() == [0, 1, 2]


def test_jobs_that_differ_in_their_folds_alone_are_one_with_all_runs(tmp_path):
    """In whatever order a sweep over folds is repeated, no job has another's runs."""
    names = [
        job_name([f"split.folds=[{fold}]", "split.repeats=[0]", f"loss.lam={lam}"]) for fold in (0, 1) for lam in (0, 3)
    ]
    assert names == ["loss.lam=0", "loss.lam=3"] * 2
    planned = [
        Job(name, settings_of("logmel", lam, 0.5), [f"{lam}-{fold}"], [[0, fold]])
        for name, (fold, lam) in zip(names, product((0, 1), (0.0, 3.0)), strict=True)
    ]
    for _ in range(2):
        write_jobs(tmp_path, [replace(one, runs=[], places=[]) for one in planned])
        for one in planned:
            write_jobs(tmp_path, [one], beside=True)
        assert [(one.name, one.runs) for one in read_jobs(tmp_path)] == [
            ("loss.lam=0", ["0.0-0", "0.0-1"]),
            ("loss.lam=3", ["3.0-0", "3.0-1"]),
        ]


def test_a_study_of_before_with_a_job_for_each_fold_is_one_row(tmp_path):
    for fold in (0, 1):
        one = Job(f"split.folds=[{fold}] loss.lam=0.3", settings_of("logmel", 0.3, 0.5), [f"run{fold}"], [[0, fold]])
        write_job(tmp_path, fold, one)
    (numbers,) = replications(read_jobs(tmp_path))
    row = pool_seeds([read_jobs(tmp_path)[number] for number in numbers])
    assert (row.name, row.runs, row.places) == ("loss.lam=0.3", ["run0", "run1"], [[0, 0], [0, 1]])


def test_a_fold_that_failed_is_not_forgotten_for_one_that_did_not(tmp_path):
    failed = Job("loss.lam=0.3", settings_of("logmel", 0.3, 0.5), failure="there is no fold 7")
    write_jobs(tmp_path, [failed], beside=True)
    write_jobs(tmp_path, [job(0.3, ["a"])], beside=True)
    (one,) = read_jobs(tmp_path)
    assert (one.runs, one.failure) == (["a"], "there is no fold 7")
    write_jobs(tmp_path, [job(0.3)])
    assert read_jobs(tmp_path)[0].failure is None


def test_runs_that_were_not_known_yet_are_replaced_without_being_dropped(tmp_path, caplog):
    places = [[0, 0], [0, 1]]
    waiting = Job("island", {"lam": "chosen on dev"}, [undecided("island", 0, fold) for fold in range(2)], places)
    write_jobs(tmp_path, [waiting])
    write_jobs(tmp_path, [replace(waiting, runs=["first", waiting.runs[1]])])
    write_jobs(tmp_path, [replace(waiting, runs=["first", "second"])])
    (job,) = read_jobs(tmp_path)
    assert (job.runs, job.places) == (["first", "second"], places)
    assert not caplog.records
    # Another candidate has come
    write_jobs(tmp_path, [replace(waiting, runs=["first", waiting.runs[1]])])
    dropped = f"1 run of island is dropped from the study {tmp_path.name}, for its divisions choose anew; all are kept"
    assert caplog.messages == [f"{dropped} in runs/"]
    write_jobs(tmp_path, [job])
    # A candidate of the same settings is another job
    write_jobs(tmp_path, [replace(job, candidate_of="island")])
    assert [one.candidate_of for one in read_jobs(tmp_path)] == [None, "island"]


def test_a_choice_made_anew_leaves_neither_former_candidates_nor_seeds_of_former_choices(tmp_path, caplog):
    place = [[0, 0]]

    def arm(*values, run, seeds=()):
        """What a command tells of a setting that chooses from these values."""
        chosen = {"lam": "chosen on dev", "seed": 0}
        jobs = [Job("arm", chosen, [run], place)]
        jobs += [Job(f"arm seed={seed}", {**chosen, "seed": seed}, [f"{run}/{seed}"], place) for seed in seeds]
        return jobs + [
            Job(f"arm: lam={lam}", {"lam": lam, "seed": 0}, [f"lam{lam}"], place, candidate_of="arm") for lam in values
        ]

    other = Job("other", {"lam": 0, "seed": 1}, ["zero"], place)
    write_jobs(tmp_path, [other, *arm(0.1, 1, run="lam1", seeds=[1])])
    # The same choice with fewer seeds leaves what is trained
    write_jobs(tmp_path, arm(0.1, 1, run="lam1"))
    assert [one.name for one in read_jobs(tmp_path)] == ["other", "arm", "arm seed=1", "arm: lam=0.1", "arm: lam=1"]
    assert not caplog.records
    write_jobs(tmp_path, arm(0.1, 0.3, run="lam0.3"))
    assert [(one.name, one.runs) for one in read_jobs(tmp_path)] == [
        ("other", ["zero"]),
        ("arm", ["lam0.3"]),
        ("arm: lam=0.1", ["lam0.1"]),
        ("arm: lam=0.3", ["lam0.3"]),
    ]
    assert [message.partition(" of the study")[0] for message in caplog.messages[1:]] == [
        "arm seed=1 is no longer",
        "arm: lam=1 is no longer",
    ]
    assert len([*tmp_path.glob("jobs/*/job.json")]) == 4
