"""One Hydra job: a configuration, trained on its folds and repetitions."""

from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from ser_lightning.config import Config
from ser_lightning.corpora import Manifest, load_manifest
from ser_lightning.corpora.manifest import refuse_empty_classes
from ser_lightning.data.splits import Split, make_split
from ser_lightning.features import FeatureStore, build_store
from ser_lightning.identity import digest
from ser_lightning.runs.ledger import RunResult, read_result
from ser_lightning.runs.signature import signature

if TYPE_CHECKING:
    from ser_lightning.runs.progress import StudyProgress


@dataclass(frozen=True)
class PlannedRun:
    """One run to be trained, or found finished."""

    config: Config
    manifest: Manifest
    store: FeatureStore
    split: Split
    signature: str

    @property
    def finished(self) -> RunResult | None:
        """The run's result if its folder has one."""
        return read_result(Path(self.config.paths.output) / "runs" / self.signature)

    @property
    def cost(self) -> int:
        """Relative to other runs: steps times bins."""
        return self.config.trainer.max_steps * self.store.bins

    def train(self, progress: "StudyProgress") -> RunResult:
        """The run's result, after training it if it is not finished."""
        result = self.finished
        if result is None:
            from ser_lightning.runs.run import train_run

            with progress.run(self) as callback:
                result = train_run(self.signature, self.config, self.manifest, self.store, self.split, [callback])
            progress.say(self, result)
        return result


def plan_job(config: Config) -> list[PlannedRun]:
    """The runs of a job, repetition by repetition; loads or makes the corpus and its features first."""
    manifest, store = prepare(config)
    planned = []
    for repeat in config.split.repeats:
        for fold in config.split.folds:
            split = make_split(manifest, config.split, repeat, fold)
            name = signature(config, manifest, store.audio, split)
            planned.append(PlannedRun(config, manifest, store, split, name))
    return planned


def prepare(config: Config) -> tuple[Manifest, FeatureStore]:
    """The corpus's usable utterances and their frames; made once per process."""
    key = digest([asdict(config.corpus), asdict(config.features), config.paths.output])
    if key not in _prepared:
        cache = Path(config.paths.output) / "cache"
        manifest = load_manifest(config.corpus, cache)
        store = build_store(manifest, config.features, cache)
        manifest = manifest.without(store.problems, config.corpus.max_bad_share)
        refuse_empty_classes(manifest)
        _prepared[key] = manifest, store
    return _prepared[key]


_prepared: dict[str, tuple[Manifest, FeatureStore]] = {}


def mean_dev_ua(results: list[RunResult]) -> float:
    """What an optimising sweeper maximises: the mean dev UA of a job's runs."""
    return mean(result.dev_ua for result in results)
