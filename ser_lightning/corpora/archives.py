"""Open corpora from their archives: a download that can be interrupted, and a SHA-256 for every file.

pooch starts an interrupted download anew, so the few lines that go on with one are here, on requests.

While a corpus is fetched, all that is unfinished lies in one folder beside the target, `<target>.part/`; the target
appears whole and checked, or not at all. The archives themselves have no known hash and need none: what counts is
that every file in them is the one that the list in `checksums/` names.
"""

import hashlib
import json
import shutil
import stat
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile, ZipInfo

from ser_lightning.corpora.licences import CC0, CC_BY_NC_SA, Licence
from ser_lightning.errors import UserError
from ser_lightning.terminal import console

if TYPE_CHECKING:
    from requests import Response
    from rich.progress import Progress

CHECKSUMS = Path(__file__).parent / "checksums"
LARGEST_UNPACKED = 10 * 10**9  # bytes; several times the largest corpus here, far less than a zip bomb
CHUNK = 1 << 16
CONNECT_AND_READ_TIMEOUT = (10, 60)  # seconds


@dataclass(frozen=True)
class Source:
    """Where the authors of a corpus keep its archive, and what they allow."""

    url: str
    licence: Licence


SOURCES = {
    "emodb": Source("http://emodb.bilderbar.info/download/download.zip", CC0),
    "ravdess": Source("https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1", CC_BY_NC_SA),
}


@dataclass(frozen=True)
class Fetched:
    """A corpus on disk whose listed files are all there and unchanged.

    Attributes:
        listed: how many files the list has.
        unlisted: wav files in the folder that the list does not have, so that nothing is known of them.
        downloaded: False if the corpus was there already.
    """

    listed: int
    unlisted: int
    downloaded: bool


@dataclass(frozen=True)
class _Comparison:
    missing: list[str]
    changed: list[str]
    unlisted: int

    @property
    def complete(self) -> bool:
        return not (self.missing or self.changed)

    def __str__(self) -> str:
        kinds = {"missing": self.missing, "with another SHA-256 than listed": self.changed}
        return ", ".join(
            f"{len(names)} {_files(names)} {kind} ({_first(names)})" for kind, names in kinds.items() if names
        )


class _ArchiveError(UserError):
    """The archive as a whole is of no use: what was downloaded is thrown away."""


def read_checksums(corpus: str) -> dict[str, str]:
    """The SHA-256 of a corpus's files by their paths in it, as far as the package has them."""
    lines = (CHECKSUMS / f"{corpus}.sha256").read_text().splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if not line.startswith("#"))
    return {name: digest for digest, name in pairs}


def fetch(corpus: str, url: str, target: Path, checksums: Mapping[str, str]) -> Fetched:
    """Bring a corpus to the folder `target`, unless it is there already.

    An interrupted download is kept in `<target>.part/`, and the same call goes on with it.

    Args:
        corpus: its name, for messages.
        url: the address of a zip archive; the corpus may lie in a folder of it.
        target: absent, empty, or the complete corpus.
        checksums: the SHA-256 that each file must have, by its path below `target`.

    Raises `UserError` if the target is something else, if the server cannot be reached or breaks off, and if the
    archive cannot be read, would write outside its folder, or has not exactly the listed files.
    """
    work = target.with_name(f"{target.name}.part")
    try:
        if target.exists() and not _is_empty_folder(target):
            return Fetched(len(checksums), _compare_existing(corpus, target, checksums).unlisted, downloaded=False)
        work.mkdir(parents=True, exist_ok=True)
        _download(url, work / "archive.zip")
        comparison = _unpack_and_place(url, work, target, checksums)
    except _ArchiveError:
        _discard(work)
        raise
    except OSError as error:
        raise UserError(f"{error.filename or target}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # not empty: there is something to go on from
            work.rmdir()
    _discard(work)
    return Fetched(len(checksums), comparison.unlisted, downloaded=True)


def _compare_existing(corpus: str, target: Path, checksums: Mapping[str, str]) -> _Comparison:
    comparison = _compare(target, checksums)
    if not comparison.complete:
        raise UserError(
            f"{target} is there but not the whole of {corpus}: {comparison}; "
            "move it away, or name a folder that does not exist yet with --to"
        )
    return comparison


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _discard(work: Path) -> None:
    for file in (work / "archive.zip", work / "archive.json"):
        file.unlink(missing_ok=True)
    shutil.rmtree(work / "unpacked", ignore_errors=True)
    with suppress(OSError):  # absent, or holds what is not ours
        work.rmdir()


def _compare(folder: Path, checksums: Mapping[str, str]) -> _Comparison:
    missing = [name for name in checksums if not (folder / name).is_file()]
    absent = set(missing)
    changed = [name for name in checksums if name not in absent and _sha256(folder / name) != checksums[name]]
    wavs = {path.relative_to(folder).as_posix() for path in folder.rglob("*.wav") if not path.name.startswith("._")}
    return _Comparison(missing, changed, unlisted=len(wavs - set(checksums)))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(names: list[str]) -> str:
    return "file" if len(names) == 1 else "files"


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _download(url: str, archive: Path) -> None:
    """Write what `url` holds to `archive`, or what is still missing of it."""
    from requests import RequestException

    description = archive.with_suffix(".json")
    earlier = _read_description(description, url)
    offset = archive.stat().st_size if earlier and archive.exists() else 0
    if earlier and offset == earlier["size"]:
        return
    with _request(url, offset, earlier.get("version", "")) as response, _progress() as progress:
        if response.status_code == 200:
            offset = 0
            archive.write_bytes(b"")  # before its description changes: never old bytes under a new version
            description.write_text(json.dumps({"url": url, **_describe(response)}))
        size = _describe(response)["size"]
        bar = progress.add_task("download", total=offset + size if size else None, completed=offset)
        try:
            with archive.open("ab") as file:
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    progress.advance(bar, len(chunk))
        except RequestException as error:
            raise UserError(
                f"{url}: the connection broke off after {archive.stat().st_size / 1e6:.1f} MB ({_reason(error)}); "
                "the same command goes on from there"
            ) from error


def _read_description(description: Path, url: str) -> dict:
    """What was said of the archive when its download began; empty if that is no ground to go on from."""
    try:
        content = json.loads(description.read_text())
    except (OSError, ValueError):
        return {}
    return content if content["url"] == url and content["version"] and content["size"] else {}


def _describe(response: "Response") -> dict:
    # A weak ETag may stand for files that differ in some bytes.
    tag = response.headers.get("ETag", "")
    version = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
    return {"version": version, "size": int(response.headers.get("Content-Length", 0))}


def _request(url: str, offset: int, version: str) -> "Response":
    """The server's answer: 206 with the bytes from `offset` on, if it still has that version, else 200 with all."""
    import requests

    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": version}
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=CONNECT_AND_READ_TIMEOUT)
    except (requests.RequestException, ValueError) as error:
        raise UserError(
            f"{url} cannot be reached ({_reason(error)}); name another address of the archive with --from"
        ) from error
    if response.status_code == 200 or (offset and _goes_on(response, offset, version)):
        return response
    response.close()
    if offset:
        return _request(url, 0, "")
    raise UserError(
        f"{url}: the server answers {response.status_code} {response.reason}; "
        "name another address of the archive with --from"
    )


