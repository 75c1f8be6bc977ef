"""The package as people get it: a wheel, installed where no checkout can be seen; made once per session."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.forked import Forks

TOP = Path(__file__).resolve().parent.parent
OTHERS = ["lightning.pytorch", "hydra", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.svm", "librosa"]
OTHERS += ["matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "rich.table", "pydantic"]


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """A copy of what a wheel is built from: setuptools leaves build/ there, and puts its files into the next wheel."""
    copy = tmp_path_factory.mktemp("sources")
    for name in ("ser_lightning", "conf"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(TOP / name, copy / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, copy)
    return copy


@pytest.fixture(scope="session")
def wheel(sources, tmp_path_factory):
    """Built with this environment's setuptools, so that nothing is downloaded."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, sources)
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """An environment that borrows the packages of this one, but no editable install: its .pth files are not read."""
    return make_environment(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """Such an environment with the wheel."""
    environment = make_environment(tmp_path_factory.mktemp("installed"))
    pip("install", wheel, python=environment / "bin" / "python")
    return environment


@pytest.fixture(scope="session")
def forks(installed):
    """A process of its Python, from which `ser` is forked: of others' packages it has imported what takes longest."""
    return Forks(OTHERS, installed / "bin" / "python", PYTHONPATH="")


def pip(command, *words, python=sys.executable):
    offline = ["--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, command, *offline, *words], check=True)


def make_environment(folder):
    venv.create(folder, symlinks=True)
    (packages(folder) / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def packages(environment):
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))


def environment(**variables):
    """The variables of a command, in a terminal of 200 columns, of a user who has nothing but that environment."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SER_OUTPUT")}
    return {**kept, "COLUMNS": "200", **variables}


def run(words, folder, **variables):
    """A command in a process of its own, to its end."""
    return subprocess.run(words, cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=300)


def run_forked(forks, words, folder, place, **variables):
    """The same in a process that is forked; `place` is a folder for what it says."""
    files = [place / name for name in ("stdout", "stderr")]
    for file in files:
        file.write_text("")
    status = forks.start(words, folder, *files, environment(**variables)).wait()
    return subprocess.CompletedProcess(words, status, *(file.read_text() for file in files))


def contents(folder):
    """Every file below a folder with its bytes; what Python compiled aside."""
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}
