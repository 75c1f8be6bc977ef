"""Where a run's curves go: metrics.csv always, W&B as a view of it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_lightning.config import Config
from ser_lightning.runs.ledger import RunResult

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

log = logging.getLogger(__name__)

# Seconds to wait for W&B's server before a run is kept offline.
PATIENCE = 30


@contextmanager
def run_loggers(
    config: Config, folder: Path, signature: str, tags: list[str], rows: list[dict[str, Any]]
) -> Iterator[list["Logger"]]:
    """The loggers of one run, every one of them closed at the end, whatever happens in between.

    `rows` are those of metrics.csv that were logged before an interruption.
    """
    from lightning.pytorch.loggers import CSVLogger, WandbLogger

    table = CSVLogger(folder.parent, name=folder.name, version="")
    table.experiment.metrics.extend(rows)
    loggers: list[Logger] = [table]
    run = _start_wandb(config, signature, tags) if config.logger.name == "wandb" else None
    if run is not None:
        loggers.append(WandbLogger(experiment=run))
    failed = True
    try:
        yield loggers
        failed = False
    finally:
        for logger in loggers:
            logger.finalize("failed" if failed else "success")
        if run is not None:
            run.finish(exit_code=int(failed))


def log_result(loggers: list["Logger"], result: RunResult) -> None:
    """The test part's confusion matrix as an image, and the final figures, on W&B."""
    from lightning.pytorch.loggers import WandbLogger

    for logger in loggers:
        if isinstance(logger, WandbLogger):
            figure = _confusion_figure(result)
            logger.log_image("test/confusion", [figure])
            figure.clear()
            summary = {"test/ua": result.ua, "test/wa": result.wa, "best/dev_ua": result.dev_ua}
            logger.experiment.summary.update({**summary, "best/step": result.best_step})


def _confusion_figure(result: RunResult) -> Any:
    import torch
    from matplotlib.figure import Figure
    from torchmetrics.classification import MulticlassConfusionMatrix

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    metric = MulticlassConfusionMatrix(len(result.classes))
    metric.plot(torch.tensor(result.confusion), ax=axes, labels=result.classes)
    axes.set_title(f"{result.corpus}{', synthetic demo' if result.synthetic else ''}, fold {result.fold}")
    return figure


def whereabouts(config: Config) -> str | None:
    """Where W&B keeps the runs that it does not send; None where it sends them or is not used."""
    if config.logger.name != "wandb" or _mode() != "offline":
        return None
    folder = Path(config.paths.output) / "wandb"
    return f"W&B runs are kept offline in {folder}; `wandb sync {folder}/offline-run-*` sends them"


def _mode() -> Any:
    """W&B's mode: the user's own choice in $WANDB_MODE, else online if an API key is configured."""
    import wandb

    return os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False, verify=False) else "offline")


def _start_wandb(config: Config, signature: str, tags: list[str]) -> Any:
    """A W&B run of its own: online when a key is configured and the server answers, else offline."""
    import wandb

    mode = _mode()
    # W&B makes its folder below an existing one, or silently takes another.
    Path(config.paths.output, "wandb").mkdir(parents=True, exist_ok=True)
    arguments: dict[str, Any] = {
        "project": config.logger.project,
        "entity": config.logger.entity,
        "dir": config.paths.output,
        "id": signature,
        "name": f"{tags[0]} {signature}",
        "group": config.study.name,
        "job_type": config.split.protocol,
        "tags": tags,
        "config": asdict(config),
        "reinit": "finish_previous",
        "settings": wandb.Settings(silent=True, console="off", init_timeout=PATIENCE),
    }
    if mode == "online":
        try:
            return wandb.init(**arguments, mode="online")
        except wandb.errors.Error as error:
            log.warning("W&B cannot be reached (%s); this and later runs are kept offline", str(error).splitlines()[0])
            os.environ["WANDB_MODE"] = mode = "offline"
    return wandb.init(**arguments, mode=mode)
