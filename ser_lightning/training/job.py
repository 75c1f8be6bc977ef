"""Train the planned runs of a job or study, side by side where that is faster, each once."""

import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from ser_lightning.config import Config, job_number, launcher
from ser_lightning.errors import FailedRunsError, NoSpaceError, UserError, ends_the_job
from ser_lightning.memory import keep_memory, release_memory
from ser_lightning.runs.attempt import attempt, reason_for, run_lock
from ser_lightning.runs.damage import Damage, find_damage
from ser_lightning.runs.ledger import READOUTS, RESULT, DamagedRunError, RunResult, read_result, set_aside
from ser_lightning.runs.readouts import read_out
from ser_lightning.training.plan import PlannedRun

if TYPE_CHECKING:
    from ser_lightning.training.progress import StudyProgress

Outcome = TypeVar("Outcome")

log = logging.getLogger(__name__)

# Runs at once on a GPU at most, and bytes of its memory for each; two cores of the CPU go with it.
ON_A_GPU, GPU_MEMORY = 6, 12 * 10**9


@dataclass(frozen=True)
class Failure:
    """A run, or a read-out of a finished one, that failed, and why in a line; the run's folder has the traceback."""

    signature: str
    reason: str
    readout: bool = False


def train_all(
    planned: Sequence[PlannedRun],
    progress: "StudyProgress",
    after_each: Callable[[PlannedRun], None] = lambda run: None,
) -> list[RunResult]:
    """The results of all runs, in order, after training those that are not finished, each once, and their read-outs.

    `after_each` is called with each run that was trained here or failed, while others are being trained.
    Raises `FailedRunsError` if some failed, when all others are finished; with `study.stop_at_failure` at once.
    Raises `NoSpaceError` at once, for a full disk fails them all.
    """
    failures = [*_train(planned, progress, after_each), *_read_out(planned, progress)]
    if failures:
        raise _failed(failures, planned)
    finished = [read_result(run.folder) for run in planned]
    return [result for result in finished if result is not None]


def set_damaged_aside(planned: Sequence[PlannedRun]) -> None:
    """Find the finished runs of which a file is not what was written, and move their folders aside, in a line for each.

    They count as missing then. What a report can do without, as parameters that were deleted, is named only. Raises
    `UserError` where a file cannot be read for another reason.
    """
    for folder in {run.signature: run.folder for run in planned}.values():
        damages = find_damage(folder)
        if any(damage.fatal for damage in damages):
            with run_lock(folder, wait=False) as has_lock:
                # Else another process is at it already
                if has_lock and any(damage.fatal for damage in find_damage(folder)):
                    _set_aside(folder, damages)
            continue
        for damage in damages:
            if damage.file.parent.name == READOUTS:
                damage.file.rename(damage.file.with_suffix(".damaged"))
                log.warning("%s %s; it is computed anew", damage.file, damage.reason)
            elif (folder / RESULT).exists():
                log.warning("%s %s; the run is kept without it", damage.file, damage.reason)


def _set_aside(folder: Path, damages: Sequence[Damage]) -> None:
    place = set_aside(folder)
    reasons = ", ".join(str(damage) for damage in damages if damage.fatal)
    log.warning("%s: %s; the folder is now %s, and the run is trained anew", folder, reasons, place)


def _train(
    planned: Sequence[PlannedRun], progress: "StudyProgress", after_each: Callable[[PlannedRun], None]
) -> list[Failure]:
    """Train what is not finished; returns what failed."""
    missing = list({run.signature: run for run in planned if run.finished is None}.values())
    failures: list[Failure] = []
    # What another process is training at the moment comes last, and is waited for then.
    for wait in (False, True):
        busy = []
        for run, outcome in _side_by_side(missing, partial(train_once, wait=wait)):
            if isinstance(outcome, Failure):
                failures.append(outcome)
                progress.fail(outcome.signature, outcome.reason)
                if run.config.study.stop_at_failure:
                    raise _failed(failures, planned)
            elif outcome is None:
                busy.append(run)
                continue
            else:
                progress.finish(outcome)
            after_each(run)
        missing = busy
    return failures


def _read_out(planned: Sequence[PlannedRun], progress: "StudyProgress") -> list[Failure]:
    """Compute the read-outs that finished runs are asked for and lack; returns what failed."""
    lacking = [(run, names) for run in planned if (names := run.unread) and run.finished]
    unread = {(run.signature, *names.values()): run for run, names in lacking}
    if unread:
        readouts = dict.fromkeys(name for _, names in lacking for name in names)
        progress.console.print(f"Fitting read-outs: {', '.join(readouts)}")
    failures = []
    for run, reasons in _side_by_side(list(unread.values()), _read_out_once):
        failures += [Failure(run.signature, reason, readout=True) for reason in reasons]
        if failures and run.config.study.stop_at_failure:
            raise _failed(failures, planned)
    return failures


def _read_out_once(run: PlannedRun, number: int) -> list[str]:
    return read_out(run.folder, run.config)


