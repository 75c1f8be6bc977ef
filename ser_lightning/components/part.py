"""A part that was chosen: its class, by name, and its checked settings."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, Field

from ser_lightning.components.code import describe, import_class
from ser_lightning.components.settings import Signature, read_signature
from ser_lightning.components.sources import find_class
from ser_lightning.components.validation import STRICT, Text, validate
from ser_lightning.errors import UserError

# What stands in a composed configuration beside the settings: the class, what names a user's own code, and the settings
# of other choices of a sweep
TARGET, CODE, FOREIGN = "_target_", "_code_", "_foreign_"
# `code` is what names a user's code beside the settings in a run's signature
RESERVED = (TARGET, CODE, FOREIGN, "code")


class Part(BaseModel):
    """What `conf/<group>/<name>.yaml` and the command line say of one part; subclasses add what a group has in common.

    Attributes:
        group: as on the command line.
        bench: what the bench passes to the constructors of this group, by name.
        target: module.Class.
        own: the constructor's settings, checked.
        takes: what of `bench` the constructor takes.
        paths: the settings that are paths.
        code: names the user's own code that the class is written in; None for others.
        folder: where that code was copied to.
    """

    model_config = STRICT
    group: ClassVar[str]
    bench: ClassVar[tuple[str, ...]] = ()

    name: Annotated[Text, Field(description="what it is called in reports")]
    target: str
    own: dict[str, Any]
    takes: list[str]
    paths: list[str]
    code: str | None = None
    folder: str | None = None

    @classmethod
    def read(cls, values: Mapping[str, Any], folder: Path | None = None, place: str = "") -> Self:
        """The part that a composed configuration describes; a user's own class is looked for in `folder`.

        `place` is where it stands in the configuration, if not under its group.

        Raises `UserError` for a key that is unknown, missing, of the wrong type or out of range, and for a constructor
        that wants what the bench does not have.
        """
        chosen, target = f"{cls.group}={values.get('name')}", values.get(TARGET)
        place = place or cls.group
        if not isinstance(target, str):
            raise UserError(f"{chosen}: its yaml names no class; it needs a line {TARGET}: module.Class")
        signature = read_signature(target, folder)
        takes = cls.wanted(signature, target)
        common = cls.common()
        for key in sorted(signature.settings.keys() & {*common, *RESERVED}):
            raise UserError(
                f"{signature.place}: {target.rpartition('.')[2]} has a setting {key}, which is the bench's own key of "
                f"every {cls.group}; give it another name"
            )
        other = (*common, TARGET, CODE, FOREIGN, *values.get(FOREIGN, []))
        settings = {key: value for key, value in values.items() if key not in other}
        model = signature.model(target.rpartition(".")[2])
        own = validate(model, settings, place, chosen, known=common).model_dump()
        code = values.get(CODE)
        if code and folder is None:
            raise UserError(f"{chosen}: {CODE} names code that is not there")
        facts = {
            "target": target,
            "own": own,
            "takes": takes,
            "paths": sorted(signature.paths),
            "code": code,
            "folder": str(folder) if code else None,
        }
        shared = {key: values[key] for key in common if key in values}
        return validate(cls, {**shared, **facts}, place, chosen)

    @classmethod
    def common(cls) -> list[str]:
        """The keys that all parts of the group have."""
        own = ("target", "own", "takes", "paths", "code", "folder")
        return [name for name in cls.model_fields if name not in own]

    @classmethod
    def wanted(cls, signature: Signature, target: str) -> list[str]:
        """Which of `bench` a constructor takes. Raises `UserError` where it wants more."""
        absent = [name for name in signature.bench if name not in (*cls.bench, *signature.optional)]
        if absent:
            offer = ", ".join(cls.bench) or "nothing"
            raise UserError(
                f"{signature.place}: {target.rpartition('.')[2]} takes {absent[0]}, which is not among what a part of "
                f"this kind is given ({offer}); settings of its own stand behind a *, e.g. *, {absent[0]}: float = 1.0"
            )
        return [name for name in signature.bench if name in cls.bench]

    @property
    def settings(self) -> dict[str, Any]:
        """Name, common keys and the part's own, as they stand in the configuration."""
        shared = self.model_dump(include=set(self.common()))
        return {**shared, **self.own}

    @property
    def content(self) -> dict[str, Any]:
        """The part's own settings, those that are paths by the content of the files: what names made of them need.

        A class whose settings name something else that may change, such as the weights of a network, has a static
        method `pinned(**settings)` that puts its content in the place of its name.
        """
        pinned = getattr(self.load(), "pinned", None)
        with blamed(self):
            own = pinned(**deepcopy(self.own)) if pinned else self.own
        return {key: _content(value) if key in self.paths else value for key, value in own.items()}

    @property
    def place(self) -> str:
        """What messages begin with: 'loss=center', or with the place of a user's own class 'loss=mine: mine.py:12'."""
        chosen = f"{self.group}={self.name}"
        if self.folder is None:
            return chosen
        source = find_class(self.target, Path(self.folder))
        return f"{chosen}: {source.place(source.node)}"

    def load(self) -> Any:
        """The class. Raises `UserError` where its module cannot be imported."""
        return import_class(self.target, self.folder)

    def make(self, **bench: Any) -> Any:
        """The part itself. Raises `UserError`, with file and line, where the constructor of a user's own fails."""
        constructor = self.load()
        with blamed(self):
            # A copy: what a constructor writes into a list of settings must not reach the next one's
            return constructor(**{name: bench[name] for name in self.takes}, **deepcopy(self.own))


def _content(value: Any) -> Any:
    """A name for the content of a file, or of all files of a folder; what leads nowhere stays as it is."""
    if isinstance(value, Mapping):
        return {key: _content(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_content(one) for one in value]
    if not value:
        return value
    place = Path(str(value)).expanduser()
    files = [place] if place.is_file() else sorted(file for file in place.rglob("*") if file.is_file())
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files] or value


@contextmanager
def blamed(*parts: Part) -> Iterator[None]:
    """Makes a `UserError` of what a user's own part raises in this context: which part, where, and what.

    Of several parts the first that is a user's own.
    """
    try:
        yield
    except UserError:
        raise
    # A part that ends the program would end it without a word
    except (Exception, SystemExit) as error:
        own = [part for part in parts if part.folder]
        if not own:
            raise
        raise UserError(f"{own[0].group}={own[0].name}: {describe(error, own[0].folder)}") from error
