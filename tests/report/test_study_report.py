import html
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from ser_lightning.errors import UserError
from ser_lightning.papers.icassp2019 import numbers as paper
from ser_lightning.papers.icassp2019.chapter import NOT_COMPARABLE
from ser_lightning.report.__main__ import main
from ser_lightning.report.files import markdown_report
from ser_lightning.report.material import read_material
from ser_lightning.report.sections.answer import INTERIM
from ser_lightning.report.sections.protocol import SYNTHETIC
from ser_lightning.report.study import compile_report, report_study
from ser_lightning.report.summary import provenance
from ser_lightning.report.tables import print_table
from ser_lightning.runs.ledger import FEATURES, METRICS, PREDICTIONS, RESULT
from ser_lightning.runs.study import UTTERANCES, read_jobs, write_command
from tests.report.simulated import (
    PAPER_STUDY,
    Simulation,
    predictions,
    random_run,
    settings_of,
    simulate_paper_study,
    summarise,
)

FIGURES = {"fig3a", "fig3b", "fig4", "fig4_common", "fig5", "table1", "table2", "speakers", "speakers_logstft"}
FIGURES |= {"curves", "curves_logstft", "calibration", "calibration_logstft"}
TABLES = {"differences", "scores", "table1a", "table1b", "table1_difference", "table2a", "table2b", "table2_difference"}
TABLES |= {"speakers", "speakers_logstft", "compactness", "calibration", "score_intervals", "difference_intervals"}


def compiled(simulation):
    """What a study's report says, its text and its tables by name; figures take most of the time to write."""
    report = compile_report(read_material(simulation.study, simulation.runs))
    return report, markdown_report(report), {table.name: table.numbers for table in report.tables}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Simulation:
    """The whole study on the demo corpus, all finished, with its report."""
    simulation = Simulation(tmp_path_factory.mktemp("study"))
    simulate_paper_study(simulation, folds=5)
    write_command(simulation.study, "reproduce", ["split.folds=[0,1,2,3,4]"])
    report_study(simulation.study, simulation.runs)
    return simulation


@pytest.fixture(scope="module")
def report(study) -> str:
    return (study.study / "report.md").read_text()


