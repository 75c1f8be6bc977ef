"""Where a run's curves go: metrics.csv always, W&B as a view of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ser_lightning.config import Config
from ser_lightning.data.splits import Split
from ser_lightning.drawing import STYLE, draw_confusion, draw_features, principal_axes
from ser_lightning.metrics import METRICS, scores
from ser_lightning.runs.ledger import RunResult, feature_values, read_features
from ser_lightning.training.progress import describe_job
from ser_lightning.training.tracking import spared, wandb_run

# Dots per inch of the images: legible on a screen, some 30 kB.
RESOLUTION = 110

# Characters of a tag that W&B takes.
LONGEST = 64


class WandbHistory(WandbLogger):
    """W&B's history with the steps of metrics.csv.

    A step that W&B has already, since the run went on from a checkpoint before it, is not logged again.
    """

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        with spared(self.experiment):
            self.experiment.log(dict(metrics), step=step)


def run_tags(config: Config, split: Split, synthetic: bool) -> list[str]:
    """What names a run on W&B: what sets its job apart in the study, corpus, features, place."""
    tags = [describe_job(config), config.corpus.name, config.features.name, f"repeat {split.repeat}"]
    tags += [f"fold {split.fold}", "synthetic demo" if synthetic else ""]
    return [tag[:LONGEST] for tag in tags if tag]


@contextmanager
def run_loggers(
    config: Config, folder: Path, signature: str, tags: list[str], rows: Sequence[Mapping[str, Any]]
) -> Iterator[list[Logger]]:
    """The loggers of one run, every one of them closed at the end, whatever happens in between.

    Args:
        config: the whole configuration, which W&B is told.
        folder: the run's, for metrics.csv.
        signature: the run's id on W&B.
        tags: what names it there; the first is part of its name.
        rows: the rows of metrics.csv up to the checkpoint from which the run goes on, each with its step.
    """
    table = CSVLogger(folder.parent, name=folder.name, version="")
    if rows:
        table.experiment.metrics.extend(_filled(row) for row in rows)
        table.save()
    loggers: list[Logger] = [table]
    with ExitStack() as stack:
        if config.logger.name == "wandb":
            context = wandb_run(
                config.logger,
                config.paths.output,
                signature,
                # Trained anew, it replaces the former; what goes on adds to its own.
                resume=bool(rows) or not config.rerun,
                name=f"{tags[0]} {signature}",
                group=config.study.name,
                job_type=config.split.name,
                tags=tags,
                config=config.described,
            )
            experiment = stack.enter_context(context)
            if experiment is not None:
                with spared(experiment):
                    history = WandbHistory(experiment=experiment)
                    for row in rows:
                        values = {name: float(value) for name, value in _filled(row).items() if name != "step"}
                        history.log_metrics(values, int(row["step"]))
                    loggers.append(history)
        failed = True
        try:
            yield loggers
            failed = False
        finally:
            for logger in loggers:
                logger.finalize("failed" if failed else "success")


def log_result(loggers: Sequence[Logger], result: RunResult, folder: Path) -> None:
    """The final figures and two images, the test part's confusion matrix and all parts' features, on W&B."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            run = logger.experiment
            facts = {"repeat": result.repeat, "fold": result.fold, "versions": result.versions}
            summary = {f"test/{key}": value for key, value in scores(np.array(result.confusion)).items()}
            with spared(run):
                run.config.update(facts, allow_val_change=True)
                run.summary.update({**summary, "best/dev_ua": result.dev_ua, "best/step": result.best_step})
                figures = {
                    "test/confusion": confusion_figure(result),
                    "features": features_figure(result, read_features(folder)),
                }
                run.log({name: _image(figure) for name, figure in figures.items()})


def confusion_figure(result: RunResult) -> Figure:
    """The test part's confusion matrix, each row in percent of its true class."""
    with matplotlib.rc_context(STYLE):
        figure = Figure((4.0, 4.0), dpi=RESOLUTION)
        axes = figure.add_axes((0.26, 0.19, 0.71, 0.71))
        draw_confusion(axes, np.array(result.confusion), result.classes)
        values = scores(np.array(result.confusion)).items()
        shown = ", ".join(f"{METRICS[key].label} {100 * value:.1f} %" for key, value in values)
        axes.set_title(f"{_subject(result)}\ntest: {shown}")
        return figure


def features_figure(result: RunResult, features: pd.DataFrame) -> Figure:
    """The features z of training, dev and test on the first two principal components of the training part's.

    `features` is a run's table: id, part, label, z_0 ... . One basis and one scale, so that the panels can be compared.
    """
    z = feature_values(features)
    parts, labels = features["part"].to_numpy(), features["label"].to_numpy()
    basis = principal_axes(z[parts == "train"])
    points = basis.transform(z)
    with matplotlib.rc_context(STYLE):
        figure = Figure((8.4, 3.3), dpi=RESOLUTION)
        # Units of z mean nothing, and ticks take longer to draw than all points.
        panels = figure.subplots(1, 3, sharex=True, sharey=True, subplot_kw={"xticks": [], "yticks": []})
        figure.subplots_adjust(left=0.04, right=0.99, bottom=0.1, top=0.82, wspace=0.06)
        for axes, part in zip(panels, ("train", "dev", "test"), strict=True):
            chosen = parts == part
            draw_features(axes, points[chosen], labels[chosen], result.classes)
            axes.set_title(f"{part}, {chosen.sum()} utterances")
            axes.set_xlabel(f"PC 1 of train ({100 * basis.explained_variance_ratio_[0]:.0f} % of variance)")
        panels[0].set_ylabel(f"PC 2 of train ({100 * basis.explained_variance_ratio_[1]:.0f} % of variance)")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="upper right", ncols=len(names), markerscale=1.8)
        figure.suptitle(f"Features z: {_subject(result)}", x=0.04, ha="left", fontsize=9)
        return figure


def _subject(result: RunResult) -> str:
    corpus = f"{result.corpus}{', synthetic' if result.synthetic else ''}"
    return f"{corpus}, {result.protocol} protocol, repetition {result.repeat}, fold {result.fold}"


def _image(figure: Figure) -> Any:
    import wandb
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    with matplotlib.rc_context(STYLE):
        canvas.draw()
    return wandb.Image(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of metrics.csv without its empty cells, which a table of strings has as "" and one of numbers as NaN."""
    return {name: value for name, value in row.items() if value not in ("", None) and value == value}
