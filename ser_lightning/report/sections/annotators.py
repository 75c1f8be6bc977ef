"""The recogniser beside the people who labelled the corpus."""

from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.files import parse_yaml
from ser_lightning.report.annotators import Annotators, analyse
from ser_lightning.report.document import Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.tables import show_number
from ser_lightning.runs.ledger import CONFIG, damaged, read_sealed

EXPLAINED = (
    "Strata: the share of an utterance's evaluators who chose its class, all, more than half, or half and fewer; an "
    "utterance counts in every run that tested it. Any evaluator: share of utterances whose recognised class at least "
    "one evaluator chose. Cross-entropy: of the recogniser's probabilities with the distribution of votes over the "
    "classes, nats, where a softmax loss trained them; nothing can be below the votes' own entropy. Left-out "
    "evaluator: how often one evaluator names what the others agree on. It is no limit: where two of three agree, only "
    "the third is judged, and fails."
)


def section(material: Material) -> Section | None:
    """UA by agreement of the evaluators, and the votes as a yardstick; None where the corpus has no votes."""
    utterances = material.utterances
    if utterances is None or not utterances["votes"].str.contains("[", regex=False).any():
        return None
    place = {name: row for row, name in enumerate(utterances["id"])}
    class_of = _class_of(material)
    rows: list[dict[str, Any]] = []
    for group in material.shown:
        for job in group.jobs:
            runs = [run.test for run in material.finished(job)]
            tested = np.array([place[name] for run in runs for name in run.ids])
            logits = np.concatenate([run.logits for run in runs])
            people = analyse(utterances, tested, logits, material.classes, class_of)
            rows.append({"setting": material.label(job), **_numbers(people)})
            if not material.has_probabilities(job):
                rows[-1]["cross_entropy"] = np.nan
    numbers = pd.DataFrame(rows)
    title = "UA, percent, by agreement of the evaluators, and what the votes say"
    person = (
        f"A left-out evaluator names the others' consensus with a UA of {show_number(100 * people.ceiling.ua)} % and a "
        f"WA of {show_number(100 * people.ceiling.wa)} %, over {people.ceiling.votes} votes; {people.ceiling.left_out} "
        f"votes face no consensus. The votes' own entropy is {show_number(people.cross_entropy.lowest)} nats."
    )
    unknown = f" {people.unknown} results are of utterances without votes." if people.unknown else ""
    table = Table("annotators", title, numbers, _show(numbers))
    return Section("Annotators", [Text(EXPLAINED, aside=True), table, Text(person + unknown)])


def _class_of(material: Material) -> dict[str, str]:
    """Raw label -> class, as the runs were configured."""
    folder = material.folder(next(iter(material.scored.values())))
    try:
        classes = parse_yaml(read_sealed(folder, CONFIG).decode())["corpus"].get("classes")
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder, CONFIG, error) from error
    if not classes:
        return {name: name for name in material.classes}
    return {raw: name for name, labels in classes.items() for raw in labels}


def _numbers(people: Annotators) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for stratum in people.strata.to_dict("records"):
        name = str(stratum["stratum"]).replace(" ", "_")
        row |= {f"ua_{name}": 100 * stratum["ua"], f"utterances_{name}": stratum["utterances"]}
        row[f"missing_{name}"] = stratum["missing"]
    return row | {
        "any_evaluator": 100 * people.chosen_by_any,
        "cross_entropy": people.cross_entropy.mean,
        "lowest_cross_entropy": people.cross_entropy.lowest,
        "evaluator_ua": 100 * people.ceiling.ua,
        "evaluator_wa": 100 * people.ceiling.wa,
        "evaluator_votes": people.ceiling.votes,
    }


def _show(rows: pd.DataFrame) -> pd.DataFrame:
    shown = rows[["setting"]].copy()
    for name in ("all_agree", "most_agree", "half_or_fewer"):
        cells = zip(rows[f"ua_{name}"], rows[f"utterances_{name}"], rows[f"missing_{name}"], strict=True)
        shown[name.replace("_", " ")] = [
            f"{show_number(ua)} ({count})" + (f", no {missing}" if missing and count else "")
            for ua, count, missing in cells
        ]
    shown["any evaluator"] = rows["any_evaluator"].map(show_number)
    shown["cross-entropy"] = rows["cross_entropy"].map(show_number)
    return shown
