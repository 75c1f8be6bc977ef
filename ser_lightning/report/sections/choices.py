"""What each division has chosen by its dev part, where settings have several values."""

from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.report.document import Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.tables import show_number
from ser_lightning.runs.ledger import read_results

EXPLAINED = (
    "Of each setting every division takes the values with the highest UA on dev, the first of equals, from runs of one "
    "seed; nobody looks at their test part. What was chosen is then trained with further seeds, and all tables are of "
    "the chosen."
)


def section(material: Material) -> Section | None:
    """How often each candidate was chosen; None where there is nothing to choose."""
    rows: list[dict[str, Any]] = []
    for candidate in material.candidates:
        results = read_results(material.runs, candidate.runs)
        chosen = {run for job in material.named(candidate.candidate_of or "") for run in material.jobs[job].runs}
        rows.append(
            {
                "setting": candidate.candidate_of,
                "values": candidate.name.removeprefix(f"{candidate.candidate_of}: "),
                "runs": len(results),
                f"dev_{HEADLINE}": float(np.mean([100 * one.dev_ua for one in results])) if results else np.nan,
                "chosen": len(chosen & {*candidate.runs}),
                "divisions": len(candidate.runs),
            }
        )
    if not rows:
        return None
    numbers = pd.DataFrame(rows)
    shown = numbers[["setting", "values"]].copy()
    shown[f"dev {METRICS[HEADLINE].label} (%)"] = numbers[f"dev_{HEADLINE}"].map(show_number)
    shown["chosen"] = [f"{one} of {all_}" for one, all_ in zip(numbers["chosen"], numbers["divisions"], strict=True)]
    return Section("Choices", [Text(EXPLAINED, aside=True), Table("choices", "What was chosen on dev", numbers, shown)])
