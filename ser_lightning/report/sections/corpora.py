"""What corpora are worth for each other: the matrix of those that train and those that are tested."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ser_lightning.data.leakage import FoldAudit, average_audit, percent
from ser_lightning.identity import digest_rows
from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.report.document import Block, Picture, Section, Table, Text
from ser_lightning.report.figures import MOST_PANELS, corpus_map
from ser_lightning.report.material import Material
from ser_lightning.report.samples import score_samples
from ser_lightning.report.scored import ScoredRun
from ser_lightning.report.statistics import QUESTIONS, Interval, Sample, estimate
from ser_lightning.report.tables import capitalised, show_number, with_half
from ser_lightning.runs.seal import read_with_seal
from ser_lightning.runs.study import SPLIT

EXPLAINED = (
    "A row is what was trained on, a column what is tested. UA in percent ± half of its 95 % interval; guessing has "
    "{chance:.0f} %. The table of pairs below says what each interval is for, and what test and training share. All "
    "other sections average over every training, within a corpus and across."
)

TITLE = "Across corpora"
UNPLACED = (
    "Finished runs that stand in no pair: {count}. What they trained on is not recorded any more, since another job of "
    "this study divided the same folds in another way; a study of its own for each way has them all."
)

# What is trained on -> what is tested
Pair = tuple[str, str]
# A run, and its pair where that is known
Placed = tuple[ScoredRun, Pair | None]
# Between corpora that are trained on together
PLUS = " + "


def section(material: Material) -> Section | None:
    """The matrix as a table and a map, and its pairs in full; None where not every fold tests one corpus of several."""
    pairs = _pairs(material)
    rows, unplaced = _rows(material, pairs), sum(pair is None for own in pairs for _, pair in own)
    words: list[Block] = [Text(UNPLACED.format(count=unplaced))] if unplaced else []
    if rows.empty:
        return Section(TITLE, words) if words else None
    means, halves = _matrix(rows, HEADLINE), _matrix(rows, "half")
    chance = 100 / len(material.classes)
    cells = [
        [with_half(mean, half, decimals=1) for mean, half in zip(*pair, strict=True)]
        for pair in zip(means.to_numpy(), halves.to_numpy(), strict=True)
    ]
    several = rows["setting"].nunique() > 1
    front = means.index.to_frame(index=False)[["setting", "train"] if several else ["train"]]
    shown = front.join(pd.DataFrame(cells, columns=means.columns)).rename(columns={"train": "trained on"})
    label = METRICS[HEADLINE].label
    blocks: list[Block] = [
        Text(EXPLAINED.format(chance=chance), aside=True),
        *(Text(sentence) for sentence in _sentences(rows, chance)),
        *words,
        Table("cross_corpus", f"{label} by what is trained on (rows) and tested (columns)", means.reset_index(), shown),
    ]
    settings = list(dict.fromkeys(rows["setting"]))[:MOST_PANELS]
    panels = {(name if several else ""): (means.loc[name], halves.loc[name]) for name in settings}
    draw = partial(corpus_map, panels, chance, material.facts.caption)
    blocks.append(Picture("cross_corpus", f"{label} by what is trained on and tested", draw))
    blocks.append(
        Table("cross_corpus_pairs", "Every pair of training and test", rows, _show(rows, several), folded=True)
    )
    return Section(TITLE, blocks)


def sentences(material: Material) -> list[str]:
    """How far a corpus is recognised after training on itself, and on others, a sentence per setting."""
    return _sentences(pair_rows(material), 100 / len(material.classes))


def _sentences(rows: pd.DataFrame, chance: float) -> list[str]:
    words = []
    for name, own in rows.groupby("setting", sort=False) if len(rows) else []:
        trainings = [train.split(PLUS) for train in own["train"]]
        has_own = np.array([test in names for test, names in zip(own["test"], trainings, strict=True)])
        alone = np.array([len(names) == 1 for names in trainings])
        across, within, both = (own.loc[rows, HEADLINE] for rows in (~has_own, has_own & alone, has_own & ~alone))
        apart = ", speakers apart," if (own.loc[within.index, "speakers"] == 0).all() else ""
        several = f" with {name}" if rows["setting"].nunique() > 1 else ""
        parts = [f"trained on others UA is {_ends(across)}"] if len(across) else []
        parts += [f"trained on the tested corpus{apart} UA is {_ends(within)}"] if len(within) else []
        parts += [f"trained on the tested corpus and others UA is {_ends(both)}"] if len(both) else []
        sentence = f"{'; '.join(parts)}{several} (guessing: {chance:.0f} %)."
        words.append(capitalised(sentence))
    return words


def _ends(values: pd.Series) -> str:
    return f"{values.min():.1f} to {values.max():.1f} %" if len(values) > 1 else f"{values.mean():.1f} %"


def pair_rows(material: Material) -> pd.DataFrame:
    """A row per setting and pair of what is trained on and tested, with finished runs; no rows where there are none.

    Columns: setting, train ("a", or "b + c"), test, runs, utterances (tested), train_utterances (mean over runs); in
    percent ua, half and ends of its 95 % interval (half, low, high), what that is for (interval), and chance; of the
    leak audit, as shares, what test shares with training (speakers, scenes, sentences, recordings), and the UA that
    length, silence and level reach (cue_ua).
    """
    return _rows(material, _pairs(material))


def _rows(material: Material, pairs: Sequence[Sequence[Placed]]) -> pd.DataFrame:
    rows = []
    for job, placed in enumerate(pairs):
        cells: dict[Pair, list[ScoredRun]] = {}
        for run, pair in placed:
            if pair:
                cells.setdefault(pair, []).append(run)
        order = sorted(cells, key=lambda pair: (PLUS in pair[0], pair))
        rows += [
            {"setting": material.names[job], "train": pair[0], "test": pair[1], **_numbers(cells[pair], material)}
            for pair in order
        ]
    return pd.DataFrame(rows)


def _pairs(material: Material) -> list[list[Placed]]:
    """Each job's finished runs with their pairs; none where the study has no pairs.

    A run has that of the recorded division of its fold, if it is its own, or that of a job which trains and tests on
    the same corpora: the two may differ in how many utterances train.
    """
    recorded = _recorded(material)
    if not recorded:
        return []
    finished = [material.finished(job) for job in range(len(material.jobs))]
    corpora = [tuple(str(job.settings["split"].get(key)) for key in ("train", "test")) for job in material.jobs]
    runs = [(own, run, _place(run)) for own, several in zip(corpora, finished, strict=True) for run in several]
    owners = {(own, place) for own, run, place in runs if place in recorded and recorded[place][0] == run.result.split}
    return [
        [(run, recorded[_place(run)][1] if (own, _place(run)) in owners else None) for run in several]
        for own, several in zip(corpora, finished, strict=True)
    ]


def _place(run: ScoredRun) -> tuple[int, int]:
    return run.result.repeat, run.result.fold


def _recorded(material: Material) -> Mapping[Any, tuple[str, Pair]]:
    """(repetition, fold) -> digest of the recorded division, and its pair; nothing where a fold tests several corpora,
    or it is not known which."""
    utterances = material.utterances
    if utterances is None or "corpus" not in utterances or utterances["corpus"].nunique() < 2:
        return {}
    content = read_with_seal(material.study / SPLIT)
    table = pd.read_csv(io.BytesIO(content), dtype={"id": str}, keep_default_na=False)
    table["corpus"] = table["id"].map(dict(zip(utterances["id"], utterances["corpus"], strict=True)))
    recorded = {}
    for place, division in table.groupby(["repeat", "fold"]):
        names = division.groupby("part")["corpus"].unique()
        if len(names["test"]) > 1:
            return {}
        digest = digest_rows(division[["id", "part"]].itertuples(index=False, name=None))
        recorded[place] = (digest, (PLUS.join(sorted(names["train"])), names["test"][0]))
    return recorded


def _numbers(runs: list[ScoredRun], material: Material) -> dict[str, Any]:
    sample = score_samples(runs, material.speaker_of)[HEADLINE]
    interval, meaning = _interval(sample)
    audit = average_audit(FoldAudit(**one) for one in {run.result.split: run.result.audit for run in runs}.values())
    low, high = np.clip([interval.low, interval.high], 0, 100)
    return {
        "runs": len(runs),
        "utterances": len({name for run in runs for name in run.test.ids}),
        "train_utterances": float(np.mean([run.result.utterances["train"] for run in runs])),
        HEADLINE: sample.value,
        "half": interval.high - interval.mean,
        "low": low,
        "high": high,
        "interval": meaning,
        "chance": 100 * audit.chance,
        "speakers": audit.speaker,
        "scenes": audit.scene,
        "sentences": audit.sentence,
        "recordings": max(audit.audio, audit.copy or 0.0),
        "cue_ua": audit.cue_ua,
    }


def _interval(sample: Sample) -> tuple[Interval, str]:
    """The interval for the first question that the runs can answer, and which; or why there is none."""
    first = estimate(sample, "new people")
    for question in QUESTIONS:
        interval = estimate(sample, question)
        if not interval.refusal:
            given = sample.given if question == "new people" else ""
            return interval, ", ".join(filter(None, [f"for {QUESTIONS[question]}", given]))
    return first, f"none: {first.refusal}"


def _matrix(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Setting and what is trained on -> what is tested, in the order of the rows."""
    order = pd.MultiIndex.from_frame(rows[["setting", "train"]].drop_duplicates())
    return rows.pivot(index=["setting", "train"], columns="test", values=column).reindex(order)


def _show(rows: pd.DataFrame, several: bool) -> pd.DataFrame:
    shown = rows[[*(["setting"] if several else []), "train", "test", "runs", "utterances"]].astype(str)
    shown = shown.rename(columns={"train": "trained on", "test": "tested"})
    shown["of training"] = rows["train_utterances"].map(lambda number: f"{number:.0f}")
    halves = zip(rows[HEADLINE], rows["half"], strict=True)
    shown[f"{METRICS[HEADLINE].label} (%)"] = [with_half(mean, half) for mean, half in halves]
    shown["95 % interval"] = rows["interval"]
    shown["guessing"] = rows["chance"].map(lambda number: show_number(number, 0))
    known = [name for name in ("speakers", "scenes", "sentences") if rows[name].notna().any()]
    for column in (*known, "recordings"):
        shown[f"{column} shared"] = ["–" if pd.isna(share) else percent(share) for share in rows[column]]
    shown["by length, silence, level"] = rows["cue_ua"].map(percent)
    return shown
