"""Files that are there whole or not at all, so that what is read while it is renewed is the old or the new one."""

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place, then move it there; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process's own, as two of them may write the same file
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
    unfinished.replace(path)
