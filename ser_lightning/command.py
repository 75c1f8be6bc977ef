"""What all commands share: from the command line to a checked configuration, and from an error to one clear line."""

import os
import platform
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ser_lightning.components.groups import PARTS, SEVERAL, hidden_choices, own_settings, register
from ser_lightning.components.sources import PACKAGE
from ser_lightning.config import CLASSES, MERGED, Config, check, choices, known_keys, launcher, nearest_key
from ser_lightning.errors import UserError, stop
from ser_lightning.files import absolute, explain_file
from ser_lightning.invocation import command_line, end_at_sigterm
from ser_lightning.terminal import last_in_worker, lasting_output

# Paths and the study's own name do not name a study: the same sweep on another disk, or trained anew, is the same.
_NOT_IN_STUDY_NAME = ("paths.", "study", "logger", "hydra", "rerun", "corpus.root", "corpus.table")

# Choices of a group that an error names
MOST_NAMED = 4


def run_command(main: Callable[[Config], Any], config_name: str) -> None:
    """Compose `conf/<config_name>.yaml` with the command line and call `main` with it, once per job of a sweep.

    An error that the user can mend ends as one line on stderr and exit status 1; anything else as a traceback.
    """
    with lasting_output():
        if {"-h", "--help"} & set(sys.argv[1:]):
            # Hydra's own takes seconds to list the groups, and does not know what the keys mean
            print(help_text(main))
            return
        _compose_and_call(main, config_name)


def _compose_and_call(main: Callable[[Config], Any], config_name: str) -> None:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    debugging = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach the lines below instead of Hydra's own printing
    # Hydra makes a warning of what a callback raises, and goes on as if nothing had happened
    warnings.filterwarnings("error", "Callback SweepReport")
    end_at_sigterm()
    try:
        _complete(config_name)
        _begin(_job(main, debugging), config_name)
    except KeyboardInterrupt:
        stop("interrupted; the same command goes on from there", status=130)
    except UserError as error:
        stop(error)
    except (HydraException, OmegaConfBaseException) as error:
        if debugging:
            raise
        stop(explain(error))
    except Exception as error:
        message = explain_file(error) or explain_launch(error)
        if debugging or message is None:
            raise
        stop(message)


def _complete(config_name: str) -> None:
    """Make of the command line the one that Hydra is to read."""
    sys.argv[1:] = flags_first(sys.argv[1:])
    _find_home()
    overrides = [word for word in sys.argv[1:] if "=" in word and not word.startswith("-")]
    if config_name == "train":
        for override in study_override(overrides):
            _add(override)
    if any(word.startswith("hydra/launcher=") for word in overrides):
        if not {"-m", "--multirun", "--cfg", "-c", "--info", "-i"} & set(sys.argv):
            stop(f"hydra/launcher is for sweeps: {command_line('train')} -m hydra/launcher=...")
        _add(absolute_output(overrides))


def _begin(job: Callable[[Any], Any], config_name: str) -> None:
    import hydra

    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise UserError("the folder in which the command was given is not there any more; cd to one that is") from error
    if here != PACKAGE.parent:
        # Processes that are started do not look into the user's folder first either, e.g. for random
        os.environ.setdefault("PYTHONSAFEPATH", "1")
    tell_hidden()
    _refuse_no_name(sys.argv[1:])
    register(swept_choices(sys.argv[1:]))
    hydra.main(version_base="1.3", config_path=None, config_name=config_name)(job)()


def _job(main: Callable[[Config], Any], debugging: bool) -> Callable[[Any], Any]:
    """What Hydra calls with the composed configuration of each job, in a process of its launcher."""
    from hydra.core.hydra_config import HydraConfig

    def job(composed: Any) -> Any:
        try:
            if launcher():
                last_in_worker()
                _settle_in(HydraConfig.get().runtime.cwd)
            return main(check(composed, HydraConfig.get().overrides.task))
        except UserError as error:
            # In a sweep, what `main` lets through is to stop the other jobs too: Hydra would go on with them.
            stop(error)
        except OSError as error:
            if debugging or (message := explain_file(error)) is None:
                raise
            stop(message)

    return job


def tell_hidden() -> None:
    """Say which files of ./conf do not count."""
    for choice in hidden_choices():
        place = f"conf/{choice.group}/{choice.name}.yaml"
        reason = f"{choice.group}={choice.name} is this package's own; give the file another name"
        print(f"ser_lightning: {place} is not used, for {reason}", file=sys.stderr)


