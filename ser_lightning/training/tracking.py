"""W&B: whether it is reached, and how a run there begins and ends. What is logged to it stands elsewhere.

Nothing that goes wrong with W&B ends a training: what cannot be sent is kept in files that `wandb sync` sends later.
"""

import atexit
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_args

from ser_lightning.config import Config, LoggerConfig

log = logging.getLogger(__name__)

# Seconds to wait for W&B's server, at the beginning and at the end of a run.
PATIENCE = 30

# What $WANDB_MODE is where nothing is to be sent.
OFFLINE = ("offline", "dryrun")

# Names the file that the first of a command's processes makes for which W&B fails: the others take it from there.
TROUBLE = "SER_WANDB_TROUBLE"


def whereabouts(config: Config) -> str | None:
    """Where W&B keeps the runs that it does not send; None where it sends them or is not used.

    Asks the server, if a key is configured and $WANDB_MODE says nothing, and settles $WANDB_MODE for this process and
    those it starts, so that none of them has to wait for a server that does not answer.
    """
    if config.logger.name != "wandb":
        return None
    if TROUBLE not in os.environ:
        folder = tempfile.mkdtemp(prefix="ser-wandb-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ[TROUBLE] = str(Path(folder, "told"))
    if _mode() not in OFFLINE:
        return None
    folder = str(Path(config.paths.output) / "wandb")
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
    earlier: list[Path] = []
    threading.excepthook = _end_thread
    try:
        folder = Path(output) / "wandb"
        # W&B makes its folder below an existing one, or silently takes another.
        folder.mkdir(parents=True, exist_ok=True)
        # Else tables would wait for `wandb sync` in the home folder.
        os.environ.setdefault("WANDB_DATA_DIR", str(folder / "data"))
        earlier = list(folder.glob(f"*run-*-{run_id}*"))
        run = _start(resume, project=logger.project, entity=logger.entity, dir=output, id=run_id, **arguments)
    except Exception as error:
        run = None
        _warn_once(f"W&B does not start ({_reason(error)}); curves are in each run's metrics.csv alone")
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
            if not is_whole(run):
                _let_go()


def _end_thread(end: threading.ExceptHookArgs) -> None:
    """Make a warning of what ends a thread of W&B's, which would else print a traceback, perhaps after the command's
    last word."""
    if end.thread is None or not end.thread.name.startswith("wandb"):
        threading.__excepthook__(end)
    else:
        _warn_once(f"a thread of W&B's ended ({_reason(end.exc_value)}); `wandb sync` sends what was not sent")


@contextmanager
def spared(run: Any) -> Iterator[None]:
    """Makes a warning, one for each run, of whatever W&B raises: its errors have no base class in common."""
    try:
        yield
    except Exception as error:
        if run.id not in _lost:
            _lost.add(run.id)
            sync = f"`wandb sync {_folder(run)}` sends what there is"
            _stay_offline(f"{_reason(error)}; run {run.id} is not sent whole: {sync}")


def _folder(run: Any) -> str:
    try:
        return str(Path(run.dir).parent)
    except Exception:
        return "FOLDER"


def is_whole(run: Any) -> bool:
    """Whether a run of `wandb_run` has taken all that was logged, be it online or offline."""
    return run is not None and run.id not in _lost


_lost: set[str] = set()


def _mode() -> str:
    """W&B's mode: $WANDB_MODE, else online if a key is configured and the server takes it."""
    try:
        _settle_mode()
    except Exception as error:
        _stay_offline(_reason(error))
    return os.environ["WANDB_MODE"]


def _settle_mode() -> None:
    import wandb

    # Its telemetry need not tell that a server does not take it
    logging.getLogger("opentelemetry").propagate = False
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
    mode = os.environ.get("WANDB_MODE")
    known = get_args(wandb.Settings.model_fields["mode"].annotation)
    if mode and mode not in known:
        _stay_offline(f"WANDB_MODE={mode} is none of {', '.join(known)}")
    address = os.environ.get("WANDB_BASE_URL")
    try:
        wandb.Settings(base_url=address) if address else None
    except ValueError:
        # W&B would not even start offline
        del os.environ["WANDB_BASE_URL"]
        _stay_offline(f"WANDB_BASE_URL={address} is not the address of a server")
    if _in_trouble() and os.environ.get("WANDB_MODE") in (None, "", "online"):
        os.environ["WANDB_MODE"] = "offline"
    if os.environ.get("WANDB_MODE"):
        return
    os.environ.pop("WANDB_MODE", None)
    # Else it would say who is logged in, and ask the server once more for that.
    _set_up(wandb.Settings(silent=True))
    os.environ["WANDB_MODE"] = "online" if wandb.login(prompt=False, verify=True) else "offline"


def _start(resume: bool, **arguments: Any) -> Any:
    import wandb

    mode: Any = _mode()
    if mode not in OFFLINE:
        try:
            return wandb.init(**arguments, **_settings(), mode=mode, resume="allow" if resume else None)
        except Exception as error:
            _stay_offline(_reason(error))
            _let_go()
    return wandb.init(**arguments, **_settings(), mode="offline")


def _settings() -> dict[str, Any]:
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
    _set_up(settings)
    return {"settings": settings, "reinit": "finish_previous"}


def _set_up(settings: Any) -> None:
    """Give W&B settings, and start its own process without stderr, where it would print a trace when it dies."""
    import wandb
    from wandb.sdk import wandb_setup

    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        # `setup` starts it while it holds a lock that W&B takes once more to report that it does not start
        wandb_setup.singleton().ensure_service()
        wandb.setup(settings)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _let_go() -> None:
    """End W&B's own process, which may be dead, or take the run for one that is going on; the next run starts another.

    At the end of the program it would be waited for, and complain.
    """
    import wandb

    with suppress(Exception, SystemExit):
        wandb.teardown(exit_code=1)


def _stay_offline(reason: str) -> None:
    _warn_once(f"W&B cannot be reached ({reason}). Runs that begin from now on are kept offline.")
    os.environ["WANDB_MODE"] = "offline"


def _warn_once(line: str) -> None:
    """Warn, unless a process of this command has done so."""
    try:
        Path(os.environ[TROUBLE]).open("x").close()
    except FileExistsError:
        return
    except (KeyError, OSError):
        pass
    log.warning("%s", line)


def _in_trouble() -> bool:
    return TROUBLE in os.environ and Path(os.environ[TROUBLE]).exists()


def _reason(error: BaseException | None) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
