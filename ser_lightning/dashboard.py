"""A saved W&B workspace for a study: `ser dashboard STUDY`; repeated, it is written anew."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.files import absolute
from ser_lightning.identity import digest
from ser_lightning.invocation import Parser, command_line, end_clearly
from ser_lightning.metrics import METRICS
from ser_lightning.report.upload import report_id, report_keys
from ser_lightning.runs.jobs import Job
from ser_lightning.runs.signature import flat
from ser_lightning.runs.study import add_output_option, find_study, read_current_jobs, read_study
from ser_lightning.runs.varying import Baseline, varying_settings

CURVES = ("dev/ua", "dev/loss", "train/loss", "train/softmax", "train/term", "train/lr")
CENTRES = ("dev/within_classes", "dev/between_classes", "train/center_drift", "train/term_gradient")


def main(arguments: Sequence[str] | None = None) -> None:
    """Save the workspace of a study that was trained with logger=wandb, and print its address.

    Raises `UserError` where there is no such study, no key, no answer, or none of its runs is on W&B.
    """
    options = _parser().parse_args(arguments)
    study = find_study(options.study, absolute(options.output))
    current, _ = read_current_jobs(study)
    jobs = [job for job in current if job.candidate_of is None]
    project = options.project or str(compose(["logger=wandb"]).logger.project)
    print(f"Dashboard: {save(study, jobs, options.entity, project)}")


def build(study: Path, jobs: Sequence[Job], entity: str, project: str) -> Any:
    """The study's workspace: its runs, by their ids, grouped by the settings that differ between its jobs.

    Sections: sensitivity (scores against each number that varies), settings compared, confusion matrices, the
    report, features z, centre loss, curves.
    """
    import wandb_workspaces.reports.v2 as panels
    import wandb_workspaces.workspaces as workspaces

    keys = varying_settings([job.settings for job in jobs])
    scores = {metric.label: panels.SummaryMetric(f"test/{key}") for key, metric in METRICS.items()}
    sensitivity = [
        panels.ScatterPlot(title=f"{name} against {key}", x=panels.Config(key), y=score, running_ymean=True)
        for key in keys
        if is_number(key, jobs)
        for name, score in scores.items()
    ]
    spread: dict[str, Any] = {"groupby_aggfunc": "mean", "groupby_rangefunc": "stderr", "orientation": "v"}
    compared = [
        panels.BarPlot(title=f"{name} by {key}", metrics=[score], groupby=panels.Config(key), **spread)
        for key in keys or read_baseline(study, jobs)
        for name, score in scores.items()
    ]
    tables, figures = report_keys(study)
    report: list[Any] = [panels.WeavePanelSummaryTable(table_name=name) for name in tables]
    report += [panels.MediaBrowser(title=name, media_keys=[name]) for name in figures]
    sections: dict[str, list[Any]] = {
        "Sensitivity": sensitivity,
        "Settings compared": compared,
        "Confusion matrices": [panels.MediaBrowser(title="Test", media_keys=["test/confusion"], num_columns=4)],
        "Report": report,
        "Features z, principal components": [panels.MediaBrowser(media_keys=["features"], num_columns=2)],
        "Centre loss": [panels.LinePlot(title=name, y=[name]) for name in CENTRES],
        "Curves": [panels.LinePlot(title=name, y=[name]) for name in CURVES],
    }
    workspace = workspaces.Workspace(
        entity=entity,
        project=project,
        name=study.name,
        sections=[
            workspaces.Section(name=name, panels=content, is_open=True) for name, content in sections.items() if content
        ],
        runset_settings=workspaces.RunsetSettings(
            filters=[workspaces.Metric("ID").isin(run_ids(study.name, jobs))],
            groupby=[workspaces.Config(key) for key in keys],
        ),
    )
    # The view's name in its address; the same study, the same view.
    workspace._internal_name = f"nw-{digest(study.name)}-v"
    return workspace


def is_number(key: str, jobs: Sequence[Job]) -> bool:
    """Whether a setting is a number in all jobs that have it."""
    tables = [flat(job.settings) for job in jobs]
    values = [table[key] for table in tables if key in table]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def read_baseline(study: Path, jobs: Sequence[Job]) -> list[str]:
    """The dotted keys that the study's baseline sets."""
    return Baseline.read(read_study(study).baseline).keys([job.settings for job in jobs])


def run_ids(study: str, jobs: Sequence[Job]) -> list[str]:
    """The ids on W&B of a study's runs, whichever study trained them first, and of its report."""
    return [*dict.fromkeys(name for job in jobs for name in job.runs), report_id(study)]


def save(study: Path, jobs: Sequence[Job], entity: str | None, project: str) -> str:
    """Send the workspace to W&B, in place of an earlier one of this study, and return its address.

    `entity` None is the account's default.
    """
    import wandb
    import wandb_workspaces.workspaces as workspaces

    _require_key()
    ids = run_ids(study.name, jobs)
    with _refused():
        api = wandb.Api(timeout=30)
        entity = entity or str(api.default_entity)
        count = len(api.runs(f"{entity}/{project}", filters={"name": {"$in": ids}}, per_page=1))
    if not count:
        raise UserError(
            f"none of the runs of {study.name} is on W&B in {entity}/{project}; "
            f"`wandb sync {study.parent.parent}/wandb/offline-run-*` sends those kept offline"
        )
    workspace = build(study, jobs, entity, project)
    with _refused():
        # A ValueError: it is the study's first.
        with suppress(ValueError):
            workspace._internal_id = workspaces.Workspace.from_url(workspace.url)._internal_id
        return workspace.save().url


@contextmanager
def _refused() -> Iterator[None]:
    """Makes one line of whatever W&B's client raises, which has no base class in common."""
    try:
        yield
    except Exception as error:
        raise UserError(f"W&B does not take the dashboard: {str(error).splitlines()[0]}") from error


def _require_key() -> None:
    import wandb

    if os.environ.get("WANDB_MODE", "online") != "online":
        raise UserError(f"a dashboard is made on W&B's server; unset WANDB_MODE={os.environ['WANDB_MODE']}")
    wandb.setup(wandb.Settings(silent=True))
    try:
        accepted = wandb.login(prompt=False, verify=True)
    except wandb.errors.Error as error:
        raise UserError(f"W&B cannot be reached: {str(error).splitlines()[0]}") from error
    if not accepted:
        raise UserError("no W&B key is configured; `wandb login` asks for it")


def _parser() -> Parser:
    parser = Parser(
        prog=command_line("dashboard"),
        description="Save a W&B workspace with a study's sensitivity curves, settings, confusion matrices and report.",
    )
    parser.add_argument("study", help="the study's name or folder")
    parser.add_argument("--project", help="W&B project; default: that of conf/logger/wandb.yaml")
    parser.add_argument("--entity", help="W&B team; default: that of the account")
    add_output_option(parser)
    return parser


def command() -> None:
    """Do what was typed."""
    end_clearly(main)


if __name__ == "__main__":
    command()