def test_all_figures_and_tables_are_written_and_shown(study, report):
    figures = {path.name for path in (study.study / "figures").iterdir()}
    tables = {path.name for path in (study.study / "tables").iterdir()}
    assert figures == {f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")}
    assert tables == {f"{name}.{kind}" for name in TABLES for kind in ("csv", "md", "tex")} | {"runs.csv"}
    assert all(f"](figures/{name}.png)" in report for name in FIGURES)
    assert "python -m ser_lightning.reproduce 'split.folds=[0,1,2,3,4]'" in report
    assert "eft out" not in report
    assert "Unfinished" not in report


def test_every_section_and_every_file_says_its_protocol(study, report):
    caption = provenance(read_jobs(study.study), study.runs).caption
    assert report.count("![") + report.count("\n|:--") == len(FIGURES) + len(TABLES)
    # One for each section, at its end
    assert all(section.rstrip().endswith(f"*{caption}*") for section in report.split("\n## ")[1:])
    page = (study.study / "report.html").read_text()
    assert report.count(f"*{caption}*") == report.count("\n## ") == page.count("<h2>")
    assert page.count(f'<p class="provenance">{html.escape(caption)}</p>\n</section>') == page.count("<h2>")
    for path in (study.study / "tables").glob("*.md"):
        assert path.read_text().endswith(f"*{caption}*\n")
    for path in (study.study / "tables").glob("*.csv"):
        assert set(pd.read_csv(path)["provenance"]) == {caption}
    for path in (study.study / "tables").glob("*.tex"):
        assert "5 folds x 1 repetition" in path.read_text()
    # Whom the intervals are of, where the people tested are those trained on
    assert "95 % intervals for new recordings of the same speakers, not for other speakers" in caption


def test_a_report_of_the_demo_says_what_its_numbers_are_not(report):
    assert SYNTHETIC in report
    assert NOT_COMPARABLE in report
    assert "neu, paper" not in report


def test_the_scores_are_the_summary_and_no_other_corpus_has_the_papers(study, report):
    scores = pd.read_csv(study.study / "tables" / "scores.csv").set_index("name")
    summary = summarise(read_jobs(study.study), study.runs).set_index("name")
    np.testing.assert_allclose(scores["ua"], summary["ua"], rtol=1e-5)
    assert "paper_ua" not in scores
    assert NOT_COMPARABLE in report
    assert "63.80" not in report


def test_results_json_has_the_tables_in_full(study):
    results = json.loads((study.study / "results.json").read_text())
    assert results["synthetic"] is True
    assert (results["runs_finished"], results["runs_planned"]) == (55, 55)
    summary = summarise(read_jobs(study.study), study.runs)
    assert [row["ua"] for row in results["tables"]["scores"]] == pytest.approx(summary["ua"].tolist())
    # Softmax alone has no alpha
    assert results["tables"]["scores"][0]["alpha"] is None
    assert set(results["tables"]) == TABLES | {"runs"}


def test_a_row_for_every_run(study):
    runs = pd.read_csv(study.study / "tables" / "runs.csv")
    assert len(runs) == runs["signature"].nunique() == 55
    summary = summarise(read_jobs(study.study), study.runs).set_index("name")
    np.testing.assert_allclose(runs.groupby("job")["ua"].mean(), summary["ua"].sort_index(), rtol=1e-5)


def test_on_iemocap_the_paper_stands_beside_with_verdicts(tmp_path, monkeypatch):
    simulation = Simulation(tmp_path, corpus="iemocap", synthetic=False)
    simulate_paper_study(simulation, PAPER_STUDY[:2], folds=5)
    # of 5531 utterances, the simulation has a few
    assert NOT_COMPARABLE in read_material(simulation.study, simulation.runs).chapter.warnings
    counts = read_material(simulation.study, simulation.runs).facts.class_counts
    monkeypatch.setattr(paper, "COUNTS", counts)
    report, text, tables = compiled(simulation)
    assert NOT_COMPARABLE not in text
    assert SYNTHETIC not in text
    assert "neu, paper" in text
    # The effect of setting 2, then the levels of both
    effect = 66.86 - 63.80
    assert tables["verdicts"]["paper"].tolist() == pytest.approx([effect, 63.80, 61.83, 66.86, 65.40])
    scores = report.records["runs"].pivot(index="fold", columns="job", values="ua")
    gains = scores["setting 2"] - scores["setting 1"]
    assert tables["verdicts"]["ours"][0] == pytest.approx(gains.mean())
    assert (
        f"centre loss on log-Mel (setting 2 minus setting 1): {gains.mean():+.1f} points of UA here, {effect:+.1f} in "
        "the paper; it "
    ) in text
    assert tables["scores"]["paper_wa"].tolist() == [61.83, 65.40]
    assert tables["differences"]["paper_ua"].tolist() == pytest.approx([effect])


def test_of_too_few_runs_there_is_no_verdict_on_the_paper(tmp_path, monkeypatch):
    simulation = Simulation(tmp_path, corpus="iemocap", synthetic=False)
    simulate_paper_study(simulation, PAPER_STUDY[:2], folds=4)
    counts = read_material(simulation.study, simulation.runs).facts.class_counts
    monkeypatch.setattr(paper, "COUNTS", counts)
    _, text, tables = compiled(simulation)
    assert "neu, paper" in text
    assert "verdicts" not in tables


def test_a_study_that_has_just_begun_says_what_is_missing(tmp_path):
    simulation = Simulation(tmp_path)
    simulate_paper_study(simulation, folds=2)
    for job in read_jobs(simulation.study):
        for signature in job.runs[1 if job.name == "setting 1" else 0 :]:
            (simulation.runs / signature / RESULT).unlink()
    report, text, _ = compiled(simulation)
    assert report.answer == ["Not known yet: no two settings that could be compared have a finished run."]
    assert report.warnings[1].startswith(
        "Unfinished: 1 of 22 runs are finished. Missing: setting 1: 1 of 2; setting 2: 2"
    )
    assert "Fig. 3(a). UA and WA against alpha; log-Mel, lambda = 0.3: left out" in text
    assert {picture.name for picture in report.pictures} == {
        "fig3b",
        "fig4",
        "fig4_common",
        "table1",
        "speakers",
        "curves",
        "calibration",
    }


@pytest.mark.parametrize("words, beginning", [([], "Not yet: 2 of 4 runs have"), (["--interim"], "Not known, 1 pair ")])
def test_the_command_answers_for_an_unfinished_study_where_it_is_asked_to(small, capsys, monkeypatch, words, beginning):
    for number, lam in enumerate((0.0, 0.3)):
        small.add_job(number, f"loss.lam={lam:g}", settings_of("logmel", lam, 0.5), folds=[0, 1])
    monkeypatch.setattr("ser_lightning.report.study.write_report", lambda *arguments: None)
    main(["--output", str(small.output), *words, "simulated"])
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert printed[1].startswith(beginning)
    assert (INTERIM in printed) == bool(words)


def test_a_sweep_has_a_table_and_curves_and_an_answer(tmp_path, capsys):
    simulation = Simulation(tmp_path, corpus="emodb", synthetic=False)
    rng = np.random.default_rng(0)
    for number, (alpha, lam) in enumerate((alpha, lam) for alpha in (0.1, 0.5) for lam in (0.0, 0.4, 0.5)):
        settings = settings_of("logmel", lam, alpha)
        simulation.add_job(number, f"corpus=emodb loss.alpha={alpha} loss.lam={lam:g}", settings, folds=[0])
        simulation.finish(settings, 0, 0, *random_run(rng, [0.6] * 4, [40] * 4, 1.0))
    report, text, tables = compiled(simulation)
    assert report.title == "Centre loss for speech emotion recognition on emodb"
    assert report.answer[0].startswith("Not known, 1 pair of runs: no interval for new recordings of the same speakers")
    # What all jobs say alike is left out of their names; those with lambda = 0 are one
    assert "| loss.alpha=0.5 loss.lam=0.5 |" in text
    one = "loss.lam=0 stands for corpus=emodb loss.alpha=0.1 loss.lam=0; corpus=emodb loss.alpha=0.5 loss.lam=0"
    assert one in text
    assert tables["scores"]["name"].tolist()[0] == "loss.lam=0"
    assert len(tables["scores"]) == 5
    figures = {picture.name for picture in report.pictures}
    # Speakers are unknown, and with one alpha and two lambdas the paper has none of these settings but lambda = 0
    assert figures == {"sweep", "grid", "fig3b", "table1", "fig4", "fig4_common", "curves", "calibration"}

    jobs = read_jobs(simulation.study)
    caption = provenance(jobs, simulation.runs).caption
    print_table(summarise(jobs, simulation.runs), caption)
    printed = capsys.readouterr().out
    assert caption in printed
    assert "features" not in printed
    assert "dev UA (%)" in printed
    assert "WA (%)" not in printed


def test_the_page_needs_no_other_file_and_shows_every_figure(study):
    page = (study.study / "report.html").read_text()
    assert len(page) < 10e6
    assert page.count('<img src="data:image/png;base64,') == len(FIGURES)
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert not re.search(r"url\(|@import|fetch\(|https?:", page)
    assert page.count("<table") == len(TABLES)


def test_the_page_escapes_what_names_contain(tmp_path):
    simulation = Simulation(tmp_path)
    settings = settings_of("logmel", 0.3, 0.5)
    simulation.add_job(0, "<b>bold</b> & co", settings, folds=[0])
    simulation.finish(settings, 0, 0, predictions([(name, name) for name in ("neu", "ang", "hap", "sad")]))
    stale = simulation.study / "figures" / "fig5.png"
    stale.parent.mkdir()
    stale.touch()
    report_study(simulation.study, simulation.runs)
    # What an earlier report had more is removed
    assert not stale.exists()
    page = (simulation.study / "report.html").read_text()
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; co" in page
    assert "<b>bold" not in page
    # The answer is not said again in a section
    assert page.count("None: a comparison needs settings that differ") == 1
    assert r"\& co" in (simulation.study / "tables" / "scores.tex").read_text()


@pytest.fixture
def small(tmp_path) -> Simulation:
    """A study of two finished runs of four utterances."""
    simulation = Simulation(tmp_path)
    right = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])
    for number, lam in enumerate((0.0, 0.3)):
        settings = settings_of("logmel", lam, 0.5)
        simulation.add_job(number, f"loss.lam={lam:g}", settings, folds=[0])
        simulation.finish(settings, 0, 0, right)
    return simulation


