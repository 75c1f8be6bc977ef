"""Recalls by speaker: whom does the recognizer understand?"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.metrics import confusion_counts, recalls
from ser_lightning.report.document import Block, Picture, Section, Table, Text
from ser_lightning.report.material import Material
from ser_lightning.report.portraits import speaker_recalls
from ser_lightning.report.tables import class_columns

# Rows that can be read on a page
FITTING = 40


def section(material: Material) -> Section | None:
    """Recall of each class and UA by speaker, of the shown settings; None where the speakers are unknown."""
    speaker_of = material.speaker_of
    if not speaker_of:
        return None
    blocks: list[Block] = []
    for group in material.shown:
        tables = {label: speaker_table(material, job, speaker_of) for job, label in group.labels.items()}
        # Settings may be tested on unlike speakers while a study is unfinished
        everyone = sorted({name for table in tables.values() for name in table.index})
        panels = {label: table.drop(columns="utterances").reindex(everyone) for label, table in tables.items()}
        note = "recall of each class and UA, percent"
        worst = next(iter(panels.values()))["UA"].sort_values().index
        if len(worst) > FITTING:
            panels = {label: table.loc[worst[:FITTING]] for label, table in panels.items()}
            note += f"; the {FITTING} of {len(worst)} speakers with the lowest UA on the left"
        name, title = f"speakers{group.suffix}", f"Recalls by speaker{group.place}"
        draw = partial(speaker_recalls, panels, material.facts.caption, note)
        numbers = pd.concat([table.assign(setting=label) for label, table in tables.items()]).reset_index()
        blocks += [Picture(name, title, draw), Table(name, title, numbers, _show(numbers), folded=True)]
    blocks.append(Text(_spread(material, speaker_of), aside=True))
    return Section("Speakers", blocks)


def speaker_table(material: Material, job: int, speaker_of: dict[str, str]) -> pd.DataFrame:
    """Percent by speaker (the index, sorted): a column per class, UA, and utterances tested over all runs.

    A class of which a speaker has no utterance is NaN, and so is then UA.
    """
    tested = [run.test for run in material.finished(job)]
    speakers = np.array([speaker_of[name] for one in tested for name in one.ids])
    labels, predictions = (np.concatenate([getattr(one, name) for one in tested]) for name in ("labels", "recognised"))
    # Whoever is never tested in this study has no row
    names = sorted(set(speakers))
    chosen = [speakers == name for name in names]
    counts = np.stack([confusion_counts(labels[one], predictions[one], len(material.classes)) for one in chosen])
    shares = recalls(counts)
    columns = class_columns(material.classes, ("setting", "speaker", "UA", "utterances"))
    table = pd.DataFrame(100 * shares, index=pd.Index(names, name="speaker"), columns=columns)
    table["UA"] = 100 * shares.mean(axis=1)
    table["utterances"] = counts.sum(axis=(1, 2))
    return table


def _spread(material: Material, speaker_of: dict[str, str]) -> str:
    """How far speakers lie apart, of the first shown settings."""
    lines = []
    for job, label in material.shown[0].labels.items():
        ua = speaker_table(material, job, speaker_of)["UA"].dropna()
        if len(ua) > 1:
            spread = f"from {ua.min():.1f} ({ua.idxmin()}) to {ua.max():.1f} ({ua.idxmax()})"
            name = label + material.shown[0].place
            lines.append(f"{name}: UA by speaker {spread}, standard deviation {ua.std(ddof=1):.1f}.")
    return " ".join([*lines, "Over all runs; a dash stands where a speaker has no utterance of a class."])


def _show(numbers: pd.DataFrame) -> pd.DataFrame:
    shown: dict[str, Any] = {"setting": numbers["setting"], "speaker": numbers["speaker"]}
    for name in numbers.columns.drop(["setting", "speaker", "utterances"]):
        shown[name] = numbers[name].map(lambda value: "–" if np.isnan(value) else f"{value:.1f}")
    return pd.DataFrame({**shown, "utterances": numbers["utterances"].astype(str)})
