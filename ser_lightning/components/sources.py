"""Where a class is written, found and read without importing it: importing costs seconds, and runs what it imports."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from itertools import chain
from pathlib import Path

from ser_lightning.errors import UserError

PACKAGE = Path(__file__).resolve().parent.parent
PYTHON = Path(ast.__file__).parent


@dataclass(frozen=True)
class Source:
    """A class in its file.

    Attributes:
        target: module.Class.
        file: where the module is written.
        root: the folder from which the module is imported.
        tree: the module.
        node: the class.
    """

    target: str
    file: Path
    root: Path
    tree: ast.Module
    node: ast.ClassDef

    def place(self, node: ast.expr | ast.stmt | ast.arg) -> str:
        """Where something stands, e.g. mine.py:37."""
        return f"{self.file.name}:{node.lineno}"


def find_class(target: str, folder: Path | None = None) -> Source:
    """The class that a `_target_` names: of this package, installed, or of the user's `folder`, looked at last.

    A class that the module imports from another, as packages do in __init__.py, is that other's. Raises `UserError`
    where there is no such module or class, or its file is not Python.
    """
    return _find_class(target, folder, ())


def _find_class(target: str, folder: Path | None, through: tuple[str, ...]) -> Source:
    module, _, name = target.rpartition(".")
    if module == "__main__":
        raise UserError(
            f"_target_={target}: a class of a notebook or prompt is unknown to the processes that train; write it into "
            f"a file beside it, e.g. mine.py, and name it mine.{name}"
        )
    if not module or target.startswith("."):
        raise UserError(f"_target_={target}: name module and class, e.g. mine.{name}")
    refuse_taken(module, folder, f"_target_={target}")
    file, root = find_module(module, folder) or (None, None)
    if file is None and module.split(".")[0] in sys.stdlib_module_names:
        raise UserError(f"_target_={target}: Python itself has a module {module}; give the file another name")
    if file is None or root is None:
        where = f" in {folder}, and none is installed" if folder else ""
        raise UserError(f"_target_={target}: there is no {module.replace('.', '/')}.py{where}")
    tree = parse(file)
    # Of several the last, as Python does
    node = next((item for item in tree.body[::-1] if isinstance(item, ast.ClassDef) and item.name == name), None)
    if node is None and (origin := _imported(tree, module, file, name)) and origin not in through:
        return _find_class(origin, folder, (*through, origin))
    if node is None:
        classes = [item.name for item in tree.body if isinstance(item, ast.ClassDef)]
        listed = ", ".join(classes) or "none"
        raise UserError(f"_target_={target}: {file.relative_to(root)} has no class {name}; it has {listed}")
    return Source(target, file, root, tree, node)


def refuse_taken(module: str, folder: Path | None, asker: str) -> None:
    """Raise where a file of the user's has the name of another module, which every import of that name leads to."""
    top, *rest = module.split(".")
    own = _inside(folder, [top, *rest], folder) if folder is not None else None
    other = installed(top) if own is not None and top not in (PACKAGE.name, *sys.stdlib_module_names) else None
    if own is not None and other is not None and find_module(module, folder) != own:
        raise UserError(f"{asker}: a module {top} is installed; give {own[0].relative_to(own[1])} another name")


def imported_name(source: Source, name: str) -> str:
    """The module.Class that a name, perhaps dotted, stands for in the file of a class."""
    module, (first, *rest) = source.target.rpartition(".")[0], name.split(".")
    if not rest and any(isinstance(item, ast.ClassDef) and item.name == first for item in source.tree.body):
        return f"{module}.{first}"
    return ".".join([_imported(source.tree, module, source.file, first) or first, *rest])


def _imported(tree: ast.Module, module: str, file: Path, name: str) -> str | None:
    """What an import of a file binds to a name: a module, or something in one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return f"{absolute(node, module, file)}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name.split(".")[0]) == name:
                    return alias.name if alias.asname else name
    return None


def absolute(node: ast.ImportFrom, module: str, file: Path) -> str:
    """The module that a `from ... import` in the file of this module names; relative ones begin with dots."""
    if not node.level:
        return node.module or ""
    base = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for _ in range(node.level - 1):
        base = base.rpartition(".")[0]
    return ".".join(filter(None, [base, node.module]))


def find_module(module: str, folder: Path | None = None) -> tuple[Path, Path] | None:
    """The file of a module and the folder it is imported from; None where there is none, or it is built in.

    What is installed comes first, then the user's `folder`, then other folders of Python's path and packages that are
    installed in place: code at work, like that in `folder`.
    """
    top, *rest = module.split(".")
    if top == PACKAGE.name:
        return _inside(PACKAGE, rest, PACKAGE.parent)
    if top in sys.stdlib_module_names:
        return None
    if (spec := installed(top)) is not None:
        return _of_spec(spec, rest)
    if folder is None:
        return None
    roots = [folder, *(Path(entry).absolute() for entry in sys.path if not is_installed(Path(entry)))]
    places = (_inside(root, [top, *rest], root) for root in roots)
    in_place = (_of_spec(spec, rest) for spec in _specs(top))
    return next(filter(None, chain(places, in_place)), None)


def installed(top: str) -> ModuleSpec | None:
    """What an import of this name leads to, were there nothing but what is installed."""
    return next((spec for spec in _specs(top) if is_installed(_origin(spec))), None)


def is_installed(place: Path | None) -> bool:
    """Whether a module that lies there is one that does not change: not at work, nor installed in place."""
    if place is None or place.is_relative_to(PYTHON):
        return True
    return not {"site-packages", "dist-packages"}.isdisjoint(place.parts)


def _specs(top: str) -> Iterator[ModuleSpec]:
    """What the folders of Python's path, and other finders, such as those of editable installs, know by this name."""
    for finder in sys.meta_path:
        # This package's own finds users' copies
        if str(getattr(finder, "__module__", "")).startswith(f"{PACKAGE.name}."):
            continue
        paths = [[entry or str(Path.cwd())] for entry in sys.path] if finder is PathFinder else [None]
        for path in paths:
            spec = finder.find_spec(top, path)
            # A folder without __init__.py has no place of its own
            if spec is not None and (spec.origin or finder is not PathFinder):
                yield spec


def _origin(spec: ModuleSpec) -> Path | None:
    return Path(spec.origin) if spec.has_location and spec.origin else None


def _of_spec(spec: ModuleSpec, rest: list[str]) -> tuple[Path, Path] | None:
    if spec.submodule_search_locations:
        package = Path(next(iter(spec.submodule_search_locations)))
        return _inside(package, rest, package.parent)
    origin = _origin(spec)
    return (origin, origin.parent) if origin is not None and not rest else None


def parse(file: Path) -> ast.Module:
    """A file's syntax tree. Raises `UserError` where it cannot be read or is not Python."""
    try:
        return _parse(file, file.stat().st_mtime_ns)
    except SyntaxError as error:
        raise UserError(f"{file.name}:{error.lineno or 1}: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as UTF-8 ({error})") from error


@cache
def _parse(file: Path, changed: int) -> ast.Module:
    return ast.parse(read_text(file))


def read_text(file: Path) -> str:
    """What a file says, without the mark that some editors begin with."""
    return file.read_text(encoding="utf-8-sig")


def _inside(package: Path, names: list[str], root: Path) -> tuple[Path, Path] | None:
    path = package.joinpath(*names)
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file() and (names or file.name == "__init__.py"):
            return file, root
    return None