def _refuse_no_name(arguments: Sequence[str]) -> None:
    """Raise `UserError` for a group whose choice is no name, of which Hydra's own error does not say which, if any."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Sweep
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    for word in arguments:
        group = word.partition("=")[0]
        if "=" not in word or group not in choices():
            continue
        try:
            value = parser.parse_override(word).value()
        except HydraException:
            continue
        names = value if isinstance(value, list) and (value or group == SEVERAL) else [value]
        if not (isinstance(value, Sweep) or all(isinstance(one, str) and one for one in names)):
            none = f"; {group}=[] is none" if group == SEVERAL else ""
            raise UserError(f"{word}: choose one of {', '.join(choices()[group])}{none}")


def help_text(main: Callable[[Config], Any]) -> str:
    """What `--help` of the command of this `main` prints: what it does, its flags, groups and keys."""
    module = sys.modules[main.__module__]
    entry = Path(module.__file__ or "").stem
    typed = command_line(entry)
    meanings = known_keys()
    width = max(map(len, meanings)) + 2
    return "\n".join(
        [
            str(module.__doc__).strip().replace(f"ser {entry}", typed),
            "",
            f"usage: {typed} [FLAG ...] [GROUP=CHOICE ...] [KEY=VALUE ...]",
            "",
            "Flags:",
            *(
                ["  -m                    a sweep: a job for every combination of values with commas"]
                * (entry == "train")
            ),
            "  --cfg job --resolve   print the whole configuration and do nothing",
            "  --hydra-help          further flags",
            "",
            "Groups, files of conf/:",
            *(f"  {group:<22}{' '.join(files)}" for group, files in choices().items()),
            "",
            "Keys; their values stand in conf/:",
            *(f"  {key:<{width}}{meaning}" for key, meaning in meanings.items()),
        ]
    )


def _add(override: str) -> None:
    """Add an override to the command line, beside the others: Hydra's parser wants them all in one place."""
    places = [place for place, word in enumerate(sys.argv) if place and "=" in word and not word.startswith("-")]
    sys.argv.insert(places[0] if places else len(sys.argv), override)


def flags_first(words: Sequence[str]) -> list[str]:
    """A command line with its flags before its overrides, since Hydra's parser wants all overrides in one place.

    Ends the program where a flag is none.

    >>> flags_first(["a=1", "-m", "b=2", "--cfg", "job"])
    ['-m', '--cfg', 'job', 'a=1', 'b=2']
    """
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        stop(f"{message}; settings are written KEY=VALUE, and --help names them and the flags", status=2)

    parser.error = refuse  # type: ignore[method-assign]
    options = parser.parse_intermixed_args(list(words))
    if options.experimental_rerun:
        refuse("--experimental-rerun is not for these commands, of which the same one goes on")
    overrides = options.overrides
    return [*(word for word in words if word not in overrides), *overrides]


def _find_home() -> None:
    """Write ~ in `paths.output` and $SER_OUTPUT out, which Hydra takes for the name of a folder."""
    if not os.environ.get("SER_OUTPUT", "outputs"):
        del os.environ["SER_OUTPUT"]
    if os.environ.get("SER_OUTPUT", "").startswith("~"):
        os.environ["SER_OUTPUT"] = str(absolute(os.environ["SER_OUTPUT"]))
    for place, word in enumerate(sys.argv):
        if re.match("paths.output=['\"]?~", word):
            sys.argv[place] = absolute_output([word])


def absolute_output(overrides: list[str]) -> str:
    """The command's `paths.output` as an override that means the same folder in every process of a sweep.

    >>> absolute_output(["loss.lam=0,0.5", "paths.output=/data/out"])
    "paths.output='/data/out'"
    """
    folders = [word.partition("=")[2].strip("'\"") for word in overrides if word.startswith("paths.output=")]
    folder = absolute(folders[-1] if folders else os.environ.get("SER_OUTPUT", "outputs"))
    quoted = str(folder).replace("'", "\\'")
    return f"paths.output='{quoted}'"


def study_override(overrides: Sequence[str]) -> list[str]:
    """What `train` adds to its overrides: the study's name, unless they name it.

    >>> study_override(["loss.lam=0.3"])
    ['study.name=loss.lam-0.3']
    >>> study_override(["loss.lam=0.3", "study.stop_at_failure=true"])
    ['study.name=loss.lam-0.3']
    >>> study_override(["loss.lam=0.3", "study.name=mine"])
    []
    """
    if any(word.startswith(("study=", "study.name=")) for word in overrides):
        return []
    return [f"study.name={study_name(overrides)}"]