def _goes_on(response: "Response", offset: int, version: str) -> bool:
    begins = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
    return response.status_code == 206 and begins and _describe(response)["version"] in ("", version)


def _reason(error: BaseException) -> str:
    """What the innermost error says: the others wrap it in their own words."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return getattr(error, "strerror", None) or str(error)


def _progress() -> "Progress":
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    terminal = console(stderr=True)
    title = TextColumn("{task.description}", markup=False)
    columns = title, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    return Progress(*columns, console=terminal, disable=not terminal.is_terminal, transient=True)


def _unpack_and_place(url: str, work: Path, target: Path, checksums: Mapping[str, str]) -> _Comparison:
    unpacked = work / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # of a run that was killed
    try:
        _unpack(url, work / "archive.zip", unpacked)
        folder = _corpus_folder(unpacked, checksums)
        comparison = _compare(folder, checksums)
        if not comparison.complete:
            raise _ArchiveError(f"{url} is not the archive that the list was made from: {comparison}; nothing was kept")
        if target.exists():
            target.rmdir()  # empty, and not on every system replaced by another folder
        folder.replace(target)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return comparison


def _unpack(url: str, archive: Path, folder: Path) -> None:
    folder.mkdir()
    try:
        with ZipFile(archive) as zipped, _progress() as progress:
            _refuse_hostile(url, zipped.infolist())
            members = [member for member in zipped.infolist() if not member.is_dir()]
            bar = progress.add_task("unpack  ", total=sum(member.file_size for member in members))
            for member in members:
                path = folder / member.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(member) as packed, path.open("xb") as file:
                    shutil.copyfileobj(packed, file)
                progress.advance(bar, member.file_size)
    # RuntimeError: encrypted; NotImplementedError: a rare compression; an existing file: a name twice
    except (BadZipFile, zlib.error, EOFError, RuntimeError, FileExistsError, NotADirectoryError) as error:
        raise _ArchiveError(
            f"{url} is not a zip archive that can be read ({error}); name another address of it with --from"
        ) from error


def _refuse_hostile(url: str, members: list[ZipInfo]) -> None:
    """Raise `UserError` for a member that would be written outside the folder, and for a size beyond all corpora."""
    for member in members:
        path = PureWindowsPath(member.filename)  # knows both kinds of slashes, and drives
        kind = stat.S_IFMT(member.external_attr >> 16)
        if path.anchor or ".." in path.parts or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "is a link or device" if kind == stat.S_IFLNK else "would leave its folder"
            raise _ArchiveError(f"{url} is refused: its member {member.filename!r} {what}; nothing was kept")
    size = sum(member.file_size for member in members)
    if size > LARGEST_UNPACKED:
        raise _ArchiveError(f"{url} is refused: unpacked it would take {size / 1e9:.0f} GB; nothing was kept")


def _corpus_folder(unpacked: Path, checksums: Mapping[str, str]) -> Path:
    """The folder that the listed paths start from: some archives wrap the corpus in one or two folders."""
    folders = [unpacked, *sorted(path for path in unpacked.rglob("*") if path.is_dir())]
    return max(folders, key=lambda folder: sum((folder / name).is_file() for name in checksums))
