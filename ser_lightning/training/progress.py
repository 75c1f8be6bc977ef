"""One bar over all runs of a job or study, with the time left, and one for each run that is being trained."""

from collections.abc import Sequence
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ser_lightning.errors import UserError
from ser_lightning.metrics import HEADLINE, METRICS
from ser_lightning.runs.attempt import BEAT, read_attempt
from ser_lightning.runs.jobs import Job, place_name
from ser_lightning.runs.ledger import RunResult
from ser_lightning.runs.signature import settings
from ser_lightning.runs.study import read_jobs, study_folder
from ser_lightning.runs.varying import Baseline, describe_settings, name_parts
from ser_lightning.terminal import console
from ser_lightning.training.tracking import whereabouts

if TYPE_CHECKING:
    from ser_lightning.config import Config
    from ser_lightning.training.plan import PlannedRun


class StudyProgress:
    """A context in which runs are trained: bars in a terminal, and everywhere a line per finished run.

    The bars follow the runs' attempt.json, so that they show what other processes train too.

    Args:
        planned: all runs; those that are finished already do not count.
        note: a line on those, if there is something to say.
    """

    def __init__(self, planned: Sequence["PlannedRun"], note: str | None = None) -> None:
        unique = {run.signature: run for run in planned}
        self._missing = {name: run for name, run in unique.items() if run.finished is None}
        self._names = describe(list(self._missing.values()))
        self._kept, self._done = len(unique) - len(self._missing), 0
        self._note = note
        self._open = dict(self._missing)
        self._tasks: dict[str, TaskID] = {}
        self._ended, self._thread = Event(), Thread(target=self._follow, daemon=True)
        self.console = console()
        self._bars = Progress(
            TextColumn("{task.description:<32}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal or not self._missing,
            transient=True,
            speed_estimate_period=1800,
        )

    def __enter__(self) -> "StudyProgress":
        if self._kept:
            self.console.print(f"{self._kept} of {self._kept + len(self._missing)} runs are finished already")
        if self._note:
            self.console.print(self._note, soft_wrap=True)
        if self._missing and (place := whereabouts(next(iter(self._missing.values())).config)):
            self.console.print(place, soft_wrap=True)
        self._all = self._bars.add_task(self._title(), total=sum(run.cost for run in self._missing.values()))
        self._bars.start()
        if not self._bars.disable:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._bars.stop()

    def finish(self, result: RunResult) -> None:
        """A run is finished: a line about it, and its bar goes.

        It tells how dev was recognised; by the test part nobody should choose a setting, or when to stop.
        """
        score = f"dev {METRICS[HEADLINE].label} {100 * result.dev_ua:5.1f} %"
        self._close(result.signature, f"{score}  {result.seconds:5.0f} s")

    def fail(self, signature: str, reason: str) -> None:
        """A run has failed: a line that says why, and its bar goes."""
        self._close(signature, f"failed: {reason}")

    def _close(self, signature: str, outcome: str) -> None:
        del self._open[signature]
        self._done += 1
        self.console.print(
            f"{self._done:>3}/{len(self._missing)}  {self._names[signature]:<36} {outcome}",
            soft_wrap=True,
        )

    def _follow(self) -> None:
        while not self._ended.wait(BEAT):
            self._update()

    def _update(self) -> None:
        ended = sum(run.cost for name, run in self._missing.items() if name not in self._open)
        under_way = 0
        for name, run in list(self._open.items()):
            last = read_attempt(run.folder)
            if last is None or last.failure is not None:
                continue
            under_way += last.step * run.store.bins
            if last.alive(run.folder):
                self._show(name, run, last.step)
            elif name in self._tasks:
                self._bars.remove_task(self._tasks.pop(name))
        for name in set(self._tasks) - set(self._open):
            self._bars.remove_task(self._tasks.pop(name))
        self._bars.update(self._all, completed=ended + under_way, description=self._title())

    def _show(self, name: str, run: "PlannedRun", step: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(f"  {self._names[name]}", total=run.schedule.max_steps)
        self._bars.update(self._tasks[name], completed=step)

    def _title(self) -> str:
        return f"{self._done} of {len(self._missing)} runs"


def describe(planned: Sequence["PlannedRun"]) -> dict[str, str]:
    """Runs of one study in a few words by their signatures: what varies in it, then where the run belongs.

    E.g. 'log-Mel lambda 0.3 fold 0'; where settings are compared by their names, 'centre: loss.lam=0.3 fold 0'.
    """
    # The runs of a job share their configuration
    jobs = {id(run.config): run.config for run in planned}
    settings = {number: describe_job(config) for number, config in jobs.items()}
    names = _names_by_run(next(iter(jobs.values()))) if jobs else {}
    return {
        run.signature: " ".join(
            [names.get(run.signature) or settings[id(run.config)], place_name(run.split.repeat, run.split.fold)]
        ).strip()
        for run in planned
    }


def _names_by_run(config: "Config") -> dict[str, str]:
    """What the study calls the jobs of its runs; nothing where its settings are not compared by their names."""
    if not config.study.references:
        return {}
    jobs = _read_jobs(config)
    # A candidate says more than the setting that has chosen it
    return {run: job.name for job in sorted(jobs, key=lambda job: job.candidate_of is not None) for run in job.runs}


def describe_job(config: "Config") -> str:
    """What sets a configuration apart in its study, as far as the study's folder tells; its baseline's settings too."""
    baseline = Baseline.read(config.study.baseline)
    return describe_settings(name_parts(settings(config)), [job.settings for job in _read_jobs(config)], baseline)


def _read_jobs(config: "Config") -> list[Job]:
    """The jobs of a configuration's study; none where they cannot be read."""
    try:
        return read_jobs(study_folder(config.paths.output, config.study.name))
    except UserError:
        # The command writes them anew, and says so where it cannot
        return []
