"""What several tests need: a small demo corpus, a folder for output, real speech where it is at hand."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ser_lightning.config import Config, compose
from tests import commands
from tests.inference.trained import recordings, study, trained  # noqa: F401
from tests.installation import TOP, bare, forks, installed, sources, wheel  # noqa: F401

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SHARED = TOP.parent / "shared" / "data"

os.environ["WANDB_MODE"] = "offline"

# Files that take longest, which begin first, so that no process waits in the end for another's long one
LONGEST = ["faults", "own_parts", "reproduce", "ranks", "package", "command", "train", "notebooks", "campaign"]
LONGEST += ["contracts", "loggers", "resume", "run", "export", "predict", "recognizer", "network", "trial"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(autouse=True)
def untouched_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands called in the tests' own process leave variables by which those started later would print tracebacks."""
    for name in ("HYDRA_FULL_ERROR", "PYTHONSAFEPATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def emodb_root() -> Path:
    """All of EmoDB; tests that need it are skipped without it."""
    if not (SHARED / "emodb" / "wav").is_dir():
        pytest.skip("no EmoDB beside the project (shared/data/emodb)")
    return SHARED / "emodb"


@pytest.fixture(scope="session")
def ravdess_root() -> Path:
    """Six speakers of RAVDESS; tests that need it are skipped without it."""
    if not (SHARED / "ravdess").is_dir():
        pytest.skip("no RAVDESS beside the project (shared/data/ravdess)")
    return SHARED / "ravdess"


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium as the system has it; tests that need it are marked `browser`, and skipped without it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here; Debian's package is called chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for outputs that the tests of a session share, so that the demo is made once."""
    return tmp_path_factory.mktemp("outputs")


# Small enough for seconds, large enough that every part of every fold has every class; of each utterance little more
# than the network needs.
SMALL = ["corpus.utterances=120", "features.max_seconds=0.6", "batching.size=4", "trainer.max_steps=6"]
SMALL += ["split.folds=[0]", "logger=csv"]
# To start another process takes longer than all of that
SMALL += ["trainer.workers=1"]


@pytest.fixture
def small(output: Path) -> Callable[..., Config]:
    """Composes a small configuration on the demo."""
    return lambda *overrides: compose([*SMALL, f"paths.output={output}", *overrides])


@pytest.fixture
def run_module(
    tmp_path: Path, output: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs what `python -m ser_lightning.<module> ARGUMENTS` does, in a process of its own, from another folder."""
    printed = tmp_path_factory.mktemp("printed")

    def run(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {"SER_OUTPUT": str(output), "WANDB_MODE": "offline", "COLUMNS": "200", **environment}
        return commands.run(module, arguments, tmp_path, printed, **environment)

    return run