@pytest.mark.parametrize("name", [PREDICTIONS, FEATURES, "config.yaml"])
def test_a_damaged_run_is_named_with_its_mending(small, name):
    signature = read_jobs(small.study)[0].runs[0]
    (small.runs / signature / name).write_bytes(b"\0damaged")
    with pytest.raises(UserError, match=rf"{signature}/{name} is damaged .*; move the folder .* elsewhere and repeat"):
        report_study(small.study, small.runs)
    assert not (small.study / "report.md").exists()


@pytest.mark.parametrize(
    "name, words",
    [
        (METRICS, "metrics.csv being missing or damaged"),
        (FEATURES, "The features z are left out, features.parquet being missing"),
    ],
)
def test_a_run_without_curves_or_features_is_named_and_the_rest_reported(small, name, words):
    kept, lost = (job.runs[0] for job in read_jobs(small.study))
    (small.runs / lost / name).unlink()
    report, text, _ = compiled(small)
    assert f"{words}: {lost}." in text
    assert report.records["runs"]["signature"].tolist() == [kept, lost]


def test_a_damaged_result_is_named(small):
    (small.runs / read_jobs(small.study)[1].runs[0] / RESULT).write_text('{"signature": "abc"')
    with pytest.raises(UserError, match=r"result.json is damaged .*; repeat the study's command, which sets"):
        report_study(small.study, small.runs)


