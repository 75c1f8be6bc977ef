"""A study's report on W&B: its tables and figures as one run beside the study's own."""

from pathlib import Path
from typing import Any

import pandas as pd

from ser_lightning.config import LoggerConfig
from ser_lightning.files import explain_file
from ser_lightning.identity import digest
from ser_lightning.training.tracking import is_whole, spared, wandb_run


def report_id(study: str) -> str:
    """The id of a study's report on W&B: equal names, equal ids, so that a report replaces the one before."""
    return f"report-{digest(study)}"


def upload_report(logger: LoggerConfig, study: Path) -> list[str]:
    """Log the report that lies in a study's folder, `paths.output`/studies/<name>, if W&B is used; online or offline.

    Its tables (CSV) become tables and its figures (PNG) images. Returns a line on why not all of it is on W&B or on its
    way there, if so.
    """
    if logger.name != "wandb":
        return []
    reason = "W&B failed, see above"
    try:
        whole = _upload(logger, study)
    except Exception as error:
        whole, reason = False, explain_file(error) or f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return [] if whole else [f"the report of {study.name} is complete in {study}, but not on W&B: {reason}"]


def _upload(logger: LoggerConfig, study: Path) -> bool:
    arguments: dict[str, Any] = {"name": study.name, "group": study.name, "job_type": "report", "tags": ["report"]}
    with wandb_run(logger, str(study.parent.parent), report_id(study.name), resume=False, **arguments) as run:
        if run is not None:
            import wandb

            tables, figures = report_keys(study)
            contents = {name: pd.read_csv(file) for name, file in tables.items()}
            with spared(run):
                run.log({name: wandb.Table(dataframe=table) for name, table in contents.items()}, commit=False)
                run.log({name: wandb.Image(str(file)) for name, file in figures.items()})
    return is_whole(run)


def report_keys(study: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """What the tables and the figures of a study's report are called on W&B, and the files in which they are."""
    tables, figures = sorted(study.glob("tables/*.csv")), sorted(study.glob("figures/*.png"))
    # A table and a figure may share their name.
    return {f"table/{file.stem}": file for file in tables}, {f"figure/{file.stem}": file for file in figures}
