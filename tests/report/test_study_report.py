import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ser_lightning.report import paper
from ser_lightning.report.study import NOT_COMPARABLE, SYNTHETIC, write_paper_report, write_sweep
from ser_lightning.report.summary import provenance, summarise
from ser_lightning.report.tables import print_table
from ser_lightning.runs.ledger import RESULT
from ser_lightning.runs.study import read_jobs
from tests.report.simulated import PAPER_STUDY, Simulation, random_run, settings_of, simulate_paper_study

FIGURES = ["fig3a", "fig3b", "fig4", "fig5", "table1", "table2"]
TABLES = ["settings", "gains", "fig3a", "fig3b", "table1a", "table1b", "table2a", "table2b"]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Simulation:
    """The whole study on the demo corpus, all finished, with its report."""
    simulation = Simulation(tmp_path_factory.mktemp("study"))
    simulate_paper_study(simulation)
    write_paper_report(simulation.study, simulation.runs, "python -m ser_lightning.reproduce")
    return simulation


@pytest.fixture(scope="module")
def report(study) -> str:
    return (study.study / "report.md").read_text()


def test_all_figures_and_tables_are_written_and_shown(study, report):
    figures = {path.name for path in (study.study / "figures").iterdir()}
    tables = {path.name for path in (study.study / "tables").iterdir()}
    assert figures == {f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")}
    assert tables == {f"{name}.{kind}" for name in TABLES for kind in ("csv", "md")} | {"runs.csv"}
    assert all(f"](figures/{name}.png)" in report for name in FIGURES)
    assert "python -m ser_lightning.reproduce" in report
    assert "left out:" not in report
    assert "Unfinished" not in report


def test_every_figure_and_table_stands_above_its_protocol(study, report):
    caption = provenance(read_jobs(study.study), study.runs).caption
    shown = report.count("![") + report.count("\n|:--")
    assert report.count(f"*{caption}*") == shown == len(FIGURES) + len(TABLES)
    for path in (study.study / "tables").glob("*.md"):
        assert path.read_text().endswith(f"*{caption}*\n")
    for path in (study.study / "tables").glob("*.csv"):
        assert set(pd.read_csv(path)["provenance"]) == {caption}


def test_a_report_of_the_demo_says_what_its_numbers_are_not(report):
    assert SYNTHETIC in report
    assert NOT_COMPARABLE in report
    assert "neu, paper" not in report


def test_the_settings_table_is_the_summary_beside_the_paper(study):
    settings = pd.read_csv(study.study / "tables" / "settings.csv")
    summary = summarise(read_jobs(study.study), study.runs).set_index("name")
    names = ["setting 1", "setting 2", "setting 3", "setting 4"]
    np.testing.assert_allclose(settings["ua"], summary.loc[names, "ua"], rtol=1e-5)
    assert settings["paper_wa"].tolist() == [61.83, 65.40, 58.93, 62.96]


def test_a_row_for_every_run(study):
    runs = pd.read_csv(study.study / "tables" / "runs.csv")
    assert len(runs) == runs["signature"].nunique() == 33
    summary = summarise(read_jobs(study.study), study.runs).set_index("name")
    np.testing.assert_allclose(runs.groupby("job")["ua"].mean(), summary["ua"].sort_index(), rtol=1e-5)


def test_on_iemocap_the_paper_stands_beside(tmp_path, monkeypatch):
    simulation = Simulation(tmp_path, corpus="iemocap", synthetic=False)
    simulate_paper_study(simulation, PAPER_STUDY[:1])
    # of 5531 utterances, the simulation has a few
    assert NOT_COMPARABLE in write_paper_report(simulation.study, simulation.runs, "again").read_text()
    counts = provenance(read_jobs(simulation.study), simulation.runs).class_counts
    monkeypatch.setattr(paper, "COUNTS", counts)
    report = write_paper_report(simulation.study, simulation.runs, "again").read_text()
    assert NOT_COMPARABLE not in report
    assert SYNTHETIC not in report
    assert "neu, paper" in report


def test_a_study_that_has_just_begun_says_what_is_missing(tmp_path):
    simulation = Simulation(tmp_path)
    simulate_paper_study(simulation, folds=2)
    for job in read_jobs(simulation.study):
        for signature in job.runs[1 if job.name == "setting 1" else 0 :]:
            (simulation.runs / signature / RESULT).unlink()
    stale = simulation.study / "figures" / "fig4.png"
    stale.parent.mkdir()
    stale.touch()
    report = write_paper_report(simulation.study, simulation.runs, "again").read_text()
    assert "**Unfinished**: 1 of 22 runs are finished" in report
    assert "> - setting 1: 1 of 2" in report
    assert "> - setting 4: 2 of 2" in report
    assert "Fig. 4 is left out" in report
    assert "Fig. 3(a). UA and WA against alpha; log-Mel, lambda = 0.3: left out" in report
    assert "Table 2b is left out" in report
    shown = {path.stem for path in (simulation.study / "figures").iterdir()}
    assert shown == {"fig3b", "fig5", "table1"}


def test_a_sweep_has_a_table_and_curves(tmp_path, capsys):
    simulation = Simulation(tmp_path, corpus="emodb", synthetic=False)
    rng = np.random.default_rng(0)
    for number, (alpha, lam) in enumerate((alpha, lam) for alpha in (0.1, 0.5) for lam in (0.0, 0.5)):
        settings = settings_of("logmel", lam, alpha)
        simulation.add_job(number, f"loss.alpha={alpha} loss.lam={lam:g}", settings, folds=[0])
        simulation.finish(settings, 0, 0, *random_run(rng, [0.6] * 4, [40] * 4, 1.0))
    path = write_sweep(simulation.study, simulation.runs)
    names = {file.name for file in simulation.study.iterdir()}
    assert names == {"jobs", "sweep.md", "sweep.csv", "curves.png", "curves.pdf"}
    text = path.read_text()
    assert text.startswith("# Sweep on emodb\n")
    assert "| loss.alpha=0.5 loss.lam=0.5 |" in text
    assert "share their runs" in text
    assert NOT_COMPARABLE in text
    assert len(pd.read_csv(simulation.study / "sweep.csv")) == 4

    jobs = read_jobs(simulation.study)
    caption = provenance(jobs, simulation.runs).caption
    print_table(summarise(jobs, simulation.runs), caption)
    printed = capsys.readouterr().out
    assert caption in printed
    assert "features" not in printed


def test_a_report_needs_neither_torch_nor_lightning():
    heavy = ["torch", "lightning", "torchaudio", "librosa", "matplotlib.pyplot"]
    modules = ["study", "tables", "figures", "summary", "paper", "files", "sweep"]
    imports = "\n".join(f"import ser_lightning.report.{name}" for name in modules)
    code = f"import sys\n{imports}\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
