"""All settings beside each of the references that a study names: one table, one figure."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.report.document import Picture, Section, Table, Text
from ser_lightning.report.figures import forest
from ser_lightning.report.material import Material
from ser_lightning.report.statistics import QUESTIONS
from ser_lightning.report.tables import capitalised, show_number, show_p, with_halves
from ser_lightning.runs.jobs import REFERENCE_SYSTEM

EXPLAINED = (
    "Points of UA against each reference, paired by division and seed, ± half of the 95 % interval for {meaning}, each "
    "of its comparison alone: one that leaves 0 out may have a p for all that shows nothing. "
    "{tested}{described}ms per step: time of training over its steps, looks at dev included, on {device}."
)
TESTED = (
    "Comparisons with {names} are tested, each a family of its own: p for all is corrected for its rows (Holm), and "
    "detectable is the smallest true difference that the study would show with a probability of 80 %. "
)


def section(material: Material) -> Section | None:
    """The settings beside each reference; None where the study names none, or is not decided."""
    tested, described = material.purpose.references, material.purpose.described
    if not ((tested or described) and material.decided):
        return None
    families = {name: rows for name, rows in material.families.items() if not rows.empty}
    if not families:
        return None
    tested, described = (tuple(name for name in names if name in families) for names in (tested, described))
    finished = [job for job in range(len(material.jobs)) if material.finished(job)]
    shown = pd.DataFrame({"setting": [material.label(job) for job in finished]}, index=finished)
    shown[f"{METRICS[HEADLINE].label} (%)"] = with_halves(material.summary.loc[finished], HEADLINE)
    for name, rows in families.items():
        shown = shown.join(_columns(name, rows.set_index("job"), name in tested))
    shown["ms per step"] = [show_number(_step_milliseconds(material, job), 1) for job in finished]
    words = EXPLAINED.format(
        meaning=QUESTIONS[material.question],
        tested=TESTED.format(names=" and ".join(tested)) if tested else "",
        described=f"{capitalised(' and '.join(described))}: described, without a test. " if described else "",
        device=material.facts.device,
    )
    words += "".join(f" The reference system: {_parts(material, job)}." for job in material.named(REFERENCE_SYSTEM)[:1])
    table = Table("families", "All settings beside the references", _numbers(material, families), shown.fillna("–"))
    titles = {name if name in tested else f"{name}, described": rows for name, rows in families.items()}
    draw = partial(forest, titles, [(job, material.label(job)) for job in finished], material.facts.caption)
    return Section(
        "Against each reference",
        [Text(words, aside=True), table, Picture("families", "Differences in UA from each reference", draw)],
    )


def _parts(material: Material, job: int) -> str:
    """Front end, model and head of a job, e.g. features=functionals model=none head=svm."""
    settings = material.jobs[job].settings
    return " ".join(f"{group}={settings[group]['name']}" for group in ("features", "model", "head"))


def _columns(name: str, rows: pd.DataFrame, tested: bool) -> pd.DataFrame:
    shown = pd.DataFrame({f"against {name}": with_halves(rows, HEADLINE, signed=True)}, index=rows.index)
    if tested:
        shown[f"p for all, {name}"] = rows["ua_p_holm"].map(show_p)
        shown[f"detectable, {name}"] = rows["ua_detectable"].map(show_number)
    return shown


def _numbers(material: Material, families: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A row per comparison; what is described alone has no p."""
    tables = []
    for name, rows in families.items():
        tested = name in material.purpose.references
        p_values = [column for column in rows.columns if "_p" in column or "_detectable" in column]
        kept = rows if tested else rows.assign(**dict.fromkeys(p_values, np.nan))
        facts: dict[str, Any] = {
            "setting": [material.label(job) for job in rows["job"]],
            "against": name,
            "tested": tested,
            "ms_per_step": [_step_milliseconds(material, job) for job in rows["job"]],
        }
        tables.append(pd.DataFrame(facts).join(kept.drop(columns=["job", "reference"]).reset_index(drop=True)))
    return pd.concat(tables, ignore_index=True)


def _step_milliseconds(material: Material, job: int) -> float:
    """NaN where no step is made."""
    results = [run.result for run in material.finished(job)]
    return float(np.mean([1000 * result.seconds / result.steps if result.steps else np.nan for result in results]))
