"""A user's own code: read once, when a command begins, and kept by its content, so that later edits change nothing."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path
from typing import Any

from ser_lightning.components.sources import (
    PACKAGE,
    absolute,
    find_class,
    find_module,
    installed,
    is_installed,
    parse,
    read_text,
    refuse_taken,
)
from ser_lightning.errors import UserError
from ser_lightning.files import make_folder_once
from ser_lightning.identity import digest


@dataclass(frozen=True)
class UserCode:
    """The files that a part of the user's consists of.

    Attributes:
        files: path in the user's folder -> content.
        packages: what they import that neither Python nor this package brings along -> its version.
    """

    files: Mapping[str, str]
    packages: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Names the code."""
        return digest([sorted(self.files.items()), sorted(self.packages.items())])

    def __or__(self, other: "UserCode") -> "UserCode":
        return UserCode({**self.files, **other.files}, {**self.packages, **other.packages})

    def write(self, cache: Path) -> Path:
        """The folder in `cache` that holds the files, made if it is not there."""
        folder = cache / "code" / self.digest

        def fill(unfinished: Path) -> None:
            for name, content in self.files.items():
                file = unfinished / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content, encoding="utf-8")

        make_folder_once(folder, fill, self._is_in)
        return folder

    def _is_in(self, folder: Path) -> bool:
        """Whether a folder holds the files as they are."""
        files = {folder / name: content.encode() for name, content in self.files.items()}
        return folder.is_dir() and all(file.is_file() and file.read_bytes() == files[file] for file in files)


def read_code(target: str, folder: Path) -> UserCode | None:
    """All files at work, in the user's `folder` or elsewhere, that the class of a `_target_` can reach by imports.

    Of a class that is installed, its version alone; None for this package's, and for what it needs itself. Raises
    `UserError`, with file and line, for an import that leads nowhere.
    """
    source = find_class(target, folder)
    if source.file.is_relative_to(PACKAGE):
        return None
    if is_installed(source.file):
        packages = _version(target.split(".")[0])
        return UserCode({}, packages) if packages else None
    files: dict[str, str] = {}
    packages = {}
    start = target.rpartition(".")[0]
    place = find_module(start, folder)
    waiting = _with_parents(start, place, folder) if place else []
    while waiting:
        module, (file, root) = waiting.pop()
        name = file.relative_to(root).as_posix()
        if name in files:
            continue
        tree = parse(file)
        files[name] = read_text(file)
        for node, imported in _imports(tree, module, file, folder):
            refuse_taken(imported, folder, f"{file.name}:{node.lineno}")
            place, top = find_module(imported, folder), imported.split(".")[0]
            if place is not None and top != PACKAGE.name and not is_installed(place[0]):
                waiting += _with_parents(imported, place, folder)
            elif top in sys.stdlib_module_names or top == PACKAGE.name or installed(top) is not None:
                packages |= _version(top)
            elif not _is_folder(imported, folder) and not _may_be_absent(tree, node):
                raise UserError(
                    f"{file.name}:{node.lineno}: there is no module {imported}, neither beside {source.file.name} nor "
                    "installed"
                )
    return UserCode(files, packages)


def import_class(target: str, folder: str | None) -> Any:
    """The class that a `_target_` names; a user's from the `folder` that `UserCode.write` made.

    Raises `UserError`, with file and line, where the import fails.
    """
    module, _, name = target.rpartition(".")
    if folder is not None:
        _look_in(folder)
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:
        raise UserError(f"_target_={target}: {describe(error, folder)}") from error


def describe(error: BaseException, folder: str | None) -> str:
    """An exception in a line, after its place in a user's own code: 'mine.py:37: ValueError: too small'."""
    return " ".join(f"{place_of(error, folder)}{type(error).__name__}: {error}".split())


def place_of(error: BaseException, folder: str | None) -> str:
    """Where in a user's own code an error was raised, e.g. 'mine.py:37: '; '' where it was not there."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if folder is not None and file.is_relative_to(folder):
            place = f"{file.relative_to(folder)}:{trace.tb_lineno}: "
        trace = trace.tb_next
    return place


class _OwnModules(MetaPathFinder):
    """Finds a user's modules in the folder of their copy, whatever the folder that a command is given in has by now.

    It is asked first, but knows no other names, and `read_code` has seen that nothing installed has these.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.names = {path.stem for path in Path(folder).iterdir()}

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [self.folder]) if path is None and name in self.names else None


def _look_in(folder: str) -> None:
    """Let imports find this folder's modules, and forget those of the same names from elsewhere."""
    present = [finder for finder in sys.meta_path if isinstance(finder, _OwnModules)]
    if any(finder.folder == folder for finder in present):
        return
    own = _OwnModules(folder)
    for finder in present:
        sys.meta_path.remove(finder)
    names = own.names.union(*(finder.names for finder in present))
    for name in [name for name in sys.modules if name.split(".")[0] in names]:
        del sys.modules[name]
    sys.meta_path.insert(0, own)


def _imports(tree: ast.Module, module: str, file: Path, folder: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every import of a module, with the full name of what is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = absolute(node, module, file)
            if node.module:
                yield node, parent
            for alias in node.names:
                # A name may be a module of its own
                if find_module(f"{parent}.{alias.name}".strip("."), folder):
                    yield node, f"{parent}.{alias.name}".strip(".")


def _with_parents(module: str, place: tuple[Path, Path], folder: Path) -> list[tuple[str, tuple[Path, Path]]]:
    """A module and the packages it lies in, whose __init__.py is run before it."""
    parents = [module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1)]
    places = [(parent, find_module(parent, folder)) for parent in parents]
    return [(module, place), *((parent, place) for parent, place in places if place)]


def _is_folder(module: str, folder: Path) -> bool:
    """Whether it is a package without an __init__.py."""
    return folder.joinpath(*module.split(".")).is_dir()


def _version(top: str) -> dict[str, str]:
    """The version of what is installed under this name; nothing for what this package itself needs.

    Those stand in every result, and change no name of a run with shipped parts either.
    """
    if top in sys.stdlib_module_names or top == PACKAGE.name or top in ("torch", "numpy"):
        return {}
    names = _distributions().get(top, [])
    return {name: version(name) for name in names if re.sub(r"[-_.]+", "-", name).lower() not in _needed()}


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


@cache
def _needed() -> set[str]:
    listed = requires("ser-lightning") or []
    return {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", line)[0]).lower() for line in listed if "extra ==" not in line}


def _may_be_absent(tree: ast.Module, node: ast.stmt) -> bool:
    """Whether an import stands in a try, or is for type checkers alone."""
    blocks = [
        block
        for block in ast.walk(tree)
        if isinstance(block, ast.Try)
        or (isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING"))
    ]
    return any(node in ast.walk(item) for block in blocks for item in block.body)
