"""Frames on their way into a store: those of a command that was interrupted are kept for the next."""

import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from ser_lightning.errors import UserError

FRAMES, INDEX, JOURNAL = "frames.npy", "index.npz", "journal.jsonl"


class FrameWriter:
    """Writes the frames of one utterance after the other, and notes each in a journal when they are written.

    In a context; left by an interruption, the folder stays, and a new writer goes on after the last utterance whose
    frames are there whole. A `UserError` removes it, for what a front end has made is then not to be trusted.

    Args:
        folder: where frames and journal lie until they are finished.
        bins: numbers in a frame.
        dtype: their type.
        contents: id -> hash of its recording; what the journal says of another content is not taken.

    Attributes:
        lengths: id -> its frames, in the order in which they were written.
        problems: id -> why there are none.
    """

    def __init__(self, folder: Path, bins: int, dtype: np.dtype, contents: Mapping[str, str]) -> None:
        self.folder, self.bins, self.dtype, self.contents = folder, bins, dtype.newbyteorder("<"), contents
        self.lengths: dict[str, int] = {}
        self.problems: dict[str, str] = {}
        self._sums: list[np.ndarray] = []
        self._squares: list[np.ndarray] = []

    @property
    def known(self) -> set[str]:
        """The utterances that are done with."""
        return {*self.lengths, *self.problems}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        frames = self.folder / FRAMES
        frames.touch()
        self._frames = frames.open("rb+")
        try:
            header = self._write_header(0)
            self._take_over(header)
        except BaseException:
            self._frames.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._frames.close()
        self._journal.close()
        if kind is None or issubclass(kind, UserError):
            shutil.rmtree(self.folder)

    def add(self, name: str, frames: np.ndarray | str) -> None:
        """Write the frames [frames, bins] of an utterance, or the reason why there are none."""
        if isinstance(frames, str):
            self.problems[name] = frames
            self._note([name, self.contents[name], frames, 0])
            return
        content = np.ascontiguousarray(frames, dtype=self.dtype).tobytes()
        self._frames.write(content)
        self._frames.flush()
        self._count(name, frames)
        self._note([name, self.contents[name], len(frames), zlib.crc32(content)])

    def finish(self, folder: Path) -> None:
        """Move the frames, with their index, into the folder of a store."""
        self._write_header(sum(self.lengths.values()))
        shape = (len(self.lengths), self.bins)
        np.savez(
            folder / INDEX,
            ids=np.array([*self.lengths], dtype=str),
            offsets=np.cumsum([0, *self.lengths.values()], dtype=np.int64),
            sums=np.array(self._sums).reshape(shape),
            squares=np.array(self._squares).reshape(shape),
        )
        self._frames.flush()
        (self.folder / FRAMES).rename(folder / FRAMES)

    def _take_over(self, header: int) -> None:
        """Go on where the journal ends, or where it no longer fits the frames."""
        end, lines = header, []
        for entry in _entries(self.folder / JOURNAL):
            name, content, length, checksum = entry
            if self.contents.get(name) != content or name in self.lengths or name in self.problems:
                break
            if isinstance(length, str):
                self.problems[name] = length
            else:
                size = length * self.bins * self.dtype.itemsize
                written = self._frames.read(size)
                if len(written) < size or zlib.crc32(written) != checksum:
                    break
                self._count(name, np.frombuffer(written, self.dtype).reshape(length, self.bins))
                end += size
            lines.append(json.dumps(entry))
        self._frames.seek(end)
        self._frames.truncate()
        self._journal: IO[str] = (self.folder / JOURNAL).open("w", encoding="utf-8")
        self._journal.writelines(f"{line}\n" for line in lines)
        self._journal.flush()

    def _count(self, name: str, frames: np.ndarray) -> None:
        wide = frames.astype(np.float64)
        self.lengths[name] = len(frames)
        self._sums.append(wide.sum(axis=0))
        self._squares.append((wide**2).sum(axis=0))

    def _note(self, entry: list[Any]) -> None:
        self._journal.write(f"{json.dumps(entry)}\n")
        self._journal.flush()

    def _write_header(self, frames: int) -> int:
        """At the file's start; NumPy pads it so that the number of rows can grow without moving the data. Its size."""
        self._frames.seek(0)
        description = {"descr": self.dtype.str, "fortran_order": False, "shape": (frames, self.bins)}
        np.lib.format.write_array_header_1_0(self._frames, description)
        size = self._frames.tell()
        if frames:
            self._frames.seek(0, os.SEEK_END)
        return size


def _entries(journal: Path) -> Iterator[list[Any]]:
    """What a journal says, up to its first line that is not whole."""
    if not journal.exists():
        return
    for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if not (isinstance(entry, list) and len(entry) == 4):
            return
        yield entry
