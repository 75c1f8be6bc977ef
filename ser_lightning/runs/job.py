"""Train the planned runs of a job or study, side by side where that is faster, each once."""

from collections.abc import Callable, Iterator, Sequence
from multiprocessing import Manager
from statistics import mean
from threading import Thread
from typing import TYPE_CHECKING, Any

import joblib
from filelock import FileLock

from ser_lightning.config import Config
from ser_lightning.runs.ledger import RunResult
from ser_lightning.runs.plan import PlannedRun

if TYPE_CHECKING:
    from ser_lightning.runs.progress import StudyProgress


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


def train_once(run: PlannedRun, tick: Callable[[str], None]) -> RunResult:
    """Train and test a run; `tick` is called with its signature after every step.

    While another process trains the same run, wait, and take its result.
    """
    from ser_lightning.runs.run import train_run

    locks = run.folder.parent / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / run.signature):
        return run.finished or train_run(run, tick)


def count_workers(config: Config) -> int:
    """How many runs to train side by side: small networks use two cores better as two runs than as one."""
    if config.trainer.workers is not None:
        return config.trainer.workers
    import torch

    on_cpu = config.trainer.accelerator == "cpu" or not torch.accelerator.is_available()
    return joblib.cpu_count() if on_cpu else 1


def _one_by_one(runs: Sequence[PlannedRun], progress: "StudyProgress") -> Iterator[RunResult]:
    for run in runs:
        yield train_once(run, progress.tick)


def _side_by_side(runs: Sequence[PlannedRun], workers: int, progress: "StudyProgress") -> Iterator[RunResult]:
    """Results as they come, from processes that share out the cores and report their steps through a queue."""
    with Manager() as manager:
        steps = manager.Queue()
        listener = Thread(target=_listen, args=(steps, progress), daemon=True)
        listener.start()
        try:
            jobs = joblib.Parallel(workers, return_as="generator_unordered", pre_dispatch=workers)
            yield from jobs(joblib.delayed(train_once)(run, steps.put) for run in runs)
        finally:
            steps.put(None)
            listener.join()


def _listen(steps: Any, progress: "StudyProgress") -> None:
    """Pass on the signatures in a queue until None comes."""
    for name in iter(steps.get, None):
        progress.tick(name)


def mean_dev_ua(results: list[RunResult]) -> float:
    """What an optimising sweeper maximises: the mean dev UA of a job's runs."""
    return mean(result.dev_ua for result in results)
