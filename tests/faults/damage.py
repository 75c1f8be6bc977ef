"""What can happen to a file on a disk: flipped bits, cuts, other content, or something else in its place."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Damage = Callable[[Path, random.Random], str]


def flip(file: Path, draws: random.Random) -> str:
    """Turns one bit."""
    content = bytearray(file.read_bytes())
    place, bit = draws.randrange(len(content)), draws.randrange(8)
    content[place] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {place} turned"


def cut(file: Path, draws: random.Random) -> str:
    """Takes the end away, or all."""
    size = draws.choice([0, draws.randrange(file.stat().st_size)])
    os.truncate(file, size)
    return f"cut to {size} bytes"


def lengthen(file: Path, draws: random.Random) -> str:
    """Adds bytes."""
    more = draws.choice([b"\n", b"\0" * 64, b"}", b"more\xff"])
    with file.open("ab") as opened:
        opened.write(more)
    return f"{more[:5]!r} added"


def blank(file: Path, draws: random.Random) -> str:
    """Zeros in place of a block, as after a power cut."""
    content = bytearray(file.read_bytes())
    begin = draws.randrange(len(content))
    end = min(len(content), begin + draws.choice([16, 512, 4096]))
    content[begin:end] = bytes(end - begin)
    file.write_bytes(content)
    return f"bytes {begin} to {end} are zeros"


def digit(file: Path, draws: random.Random) -> str:
    """Another digit in place of one, as of an edit by hand: text stays text."""
    content = bytearray(file.read_bytes())
    digits = [place for place, byte in enumerate(content) if 48 <= byte <= 57]
    if not digits:
        return flip(file, draws)
    place = draws.choice(digits)
    content[place] = 48 + (content[place] - 48 + draws.randrange(1, 10)) % 10
    file.write_bytes(content)
    return f"another digit in byte {place}"


def replace(file: Path, draws: random.Random) -> str:
    """Other content."""
    content = draws.choice(
        [b"\xff\xfe\x00", b"null", b"[]", b'{"a": 1}', b"[" * 100_000, "gr\xfc\xdfe".encode("latin-1")]
    )
    file.write_bytes(content)
    return f"{content[:8]!r} in its place"


def remove(file: Path, draws: random.Random) -> str:
    """Nothing is left."""
    file.unlink()
    return "removed"


def obstruct(file: Path, draws: random.Random) -> str:
    """Something in its place that is no file."""
    file.unlink()
    kind = draws.choice(["folder", "pipe", "loop of links", "link to nothing"])
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to(file if kind == "loop of links" else file.with_name("nothing"))
    return f"a {kind} in its place"


def mistake(other: Path) -> Damage:
    """Another file in its place."""

    def exchange(file: Path, draws: random.Random) -> str:
        file.write_bytes(other.read_bytes())
        return f"{other.parent.name}/{other.name} in its place"

    return exchange


DAMAGES: tuple[Damage, ...] = (flip, flip, flip, cut, lengthen, blank, digit, digit, replace, remove, obstruct)


@contextmanager
def damaged(file: Path, damage: Damage, draws: random.Random) -> Iterator[str]:
    """A file that is damaged while this is entered; gives what was done."""
    content, times = file.read_bytes(), file.stat()
    description = damage(file, draws)
    try:
        yield description
    finally:
        if file.is_dir() and not file.is_symlink():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
