"""Does what we measured agree with the paper's effects and levels, within the margins that the study sets?

The margins are keys of the study, to be chosen before a number is known. Agreement is shown, not presumed: where the
90 % interval of our number minus the paper's lies within the margin (two one-sided tests at 5 %, Schuirmann, Journal of
Pharmacokinetics and Biopharmaceutics 15, 1987). A difference is shown where the 95 % interval excludes zero and
agreement is not. All else cannot be told with so many runs.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.metrics import METRICS
from ser_lightning.papers.icassp2019 import numbers
from ser_lightning.papers.icassp2019.study import points, published
from ser_lightning.report.document import Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.samples import difference_samples, score_samples
from ser_lightning.report.scored import pairs
from ser_lightning.report.statistics import FEWEST, LEVEL, POWER, t_quantile
from ser_lightning.report.tables import show_number, with_half
from ser_lightning.runs.varying import show_value

# Runs that the paper's numbers are means of, on the corpus that ours are of
RUNS = 25
# Above so many runs it is said that no number would tell
MOST_RUNS = 1000

AGREES, DIFFERS, UNKNOWN = "agrees", "differs", "cannot tell"

EXPLAINED = (
    "Ours minus the paper's, in points, with its 95 % interval for the same corpus, divided and trained anew. The "
    "paper gives no spread; its numbers, means of 25 runs on the same utterances, are taken to have that of ours. "
    "Agrees: the 90 % interval lies within the margin, so that agreement is shown at 5 %; shown within: the smallest "
    "margin for which it would. Differs: the 95 % interval excludes zero, and agreement is not shown. Runs that would "
    "tell: so many of ours show agreement with a probability of 80 % if there is no difference; a dash where no number "
    "does, because of the paper's own 25."
)


def section(material: Material) -> Section | None:
    """Verdicts on the paper's effects and levels that a study has beside its own; None where it has none."""
    rows = [*_effects(material), *_levels(material)]
    if not rows:
        return None
    table = pd.DataFrame(rows)
    title = "Verdicts on the paper's numbers"
    words = [f"{kind}s: {_counts(group['verdict'])}" for kind, group in table.groupby("kind", sort=False)]
    blocks = [Text(_headline(table)), Text(f"{'; '.join(words)}."), Text(EXPLAINED, aside=True)]
    return Section(title, [*blocks, Table("verdicts", title, table, _show(table))])


def judge(values: Sequence[float] | np.ndarray, paper: float, margin: float, least: float = 0.0) -> dict[str, Any]:
    """Our mean over runs [runs] against the paper's of `RUNS`, whose spread is taken to be ours.

    `least` is a variance that the mean is taken to have at least, see `Sample.least`.

    Keys: ours, paper, difference, half (of its 95 % interval), margin, within (the smallest margin for which agreement
    is shown), verdict, runs_to_tell (NaN where no number of runs would).
    """
    count = len(values)
    spread = float(np.sqrt(max(np.var(values, ddof=1), least * count)))
    error = spread * np.sqrt(1 / count + 1 / RUNS)
    difference = float(np.mean(values)) - paper
    within = abs(difference) + t_quantile(LEVEL, count - 1) * error
    half = t_quantile((1 + LEVEL) / 2, count - 1) * error
    verdict = AGREES if within < margin else DIFFERS if abs(difference) > half else UNKNOWN
    return {
        "ours": float(np.mean(values)),
        "paper": paper,
        "difference": difference,
        "half": float(half),
        "margin": margin,
        "within": float(within),
        "verdict": verdict,
        "runs_to_tell": runs_to_tell(spread, margin),
    }


def runs_to_tell(spread: float, margin: float) -> float:
    """The fewest runs, a multiple of five, that show agreement with a probability of 80 % if there is no difference.

    NaN where no number up to `MOST_RUNS` does. `spread` is the standard deviation over runs.
    """
    for count in range(FEWEST, MOST_RUNS + 1, 5):
        error = spread * np.sqrt(1 / count + 1 / RUNS)
        # Of no difference either side is missed with half of what is left
        needed = t_quantile(LEVEL, count - 1) + t_quantile((1 + POWER) / 2, count - 1)
        if needed * error < margin:
            return count
    return np.nan


