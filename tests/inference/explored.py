"""A simulated study with recordings that lie beside it, for the tests of `explore`."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import yaml

from ser_lightning.config import compose
from ser_lightning.report.summary import signatures
from ser_lightning.runs.ledger import CONFIG
from tests.report.simulated import CLASSES, Simulation, settings_of

# Of 48 utterances, by the remainder of their number; a browser plays no AIFF
SOUNDS = [(16_000, 1, "wav"), (44_100, 2, "wav"), (16_000, 1, "flac"), (8_000, 1, "aiff")]
COUNT, FOLDS = 48, 2
LAMBDAS = (0.0, 0.3)


def samples(number: int) -> int:
    """How many samples recording `number` has."""
    return 8000 + 100 * number


def write_recordings(root: Path) -> pd.DataFrame:
    """Recordings of noise and a table of them in a folder; the table."""
    root.mkdir(parents=True)
    rows = []
    for number in range(COUNT):
        rate, channels, kind = SOUNDS[number % len(SOUNDS)]
        wave = np.random.default_rng(number).uniform(-0.5, 0.5, (samples(number), channels))
        soundfile.write(root / f"r{number:02d}.{kind}", wave, rate)
        label, speaker = CLASSES[number // 2 % 4], f"s{number % 3}"
        rows.append({"id": f"u{number:02d}", "path": f"r{number:02d}.{kind}", "label": label, "speaker": speaker})
    table = pd.DataFrame(rows)
    table.to_csv(root / "table.csv", index=False)
    return table


def outputs(part: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and features z of a run's test part, of which about two thirds are recognised."""
    rng = np.random.default_rng(seed)
    labels = np.array([CLASSES.index(label) for label in part["label"]])
    logits = 2 * np.eye(4)[labels] + rng.normal(0, 1.5, (len(part), 4))
    z = np.eye(4, 6)[labels] + rng.normal(0, 0.3, (len(part), 6))
    known = part[["id", "label"]].reset_index(drop=True)
    test = known.join(pd.DataFrame(logits, columns=[f"logit_{name}" for name in CLASSES]))
    features = known.join(pd.DataFrame(z, columns=[f"z_{number}" for number in range(6)])).assign(part="test")
    # Another order than the predictions', and other parts before it
    features = pd.concat([features.assign(part="train"), features[::-1]], ignore_index=True)
    return test, features


@cache
def described(corpus: str) -> dict[str, Any]:
    """What config.yaml says of a corpus."""
    words = ["corpus.table=table.csv"] if corpus == "table" else []
    values: dict[str, Any] = compose([f"corpus={corpus}", "corpus.root=.", *words]).described["corpus"]
    return values


def simulate(folder: Path, corpus: str = "table", root: Path | None = None) -> Simulation:
    """A study of two settings on two folds below `folder`; its corpus is a table in `folder`/corpus, or another."""
    table = write_recordings(folder / "corpus")
    values = described(corpus) | {"root": str(root or folder / "corpus")}
    simulation = Simulation(folder / "outputs", corpus=corpus, synthetic=False)
    for number, lam in enumerate(LAMBDAS):
        settings = settings_of("logmel", lam, 0.5)
        job = simulation.add_job(number, f"loss.lam={lam:g}", settings, range(FOLDS))
        for fold in range(FOLDS):
            simulation.finish(settings, 0, fold, *outputs(table.iloc[fold::FOLDS], 10 * number + fold))
        for name in signatures([job]):
            file = simulation.runs / name / CONFIG
            file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"corpus": values}))
    simulation.add_utterances(table[["id", "label", "speaker"]])
    return simulation
