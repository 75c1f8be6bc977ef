"""The claim, the answer, and the differences that it stands on."""

from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.report.chapter import Group
from ser_lightning.report.document import Block, Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.samples import difference_samples, pair_refusals
from ser_lightning.report.scored import pairs
from ser_lightning.report.sections.scores import intervals
from ser_lightning.report.statistics import QUESTIONS
from ser_lightning.report.summary import counted
from ser_lightning.report.tables import say_p, show_number, show_p, with_half, with_halves
from ser_lightning.runs.varying import spell

# Below this a difference is said to be shown.
SHOWN = 0.05

INTERIM = (
    "This was asked for before the study was finished: p-values and intervals hold for one look, at a number of runs "
    "that was fixed beforehand."
)

EXPLAINED = (
    "Differences are paired: both runs of a pair are trained and tested on the same division. ± is half of the 95 % "
    "interval for {meaning}. p is two-sided, of no difference; p for all is corrected for the number of rows (Holm). "
    "Detectable: the smallest true difference that this study would show, by p for all, with a probability of 80 %."
)


def claim(material: Material) -> str:
    """What the study tests."""
    if not material.compared:
        several = len(material.jobs) > 1
        return "None yet." if several else "None: the study has a single setting."
    first = next(iter(material.compared.values()))
    reference = material.label(first)
    if material.purpose.references:
        return (
            f"Another setting recognises better than {reference}: the same utterances and divisions into parts, once "
            "with it and once without."
        )
    if not material.against_baseline:
        baseline = " ".join(material.purpose.baseline)
        number = "all have" if material.baseline.has(material.jobs[first].settings) else "none has"
        why = f"; {number} the study's baseline, {baseline}" if baseline else ""
        return f"Other settings change UA against the first, {reference}{why}."
    if material.chapter and material.chapter.claim:
        return material.chapter.claim
    varied = ", ".join(spell(word) for word in material.columns.values()) or "settings"
    return (
        f"Another choice of {varied} recognises better than the baseline, {' '.join(material.purpose.baseline)}: the "
        "same utterances and divisions into parts, once with it and once without."
    )


def answer(material: Material) -> list[str]:
    """What the study says to its claim: a sentence for the best setting of each reference, then on all together.

    Of an unfinished study how far it is: whoever looks while it runs, and stops when he likes what he sees, is wrong
    more often than p says.
    """
    if absent := [name for name in material.purpose.references if not material.named(name)]:
        return [f"Not known: the study has no setting {' and no '.join(absent)}, which the others are compared with."]
    if not material.compared:
        if material.decided and (described := _described(material)):
            return described
        if len(material.jobs) > 1:
            return ["Not known yet: no two settings that could be compared have a finished run."]
        return ["None: a comparison needs settings that differ, such as loss.lam=0,0.3."]
    if not material.decided:
        facts = material.facts
        return [
            f"Not yet: {facts.finished} of {facts.planned} runs have finished, and the answer waits for all of them; "
            "report --interim shows what they say so far."
        ]
    caveat = [] if material.complete else [INTERIM]
    return [*_answers(material), *caveat]


def _answers(material: Material) -> list[str]:
    rows = {row["job"]: row for row in material.differences.to_dict("records")}
    if not rows and not material.against_baseline:
        return ["Not known: no division has been run with two settings, so that they cannot be compared in pairs."]
    sentences = [words for group in material.answered for words in _sentences(material, rows.get(group.jobs[1]), group)]
    counts = _counts(material.differences)
    # Where no setting is what the others are to be better than, all of them come first
    if counts and material.against_baseline:
        sentences.append(counts)
    elif counts:
        sentences.insert(0, counts)
    return [*sentences, *_other_references(material)]


def _counts(rows: pd.DataFrame, place: str = "") -> str:
    """How many of several settings are shown to be better or worse; nothing where no two are decided."""
    p = rows["ua_p_holm"] if len(rows) else pd.Series(dtype=float)
    if p.notna().sum() < 2:
        return ""
    better, worse = (int(((p < SHOWN) & (sign * rows["ua"] > 0)).sum()) for sign in (1, -1))
    shown = f"UA is higher with {better} and lower with {worse}" if better or worse else "none is shown to differ in UA"
    return (
        f"Of {p.notna().sum()} settings compared{place}, {shown}, p below {SHOWN:g} after correction for their number "
        "(Holm)."
    )


def _other_references(material: Material) -> list[str]:
    """What the study's further references say, a family of tests each; and how the setting that the answer is about
    stands beside those that are described and not tested."""
    references = material.purpose.references[1:]
    sentences = [_counts(material.families[name], f" with {name}, a family of its own") for name in references]
    return [words for words in (*sentences, *_described(material)) if words]


def _described(material: Material) -> list[str]:
    """How the setting that the answer is about, or the best where there is no comparison, stands beside those that are
    described and not tested."""
    sentences = []
    best = [group.jobs[1] for group in material.answered[:1] if len(group.jobs) > 1]
    for name in material.purpose.described:
        rows = material.families[name].to_dict("records")
        sentences += [
            f"{material.label(row['job'])} against {material.label(row['reference'])} changes UA by "
            f"{with_half(row['ua'], row['ua_half'], signed=True)} points, which is described and not tested."
            for row in rows
            if row["job"] in best or not best
        ]
    return sentences


