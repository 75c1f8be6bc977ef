"""Which code makes a run: the package's version, and a digest of the files that a run's numbers come from."""

import hashlib
import platform
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ser_lightning import __version__
from ser_lightning.runs.ledger import RunResult

PACKAGE = Path(__file__).resolve().parent.parent
# Files and folders of the package, those that exist, whose code decides a run's numbers.
NUMERIC = (
    "corpora",
    "features",
    "data",
    "models",
    "losses",
    "heads",
    "metrics",
    "training",
)
LIBRARIES = ("torch", "lightning", "torchaudio", "numpy")
# What some front ends and read-outs are computed with, where it is installed; a result names them too.
OF_SOME_PARTS = ("librosa", "scikit-learn", "transformers", "opensmile")


@cache
def code_digest(package: Path = PACKAGE) -> str:
    """Twelve hexadecimal digits that name the numeric code, names and bytes of its files, as first read here."""
    content = hashlib.sha256()
    for file in sorted(_numeric_files(package)):
        text = file.read_bytes()
        content.update(f"{file.relative_to(package).as_posix()} {len(text)}\n".encode() + text)
    return content.hexdigest()[:12]


def present_code() -> dict[str, str]:
    """What a result says of the code that made it: version and digest."""
    return {"version": __version__, "digest": code_digest()}


@cache
def present_versions() -> dict[str, str]:
    """The versions of Python, this package and the libraries that a run's numbers depend on, or those of some parts."""
    own = {"python": platform.python_version(), "ser-lightning": __version__}
    return {**own, **{name: version(name) for name in LIBRARIES}, **_versions_of_some_parts()}


def is_current(result: RunResult) -> bool:
    """Whether the present code, with the present libraries, made a run: training it again would give it again.

    Earlier versions did not name those of some parts.
    """
    present = present_versions()
    named = [name for name in OF_SOME_PARTS if name in result.versions]
    return _same_code(result) and all(result.versions.get(name) == present.get(name) for name in (*LIBRARIES, *named))


def describe_other_code(results: Iterable[RunResult]) -> str | None:
    """A line on how many finished runs other code made, or nobody knows which; None where there are none."""
    count = sum(not _same_code(result) for result in results)
    if not count:
        return None
    runs, these = ("1 finished run was", "it") if count == 1 else (f"{count} finished runs were", "them")
    return f"{runs} not made by the present code; rerun=true trains {these} anew"


def _same_code(result: RunResult) -> bool:
    return result.code.get("digest") == code_digest()


def _versions_of_some_parts() -> dict[str, str]:
    versions = {}
    for name in OF_SOME_PARTS:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _numeric_files(package: Path) -> Iterable[Path]:
    for name in NUMERIC:
        yield from (package / name).rglob("*.py")
        if (file := package / f"{name}.py").exists():
            yield file
