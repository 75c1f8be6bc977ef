"""result.json: read whatever version wrote it, refused where it is damaged, never taken for missing."""

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_lightning.errors import UserError
from ser_lightning.report.compare import choose, compare
from ser_lightning.report.material import read_material
from ser_lightning.report.study import compile_report
from ser_lightning.runs.ledger import SCHEMA, DamagedRunError, RunResult, read_result, read_results, set_aside
from ser_lightning.runs.status import study_status
from ser_lightning.runs.study import read_jobs
from tests.report.simulated import Simulation, predictions, settings_of, summarise

RIGHT = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])

# As version 0.1 of November 2026 wrote it, before schemas had numbers.
FIRST_SCHEMA = """{
 "signature": "SIGNATURE",
 "corpus": "demo",
 "synthetic": true,
 "protocol": "paper",
 "repeat": 0,
 "fold": 0,
 "classes": ["neu", "ang", "hap", "sad"],
 "ua": 0.625,
 "wa": 0.7,
 "dev_ua": 0.5,
 "dev_wa": 0.55,
 "confusion": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
 "dev_confusion": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
 "utterances": {"train": 32, "dev": 4, "test": 4},
 "left_out": 0,
 "split": "0123456789ab",
 "audit": {"utterances": 4, "speaker": 1.0, "dialogue": null, "sentence": 0.5, "audio": 0.0, "length_drift": 0.1,
  "class_drift": 0.0, "cue_ua": 0.3, "chance": 0.25},
 "steps": 3520,
 "best_step": 100,
 "seconds": 60.0,
 "precision": "bf16 convolutions",
 "device": "cpu, 2 threads",
 "settings": {
  "features": {"name": "logmel", "max_seconds": 14.0, "floor": 80.0},
  "split": {"protocol": "paper", "reshuffle": true, "seed": 0, "swap": false},
  "batching": {"order": "sorted", "size": 32, "pool": 20},
  "model": {"tied": false, "reset": "after"},
  "loss": {"lam": 0.3, "alpha": 0.5, "rule": "ema", "warm_up": 0, "class_weights": "inverse"},
  "optimizer": {"learning_rate": 0.0003},
  "trainer": {"max_steps": 3520, "check_every": null, "first_check": 0, "precision": "auto"},
  "seed": 0
 },
 "versions": {"python": "3.11.4", "ser-lightning": "0.1.0", "torch": "2.11.0", "lightning": "2.5.5",
  "torchaudio": "2.11.0", "numpy": "2.2.6"}
}"""


def result(**changes) -> RunResult:
    facts = json.loads(FIRST_SCHEMA)
    for name in ("ua", "wa", "dev_ua", "dev_wa"):
        facts.pop(name)
    scores = {"test": {"ua": 0.625, "wa": 0.7}, "dev": {"ua": 0.5, "wa": 0.55}}
    return RunResult(**{**facts, "scores": scores, **changes})


@pytest.fixture
def folder(tmp_path):
    """Of the run SIGNATURE."""
    place = tmp_path / "SIGNATURE"
    place.mkdir()
    return place


def test_what_is_written_is_read(folder):
    one = result(code={"version": "0.2", "digest": "abc"})
    one.write(folder)
    assert read_result(folder) == one
    assert json.loads((folder / "result.json").read_text())["schema"] == SCHEMA
    assert (one.ua, one.wa, one.dev_ua, one.dev_wa) == (0.625, 0.7, 0.5, 0.55)


def test_a_run_without_the_file_is_not_finished(tmp_path):
    assert read_result(tmp_path) is None
    assert read_result(tmp_path / "nowhere") is None


def test_the_first_schema_is_read_by_a_rule(folder):
    (folder / "result.json").write_text(FIRST_SCHEMA)
    assert read_result(folder) == result(code={})


def test_finished_runs_of_the_first_schema_are_reported_listed_and_compared(tmp_path):
    simulations = [Simulation(tmp_path / name) for name in ("before", "now")]
    centre = settings_of("logmel", 0.3, 0.5)
    for simulation in simulations:
        simulation.add_job(0, "a job", centre, folds=(0,))
        folder = simulation.finish(centre, 0, 0, RIGHT)
        if simulation is simulations[0]:
            (folder / "result.json").write_text(FIRST_SCHEMA.replace("SIGNATURE", folder.name))
        else:
            replace(read_result(folder), split="0123456789ab").write(folder)
    before = simulations[0]
    (row,) = summarise(read_jobs(before.study), before.runs).to_dict("records")
    assert (row["runs"], row["ua"], row["wa"]) == (1, 100, 100)
    (line,) = study_status(before.study, before.runs)
    assert (line.state, line.details) == ("done", "dev UA 50.0 %, 60 s")
    report = compile_report(read_material(before.study, before.runs))
    assert "bf16 convolutions" in str(report)
    sides = [choose(one.study.name, read_material(one.study, one.runs), None) for one in simulations]
    (pair,) = compare(*sides)[0].to_dict("records")
    assert (pair["pairs"], pair["ua_a"], pair["ua_b"]) == (1, 100, 100)


