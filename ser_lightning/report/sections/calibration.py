"""Does centre loss make a model over-confident?"""

from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.report.calibration import (
    Reliability,
    fit_temperature,
    negative_log_likelihood,
    overconfidence,
    probabilities,
    reliability,
)
from ser_lightning.report.document import Picture, Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.portraits import reliability_diagram
from ser_lightning.report.statistics import over_runs, paired
from ser_lightning.report.summary import ScoredRun, counted, half_width, pairs, test_to_train
from ser_lightning.report.tables import INPUTS, say_p, show_number, with_half

EXPLAINED = (
    "Over-confidence: the mean probability of the class recognised minus the share recognised rightly, mean over "
    "runs with 95 % interval, as for UA. ECE: expected calibration error over the test utterances of all runs, 15 "
    "bins. NLL: negative log-likelihood, nats. Scaled: logits divided by the temperature that fits the run's dev part "
    "best (Guo et al. 2017), which changes no decision."
)


def section(material: Material) -> Section:
    """Reliability of the shown settings, before and after temperature scaling."""
    blocks: list[Any] = [Text(EXPLAINED, aside=True)]
    rows: list[dict[str, Any]] = []
    for features, jobs in material.shown.items():
        drawn: dict[str, tuple[Reliability, Reliability]] = {}
        for job in jobs:
            runs = material.finished(job)
            temperatures = [fit_temperature(run.dev.logits, run.dev.labels) for run in runs]
            found = _pooled(runs, [1.0] * len(runs)), _pooled(runs, temperatures)
            drawn[material.label(job)] = found
            errors = {"ece": 100 * found[0].error, "ece_scaled": 100 * found[1].error}
            named = {"input": INPUTS[features], "job": material.label(job)}
            rows.append({**named, **_numbers(runs, temperatures), **errors})
        name = "calibration" if features == next(iter(material.shown)) else f"calibration_{features}"
        title = f"Reliability on {INPUTS[features]}, before and after temperature scaling"
        blocks.append(Picture(name, title, reliability_diagram(drawn, material.facts.caption)))
        if len(jobs) == 2:
            blocks += _change(material, jobs)
    numbers = pd.DataFrame(rows)
    blocks.insert(1, Table("calibration", "Calibration", numbers, _show(numbers)))
    return Section("Calibration", blocks)


def _pooled(runs: list[ScoredRun], temperatures: list[float]) -> Reliability:
    """Of the test utterances of all runs, each run's logits by its own temperature."""
    given = [probabilities(run.test.logits, of) for run, of in zip(runs, temperatures, strict=True)]
    return reliability(np.concatenate(given), np.concatenate([run.test.labels for run in runs]))


def _numbers(runs: list[ScoredRun], temperatures: list[float]) -> dict[str, float]:
    gaps = [100 * overconfidence(run.test.logits, run.test.labels) for run in runs]
    scaled = [
        negative_log_likelihood(run.test.logits, run.test.labels, of)
        for run, of in zip(runs, temperatures, strict=True)
    ]
    return {
        "overconfidence": float(np.mean(gaps)),
        "overconfidence_half": half_width(over_runs(gaps, test_to_train(runs))),
        "temperature": float(np.median(temperatures)),
        "nll": float(np.mean([negative_log_likelihood(run.test.logits, run.test.labels) for run in runs])),
        "nll_scaled": float(np.mean(scaled)),
    }


def _change(material: Material, jobs: list[int]) -> list[Text]:
    """What the second of two jobs changes in over-confidence, paired by division; nothing where they share none."""
    reference, other = jobs
    common = pairs(material.jobs[other], material.jobs[reference], material.scored)
    if not common:
        return []
    theirs, ours = (
        [100 * overconfidence(run.test.logits, run.test.labels) for run in side]
        for side in ([one for _, one in common], [one for one, _ in common])
    )
    found = paired(ours, theirs, test_to_train([one for one, _ in common]))
    half = half_width(found)
    p = "" if np.isnan(half) else f"{say_p(found.p)}, "
    words = (
        f"{material.full_label(other)} against {material.full_label(reference)}: over-confidence changes by "
        f"{with_half(found.mean, half, signed=True)} points ({p}{counted(found.count, 'pair')} of runs)."
    )
    return [Text(words)]


def _show(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "input": rows["input"],
            "setting": rows["job"],
            "over-confidence (points)": [
                with_half(mean, half, signed=True)
                for mean, half in zip(rows["overconfidence"], rows["overconfidence_half"], strict=True)
            ],
            "ECE (%)": rows["ece"].map(show_number),
            "ECE, scaled": rows["ece_scaled"].map(show_number),
            "median temperature": rows["temperature"].map(show_number),
            "NLL": rows["nll"].map(show_number),
            "NLL, scaled": rows["nll_scaled"].map(show_number),
        }
    )
