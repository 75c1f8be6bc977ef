"""What a part's constructor takes: from the bench by name, and from a person as keyword-only settings."""

import ast
import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union, get_args

from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo

from ser_lightning.components.sources import PACKAGE, Source, find_class, imported_name, is_installed
from ser_lightning.components.validation import STRICT, Text
from ser_lightning.errors import UserError


class _Tuple:
    """`tuple[...]` as a setting's type: YAML and the command line have lists alone."""

    def __class_getitem__(cls, kinds: Any) -> Any:
        return Annotated[tuple[kinds], Field(strict=False)]


# What the annotation of a setting may consist of
NAMES: dict[str, Any] = {
    **{"Annotated": Annotated, "Literal": Literal, "Optional": Optional, "Union": Union, "Field": Field, "Any": Any},
    **{
        "bool": bool,
        "int": int,
        "float": float,
        "str": Text,
        "list": list,
        "dict": dict,
        "tuple": _Tuple,
        "None": None,
    },
    **{"Path": Text, "Sequence": list, "Mapping": dict},
}


@dataclass(frozen=True)
class Signature:
    """The constructor of a part.

    Attributes:
        bench: names of what the bench passes.
        optional: those of `bench` that have a default.
        settings: name -> (type, default), `...` where there is none.
        meanings: name -> what it is, from its Field or the docstring's Args.
        paths: the settings whose type is a path.
        place: where it stands, e.g. mine.py:37.
    """

    bench: tuple[str, ...]
    optional: frozenset[str]
    settings: Mapping[str, tuple[Any, Any]]
    meanings: Mapping[str, str]
    paths: frozenset[str]
    place: str

    @property
    def defaults(self) -> dict[str, Any]:
        """Every setting's default; "???", which is Hydra's sign for a missing value, where it has none."""
        return {name: "???" if default is ... else default for name, (_, default) in self.settings.items()}

    def model(self, name: str) -> type[BaseModel]:
        """The settings as a pydantic model."""
        described = {
            key: (Annotated[kind, Field(description=self.meanings[key])] if key in self.meanings else kind, default)
            for key, (kind, default) in self.settings.items()
        }
        fields: dict[str, Any] = described
        return create_model(name, __config__=STRICT, **fields)


def read_signature(target: str, folder: Path | None = None) -> Signature:
    """The constructor of the class that a `_target_` names, read from its file, inherited ones too.

    Raises `UserError`, with file and line, for a type or default that cannot be read from the file.
    """
    return _shipped(target) if folder is None else _of_class(find_class(target, folder), folder)


@cache
def _shipped(target: str) -> Signature:
    return _of_class(find_class(target), None)


def _of_class(source: Source, folder: Path | None) -> Signature:
    return _constructor(source, folder) or _empty(source)


def _empty(source: Source) -> Signature:
    return Signature((), frozenset(), {}, {}, frozenset(), source.place(source.node))


def _constructor(source: Source, folder: Path | None) -> Signature | None:
    init = next(
        (item for item in source.node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None
    )
    inherited = None if init is not None and init.args.kwarg is None else _of_base(source, folder)
    if init is None:
        return inherited
    base = inherited or _empty(source)
    arguments = init.args.args[1:]
    optional = [argument.arg for argument in arguments[len(arguments) - len(init.args.defaults) :]]
    settings = dict(base.settings)
    paths = set(base.paths)
    for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True):
        settings[argument.arg] = _setting(source, argument, default)
        if argument.annotation is not None and re.search(r"\bPath\b", ast.unparse(argument.annotation)):
            paths.add(argument.arg)
    text = f"{ast.get_docstring(source.node) or ''}\n{ast.get_docstring(init) or ''}"
    described = {name: _description(kind) for name, (kind, _) in settings.items()}
    meanings = {**base.meanings, **dict(_meanings(text)), **{name: text for name, text in described.items() if text}}
    bench = tuple(argument.arg for argument in arguments)
    return Signature(bench, frozenset(optional), settings, meanings, frozenset(paths), source.place(init))


