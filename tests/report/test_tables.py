import re

import numpy as np
import pandas as pd

from ser_lightning.metrics import METRICS
from ser_lightning.report.tables import latex, markdown, print_table, say_p, show_intervals, show_p, with_half


def test_latex_says_what_the_table_says():
    shown = pd.DataFrame(
        {"setting": ["loss.lam=0 & co_1", "{x}"], "UA (%)": ["-1.50 ± 2.00", "–"], "p": ["< 0.001", "1e-3"]}
    )
    lines = latex(shown, "Scores", "demo | 5 folds").splitlines()
    assert r"\caption{Scores. demo $\mid$ 5 folds.}" in lines
    assert r"\begin{tabular}{lrr}" in lines
    assert r"setting & UA (\%) & p \\" in lines
    assert r"loss.lam=0 \& co\_1 & $-$1.50 $\pm$ 2.00 & $<$ 0.001 \\" in lines
    # A hyphen inside of a word or number stays one
    assert r"\{x\} & -- & 1e-3 \\" in lines
    rules = [line for line in lines if line.endswith("rule")]
    assert rules == [r"\toprule", r"\midrule", r"\bottomrule"]


def test_a_bar_in_markdown_begins_no_cell():
    header, _, row = markdown(pd.DataFrame({"a|b": ["c|d"], "n": [1]})).splitlines()
    assert (header.replace(" ", ""), row.replace(" ", "")) == (r"|a\|b|n|", r"|c\|d|1|")


def test_p_values_are_rounded_for_reading():
    assert [show_p(p) for p in (0.0004, 0.00149, 0.0456, 1.0, np.nan)] == ["< 0.001", "0.0015", "0.046", "1", "–"]
    assert [say_p(p) for p in (0.0004, 0.0456)] == ["p < 0.001", "p = 0.046"]


def test_a_mean_without_an_interval_stands_alone():
    assert with_half(63.804, np.nan) == "63.80"
    assert with_half(-1.0, 2.0, signed=True) == "-1.00 ± 2.00"
    assert with_half(np.nan, np.nan, signed=True) == "–"


def summary_of(**columns):
    """A summary of jobs whose scores are all unlike: of test UA 51 and 52, of dev 41 and 42."""
    scores = {"dev_ua": [41.0, 42.0], "ua_sd": [1.25, 1.5]}
    for place, metric in enumerate(METRICS):
        scores |= {metric: [51.0 + 10 * place, 52.0 + 10 * place], f"{metric}_half": [2.25, 2.75]}
    jobs = {"name": ["loss.lam=0", "loss.lam=1"], **columns, "runs": [5, 3], "planned": [5, 5]}
    return pd.DataFrame({**jobs, **scores})


def cells(printed):
    """The words between the lines of a table in the terminal, row by row."""
    lines = [line for line in printed.splitlines() if line.startswith(("│", "┃"))]
    return [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in lines]


def test_of_several_jobs_the_terminal_shows_ua_on_dev_and_no_score_of_test(capsys, monkeypatch):
    """Whoever chooses by what stands there has not chosen by test."""
    monkeypatch.setenv("COLUMNS", "200")
    print_table(summary_of(lam=[0.0, 1.0]), "demo | 5 folds")
    printed = capsys.readouterr().out
    assert cells(printed) == [
        ["lambda", "runs", "dev UA (%)"],
        ["0", "5 of 5", "41.00"],
        ["1", "3 of 5", "42.00"],
    ]
    assert printed.splitlines()[-1] == "demo | 5 folds"


def test_of_one_job_the_terminal_shows_the_scores_of_test_as_well(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    print_table(summary_of().iloc[:1], "demo | 5 folds")
    head, row = cells(capsys.readouterr().out)
    assert dict(zip(head, row, strict=True)) == {
        "job": "loss.lam=0",
        "dev UA (%)": "41.00",
        "UA (%)": "51.00 ± 2.25",
        "UA s.d.": "1.25",
        "WA (%)": "61.00 ± 2.25",
        "F1 (%)": "71.00 ± 2.25",
        "weighted F1 (%)": "81.00 ± 2.25",
        "runs": "5 of 5",
    }


def test_what_stands_in_brackets_is_printed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    print_table(summary_of().iloc[:1].assign(name="corpus.ignore=[fear]"), "demo")
    assert "corpus.ignore=[fear]" in capsys.readouterr().out


def test_a_question_without_any_interval_has_no_column():
    ends = {"ua_new": [np.nan, np.nan], "ua_same": [60.111, np.nan], "ua_repeat": [-1.0, 61.5]}
    rows = pd.DataFrame({f"{name}_{end}": values for name, values in ends.items() for end in ("low", "high")})
    rows["ua_same_high"] += 5
    shown = show_intervals(rows, ["ua"])
    assert shown.to_dict("list") == {
        "UA, same people": ["60.11 to 65.11", "–"],
        "UA, repeat": ["-1.00 to -1.00", "61.50 to 61.50"],
    }
