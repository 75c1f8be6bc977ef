"""W&B: whether it is reached, and how a run there begins and ends. What is logged to it stands elsewhere.

Nothing that goes wrong with W&B ends a training: what cannot be sent is kept in files that `wandb sync` sends later.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ser_lightning.config import Config, LoggerConfig

log = logging.getLogger(__name__)

# Seconds to wait for W&B's server, at the beginning and at the end of a run.
PATIENCE = 30

# What $WANDB_MODE is where nothing is to be sent.
OFFLINE = ("offline", "dryrun")


def whereabouts(config: Config) -> str | None:
    """Where W&B keeps the runs that it does not send; None where it sends them or is not used.

    Asks the server, if a key is configured and $WANDB_MODE says nothing, and settles $WANDB_MODE for this process and
    those it starts, so that none of them has to wait for a server that does not answer.
    """
    if config.logger.name != "wandb" or _mode() not in OFFLINE:
        return None
    folder = Path(config.paths.output) / "wandb"
    return f"W&B runs are kept offline in {folder}; `wandb sync {folder}/offline-run-*` sends them"


@contextmanager
def wandb_run(logger: LoggerConfig, output: str, run_id: str, *, resume: bool, **arguments: Any) -> Iterator[Any]:
    """A run on W&B, online or offline, finished at the end, as failed where an exception leaves the context.

    The files of earlier tries go, so that `wandb sync` sends each run once and whole. None where W&B does not start at
    all, of which there is a warning.

    Args:
        logger: project and team.
        output: `paths.output`; W&B's files lie in wandb/ below it.
        run_id: names the run on W&B.
        resume: whether an online run of this id goes on; else it is replaced.
        arguments: further ones of `wandb.init`.
    """
    folder = Path(output) / "wandb"
    # W&B makes its folder below an existing one, or silently takes another.
    folder.mkdir(parents=True, exist_ok=True)
    # Else tables would wait for `wandb sync` in the home folder.
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "data"))
    earlier = list(folder.glob(f"*run-*-{run_id}*"))
    run = _start(resume, project=logger.project, entity=logger.entity, dir=output, id=run_id, **arguments)
    failed = True
    try:
        yield run
        failed = False
    finally:
        if run is not None:
            for old in earlier:
                shutil.rmtree(old, ignore_errors=True)
            with spared(run):
                run.finish(exit_code=int(failed))


@contextmanager
def spared(run: Any) -> Iterator[None]:
    """Makes a warning, one for each run, of what W&B raises: its server does not answer, its own process has ended."""
    import wandb

    try:
        yield
    except (wandb.errors.Error, OSError) as error:
        if run.id not in _lost:
            _lost.add(run.id)
            sync = f"`wandb sync {Path(run.dir).parent}` sends what there is"
            _stay_offline(f"{error or type(error).__name__}; run {run.id} is not sent whole: {sync}")


_lost: set[str] = set()


def _mode() -> Any:
    """W&B's mode: $WANDB_MODE, else online if a key is configured and the server takes it."""
    import wandb

    if "WANDB_MODE" in os.environ:
        return os.environ["WANDB_MODE"]
    # Else it would say who is logged in, and ask the server once more for that.
    wandb.setup(wandb.Settings(silent=True))
    try:
        if not wandb.login(prompt=False, verify=True):
            return "offline"
        os.environ["WANDB_MODE"] = "online"
    except wandb.errors.Error as error:
        _stay_offline(error)
    return os.environ["WANDB_MODE"]


def _start(resume: bool, **arguments: Any) -> Any:
    import wandb

    arguments |= {"settings": _settings(), "reinit": "finish_previous"}
    mode = _mode()
    try:
        if mode not in OFFLINE:
            try:
                return wandb.init(**arguments, mode=mode, resume="allow" if resume else None)
            except wandb.errors.Error as error:
                _stay_offline(error)
        return wandb.init(**arguments, mode="offline")
    except (wandb.errors.Error, OSError) as error:
        log.warning("W&B does not start (%s); the curves of %s are in metrics.csv alone", error, arguments["id"])
        return None


def _settings() -> Any:
    import wandb

    settings = wandb.Settings(
        silent=True,
        console="off",
        init_timeout=PATIENCE,
        finish_timeout=PATIENCE,
        finish_timeout_raises=True,
        # The list of all installed packages takes longer than all the rest; versions stand in the configuration.
        x_save_requirements=False,
        # A run that goes on may lie elsewhere and have newer libraries.
        allow_val_change=True,
    )
    wandb.setup(settings)
    return settings


def _stay_offline(reason: object) -> None:
    first = str(reason).splitlines()[0]
    log.warning("W&B cannot be reached (%s). Runs that begin from now on are kept offline.", first)
    os.environ["WANDB_MODE"] = "offline"