def _of_base(source: Source, folder: Path | None) -> Signature | None:
    """The constructor that a class inherits, from the first base whose file can be found."""
    for base in source.node.bases:
        try:
            parent = find_class(imported_name(source, ast.unparse(base)), folder)
        except UserError:
            # Built in, or not there: the import says so
            continue
        at_work = folder is not None and not is_installed(parent.file)
        if (at_work or parent.root == PACKAGE.parent) and (signature := _constructor(parent, folder)):
            return signature
    return None


def _setting(source: Source, argument: ast.arg, default: ast.expr | None) -> tuple[Any, Any]:
    """Type and default of a setting."""
    kind, value = _kind(source, argument, default), _default(source, default)
    if value is None and kind is not Any and not _is_optional(kind):
        written = ast.unparse(argument.annotation) if argument.annotation else "..."
        raise UserError(
            f"{source.place(argument)}: the default of {argument.arg} is None; its type is then {written} | None"
        )
    return kind, value


def _is_optional(kind: Any) -> bool:
    return kind in (None, type(None)) or (not isinstance(kind, type) and any(map(_is_optional, get_args(kind))))


def _kind(source: Source, argument: ast.arg, default: ast.expr | None) -> Any:
    """The type of a setting; where none is written, that of its default, any number for a number."""
    if argument.annotation is None:
        value = _default(source, default)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return bool if isinstance(value, bool) else Any
        return Text if isinstance(value, str) else float | int
    try:
        code = compile(ast.Expression(_bare(argument.annotation)), source.file.name, "eval")
        return eval(code, {"__builtins__": {}}, NAMES)
    except Exception as error:
        raise UserError(
            f"{source.place(argument)}: the type of {argument.arg} is not understood ({error}); write it with "
            f"{', '.join(name for name in NAMES if name != 'None')}"
        ) from error


def _bare(annotation: ast.expr) -> ast.expr:
    """An annotation without quotes and without the modules that its names are of: Optional for t.Optional."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body

    class Bare(ast.NodeTransformer):
        def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
            return ast.copy_location(ast.Name(node.attr, ast.Load()), node)

    return Bare().visit(copy.deepcopy(annotation))


def _description(kind: Any) -> str | None:
    """What the Field of a type says of it."""
    return next((fact.description for fact in get_args(kind) if isinstance(fact, FieldInfo)), None)


def _default(source: Source, default: ast.expr | None) -> Any:
    if default is None:
        return ...
    if isinstance(default, ast.Name):
        default = _constant(source.tree, default) or default
    try:
        return ast.literal_eval(default)
    except ValueError as error:
        raise UserError(
            f"{source.place(default)}: the default {ast.unparse(default)} must be a plain value, such as 0.1 or 'mean'"
        ) from error


def _constant(tree: ast.Module, name: ast.Name) -> ast.expr | None:
    """What a name stands for where it is written, by the assignments of the module before that."""
    value = None
    for item in tree.body:
        if isinstance(item, ast.Assign | ast.AnnAssign) and item.lineno < name.lineno:
            goals = item.targets if isinstance(item, ast.Assign) else [item.target]
            if any(isinstance(goal, ast.Name) and goal.id == name.id for goal in goals):
                value = item.value
    return value


def _meanings(docstring: str) -> Iterator[tuple[str, str]]:
    """Name and meaning of each entry below "Args:", as one line."""
    _, _, entries = docstring.partition("Args:\n")
    block = re.split(r"\n\s*\n|\n(?=\S)", entries)[0]
    for entry in re.finditer(r"^ {4}([\w, ]+): (.*(?:\n {5,}.*)*)", block, re.MULTILINE):
        for name in entry[1].split(","):
            yield name.strip(), " ".join(entry[2].split()).rstrip(".")
