"""Reads W&B's offline files back: records in LevelDB's log format, behind a header of W&B's own."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

HEADER, BLOCK = 7, 32768


@dataclass
class OfflineRun:
    """What `wandb sync` would send of a run; `files` are those saved with it, by path."""

    id: str = ""
    group: str = ""
    job_type: str = ""
    project: str = ""
    name: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    folder: Path = Path()

    def file(self, logged: dict[str, Any]) -> Path:
        """Where the file of a logged image or table lies."""
        return self.folder / "files" / logged["path"]


def offline_runs(output: Path | str) -> list[OfflineRun]:
    """All offline runs below `paths.output`, in the order in which they were begun."""
    return [_read_finished(folder) for folder in sorted(Path(output, "wandb").glob("offline-run-*"))]


def _read_finished(folder: Path, deadline: float = 20) -> OfflineRun:
    """A run whose file is whole: W&B's service closes it shortly after the run's end."""
    started = time.monotonic()
    while (run := _read(folder)).exit_code is None:
        assert time.monotonic() - started < deadline, f"{folder} has no end"
        time.sleep(0.05)
    return run


def _read(folder: Path) -> OfflineRun:
    (file,) = folder.glob("*.wandb")
    run = OfflineRun(folder=folder)
    for content in _contents(file.read_bytes()):
        record = Record.FromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            of = record.run
            run.id, run.group, run.job_type, run.project = of.run_id, of.run_group, of.job_type, of.project
            run.name, run.tags = of.display_name, list(of.tags)
            _set(run.config, of.config.update)
        elif kind == "config":
            _set(run.config, record.config.update)
        elif kind == "history":
            run.history.append({})
            _set(run.history[-1], record.history.item)
        elif kind == "summary":
            _set(run.summary, record.summary.update)
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def _set(values: dict[str, Any], items: Any) -> None:
    for item in items:
        *parents, key = item.nested_key or [item.key]
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = json.loads(item.value_json)


def _contents(data: bytes) -> list[bytes]:
    """The records of a log, put together from their fragments: whole (1), first (2), middle (3), last (4)."""
    assert data[:4] == b":W&B"
    place, found, parts = HEADER, [], b""
    while place + HEADER <= len(data):
        if BLOCK - place % BLOCK < HEADER:
            place += BLOCK - place % BLOCK
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        if kind == 0:
            place += BLOCK - place % BLOCK
            continue
        parts += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):
            found.append(parts)
            parts = b""
    return found