# Writing to a disk may take long
@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(st.text(min_size=1), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()))
)
def test_what_a_later_version_adds_is_kept(tmp_path_factory, more):
    folder = tmp_path_factory.mktemp("run") / "SIGNATURE"
    folder.mkdir()
    result(schema=SCHEMA + 7).write(folder)
    record = json.loads((folder / "result.json").read_text())
    record = {**{f"later {name}": value for name, value in more.items()}, "extra": 1, **record}
    record["scores"]["test"]["macro_f1"] = 0.25
    (folder / "result.json").write_text(json.dumps(record))
    read = read_result(folder)
    assert (read.ua, read.scores["test"]["macro_f1"], read.schema) == (0.625, 0.25, SCHEMA + 7)
    read.write(folder)
    assert json.loads((folder / "result.json").read_text()) == record


def without(name):
    return json.dumps({key: value for key, value in json.loads(FIRST_SCHEMA).items() if key != name})


def with_scores(scores):
    return json.dumps({**json.loads(without("ua")), "schema": SCHEMA, "scores": scores})


DAMAGED = {
    "empty": "",
    "truncated": FIRST_SCHEMA[:700],
    "zeros": "\0" * 200,
    "no mapping": "[1, 2]",
    "null": "null",
    "without dev_ua": without("dev_ua"),
    "without signature": without("signature"),
    "another type": FIRST_SCHEMA.replace('"fold": 0', '"fold": "first"'),
    "scores without dev": with_scores({"test": {"ua": 0.5, "wa": 0.5}}),
    "scores without wa": with_scores({"test": {"ua": 0.5}, "dev": {"ua": 0.5, "wa": 0.5}}),
    "a score out of range": with_scores({"test": {"ua": 0.5, "wa": 0.5}, "dev": {"ua": 84.0, "wa": 0.5}}),
    "a score that is no number": FIRST_SCHEMA.replace("0.625", "NaN"),
    "too deep": "[" * 100_000,
    "another run's": FIRST_SCHEMA.replace("SIGNATURE", "0123456789ab"),
}
REASONS = {
    "no mapping": "it holds no mapping",
    "without dev_ua": "it has no dev_ua",
    "without signature": "signature: field required",
    "scores without dev": "scores.dev has no ua and no wa",
    "scores without wa": "scores.test has no wa",
    "a score out of range": "scores.dev.ua is not in [0, 1]",
    "a score that is no number": "scores.test.ua is not in [0, 1]",
    "too deep": "it is nested too deeply",
    "another run's": "it is of another run, 0123456789ab",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named_in_a_line_that_says_what_mends_it(folder, damage):
    file = folder / "result.json"
    file.write_text(DAMAGED[damage])
    for read in (lambda: read_result(folder), lambda: read_results(folder.parent, [folder.name])):
        with pytest.raises(DamagedRunError) as refusal:
            read()
        said = str(refusal.value)
        assert said.startswith(f"{file} is damaged ({REASONS.get(damage, '')}")
        assert said.endswith("repeat the study's command, which sets the run's folder aside and trains it anew")
        assert "\n" not in said
    assert file.read_text() == DAMAGED[damage]


def test_what_is_no_text_or_no_file_is_refused_and_not_waited_for(folder):
    file = folder / "result.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DamagedRunError, match="it is not text in UTF-8, see its byte 0"):
        read_result(folder)
    file.unlink()
    file.mkdir()
    with pytest.raises(DamagedRunError, match="it is a folder"):
        read_result(folder)
    file.rmdir()
    os.mkfifo(file)
    with pytest.raises(DamagedRunError, match="it is not a regular file"):
        read_result(folder)


def test_what_cannot_be_read_at_the_moment_is_no_damage(folder, monkeypatch):
    result().write(folder)

    def broken(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("ser_lightning.runs.ledger.read_json", broken)
    with pytest.raises(UserError, match=r"cannot be read \(Input/output error\); nothing is trained in its") as refusal:
        read_result(folder)
    assert not isinstance(refusal.value, DamagedRunError)


def test_what_only_a_later_version_can_read_says_so(folder):
    record = {"schema": SCHEMA + 1, "outcome": [1, 2]}
    (folder / "result.json").write_text(json.dumps(record))
    with pytest.raises(
        UserError, match=rf"a later version of ser_lightning wrote it, schema {SCHEMA + 1}, and can read"
    ) as refusal:
        read_result(folder)
    assert not isinstance(refusal.value, DamagedRunError)


def test_a_damaged_run_does_not_keep_the_others_from_the_status(tmp_path):
    simulation, centre = Simulation(tmp_path), settings_of("logmel", 0.3, 0.5)
    simulation.add_job(0, "a job", centre, folds=(0, 1))
    file = simulation.finish(centre, 0, 0, RIGHT) / "result.json"
    simulation.finish(centre, 0, 1, RIGHT)
    file.write_text("")
    damaged, other = study_status(simulation.study, simulation.runs)
    assert (damaged.state, other.state) == ("damaged", "done")
    assert damaged.details.startswith(f"{file} is damaged")


def test_a_folder_set_aside_is_whole_and_beside_those_of_before(tmp_path):
    for content in ("first", "second"):
        folder = tmp_path / "runs" / "abc"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(content)
        set_aside(folder)
        assert not folder.exists()
    former = tmp_path / "runs" / ".former"
    assert [(former / f"abc-{number}" / "result.json").read_text() for number in (0, 1)] == ["first", "second"]
