"""Simulated studies: run folders such as training leaves behind, with made-up predictions."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ser_lightning.identity import digest
from ser_lightning.metrics import confusion_counts
from ser_lightning.report.scored import Outputs, ScoredRun, score_runs
from ser_lightning.report.summary import average
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.ledger import FEATURES, METRICS, PREDICTIONS, RunResult
from ser_lightning.runs.study import UTTERANCES, write_job

CLASSES = ["neu", "ang", "hap", "sad"]

# The configurations of conf/study/paper.yaml: name, features, lambda, alpha.
PAPER_STUDY = [
    ("setting 1", "logmel", 0.0, 0.5),
    ("setting 2", "logmel", 0.3, 0.5),
    ("lambda 0.003", "logmel", 0.003, 0.5),
    ("lambda 0.03", "logmel", 0.03, 0.5),
    ("lambda 3", "logmel", 3.0, 0.5),
    ("alpha 0.1", "logmel", 0.3, 0.1),
    ("alpha 0.3", "logmel", 0.3, 0.3),
    ("alpha 0.7", "logmel", 0.3, 0.7),
    ("alpha 0.9", "logmel", 0.3, 0.9),
    ("setting 3", "logstft", 0.0, 0.5),
    ("setting 4", "logstft", 0.3, 0.5),
]


def summarise(jobs: Sequence[Job], runs: Path) -> pd.DataFrame:
    """A row per job, with the mean and spread of its finished runs' scores."""
    return average(jobs, score_runs(jobs, runs), {})


def settings_of(features: str, lam: float, alpha: float, **optimizer: float) -> dict[str, Any]:
    """Settings as a job has them: without alpha where lambda is 0."""
    centre = {"alpha": alpha, "rule": "ema", "warm_up": 0} if lam else {}
    return {
        "features": {"name": features, "max_seconds": 14.0, "floor": 80.0},
        "split": {"protocol": "paper", "reshuffle": True, "seed": 0},
        "batching": {"order": "sorted", "size": 32, "pool": 20},
        "loss": {"lam": lam, **centre, "class_weights": "inverse"},
        "optimizer": {"learning_rate": 0.0003, **optimizer},
        "trainer": {"max_steps": 3520 if features == "logmel" else 2920, "precision": "auto"},
        "seed": 0,
    }


def parts_of(loss: str, lam: float, **changed: Any) -> dict[str, Any]:
    """Settings with parts of one's own, under dotted keys what is changed: parts_of("mine", 0.1, **{"loss.tau": 2})."""
    own = {"center": {"alpha": 0.5, "rule": "ema", "warm_up": 0}, "mine": {"tau": 0.07}}[loss]
    model = {"model": {"name": "crnn", "tied": False, "reset": "after"}, "head": {"name": "linear"}}
    model |= {"normalise": {"name": "training"}, "augment": {"name": "none"}}
    settings = settings_of("logmel", lam, 0.5)
    settings = {group: settings[group] for group in ("features", "split", "batching")} | model | settings
    settings["loss"] = {"lam": lam, "class_weights": "inverse"} | ({"name": loss, **own} if lam else {})
    for key, value in changed.items():
        group, _, name = key.rpartition(".")
        (settings[group] if group else settings)[name] = value
    return settings


# Of a random division: every speaker of the test part is also in training.
AUDIT = {
    "utterances": 20,
    "speaker": 1.0,
    "dialogue": None,
    "sentence": 0.5,
    "audio": 0.0,
    "length_drift": 0.1,
    "class_drift": 0.0,
    "cue_ua": 0.3,
    "chance": 0.25,
}


