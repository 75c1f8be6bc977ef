"""The choices of every group: the files of `conf/`, and of ./conf, the user's own, as Hydra gets to know them."""

import base64
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import yaml

from ser_lightning.components.code import UserCode, read_code
from ser_lightning.components.part import CODE, FOREIGN, TARGET
from ser_lightning.components.settings import read_signature
from ser_lightning.components.sources import PACKAGE
from ser_lightning.errors import UserError

CONF = PACKAGE / "conf"

# Groups whose choices are classes
PARTS = ("corpus", "features", "normalise", "augment", "split", "model", "head", "loss", "optimizer", "readout")

# The one of them of which any number may be chosen
SEVERAL = "readout"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads 3e-4 as a number, as Hydra does, and refuses a key that is there twice, as OmegaConf does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


@dataclass(frozen=True)
class Choice:
    """One file of a group.

    Attributes:
        group: its folder, "" for those that are no choices, such as train.yaml.
        name: the file's, without .yaml.
        values: what it says.
        package: where Hydra puts it, if not under its group; where several may be chosen, each has a place of its own.
        folder: the user's folder, for one of their own.
    """

    group: str
    name: str
    values: dict[str, Any]
    package: str | None
    folder: Path | None

    @property
    def target(self) -> str | None:
        """The class that it names."""
        target = self.values.get(TARGET) if self.group in PARTS else None
        return target if isinstance(target, str) else None

    @cached_property
    def complete(self) -> dict[str, Any]:
        """What it says, and the defaults of its class, which must be there to be set on the command line.

        One that cannot be read is complete as it is: whoever chooses it is told then.
        """
        if self.group not in PARTS:
            return self.values
        values = {"name": self.name, **self.values}
        if self.target is None:
            return values
        try:
            values = {**read_signature(self.target, self.folder).defaults, **values}
            code = self.code
        except UserError:
            return values
        return {**values, CODE: code.digest} if code else values

    @cached_property
    def code(self) -> UserCode | None:
        """The user's own code behind it."""
        return read_code(self.target, self.folder) if self.target and self.folder else None


def all_choices() -> list[Choice]:
    """All files of `conf/`, then those of ./conf whose group and name are new."""
    return [*shipped_choices(), *(choice for choice in own_choices() if not _is_shipped(choice))]


def hidden_choices() -> list[Choice]:
    """Files of ./conf that do not count, since there is one of their name in `conf/`."""
    return [choice for choice in own_choices() if _is_shipped(choice)]


def own_choices() -> list[Choice]:
    """The files of ./conf in the folders that `conf/` has too."""
    folder = Path.cwd()
    own = folder / "conf"
    if not own.is_dir() or own.resolve() == CONF.resolve():
        return []
    groups = {choice.group for choice in shipped_choices()} - {""}
    return [choice for group in sorted(groups) for choice in _read(own, sorted((own / group).glob("*.yaml")), folder)]


def _is_shipped(choice: Choice) -> bool:
    return any((choice.group, choice.name) == (other.group, other.name) for other in shipped_choices())


@cache
def shipped_choices() -> list[Choice]:
    """The files of `conf/`."""
    return list(_read(CONF, sorted(CONF.rglob("*.yaml")), None))


def _read(conf: Path, files: Sequence[Path], folder: Path | None) -> Iterator[Choice]:
    for file in files:
        place = file.parent.relative_to(conf).as_posix()
        try:
            text = file.read_text(encoding="utf-8")
            values = yaml.load(text, Loader=_Loader) or {}
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
            raise UserError(f"{file} must hold settings, each a line 'key: value' whose key is a word")
        package = None if folder and place in PARTS else re.match(r"# @package (\S+)", text)
        if place == SEVERAL and "." in file.stem:
            raise UserError(f"{file}: a name is part of its settings' keys; give it one without a dot")
        own = f"{SEVERAL}.{file.stem}" if place == SEVERAL else package and package[1]
        yield Choice("" if place == "." else place, file.stem, values, own, folder)


def own_settings(group: str, name: str) -> set[str]:
    """The keys that a choice of a group has, those of what it is based on (`defaults`) among them; {} of none."""
    choice = next((one for one in all_choices() if (one.group, one.name) == (group, name)), None)
    if choice is None:
        return set()
    bases = [base for base in choice.values.get("defaults") or [] if isinstance(base, str) and base != "_self_"]
    return {*choice.complete, *(key for base in bases for key in own_settings(group, base))} - {"defaults"}


def _common(group: str) -> set[str]:
    """The keys that all choices of a group have, by train.yaml."""
    train = next(choice for choice in shipped_choices() if (choice.group, choice.name) == ("", "train"))
    return set(train.values.get(group, {}))


def register(swept: Mapping[str, Sequence[str]] | None = None) -> None:
    """Put all choices, and the users' own code behind theirs, into Hydra's memory.

    What is edited afterwards changes nothing in a command that is running, nor in the jobs that it has others start.
    Of the user's, what an earlier call put there and is there no more is taken out.

    Args:
        swept: group -> the choices that a sweep goes through. Each gets the settings of the others, marked as such, so
            that a setting that only some of them have can be swept.
    """
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins
    from omegaconf import OmegaConf

    # Plugins put configurations there too when they are first looked for, some under the same names.
    Plugins.instance()
    store = ConfigStore.instance()
    present = all_choices()
    while _replaced:
        folder, file, former = _replaced.pop()
        del folder[file]
        if former is not None:
            folder[file] = former
    for choice in present:
        values = choice.complete
        names = (swept or {}).get(choice.group, [])
        others = {key for name in names for key in own_settings(choice.group, name)} if choice.name in names else set()
        if foreign := sorted(others - own_settings(choice.group, choice.name) - _common(choice.group) - {CODE}):
            values = {**values, **dict.fromkeys(foreign), FOREIGN: foreign}
        file = f"{choice.name}.yaml"
        if choice.folder is None and not foreign:
            if (choice.group, choice.name) in _unchanged:
                continue
            _unchanged.add((choice.group, choice.name))
        else:
            _unchanged.discard((choice.group, choice.name))
        if choice.folder:
            folder = reduce(getitem, choice.group.split("/"), store.repo)
            _replaced.append((folder, file, folder.get(file)))
        store.store(file, OmegaConf.create(values), group=choice.group or None, package=choice.package)
        if CODE in values and (code := choice.code):
            store.store(f"{code.digest}.yaml", OmegaConf.create({"packed": _pack(code)}), group=CODE)


# Group and name of each choice of this package that is in Hydra's memory as it is in its file: to put it there again
# would take a third of what a configuration takes
_unchanged: set[tuple[str, str]] = set()
# Of each choice of the user's in Hydra's memory: its group there, its file, and what had that name before
_replaced: list[tuple[dict[str, Any], str, Any]] = []


def registered_code(digest: str) -> UserCode:
    """The code of this name, as it was when the command began."""
    from hydra.core.config_store import ConfigStore

    node = ConfigStore.instance().load(f"{CODE}/{digest}.yaml").node
    return _unpack(node["packed"])


# As one word: OmegaConf would take what stands in braces for its own.
def _pack(code: UserCode) -> str:
    text = yaml.safe_dump({"files": dict(code.files), "packages": dict(code.packages)})
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _unpack(packed: str) -> UserCode:
    content: Mapping[str, Any] = yaml.safe_load(zlib.decompress(base64.b64decode(packed)))
    return UserCode(content["files"], content["packages"])
