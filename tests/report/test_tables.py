import numpy as np
import pandas as pd

from ser_lightning.metrics import METRICS
from ser_lightning.report.tables import latex, print_table, say_p, show_p, with_half


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


def test_p_values_are_rounded_for_reading():
    assert [show_p(p) for p in (0.0004, 0.00149, 0.0456, 1.0, np.nan)] == ["< 0.001", "0.0015", "0.046", "1", "–"]
    assert [say_p(p) for p in (0.0004, 0.0456)] == ["p < 0.001", "p = 0.046"]


def test_a_mean_without_an_interval_stands_alone():
    assert with_half(63.804, np.nan) == "63.80"
    assert with_half(-1.0, 2.0, signed=True) == "-1.00 ± 2.00"
    assert with_half(np.nan, np.nan, signed=True) == "–"


def test_what_stands_in_brackets_is_printed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    numbers = {f"{metric}{end}": [1.0] for metric in METRICS for end in ("", "_half", "_sd")}
    summary = pd.DataFrame({"name": ["corpus.ignore=[fear]"], "runs": [1], "planned": [1], **numbers})
    print_table(summary, "demo")
    assert "corpus.ignore=[fear]" in capsys.readouterr().out