def swept_choices(arguments: Sequence[str]) -> dict[str, list[str]]:
    """The groups of which a sweep goes through several parts, and which; read-outs have keys of their own each.

    >>> swept_choices(["-m", "loss=mine,center", "loss.lam=0,0.1", "corpus=demo"])
    {'loss': ['mine', 'center']}
    >>> swept_choices(["-m", "loss=choice(mine, center)", "features=glob(log*)"])
    {'loss': ['mine', 'center'], 'features': ['logmel', 'logstft']}
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Glob
    from hydra.errors import OverrideParseException

    words = [word for word in arguments if word.partition("=")[0] in {*PARTS} - {SEVERAL}]
    try:
        overrides = OverridesParser.create().parse_overrides(words)
    except OverrideParseException:
        # Hydra says so
        return {}
    swept: dict[str, list[str]] = {}
    for override in overrides:
        value, group = override.value(), override.key_or_group
        if isinstance(value, Glob):
            swept[group] = value.filter(choices()[group])
        elif override.is_choice_sweep():
            swept[group] = list(override.sweep_string_iterator())
    return swept


def study_name(overrides: Sequence[str]) -> str:
    """A folder name that tells the command line: equal commands, in whatever order, share a study.

    >>> study_name(["loss.lam=0,0.5", "corpus.root=/data/emodb", "corpus=emodb"])
    'corpus-emodb_loss.lam-0-0.5'
    """
    from ser_lightning.identity import digest

    words = sorted(word for word in overrides if not word.lstrip("+~").startswith(_NOT_IN_STUDY_NAME))
    name = "_".join(re.sub(r"[^A-Za-z0-9._]+", "-", word).strip("-") for word in words) or "default"
    return name if len(name) <= 80 else f"{name[:60]}-{digest(words)}"


def explain(error: Exception) -> str:
    """Hydra's and OmegaConf's errors in one line, with the key that was probably meant."""
    from hydra.errors import OverrideParseException

    text = str(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read; quote a value with brackets, commas or the like: \"key='value'\""
    unknown = re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' is not in struct", text)
    if unknown:
        if unknown.group(1) == CLASSES:
            return MERGED
        close = nearest_key(unknown.group(1))
        if close is None:
            return f"{unknown.group(1)} is not a setting"
        if close == unknown.group(1) and "." in close:
            group, choice, *_ = close.split(".")
            if group == SEVERAL:
                return f"{close} has no effect without {group}={choice}"
            return f"{close} is not a setting of the {group} that was chosen{_having(close, '; {} has it')}"
        return f"{unknown.group(1)} is not a setting; did you mean {close}{_having(close, ' of {}')}?"
    kept = re.search(r"Could not delete '([^']*)'\. No match in the defaults list", text)
    if kept:
        return f"~{kept.group(1)} leaves out nothing, for no such group was chosen"
    absent = re.search(r"Could not (?:find|load) '([\w/]+)/([^'/]+)'", text)
    if absent:
        group, name = absent.groups()
        if Path("conf", group, f"{name}.yml").is_file():
            return f"there is no {group}={name}; rename conf/{group}/{name}.yml to {name}.yaml"
        if group == "hydra/sweeper":
            return f"hydra/sweeper={name} is not installed: pip install hydra-{name}-sweeper"
        names = choices().get(group) or re.findall(r"^\s+(\S+)$", text.partition("Available options")[2], re.M)
        return f"there is no {group}={name}; choose one of {', '.join(names)}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(line for line in lines if not line.startswith("Set the environment variable"))


def _having(key: str, words: str) -> str:
    """Which choices of a group have a setting, in words; '' where all have it, or too many to name."""
    group, _, name = key.partition(".")
    names = choices().get(group, [])
    having = [f"{group}={choice}" for choice in names if name in own_settings(group, choice)]
    if not having or len(having) == len(names) or len(having) > MOST_NAMED:
        return ""
    return words.format(" or ".join(having))


def explain_launch(error: Exception) -> str | None:
    """What kept Hydra or its launcher from its work, flags or an installation, in one line; None for other errors."""
    text = str(error)
    absent = re.search(r"Unknown plugin class : 'hydra_plugins\.hydra_(\w+)_launcher\.", text)
    if absent and absent.group(1) == "ray":
        return (
            "hydra/launcher=ray: Ray is not installed here; `make ray` makes .venv-ray, which has it beside the rest; "
            "without a clone, install the wheel with its extra [ray] in an environment of its own"
        )
    if absent:
        return f"a part of this installation is missing: pip install hydra-{absent.group(1)}-launcher"
    if 'Could not detect "srun"' in text:
        return "hydra/launcher=slurm: there is no Slurm here (no srun); give the command on a node of the cluster"
    if "timed-out too many times" in text:
        return (
            "a Slurm job was cut off by its time limit once more than hydra.launcher.max_num_timeout allows; raise "
            "that or hydra.launcher.timeout_min: the same command goes on (squeue shows jobs that are still at work)"
        )
    if text.startswith("Only one of --run, "):
        return f"{text}, and not two of them"
    if text.startswith("sbatch: "):
        return f"hydra/launcher=slurm: {' '.join(text.split())}"
    return None


def _settle_in(folder: str) -> None:
    """In a process that a launcher started: relative paths start where the command was given, and no progress bars."""
    from ser_lightning.training.job import requeue_undisturbed
    from ser_lightning.training.ranks import end_with_parent

    try:
        os.chdir(folder)
    except OSError as error:
        raise UserError(
            f"{folder}, where the command was given, cannot be entered on {platform.node()} ({error.strerror}); "
            "jobs on several machines need a file system that all of them have"
        ) from error
    # rich draws bars on what it takes for a terminal; here it belongs to several processes
    os.environ["TTY_COMPATIBLE"] = "0"
    end_with_parent()
    if launcher() == "SlurmLauncher":
        requeue_undisturbed()
