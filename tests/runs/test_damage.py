"""Every flipped bit of a sealed run is seen, and what is wrong with it said; unsealed runs stay what they are."""

import json
import os
import random
from dataclasses import replace

import pandas as pd
import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.report.study import report_study
from ser_lightning.runs.damage import find_damage
from ser_lightning.runs.ledger import (
    BEST,
    CONFIG,
    FEATURES,
    LAST,
    METRICS,
    PREDICTIONS,
    RESULT,
    DamagedRunError,
    read_features,
    read_outputs,
    read_readout,
    read_result,
    readout_file,
    write_readout,
)
from ser_lightning.runs.seal import seal_archive
from ser_lightning.runs.status import study_status
from ser_lightning.status import main
from tests.report.simulated import Simulation, predictions, settings_of

RIGHT = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])
SETTINGS = settings_of("logmel", 0.0, 0.5)


@pytest.fixture
def simulation(tmp_path):
    """A study with two finished runs, the first sealed, the second as an earlier version left it."""
    simulation = Simulation(tmp_path)
    simulation.add_job(0, "loss.lam=0", SETTINGS, folds=(0, 1))
    for fold in (0, 1):
        folder = simulation.finish(SETTINGS, 0, fold, RIGHT)
    folder = simulation.runs / simulation.signature(SETTINGS, 0, 0)
    (folder / BEST).write_bytes(b"parameters")
    read_result(folder).sealed(folder).write(folder)
    return simulation


@pytest.fixture
def sealed(simulation):
    return simulation.runs / simulation.signature(SETTINGS, 0, 0)


@pytest.fixture
def unsealed(simulation):
    return simulation.runs / simulation.signature(SETTINGS, 0, 1)


def flips(file, count=60):
    """The content of a file with one bit turned, at several places."""
    whole, draws = file.read_bytes(), random.Random(1)
    for _ in range(count):
        altered = bytearray(whole)
        altered[draws.randrange(len(whole))] ^= 1 << draws.randrange(8)
        file.write_bytes(altered)
        yield
    file.write_bytes(whole)


def test_a_whole_run_has_no_damage(sealed, unsealed):
    assert find_damage(sealed) == find_damage(unsealed) == []
    assert set(read_result(sealed).files) == {CONFIG, METRICS, BEST, PREDICTIONS, FEATURES}
    assert read_result(unsealed).files == {}
    assert not {"seal", "files"} & json.loads((unsealed / RESULT).read_text()).keys()


@pytest.mark.parametrize("name", [CONFIG, METRICS, BEST, PREDICTIONS, FEATURES])
def test_a_flipped_bit_is_seen(sealed, name):
    for _ in flips(sealed / name):
        (damage,) = find_damage(sealed)
        assert str(damage) == f"{name} is damaged (its bytes are not those that were written)"
        assert damage.fatal


@pytest.mark.parametrize("name, read", [(PREDICTIONS, read_outputs), (FEATURES, read_features)])
def test_readers_look_at_the_bytes_that_they_read(sealed, name, read):
    for _ in flips(sealed / name, 10):
        with pytest.raises(ValueError, match="its bytes are not those that were written"):
            read(sealed)


def test_a_flipped_bit_in_the_result_never_changes_what_is_read(sealed):
    right, refused = read_result(sealed), 0
    for _ in flips(sealed / RESULT, 300):
        try:
            assert replace(read_result(sealed), files={}, extra={}) == replace(right, files={})
        except DamagedRunError:
            refused += 1
    # of the others the bit was in white space
    assert refused > 150


def test_another_run_s_result_is_not_believed(sealed, unsealed):
    (unsealed / RESULT).write_bytes((sealed / RESULT).read_bytes())
    with pytest.raises(DamagedRunError, match=f"it is of another run, {sealed.name}"):
        read_result(unsealed)


def test_what_is_gone_is_named_and_only_what_reports_need_is_fatal(sealed, unsealed):
    for name in (BEST, METRICS):
        (sealed / name).unlink()
    damages = find_damage(sealed)
    assert {(str(damage), damage.fatal) for damage in damages} == {
        ("best.ckpt is missing", False),
        ("metrics.csv is missing", False),
    }
    for folder in (sealed, unsealed):
        (folder / PREDICTIONS).unlink()
        assert ("predictions.parquet is missing", True) in {(str(one), one.fatal) for one in find_damage(folder)}