@dataclasses.dataclass
class Simulation:
    """A folder of outputs with one study, and what its runs are of.

    Attributes:
        speaker: share of test utterances whose speaker is also in training; None where the speakers are unknown.
    """

    output: Path
    corpus: str = "demo"
    synthetic: bool = True
    protocol: str = "paper"
    speaker: float | None = 1.0

    @property
    def runs(self) -> Path:
        return self.output / "runs"

    @property
    def study(self) -> Path:
        return self.output / "studies" / "simulated"

    def signature(self, settings: dict[str, Any], repeat: int, fold: int) -> str:
        return digest([self.corpus, self.protocol, settings, repeat, fold])

    def add_job(
        self, number: int, name: str, settings: dict[str, Any], folds: Sequence[int] = (0, 1, 2), repeats: int = 1
    ) -> Job:
        """Record a job; its runs stay unfinished."""
        places = [[repeat, fold] for repeat in range(repeats) for fold in folds]
        job = Job(name, settings, [self.signature(settings, *place) for place in places], places)
        write_job(self.study, number, job)
        return job

    def add_utterances(self, utterances: pd.DataFrame) -> None:
        """Tell the study of its utterances: id, label and speaker, and votes where there are any."""
        known = {"raw_label": utterances["label"], "gender": "", "session": "", "kind": "", "votes": "{}"}
        table = utterances.assign(**{name: of for name, of in known.items() if name not in utterances})
        self.study.mkdir(parents=True, exist_ok=True)
        table.to_csv(self.study / UTTERANCES, index=False)

    def finish(
        self,
        settings: dict[str, Any],
        repeat: int,
        fold: int,
        test: pd.DataFrame,
        features: pd.DataFrame | None = None,
        dev: pd.DataFrame | None = None,
        split: str | None = None,
    ) -> Path:
        """Write a run's folder. `test` and `dev`, which is the same if not given, have id, label and logit_<class>;
        `split` is the digest of the division, or any."""
        folder = self.runs / self.signature(settings, repeat, fold)
        folder.mkdir(parents=True, exist_ok=True)
        features = _plain_features(test) if features is None else features
        dev = test if dev is None else dev
        pd.concat([dev.assign(part="dev"), test.assign(part="test")]).to_parquet(folder / PREDICTIONS, index=False)
        _plain_curves(settings).to_csv(folder / METRICS, index=False)
        features.to_parquet(folder / FEATURES, index=False)
        (folder / "config.yaml").write_text(yaml.safe_dump(self._config(settings)))
        result = self.result(settings, repeat, fold, test, dev)
        dataclasses.replace(result, split=split or result.split).write(folder)
        return folder

    def score(self, settings: dict[str, Any], repeat: int, fold: int, test: pd.DataFrame) -> ScoredRun:
        """A run as `score_runs` reads it from the folder that `finish` writes, without the folder."""
        labels = pd.Index(CLASSES).get_indexer(pd.Index(test["label"]))
        outputs = Outputs(test["id"].to_numpy(), labels, test[[f"logit_{name}" for name in CLASSES]].to_numpy())
        counts = confusion_counts(labels, outputs.recognised, len(CLASSES))
        return ScoredRun(self.result(settings, repeat, fold, test, test), outputs, outputs, counts)

    def result(
        self, settings: dict[str, Any], repeat: int, fold: int, test: pd.DataFrame, dev: pd.DataFrame
    ) -> RunResult:
        """What result.json of a run says."""
        return RunResult(
            signature=self.signature(settings, repeat, fold),
            corpus=self.corpus,
            synthetic=self.synthetic,
            protocol=self.protocol,
            repeat=repeat,
            fold=fold,
            classes=CLASSES,
            # Wrong on purpose: a report must count the predictions.
            scores={"test": {"ua": 0.111, "wa": 0.111}, "dev": {"ua": 0.6, "wa": 0.6}},
            confusion=[[0] * 4] * 4,
            dev_confusion=[[0] * 4] * 4,
            # Training parts are eight times as large, as in the paper's protocol.
            utterances={"train": 8 * len(test), "dev": len(dev), "test": len(test)},
            left_out=0,
            split=f"{repeat}{fold}" * 6,
            audit=AUDIT | {"speaker": self.speaker},
            steps=settings["trainer"]["max_steps"],
            best_step=100,
            seconds=60.0,
            precision="32",
            device="cpu, 2 threads",
            settings=settings,
            versions={"python": "3.11", "torch": "2.11"},
        )

    def _config(self, settings: dict[str, Any]) -> dict[str, Any]:
        steps = {"logmel": 3520, "logstft": 2920}
        training = {"steps": steps, "batch_size": 32, "learning_rate": 0.0003, "note": "the paper's own"}
        return {"corpus": {"name": self.corpus, "training": training}, **settings}


