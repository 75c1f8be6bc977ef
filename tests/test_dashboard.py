"""The dashboard of a study: what it sends has the right runs and panels; one line says why nothing can be sent."""

import json

import pytest

from ser_lightning.dashboard import build, main
from ser_lightning.errors import UserError
from ser_lightning.metrics import METRICS
from ser_lightning.report.study import report_study
from ser_lightning.report.upload import report_id
from ser_lightning.runs.study import read_jobs
from tests.report.simulated import Simulation, settings_of, simulate_paper_study
from tests.report.test_sweep_callback import RIGHT
from tests.training.wandb_server import reachable_server


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A study with its report, which no test changes."""
    simulation = Simulation(tmp_path_factory.mktemp("sweep"))
    for number, (lam, alpha) in enumerate([(0.0, 0.1), (0.3, 0.1), (0.3, 0.5)]):
        settings = settings_of("logmel", lam, alpha)
        simulation.add_job(number, f"lam {lam} alpha {alpha}", settings, folds=[0, 1])
        for fold in (0, 1):
            simulation.finish(settings, 0, fold, RIGHT)
    report_study(simulation.study, simulation.runs)
    return simulation


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A W&B server, and no key for it."""
    with reachable_server(monkeypatch, tmp_path) as server:
        yield server


def sent(study):
    """The specification that W&B would get."""
    view = build(study, read_jobs(study), "me", "mine")._to_model()
    assert (view.entity, view.project, view.display_name) == ("me", "mine", study.name)
    return json.loads(view.spec.model_dump_json(by_alias=True, exclude_none=True))["section"]


def panels(section, name):
    (found,) = (one for one in section["panelBankConfig"]["sections"] if one["name"] == name)
    return [(panel["viewType"], panel["config"]) for panel in found["panels"]]


def test_a_dashboard_shows_the_studys_runs_and_its_report_and_no_other(sweep):
    runs = list(dict.fromkeys(name for job in read_jobs(sweep.study) for name in job.runs))
    (runset,) = sent(sweep.study)["runSets"]
    (only,) = runset["filters"]["filters"]
    assert (only["key"], only["op"]) == ({"section": "run", "name": "name"}, "IN")
    assert only["value"] == [*runs, report_id("simulated")]
    assert {key["name"] for key in runset["grouping"]} == {"loss.value.lam", "loss.value.alpha"}


def test_sensitivity_is_ua_and_wa_against_each_number_that_varies(sweep):
    found = {(config["xAxis"], config["yAxis"]) for _, config in panels(sent(sweep.study), "Sensitivity")}
    assert found == {
        (f"config:loss.value.{x}", f"summary:test/{metric}") for x in ("lam", "alpha") for metric in METRICS
    }


def test_settings_are_compared_by_mean_and_standard_error(sweep):
    bars = [config for kind, config in panels(sent(sweep.study), "Settings compared") if kind == "Bar Chart"]
    assert {(bar["groupBy"], *bar["metrics"]) for bar in bars} == {
        (f"loss.value.{x}", f"summary_metrics.test/{metric}") for x in ("lam", "alpha") for metric in METRICS
    }
    assert {(bar["groupAgg"], bar["groupArea"]) for bar in bars} == {("mean", "stderr")}


def test_confusions_features_and_the_report_are_there(sweep):
    section = sent(sweep.study)
    assert [config["mediaKeys"] for _, config in panels(section, "Confusion matrices")] == [["test/confusion"]]
    report = panels(section, "Report")
    assert [kind for kind, _ in report].count("Weave") == len(list(sweep.study.glob("tables/*.csv")))
    shown = [key for _, config in report for key in config.get("mediaKeys", [])]
    assert {"figure/fig3b", "figure/table1"} <= set(shown)
    lines = [*panels(section, "Centre loss"), *panels(section, "Curves")]
    shown = {name for _, config in lines for name in config["metrics"]}
    assert {"dev/ua", "train/loss", "dev/loss", "train/lr", "train/term_gradient", "dev/within_classes"} <= shown


def test_the_papers_study_varies_in_its_settings_and_not_in_what_follows(tmp_path):
    simulation = Simulation(tmp_path)
    simulate_paper_study(simulation)
    (runset,) = sent(simulation.study)["runSets"]
    assert [key["name"] for key in runset["grouping"]] == ["features.value.name", "loss.value.lam", "loss.value.alpha"]


def test_a_study_has_one_address(sweep):
    names = {build(sweep.study, read_jobs(sweep.study), "me", "mine")._internal_name for _ in range(2)}
    assert len(names) == 1


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef" * 3)


def test_a_saved_dashboard_is_saved_again_in_its_place(sweep, server, key, capsys):
    server.begun[read_jobs(sweep.study)[0].runs[0]] = {}
    for _ in range(2):
        main(["simulated", "--output", str(sweep.output), "--project", "mine"])
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith(f"Dashboard: {server.address}/me/mine?nw=")
    (view,) = server.views.values()
    assert (view["displayName"], view["type"]) == ("simulated", "project-view")
    names = [one["name"] for one in json.loads(view["spec"])["section"]["panelBankConfig"]["sections"]]
    assert names[:3] == ["Sensitivity", "Settings compared", "Confusion matrices"]


def test_a_study_of_which_nothing_is_on_wandb_is_told_how_to_send_it(sweep, server, key):
    with pytest.raises(UserError, match=r"none of the runs of simulated is on W&B in me/ser_lightning; `wandb sync"):
        main(["simulated", "--output", str(sweep.output)])


def test_an_unknown_study_is_named_with_those_that_there_are(sweep):
    with pytest.raises(UserError, match=r"^other is not a study; in .* there are simulated"):
        main(["other", "--output", str(sweep.output)])


def test_without_a_key_one_line_says_so(sweep, server):
    with pytest.raises(UserError, match="no W&B key is configured; `wandb login`"):
        main(["simulated", "--output", str(sweep.output)])


def test_without_a_server_one_line_says_so(sweep, server, key):
    server.fall_silent()
    with pytest.raises(UserError, match="W&B cannot be reached"):
        main(["simulated", "--output", str(sweep.output)])


def test_offline_one_line_says_what_to_unset(sweep):
    with pytest.raises(UserError, match="unset WANDB_MODE=offline"):
        main(["simulated", "--output", str(sweep.output)])