@pytest.mark.parametrize("name", [CONFIG, PREDICTIONS, FEATURES])
def test_of_an_unsealed_run_is_seen_what_cannot_be_read(unsealed, name):
    content = (unsealed / name).read_bytes()
    for spoilt in (b"", b"\xff\xfe: [" + content[: len(content) // 2]):
        (unsealed / name).write_bytes(spoilt)
        if name == CONFIG and not spoilt:
            continue
        (damage,) = find_damage(unsealed)
        assert str(damage).startswith(f"{name} is damaged (")
        assert "\n" not in str(damage)


def test_a_pipe_in_a_file_s_place_is_not_waited_for(sealed):
    (sealed / PREDICTIONS).unlink()
    os.mkfifo(sealed / PREDICTIONS)
    assert str(find_damage(sealed)[0]) == "predictions.parquet is damaged (it is not a regular file)"


def test_a_readout_has_a_seal_beside_it(sealed):
    table = RIGHT.assign(part="test")
    write_readout(sealed, "svm-abc", table.to_parquet(index=False))
    pd.testing.assert_frame_equal(read_readout(sealed, "svm-abc"), table)
    for _ in flips(readout_file(sealed, "svm-abc"), 20):
        with pytest.raises(ValueError, match="its bytes are not those that were written"):
            read_readout(sealed, "svm-abc")
        assert [(str(one), one.fatal) for one in find_damage(sealed)] == [
            ("svm-abc.parquet is damaged (its bytes are not those that were written)", False)
        ]
    readout_file(sealed, "svm-abc").with_suffix(".seal").unlink()
    pd.testing.assert_frame_equal(read_readout(sealed, "svm-abc"), table)


def test_the_status_names_what_it_can_see_from_outside(simulation, sealed):
    (sealed / BEST).unlink()
    first, _ = study_status(simulation.study, simulation.runs)
    assert (first.state, first.details) == ("done", "dev UA 60.0 %, 60 s; best.ckpt is missing")
    with (sealed / FEATURES).open("r+b") as file:
        file.truncate(500)
    first, second = study_status(simulation.study, simulation.runs)
    assert (first.state, second.state) == ("damaged", "done")
    assert first.details.startswith("features.parquet is damaged (it has 500 bytes, and was written with ")


def test_verify_names_each_damaged_file_checkpoints_too(simulation, sealed, capsys):
    main(["--verify", "--output", str(simulation.output)])
    *_, count, older = capsys.readouterr().out.splitlines()
    assert count == "Verified: 2 runs"
    assert older.startswith("1 of them of an earlier version")
    unfinished = simulation.runs / "0123456789ab"
    unfinished.mkdir()
    torch.save({"epoch": 1}, unfinished / LAST)
    (unfinished / LAST).write_bytes(seal_archive((unfinished / LAST).read_bytes()))
    next(flips(sealed / BEST))
    next(flips(unfinished / LAST))
    with pytest.raises(UserError, match="2 damaged or missing; a study's command, given again"):
        main(["--verify", "--output", str(simulation.output)])
    lines = capsys.readouterr().out.splitlines()
    for file in (sealed / BEST, unfinished / LAST):
        assert f"{file} is damaged (its bytes are not those that were written)" in lines
    # of a study named, its own runs
    with pytest.raises(UserError, match="1 damaged or missing"):
        main(["simulated", "--verify", "--output", str(simulation.output)])


@pytest.mark.parametrize("name", [PREDICTIONS, FEATURES, CONFIG, RESULT])
def test_a_report_of_a_damaged_run_is_refused_in_a_line_that_names_the_file(simulation, sealed, name):
    file = sealed / name
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=f"{file} is damaged .*; repeat the study's command") as refusal:
        report_study(simulation.study, simulation.runs)
    assert "\n" not in str(refusal.value)


def test_a_report_leaves_out_jobs_of_another_corpus_in_a_line(tmp_path):
    from ser_lightning.report.material import read_material
    from ser_lightning.report.sections.protocol import warnings
    from ser_lightning.runs.jobs import Job
    from ser_lightning.runs.study import write_jobs

    simulation = Simulation(tmp_path)
    for lam, corpus in ((0.3, "old"), (0.0, "new")):
        settings = settings_of("logmel", lam, 0.5)
        name = simulation.signature(settings, 0, 0)
        simulation.finish(settings, 0, 0, RIGHT)
        write_jobs(simulation.study, [Job(f"loss.lam={lam:g}", settings, [name], [[0, 0]], origin={"corpus": corpus})])
    material = read_material(simulation.study, simulation.runs)
    assert [job.name for job in material.jobs] == ["loss.lam=0"]
    (line,) = [line for line in warnings(material) if "Left out" in line]
    assert line.startswith("Left out, being of another corpus or sound than the last runs: loss.lam=0.3;")


def test_a_damaged_or_missing_table_of_utterances_is_refused(simulation):
    from ser_lightning.report.material import read_material
    from ser_lightning.runs.seal import write_with_seal
    from ser_lightning.runs.study import UTTERANCES

    file = simulation.study / UTTERANCES
    simulation.add_utterances(RIGHT[["id", "label"]].assign(speaker="03"))
    write_with_seal(file, file.read_bytes())
    assert list(read_material(simulation.study, simulation.runs).speaker_of.values()) == ["03"] * 4
    for _ in flips(file, 20):
        with pytest.raises(UserError, match=f"{file} is damaged .its bytes are not those that were written"):
            read_material(simulation.study, simulation.runs)
    file.unlink()
    with pytest.raises(UserError, match=f"{file} is missing; repeat the study's command"):
        read_material(simulation.study, simulation.runs)


def test_another_job_s_file_is_not_taken_for_a_job(simulation):
    from ser_lightning.runs.study import read_jobs, write_jobs

    simulation.add_job(1, "loss.lam=0.3", settings_of("logmel", 0.3, 0.5), folds=(0,))
    jobs = read_jobs(simulation.study)
    write_jobs(simulation.study, jobs)
    files = [simulation.study / "jobs" / str(number) / "job.json" for number in (0, 1)]
    files[1].write_bytes(files[0].read_bytes())
    with pytest.raises(UserError, match=r"the job loss\.lam=0\.3, cannot be read \(it is another job's\)"):
        read_jobs(simulation.study)
    write_jobs(simulation.study, jobs)
    assert read_jobs(simulation.study) == jobs