def section(material: Material) -> Section | None:
    """All differences from the reference.

    None where nothing is compared, and of an unfinished study, since an interval is an answer too: `answer` says why.
    """
    rows = material.differences
    if not (material.compared and material.decided):
        return None
    if rows.empty:
        return Section("Differences", [Text("No two settings have a finished run on the same division yet.")])
    blocks: list[Block] = [Text(EXPLAINED.format(meaning=QUESTIONS[material.question]), aside=True)]
    numbers = rows.assign(
        setting=[material.label(job) for job in rows["job"]],
        against=[material.label(job) for job in rows["reference"]],
    ).drop(columns=["job", "reference"])
    front = ["setting", "against", "runs"]
    numbers = numbers[[*front, *numbers.columns.drop(front)]]
    blocks.append(Table("differences", "Differences in points", numbers, _show(numbers, material)))
    blocks += intervals("difference", numbers["setting"].tolist(), rows, _reasons(material), material.metrics)
    missing = [material.label(job) for job in material.compared if job not in set(rows["job"])]
    if missing:
        blocks.append(Text(f"Left out, without a division in common with their reference: {'; '.join(missing)}."))
    return Section("Differences", blocks)


def _difference_from(reference: str, setting: str) -> str:
    """The words of a reference's name that the setting's has not; the whole name where there are none.

    >>> _difference_from("model=crnn loss.lam=0", "model=crnn loss.lam=0.3")
    'loss.lam=0'
    """
    own = setting.split()
    return " ".join(word for word in reference.split() if "=" not in word[1:-1] or word not in own) or reference


def _ties(material: Material, group: Group) -> str:
    """How many of the settings that the last of a group was chosen from have its UA on dev, for a sentence."""
    dev = material.summary["dev_ua"]
    equal = sum(bool(np.isclose(dev[job], dev[group.jobs[-1]])) for job in group.rivals)
    return f", the first of {equal} that have it" if equal > 1 else ""


def _sentences(material: Material, row: dict[Any, Any] | None, group: Group) -> list[str]:
    """The answer for one pair of settings, and what it is made of."""
    (reference, name), (other, label) = group.labels.items()
    baseline = _difference_from(name, label)
    place = group.place
    if row is None:
        return [f"Not known yet{place}: no division has been run with and without."]
    ua = material.summary["ua"]
    scores = f"UA{place} is {ua[other]:.1f} % with {label} and {ua[reference]:.1f} % with {baseline}"
    if len(group.rivals) > 1:
        scores += f"; {label} has the highest dev UA of {len(group.rivals)} settings{_ties(material, group)}"
    number = f"{counted(int(row['runs']), 'pair')} of runs"
    if row["divisions"] < row["runs"]:
        number += f" on {counted(int(row['divisions']), 'division')}"
    common = pairs(material.jobs[other], material.jobs[reference], material.scored)
    if np.isnan(row["ua_half"]):
        why = pair_refusals(common, material.speaker_of)[material.question]
        return [f"Not known{place}, {number}: no interval for {QUESTIONS[material.question]}, {why}.", f"{scores}."]
    ends = f"{row['ua'] - row['ua_half']:+.1f} to {row['ua'] + row['ua_half']:+.1f}"
    several = len(material.differences) > 1
    p = say_p(row["ua_p"]) + (f", {show_p(row['ua_p_holm'])} for all comparisons" if several else "")
    scope = (
        f"on {material.facts.corpus} under the {material.facts.protocol} protocol, for {QUESTIONS[material.question]}"
    )
    if material.question == "new people":
        given = difference_samples(common, material.speaker_of)[HEADLINE].given
        scope += f", {given}" if given else ""
    numbers = (
        f"{label} against {baseline} changes UA{place} by {row['ua']:+.1f} points {scope} (95 % interval {ends}; {p}; "
        f"{number})."
    )
    if row["ua_p_holm"] < SHOWN:
        return [f"{'Yes' if row['ua'] > 0 else 'No, it is worse'}: {numbers}", f"{scores}."]
    power = f"A true difference of {row['ua_detectable']:.1f} points would have been shown with a probability of 80 %"
    return [f"Not shown: {numbers}", f"{scores}. {power}."]


def _reasons(material: Material) -> dict[str, str]:
    """Why the difference that most pairs of runs are of has no interval for some question."""
    common = (
        pairs(material.jobs[job], material.jobs[reference], material.scored)
        for job, reference in material.compared.items()
    )
    return pair_refusals(max(common, key=len), material.speaker_of)


def _show(rows: pd.DataFrame, material: Material) -> pd.DataFrame:
    shown = rows[["setting"]].assign(pairs=rows["runs"].astype(str))
    if rows["against"].nunique() > 1:
        names = zip(rows["against"], rows["setting"], strict=True)
        shown.insert(1, "against", [_difference_from(*pair) for pair in names])
    for metric in material.metrics:
        label = METRICS[metric].label
        shown[label] = with_halves(rows, metric, signed=True)
        shown["p" if metric == HEADLINE else f"{label}, p"] = rows[f"{metric}_p"].map(show_p)
        if metric == HEADLINE:
            if len(rows) > 1:
                shown["p for all"] = rows[f"{metric}_p_holm"].map(show_p)
            shown["detectable"] = rows[f"{metric}_detectable"].map(show_number)
    return shown
