"""What all commands share: from the command line to a checked configuration, and from an error to one clear line."""

import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any

from ser_lightning.config import CONF, Config, check, nearest_key, remember_conf
from ser_lightning.errors import UserError, stop
from ser_lightning.files import no_space

# Paths and the study's own name do not name a study: the same sweep on another disk is the same sweep.
_NOT_IN_STUDY_NAME = ("paths.", "study", "logger", "hydra", "corpus.root", "corpus.table")


def run_command(main: Callable[[Config], Any], config_name: str) -> None:
    """Compose `conf/<config_name>.yaml` with the command line and call `main` with it, once per job of a sweep.

    An error that the user can mend ends as one line on stderr and exit status 1; anything else as a traceback.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    def job(composed: Any) -> Any:
        try:
            return main(check(composed))
        except UserError as error:
            # In a sweep, what `main` lets through is to stop the other jobs too: Hydra would go on with them.
            stop(error)
        except OSError as error:
            if no_space(error):
                stop(_full(error))
            raise

    debugging = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach the lines below instead of Hydra's own printing
    overrides = [word for word in sys.argv[1:] if "=" in word and not word.startswith("-")]
    if config_name == "train" and not any(word.startswith("study") for word in overrides):
        sys.argv.append(f"study.name={study_name(overrides)}")
    signal.signal(signal.SIGTERM, _terminate)
    remember_conf()
    try:
        hydra.main(version_base="1.3", config_path=None, config_name=config_name)(job)()
    except KeyboardInterrupt:
        stop("interrupted; the same command goes on from there", status=130)
    except UserError as error:
        stop(error)
    except (HydraException, OmegaConfBaseException) as error:
        if debugging:
            raise
        stop(explain(error))
    except OSError as error:
        if no_space(error):
            stop(_full(error))
        raise


def _terminate(number: int, frame: Any) -> None:
    """At SIGTERM, end as at Ctrl-C: worker processes end too, loggers are closed."""
    sys.exit(128 + number)


def _full(error: OSError) -> str:
    where = f" while writing {error.filename}" if error.filename else ""
    return f"the disk is full{where}; free some space and give the same command again: what is finished is kept"


def study_name(overrides: list[str]) -> str:
    """A folder name that tells the command line: equal commands, in whatever order, share a study.

    >>> study_name(["loss.lam=0,0.5", "corpus.root=/data/emodb", "corpus=emodb"])
    'corpus-emodb_loss.lam-0-0.5'
    """
    from ser_lightning.identity import digest

    telling = sorted(word for word in overrides if not word.lstrip("+~").startswith(_NOT_IN_STUDY_NAME))
    name = "_".join(re.sub(r"[^A-Za-z0-9._]+", "-", word).strip("-") for word in telling) or "default"
    return name if len(name) <= 80 else f"{name[:60]}-{digest(telling)}"


def explain(error: Exception) -> str:
    """Hydra's and OmegaConf's errors in one line, with the key that was probably meant."""
    from hydra.errors import OverrideParseException

    text = str(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read; quote a value with brackets, commas or the like: \"key='value'\""
    unknown = re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' is not in struct", text)
    if unknown:
        close = nearest_key(unknown.group(1))
        if close == unknown.group(1):
            group = unknown.group(1).split(".")[0]
            return f"{close} is not a setting of the {group} that was chosen"
        return f"{unknown.group(1)} is not a setting" + (f"; did you mean {close}?" if close else "")
    absent = re.search(r"Could not find '(\w+)/([^']+)'", text)
    if absent:
        group, name = absent.groups()
        choices = ", ".join(sorted(file.stem for file in (CONF / group).glob("*.yaml")))
        return f"there is no {group}={name}; choose one of {choices}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(line for line in lines if not line.startswith("Set the environment variable"))
