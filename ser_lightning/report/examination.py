"""What `doctor` shows of a corpus: counts, formats, lengths, faults of recordings, leaks of a protocol.

Each function prints its part and returns what is wrong, a short sentence each.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ser_lightning.corpora import Manifest
from ser_lightning.data.leakage import FoldAudit, audit_line, average_audit, dev_line, findings, percent
from ser_lightning.data.splits import Split
from ser_lightning.errors import listing
from ser_lightning.features.sound import remarks
from ser_lightning.terminal import console

# Shares of samples above which a recording is named
CLIPPED, DIGITAL_SILENCE = 0.001, 0.1
# Speakers, sessions and the like that are counted each; of more, what is usual
MOST_COUNTED = 50


def show_corpus(manifest: Manifest, sound: pd.DataFrame) -> list[str]:
    """Print counts, formats and lengths of a corpus, and the recordings that are not as they should be.

    `sound` as `measure_corpus` returns it.
    """
    terminal = console()
    hours = sound["seconds"].sum() / 3600
    _headed(terminal, "bold", manifest.corpus, f"{len(manifest)} utterances, {hours:.2f} h")
    for column in ("corpus", "speaker", "session", "kind", "part"):
        if (manifest.table[column] != "").any():
            terminal.print(_counts(manifest, column))
    rates = ", ".join(f"{rate} Hz ({count})" for rate, count in sound["rate"].value_counts().items())
    channels = ", ".join(f"{number} ({count})" for number, count in sound["channels"].value_counts().items())
    terminal.print(f"Sample rates: {rates}; channels: {channels}", soft_wrap=True)
    terminal.print(_histogram(sound["seconds"].to_numpy()))
    terminal.print(
        f"Silence at the ends, median: {sound['lead'].median():.2f} s before, {sound['trail'].median():.2f} s after; "
        f"level, median: {sound['level'].median():.1f} dB",
        soft_wrap=True,
    )
    return _show_faults(terminal, manifest, sound)


def show_leaks(splits: Sequence[Split], audits: Sequence[FoldAudit]) -> list[str]:
    """Print the audit of every fold and of all together."""
    terminal = console()
    average = average_audit(audits)
    shares = {
        "speakers": "speaker",
        "dialogues": "dialogue",
        "scenes": "scene",
        "sentences": "sentence",
        "takes": "take",
        "recordings": "copy",
    }
    fields = {noun: name for noun, name in shares.items() if getattr(average, name) is not None}
    title = f"{splits[0].protocol} protocol: what a fold's test part shares with its training part"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, title_justify="left")
    for name in ("fold", "train/dev/test", *fields, "length\ndrift", "class\ndrift", "UA of\ncues"):
        table.add_column(name, justify="right", no_wrap=True)
    for split, audit in zip(splits, audits, strict=True):
        name = f"{split.repeat}.{split.fold}" if len({one.repeat for one in splits}) > 1 else str(split.fold)
        sizes = "/".join(str(len(split.ids(part))) for part in ("train", "dev", "test"))
        cells = [percent(getattr(audit, name)) for name in fields.values()]
        drifts = [f"{audit.length_drift:.2f}", f"{audit.class_drift:.2f}"]
        table.add_row(name, sizes, *cells, *drifts, percent(audit.cue_ua))
    terminal.print(table)
    terminal.print(
        "Drift: distance of test from training in lengths (Kolmogorov-Smirnov) and in class shares (total variation), "
        "0 to 1.\nCues: length, silence at both ends, peak and level, by a random forest; chance is "
        f"{percent(average.chance)}.",
        soft_wrap=True,
    )
    for line in (audit_line(average), dev_line(average)):
        terminal.print(line, soft_wrap=True)
    return findings(average)


def _show_faults(terminal: Console, manifest: Manifest, sound: pd.DataFrame) -> list[str]:
    """Only what cannot be trained on, or scores twice, is an ill; the rest is said and no more."""
    ills = []
    if manifest.left_out:
        ills.append(f"{len(manifest.left_out)} recordings cannot be used")
        _name(terminal, "Recordings that cannot be used", list(manifest.left_out.values()))
    label_of = manifest.table.set_index("id")["label"]
    twins = [group["id"].tolist() for _, group in sound.groupby("content") if len(group) > 1]
    if twins:
        ills.append(f"{len(twins)} recordings occur under several names")
        _name(terminal, "Identical sound under several names", [_twin(names, label_of) for names in twins])
    _name(terminal, "Likely copies of one recording, trimmed, scaled or encoded anew", _copies(sound))
    if sound["rate"].nunique() > 1:
        terminal.print(Text.assemble(("Sample rates are mixed", "yellow"), "; all are resampled to 16 kHz."))
    for what, names in remarks(manifest, sound).items():
        _name(terminal, what, names)
    clipped = sound[sound["clipped"] > CLIPPED]
    _name(terminal, "Clipped (more than 0.1 % of samples at full scale)", clipped["id"].tolist())
    silent = sound[sound["digital"] > DIGITAL_SILENCE]
    _name(terminal, "Digital silence (more than 10 % of samples, at the ends, are zero)", silent["id"].tolist())
    classes = manifest.table.groupby("speaker")["label"].nunique()
    speakers = classes[(classes == 1) & (classes.index != "")].index.tolist()
    _name(terminal, "Speakers with one class only", speakers)
    return ills


def _copies(sound: pd.DataFrame) -> list[str]:
    """The utterances of each original whose recordings are alike, but not equal."""
    kinds = sound.groupby("original")["content"].transform("nunique")
    return [" and ".join(names) for _, names in sound[kinds > 1].groupby("original")["id"]]


def _twin(names: Sequence[str], label_of: pd.Series) -> str:
    labels = label_of[list(names)].unique()
    return " = ".join(names) + (f" (labels differ: {', '.join(labels)})" if len(labels) > 1 else "")


def _name(terminal: Console, what: str, names: Sequence[str]) -> None:
    if names:
        _headed(terminal, "yellow", what, f"{len(names)}: {listing(names)}")


def _headed(terminal: Console, style: str, head: str, words: str) -> None:
    terminal.print(Text.assemble((head, style), f": {words}"), soft_wrap=True)


def _counts(manifest: Manifest, column: str) -> Table:
    """Utterances by a column of the manifest and class; of many values, the fewest, median and most that one has."""
    counts = pd.crosstab(manifest.table[column], manifest.table["label"]).reindex(
        columns=list(manifest.classes), fill_value=0
    )
    few = len(counts) <= MOST_COUNTED
    table = Table(column if few else f"{len(counts)} {column}s", *manifest.classes, "all")
    if few:
        for name, row in counts.iterrows():
            table.add_row(str(name) or "unknown", *map(str, row), str(row.sum()))
    else:
        each = counts.assign(all=counts.sum(axis=1))
        for name, share in {"fewest of one": 0, "median": 0.5, "most of one": 1}.items():
            table.add_row(name, *(f"{number:g}" for number in each.quantile(share)))
        table.add_row("without any", *map(str, (each == 0).sum()))
    table.add_section()
    table.add_row("all", *map(str, counts.sum()), str(counts.to_numpy().sum()))
    for number in range(1, len(table.columns)):
        table.columns[number].justify = "right"
    return table


def _histogram(seconds: np.ndarray) -> str:
    """The lengths, a row per bin, for the terminal."""
    quantiles = np.quantile(seconds, [0, 0.5, 0.95, 1])
    head = "Lengths: shortest {:.2f} s, median {:.2f}, 95 % below {:.2f}, longest {:.2f}".format(*quantiles)
    low, high = np.floor(2 * quantiles[0]) / 2, np.quantile(seconds, 0.99)
    steps = (step * 10**power for power in itertools.count(-1) for step in (1, 2, 5))
    step = next(step for step in steps if (high - low) / step <= 12)
    edges = low + step * np.arange(max(1, np.ceil((high - low) / step)) + 1)
    counts, _ = np.histogram(np.minimum(seconds, edges[-1]), edges)
    rows = [
        f"{start:5.1f} to {end:4.1f} s {'█' * round(40 * count / counts.max()):<40} {count}"
        for start, end, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    rows[-1] = rows[-1].replace(f"to {edges[-1]:4.1f} s", "and more ")
    return "\n".join([head, *rows])
