"""One Hydra job: a configuration, trained on its folds and repetitions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import Manager
from pathlib import Path
from statistics import mean
from threading import Thread
from typing import TYPE_CHECKING, Any

import joblib
from filelock import FileLock

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

    def train(self, tick: Callable[[str], None]) -> RunResult:
        """Train and test it; `tick` is called with its signature after every step.

        While another process trains the same run, wait, and take its result.
        """
        from ser_lightning.runs.run import train_run

        locks = Path(self.config.paths.output) / "runs" / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / self.signature):
            return self.finished or train_run(self.signature, self.config, self.manifest, self.store, self.split, tick)


def train_all(planned: Sequence[PlannedRun], progress: "StudyProgress") -> list[RunResult]:
    """The results of all runs, in order, after training those that are not finished, each once."""
    missing = list({run.signature: run for run in planned if run.finished is None}.values())
    if missing:
        workers = min(count_workers(missing[0].config), len(missing))
        results = _side_by_side(missing, workers, progress) if workers > 1 else _one_by_one(missing, progress)
        for result in results:
            progress.finish(result)
    finished = [run.finished for run in planned]
    return [result for result in finished if result is not None]


def count_workers(config: Config) -> int:
    """How many runs to train side by side: small networks use two cores better as two runs than as one."""
    if config.trainer.workers is not None:
        return config.trainer.workers
    import torch

    on_cpu = config.trainer.accelerator == "cpu" or not torch.accelerator.is_available()
    return joblib.cpu_count() if on_cpu else 1


def _one_by_one(runs: Sequence[PlannedRun], progress: "StudyProgress") -> Iterator[RunResult]:
    for run in runs:
        yield run.train(progress.tick)


def _side_by_side(runs: Sequence[PlannedRun], workers: int, progress: "StudyProgress") -> Iterator[RunResult]:
    """Results as they come, from processes that share out the cores and report their steps through a queue."""
    with Manager() as manager:
        steps = manager.Queue()
        listener = Thread(target=_listen, args=(steps, progress), daemon=True)
        listener.start()
        try:
            jobs = joblib.Parallel(workers, return_as="generator_unordered", pre_dispatch=workers)
            yield from jobs(joblib.delayed(PlannedRun.train)(run, steps.put) for run in runs)
        finally:
            steps.put(None)
            listener.join()


def _listen(steps: Any, progress: "StudyProgress") -> None:
    """Pass on the signatures in a queue until None comes."""
    for name in iter(steps.get, None):
        progress.tick(name)


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
