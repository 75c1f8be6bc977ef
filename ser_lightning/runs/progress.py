"""One bar over all runs of a job or study, with the time left, and one over the steps of the present run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ser_lightning.runs.ledger import RunResult

if TYPE_CHECKING:
    from lightning import Callback

    from ser_lightning.runs.job import PlannedRun


class StudyProgress:
    """A context in which runs are trained. In a terminal two bars; elsewhere a line per finished run.

    Args:
        planned: all runs; the finished ones among them do not count.
    """

    def __init__(self, planned: Sequence["PlannedRun"]) -> None:
        unique = {run.signature: run for run in planned}
        self._missing = [run for run in unique.values() if run.finished is None]
        self._found, self._done = len(unique) - len(self._missing), 0
        self.console = Console()
        self._bars = Progress(
            TextColumn("{task.description:<34}"),
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
        if self._found:
            self.console.print(f"{self._found} of {self._found + len(self._missing)} runs are finished already")
        self._bars.start()
        self._all = self._bars.add_task(self._title(), total=sum(run.cost for run in self._missing))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    @contextmanager
    def run(self, planned: "PlannedRun") -> Iterator["Callback"]:
        """A Lightning callback that moves the bars while this run is trained."""
        task = self._bars.add_task(describe(planned), total=planned.config.trainer.max_steps)
        try:
            yield _step_callback(self._bars, self._all, task, planned)
        finally:
            self._bars.remove_task(task)

    def say(self, planned: "PlannedRun", result: RunResult) -> None:
        """A line about a finished run."""
        self._done += 1
        self._bars.update(self._all, description=self._title())
        self.console.print(
            f"{self._done:>3}/{len(self._missing)}  {describe(planned):<44} "
            f"UA {100 * result.ua:5.1f} %  WA {100 * result.wa:5.1f} %  {result.seconds:5.0f} s",
            highlight=False,
        )

    def _title(self) -> str:
        return f"{self._done} of {len(self._missing)} runs"


def describe(planned: "PlannedRun") -> str:
    """A run in a few words, e.g. 'logmel lam 0.3 alpha 0.5 fold 0'."""
    config, split = planned.config, planned.split
    loss = f"lam {config.loss.lam:g}" + (f" alpha {config.loss.alpha:g}" if config.loss.lam else "")
    repeat = f" repeat {split.repeat}" if split.repeat else ""
    return f"{config.features.name} {loss}{repeat} fold {split.fold}"


def _step_callback(bars: Progress, total: Any, task: Any, planned: "PlannedRun") -> "Callback":
    from lightning import Callback, LightningModule, Trainer

    class Steps(Callback):
        def on_train_batch_end(
            self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            bars.advance(task)
            bars.advance(total, planned.store.bins)

    return Steps()