def _effects(material: Material) -> Iterator[dict[str, Any]]:
    """UA with centre loss minus without, on the same input: setting 2 minus 1, then the others of Fig. 3 and 5."""
    rows = points(material)
    without = {row["features"]: (int(str(job)), published(row)) for job, row in rows[rows["lam"] == 0].iterrows()}
    for number, row in sorted(rows.iterrows(), key=lambda pair: not _is_headline(pair[1])):
        job, values = int(str(number)), published(row)
        reference, before = without.get(row["features"], (None, None))
        if not row["lam"] or reference is None or values is None or before is None:
            continue
        common = pairs(material.jobs[job], material.jobs[reference], material.scored)
        sample = difference_samples(common, {})["ua"] if common else None
        if sample and len(sample.scores) >= FEWEST:
            effect, margin = values[0] - before[0], material.purpose.effect_margin
            verdict = judge(sample.scores, effect, margin, sample.least)
            yield {"kind": "effect", **_setting(row), "measure": "UA", **verdict}


def _levels(material: Material) -> Iterator[dict[str, Any]]:
    for job, row in points(material).iterrows():
        values, runs = published(row), material.finished(int(str(job)))
        samples = score_samples(runs, {}) if values and runs else {}
        if samples and len(samples["ua"].scores) >= FEWEST:
            for metric, value in zip(("ua", "wa"), values or (), strict=True):
                sample = samples[metric]
                verdict = judge(sample.scores, value, material.purpose.level_margin, sample.least)
                yield {"kind": "level", **_setting(row), "measure": METRICS[metric].label, **verdict}


def _is_headline(row: pd.Series) -> bool:
    return row["features"] == "logmel" and bool(
        np.isclose([row["lam"], row["alpha"]], [numbers.LAM, numbers.ALPHA]).all()
    )


def _setting(row: pd.Series) -> dict[str, Any]:
    return {"input": row["features"], "lam": row["lam"], "alpha": row["alpha"]}


def _headline(table: pd.DataFrame) -> str:
    """The one effect that was chosen beforehand: setting 2 minus setting 1."""
    effects = table[table["kind"] == "effect"]
    if effects.empty or not _is_headline(effects.iloc[0].rename({"input": "features"})):
        return "The paper's first effect, centre loss on log-Mel (setting 2 minus setting 1), was not measured."
    first = effects.iloc[0]
    outcome = {
        AGREES: f"agrees within {first['margin']:g} points (shown within {first['within']:.1f})",
        DIFFERS: "differs",
        UNKNOWN: f"cannot be told from so many runs whether it agrees within {first['margin']:g} points",
    }[first["verdict"]]
    return (
        f"The paper's first effect, centre loss on log-Mel (setting 2 minus setting 1): {first['ours']:+.1f} points of "
        f"UA here, {first['paper']:+.1f} in the paper; it {outcome}."
    )


def _counts(verdicts: pd.Series) -> str:
    counts = verdicts.value_counts()
    return ", ".join(f"{counts.get(word, 0)} of {len(verdicts)} {phrase}" for word, phrase in _PHRASES.items())


_PHRASES = {AGREES: "agree", DIFFERS: "differ", UNKNOWN: "cannot be told"}


def _show(rows: pd.DataFrame) -> pd.DataFrame:
    shown = rows[["kind", "input", "lam", "alpha"]].map(show_value).rename(columns={"lam": "lambda"})
    shown["alpha"] = rows["alpha"].map(lambda value: "–" if np.isnan(value) else show_value(value))
    shown["measure"] = rows["measure"]
    shown["ours"], shown["paper"] = rows["ours"].map(show_number), rows["paper"].map(show_number)
    shown["difference"] = [
        with_half(mean, half, signed=True) for mean, half in zip(rows["difference"], rows["half"], strict=True)
    ]
    shown["margin"], shown["shown within"] = rows["margin"].map("{:g}".format), rows["within"].map(show_number)
    shown["verdict"] = rows["verdict"]
    return shown.assign(**{"runs that would tell": [show_number(value, 0) for value in rows["runs_to_tell"]]})
