"""The house: each room imports only rooms before it in this list, also inside functions."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ser_lightning

ROOMS = [
    "terminal",
    "errors",
    "identity",
    "files",
    "invocation",
    "contents",
    "crashes",
    "memory",
    "drawing",
    "components",
    "config",
    "metrics",
    "corpora",
    "features",
    "data",
    "models",
    "losses",
    "heads",
    "readouts",
    "runs",
    "training",
    "report",
    "papers",
    "inference",
    "command",
    "train",
    "reproduce",
    "doctor",
    "download",
    "status",
    "dashboard",
    "demo",
    "predict",
    "explore",
    "export",
    "interface",
    "__main__",
]
PACKAGE = Path(ser_lightning.__path__[0])
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ser_lightning."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("ser_lightning."))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_goes_up(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    above = {other for other in imported_rooms(path) if ROOMS.index(other) > ROOMS.index(room)}
    assert not above


def test_what_lies_on_the_disk_is_read_without_torch():
    modules = [f"ser_lightning.runs.{path.stem}" for path in sorted((PACKAGE / "runs").glob("[a-z]*.py"))]
    code = f"import sys, importlib; [importlib.import_module(name) for name in {modules}]; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'ser_lightning.runs.ledger'" in loaded
    assert not {"'torch'", "'lightning'"} & set(loaded.strip("[]\n").split(", "))


def test_a_report_is_made_without_libraries_that_take_longer_to_import_than_it_needs_them():
    code = "import sys, ser_lightning.report.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "matplotlib" in loaded
    assert not {"torch", "lightning", "wandb", "hydra", "sklearn", "scipy.stats", "statsmodels"} & set(loaded)
