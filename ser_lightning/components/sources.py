"""Where a class is written, found and read without importing it: importing costs seconds, and runs what it imports."""

import ast
import sys
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from ser_lightning.errors import UserError

PACKAGE = Path(__file__).resolve().parent.parent


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

    Raises `UserError` where there is no such module or class, or its file is not Python.
    """
    module, _, name = target.rpartition(".")
    if module == "__main__":
        raise UserError(
            f"_target_={target}: a class of a notebook or prompt is unknown to the processes that train; write it into "
            f"a file beside it, e.g. mine.py, and name it mine.{name}"
        )
    if not module:
        raise UserError(f"_target_={target}: name module and class, e.g. mine.{target}")
    file, root = find_module(module, folder) or (None, None)
    if file is None or root is None:
        where = f" in {folder}, and none is installed" if folder else ""
        raise UserError(f"_target_={target}: there is no {module.replace('.', '/')}.py{where}")
    tree = parse(file)
    node = next((item for item in tree.body if isinstance(item, ast.ClassDef) and item.name == name), None)
    if node is None:
        classes = [item.name for item in tree.body if isinstance(item, ast.ClassDef)]
        raise UserError(f"_target_={target}: {file} has no class {name}; it has {', '.join(classes) or 'none'}")
    return Source(target, file, root, tree, node)


def find_module(module: str, folder: Path | None = None) -> tuple[Path, Path] | None:
    """The file of a module and the folder it is imported from; None where there is none, or it is built in.

    What is installed comes before the user's `folder`, as for imports.
    """
    top, *rest = module.split(".")
    if top == PACKAGE.name:
        return _inside(PACKAGE, rest, PACKAGE.parent)
    if top in sys.stdlib_module_names:
        return None
    spec = installed(top, folder)
    if spec is not None and spec.submodule_search_locations:
        package = Path(next(iter(spec.submodule_search_locations)))
        return _inside(package, rest, package.parent)
    if spec is not None and spec.origin:
        return None if rest else (Path(spec.origin), Path(spec.origin).parent)
    return _inside(folder, [top, *rest], folder) if folder is not None else None


def installed(top: str, folder: Path | None) -> ModuleSpec | None:
    """What an import of this name leads to, were there no user's `folder`."""
    here = folder.resolve() if folder is not None else None
    return PathFinder.find_spec(top, [entry for entry in sys.path if Path(entry).resolve() != here])


def parse(file: Path) -> ast.Module:
    """A file's syntax tree. Raises `UserError` where it cannot be read or is not Python."""
    try:
        return _parse(file, file.stat().st_mtime_ns)
    except SyntaxError as error:
        raise UserError(f"{file.name}:{error.lineno}: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read ({error})") from error


@cache
def _parse(file: Path, changed: int) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _inside(package: Path, names: list[str], root: Path) -> tuple[Path, Path] | None:
    path = package.joinpath(*names)
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file() and (names or file.name == "__init__.py"):
            return file, root
    return None
