"""Files that are there whole or not at all, so that what is read while it is renewed is the old or the new one."""

import errno
import os
import socket
from pathlib import Path


def write_whole(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file beside its place and move it there when it is on the disk; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process's own, as two of them, on two machines perhaps, may write the same file
    unfinished = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def no_space(error: BaseException) -> bool:
    """Whether an error says that a disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