def test_a_damaged_job_is_named(small):
    (small.study / "jobs" / "1" / "job.json").write_text("{")
    with pytest.raises(UserError, match=r"jobs/1/job.json cannot be read .*; repeat the study's command"):
        report_study(small.study, small.runs)


def test_a_folder_without_jobs_is_no_study(tmp_path):
    with pytest.raises(UserError, match="it has no jobs"):
        report_study(tmp_path, tmp_path)


def test_runs_of_one_division_are_named_and_counted_once(small):
    """Four runs on two divisions into parts are two, by their means."""
    settings = settings_of("logmel", 0.3, 0.5)
    small.add_job(1, "loss.lam=0.3", settings, folds=[0, 1], repeats=2)
    right = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])
    for repeat, fold in ((0, 0), (0, 1), (1, 0), (1, 1)):
        file = small.finish(settings, repeat, fold, right) / RESULT
        result = json.loads(file.read_text())
        file.write_text(json.dumps({**result, "split": f"division {fold}"}))
    report, text, _ = compiled(small)
    warnings = [words for words in report.warnings if "division" in words]
    assert warnings == [
        "Of the 4 runs of a setting several are on one division into parts, of which there are 2: those differ in the "
        "seed alone, and count as one, by their mean."
    ]
    assert "same people (2 runs " in text


def test_two_protocols_are_never_averaged(small):
    other = Simulation(small.output, protocol="speaker")
    settings = settings_of("logmel", 3.0, 0.5)
    other.add_job(2, "loss.lam=3", settings, folds=[0])
    other.finish(settings, 0, 0, predictions([(name, name) for name in ("neu", "ang", "hap", "sad")]))
    with pytest.raises(
        UserError, match=r"one study, different corpora or protocols: .*paper protocol.*speaker protocol"
    ):
        report_study(small.study, small.runs)


def test_without_a_table_of_utterances_speakers_are_left_out(small):
    assert not (small.study / UTTERANCES).exists()
    report, *_ = compiled(small)
    assert "Speakers" not in [section.title for section in report.sections]


def test_annotators_are_there_where_the_corpus_has_votes(small):
    votes = ['{"E1": ["neu"], "E2": ["neu"]}', '{"E1": ["ang"], "E2": ["neu"]}', '{"E1": ["hap"]}', "{}"]
    table = pd.DataFrame({"id": ["u0", "u1", "u2", "u3"], "label": ["neu", "ang", "hap", "sad"], "votes": votes})
    small.add_utterances(table.assign(speaker=""))
    _, text, tables = compiled(small)
    annotators = tables["annotators"]
    assert annotators["utterances_all_agree"].tolist() == [2, 2]
    assert annotators["missing_all_agree"].tolist() == ["ang, sad", "ang, sad"]
    assert annotators["utterances_half_or_fewer"].tolist() == [1, 1]
    assert annotators["any_evaluator"].tolist() == [100, 100]
    # Of u0 both evaluators name the other's word, of u1 neither, u2 has a single one
    assert (annotators["evaluator_wa"][0], annotators["evaluator_votes"][0]) == (50, 4)
    assert "1 results are of utterances without votes" in text


def test_a_class_absent_from_a_test_part_is_named(tmp_path):
    simulation = Simulation(tmp_path)
    settings = settings_of("logmel", 0.0, 0.5)
    simulation.add_job(0, "softmax", settings, folds=[0, 1])
    whole = predictions([(name, name) for name in ("neu", "ang", "hap", "sad")])
    simulation.finish(settings, 0, 0, whole)
    simulation.finish(settings, 0, 1, predictions([(name, name) for name in ("neu", "ang", "hap", "hap")]), dev=whole)
    _, text, tables = compiled(simulation)
    assert "UA is unknown where a class is absent from a test part: sad in repetition 0, fold 1." in text
    assert np.isnan(tables["scores"]["ua"][0])


def test_a_report_needs_neither_torch_nor_lightning():
    heavy = ["torch", "lightning", "torchaudio", "librosa", "matplotlib.pyplot", "wandb"]
    code = f"import sys\nimport ser_lightning.report.__main__\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
