"""Is a model over-confident, and does a setting make it so?"""

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
from ser_lightning.report.tables import say_p, show_number, with_half

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
    for group in material.shown:
        diagrams: dict[str, tuple[Reliability, Reliability]] = {}
        for job, label in group.labels.items():
            runs = material.finished(job)
            temperatures = [fit_temperature(run.dev.logits, run.dev.labels) for run in runs]
            raw, scaled = _pooled(runs, [1.0] * len(runs)), _pooled(runs, temperatures)
            diagrams[label] = raw, scaled
            errors = {"ece": 100 * raw.error, "ece_scaled": 100 * scaled.error}
            rows.append({"setting": material.label(job), **_numbers(runs, temperatures), **errors})
        title = f"Reliability{group.place}, before and after temperature scaling"
        diagram = reliability_diagram(diagrams, material.facts.caption)
        blocks.append(Picture(f"calibration{group.suffix}", title, diagram))
        if len(group.jobs) == 2:
            blocks += _change(material, group.jobs)
    numbers = pd.DataFrame(rows)
    blocks.insert(1, Table("calibration", "Calibration", numbers, _show(numbers)))
    return Section("Calibration", blocks)


def _pooled(runs: list[ScoredRun], temperatures: list[float]) -> Reliability:
    """Of the test utterances of all runs, each run's logits by its own temperature."""
    scaled = [probabilities(run.test.logits, temperature) for run, temperature in zip(runs, temperatures, strict=True)]
    return reliability(np.concatenate(scaled), np.concatenate([run.test.labels for run in runs]))


def _numbers(runs: list[ScoredRun], temperatures: list[float]) -> dict[str, float]:
    gaps = [100 * overconfidence(run.test.logits, run.test.labels) for run in runs]
    scaled = [
        negative_log_likelihood(run.test.logits, run.test.labels, temperature)
        for run, temperature in zip(runs, temperatures, strict=True)
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
    first, second = (
        [100 * overconfidence(pair[side].test.logits, pair[side].test.labels) for pair in common] for side in (0, 1)
    )
    change = paired(first, second, test_to_train([one for one, _ in common]))
    half = half_width(change)
    p = "" if np.isnan(half) else f"{say_p(change.p)}, "
    words = (
        f"{material.label(other)} against {material.label(reference)}: over-confidence changes by "
        f"{with_half(change.mean, half, signed=True)} points ({p}{counted(change.count, 'pair')} of runs)."
    )
    return [Text(words)]


def _show(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "setting": rows["setting"],
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