def train_once(run: PlannedRun, wait: bool = True, number: int = 0) -> RunResult | Failure | None:
    """Train and test a run, or say why that failed; None without `wait` while another process trains it.

    With `wait`, that process's result is taken. `number` is the run's among those that are trained side by side, which
    share out the devices. Raises `NoSpaceError` on a full disk.
    """
    from ser_lightning.training.run import train_run

    with run_lock(run.folder, wait) as has_lock:
        if not has_lock:
            return None
        # Another process may have finished it, or trained it anew, in the meantime.
        try:
            if run.finished is not None:
                return run.finished
        except DamagedRunError:
            _set_aside(run.folder, find_damage(run.folder))
        if run.config.rerun and (run.folder / RESULT).exists():
            set_aside(run.folder)
        keep_memory(True)
        try:
            with attempt(run.folder, run.config.code) as watch:
                return train_run(run, watch, number)
        except NoSpaceError:
            raise
        except Exception as error:
            if ends_the_job(error):
                raise
            return Failure(run.signature, reason_for(error, run.config.code))
        finally:
            release_memory()


def count_workers(config: Config) -> int:
    """How many runs to train side by side: small networks use two cores better as two runs than as one.

    A GPU waits for a single run's steps to be told: six together get more than twice as much from an H100.
    A job that shares its machine with others of its sweep starts none; a Slurm job has the cores it was given.
    """
    if config.trainer.workers is not None:
        return config.trainer.workers
    import torch

    cores = joblib.cpu_count()
    if launcher() == "SlurmLauncher":
        # the node's cores may all be visible
        cores = min(int(os.environ.get("SLURM_CPUS_PER_TASK", 1)), cores)
    elif launcher():
        return 1
    if config.trainer.accelerator != "cpu" and torch.cuda.is_available():
        sizes = [torch.cuda.get_device_properties(gpu).total_memory for gpu in range(torch.cuda.device_count())]
        fitting = sum(min(ON_A_GPU, size // GPU_MEMORY) for size in sizes)
        return max(1, min(fitting, cores // 2) // config.trainer.devices)
    if config.trainer.accelerator != "cpu" and torch.accelerator.is_available():
        return 1
    return max(1, cores // config.trainer.devices)


def mean_dev_ua(results: list[RunResult]) -> float:
    """What an optimising sweeper maximises: the mean dev UA of a job's runs."""
    return mean(result.dev_ua for result in results)


def _side_by_side(runs: Sequence[PlannedRun], work: Callable[..., Outcome]) -> Iterator[tuple[PlannedRun, Outcome]]:
    """Each run with what `work(run, number=its place among them)` makes of it, as they come."""
    workers = min(count_workers(runs[0].config), len(runs)) if runs else 1
    if workers == 1:
        yield from ((run, work(run, number=job_number())) for run in runs)
        return
    jobs = joblib.Parallel(workers, return_as="generator_unordered", pre_dispatch=workers)
    try:
        with deaf_children(signal.SIGUSR2):
            outcomes = jobs(joblib.delayed(_in_worker)(place, run, work) for place, run in enumerate(runs))
        for place, outcome in outcomes:
            yield runs[place], outcome
    except TerminatedWorkerError as error:
        raise UserError(
            "a process that trained a run was killed, often because memory ran out; the same command goes on, "
            "with trainer.workers=1 if that was it"
        ) from error


def _in_worker(place: int, run: PlannedRun, work: Callable[..., Outcome]) -> tuple[int, Outcome]:
    from ser_lightning.training.ranks import end_with_parent

    end_with_parent()
    return place, work(run, number=place)


@contextmanager
def deaf_children(unheard: signal.Signals) -> Iterator[None]:
    """Processes started in here never hear this signal.

    By SIGUSR2 Slurm tells every process of a job that its time is up; to be requeued is for the job's own alone.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [unheard])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def requeue_undisturbed() -> None:
    """Let the command by which this process has its Slurm job requeued live through that.

    Slurm sends SIGTERM to all processes of a job that it requeues, `scontrol requeue` among them, which may have no
    time to answer; submitit would take its death for a job that cannot be requeued.
    """
    requeue = signal.getsignal(signal.SIGUSR2)
    if not callable(requeue):
        return

    def undisturbed(number: int, frame: FrameType | None) -> None:
        with deaf_children(signal.SIGTERM):
            requeue(number, frame)

    signal.signal(signal.SIGUSR2, undisturbed)


def _failed(failures: Sequence[Failure], planned: Sequence[PlannedRun]) -> FailedRunsError:
    from ser_lightning.training.progress import describe

    names = describe(planned)
    lines = [f"  {names[failure.signature]}: {failure.reason}" for failure in failures]
    readouts = sum(failure.readout for failure in failures)
    counts = [f"{len(failures) - readouts} of {len(names)} runs failed"] * (len(failures) > readouts)
    counts += [f"{readouts} read-out{'s' * (readouts > 1)} of finished runs failed"] * (readouts > 0)
    head = f"{' and '.join(counts)}; the same command tries them again"
    return FailedRunsError("\n".join([head, *lines]))
