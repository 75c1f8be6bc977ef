"""A study's report on W&B: one run with its tables and figures, replaced when it is repeated."""

import json
import shutil

import pandas as pd
import pytest
from omegaconf import OmegaConf

from ser_lightning.config import LoggerConfig
from ser_lightning.report.study import report_study
from ser_lightning.report.sweep import SweepReport
from ser_lightning.report.upload import report_id, upload_report
from tests.report.simulated import Simulation, settings_of
from tests.report.test_sweep_callback import RIGHT
from tests.training.offline_run import offline_runs

WANDB = LoggerConfig(name="wandb", project="mine", entity=None)


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A sweep with its report, whose figures take seconds."""
    simulation = Simulation(tmp_path_factory.mktemp("reported"))
    for number, alpha in enumerate((0.2, 0.4)):
        settings = settings_of("logmel", 0.4, alpha)
        simulation.add_job(number, f"loss.alpha={alpha}", settings, folds=[0])
        simulation.finish(settings, 0, 0, RIGHT)
    report_study(simulation.study, simulation.runs)
    return simulation


@pytest.fixture
def sweep(reported, simulation):
    """A copy of it."""
    shutil.copytree(reported.output, simulation.output, dirs_exist_ok=True)
    return simulation


def table_of(run, key):
    content = json.loads(run.file(run.history[0][key]).read_text())
    return pd.DataFrame(content["data"], columns=content["columns"])


def test_a_sweep_is_one_run_with_its_table_and_curves(sweep):
    upload_report(WANDB, sweep.study)
    (run,) = offline_runs(sweep.output)
    assert (run.group, run.job_type, run.project, run.exit_code) == ("simulated", "report", "mine", 0)
    expected = pd.read_csv(sweep.study / "tables" / "scores.csv")
    pd.testing.assert_frame_equal(table_of(run, "table/scores"), expected, check_dtype=False)
    image = run.file(run.history[0]["figure/sweep"])
    assert image.read_bytes() == (sweep.study / "figures" / "sweep.png").read_bytes()
    kinds = {key: value["_type"] for key, value in run.history[0].items() if isinstance(value, dict)}
    tables = {f"table/{file.stem}" for file in (sweep.study / "tables").glob("*.csv")}
    assert {key for key, kind in kinds.items() if kind == "table-file"} == tables
    figures = {f"figure/{file.stem}" for file in (sweep.study / "figures").glob("*.png")}
    assert {key for key, kind in kinds.items() if kind == "image-file"} == figures


def test_a_repeated_report_replaces_itself(sweep):
    upload_report(WANDB, sweep.study)
    (first,) = offline_runs(sweep.output)
    table = pd.read_csv(sweep.study / "tables" / "scores.csv").assign(ua=12.5)
    table.to_csv(sweep.study / "tables" / "scores.csv", index=False)
    upload_report(WANDB, sweep.study)
    (second,) = offline_runs(sweep.output)
    assert second.id == first.id
    assert table_of(second, "table/scores")["ua"].tolist() == [12.5, 12.5]


def test_the_end_of_a_sweep_uploads_its_report(sweep):
    logger = {"name": "wandb", "project": "mine", "entity": None}
    paths, study = {"output": str(sweep.output)}, {"name": "simulated"}
    SweepReport().on_multirun_end(OmegaConf.create({"paths": paths, "study": study, "logger": logger}))
    (run,) = offline_runs(sweep.output)
    assert run.id == report_id("simulated")
    assert "table/scores" in run.history[0]


def test_with_csv_alone_nothing_is_uploaded(sweep):
    upload_report(LoggerConfig(name="csv", project=None, entity=None), sweep.study)
    assert not (sweep.output / "wandb").exists()


def test_what_keeps_a_report_from_wandb_is_a_line(sweep, monkeypatch):
    (sweep.study / "tables" / "scores.csv").write_text("")
    (line,) = upload_report(WANDB, sweep.study)
    assert line.startswith(f"the report of simulated is complete in {sweep.study}, but not on W&B: EmptyDataError: ")
    monkeypatch.setattr("ser_lightning.training.tracking._start", lambda *arguments, **named: 1 / 0)
    (line,) = upload_report(WANDB, sweep.study)
    assert line.endswith("but not on W&B: W&B failed, see above")