def predictions(pairs: Sequence[tuple[str, str]], first: int = 0) -> pd.DataFrame:
    """A table of predictions from (label, recognised) pairs, of utterances u0, u1, ..., or from another number on."""
    logits = [[1.0 if name == recognised else 0.0 for name in CLASSES] for _, recognised in pairs]
    table = pd.DataFrame(logits, columns=[f"logit_{name}" for name in CLASSES])
    return table.assign(id=[f"u{first + i}" for i in range(len(pairs))], label=[label for label, _ in pairs])


def _plain_curves(settings: dict[str, Any]) -> pd.DataFrame:
    """metrics.csv of ten epochs: rows of training and of dev, as Lightning's logger writes them."""
    steps = np.linspace(settings["trainer"]["max_steps"] / 10, settings["trainer"]["max_steps"], 10).astype(int)
    train = pd.DataFrame({"step": steps - 1, "train/softmax": 1.3 * 0.7 ** np.arange(10)})
    dev = pd.DataFrame({"step": steps - 1, "dev/ua": 0.6 - 0.35 * 0.6 ** np.arange(10)})
    return pd.concat([train, dev]).sort_values("step", kind="stable")


def _plain_features(test: pd.DataFrame) -> pd.DataFrame:
    z = np.arange(3 * len(test), dtype=np.float32).reshape(-1, 3) % 7
    table = test[["id", "label"]].join(pd.DataFrame(z, columns=["z_0", "z_1", "z_2"]))
    return pd.concat([table.assign(part=part) for part in ("train", "dev", "test")], ignore_index=True)


def random_run(
    rng: np.random.Generator, recalls: Sequence[float], counts: Sequence[int], spread: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test predictions with about these recalls, and features z of class-wise clouds, the wider the larger `spread`.

    `counts` are the utterances per class of the whole corpus, of which a tenth is the test part.
    """
    pairs = []
    for label, recall, count in zip(CLASSES, recalls, counts, strict=True):
        for right in rng.random(count // 10) < recall:
            wrong = [name for name in CLASSES if name != label]
            pairs.append((label, label if right else wrong[rng.integers(3)]))
    test = predictions(pairs)
    logits = [f"logit_{name}" for name in CLASSES]
    test[logits] = test[logits].mul(rng.uniform(0.5, 6, len(test)), axis=0) + rng.normal(0, 0.2, (len(test), 4))
    train = [label for label, count in zip(CLASSES, counts, strict=True) for _ in range(count - 2 * (count // 10))]
    parts = [("train", train, spread), ("dev", list(test["label"]), 1.4), ("test", list(test["label"]), 1.4 * spread)]
    centres = np.random.default_rng(0).normal(size=(4, 64))
    tables = []
    for part, labels, width in parts:
        z = centres[[CLASSES.index(label) for label in labels]] + width * rng.standard_t(4, (len(labels), 64)) * 0.35
        z[:, :2] *= 1.5
        table = pd.DataFrame(z.astype(np.float32), columns=[f"z_{i}" for i in range(64)])
        tables.append(table.assign(id=[f"{part}{i}" for i in range(len(labels))], part=part, label=labels))
    return test, pd.concat(tables, ignore_index=True)


def simulate_paper_study(
    simulation: Simulation,
    configurations: Sequence[tuple[str, str, float, float]] = PAPER_STUDY,
    counts: Sequence[int] = (185, 119, 178, 118),
    folds: int = 3,
    repeats: int = 1,
) -> None:
    """The configurations of the paper's study, every run finished."""
    rng = np.random.default_rng(1)
    luck = rng.normal(0, 0.02, (repeats, folds))
    for number, (name, features, lam, alpha) in enumerate(configurations):
        settings = settings_of(features, lam, alpha)
        simulation.add_job(number, name, settings, range(folds), repeats)
        gain = 0.05 * (1 - abs(np.log10(lam / 0.3)) / 2.5) if lam else 0.0
        for repeat, fold in np.ndindex(repeats, folds):
            level = gain - (0.09 if lam == 3 else 0) - (0.03 if features == "logstft" else 0) + luck[repeat, fold]
            recalls = np.array([0.46, 0.6, 0.36, 0.7]) + level
            test, z = random_run(rng, recalls, counts, 1.0 if lam < 0.1 else 0.45)
            simulation.finish(settings, repeat, fold, test, z)
    speakers = [f"{1 + i % 10:02d}" for i in range(len(test))]
    simulation.add_utterances(test[["id", "label"]].assign(speaker=speakers))
