"""What the header of a recording promises beside what its file holds; libsndfile reads a cut file without a word."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import soundfile

# Hz, beyond which a header is wrong and resampling asks for gigabytes
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000
# A program that writes to a pipe cannot know a size: it leaves 0, or announces one near the largest
PIPED = 0x7FFFF000
# A file with more has no sound to be found
MOST_CHUNKS = 1000
# No page of Ogg is longer, and what follows the last one is not
LONGEST_PAGE = 65_307
# How a file begins that stands for one that Git LFS has not fetched
LFS = b"version https://git-lfs.github.com/spec/"
# Samples of a FLAC whose header does not say how many: libsndfile's number, or the most that a header can say
UNKNOWN = 2**36 - 1
BLOCK = 2**20

Order = Literal["little", "big"]


class BadHeaderError(Exception):
    """A file that is no recording, or whose header cannot be true; the message says why."""


class Stream(soundfile.SoundFile):
    """A recording that is read from its beginning to its end: in a FLAC of unknown length libsndfile cannot seek."""

    def seekable(self) -> bool:
        return False


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file: why its sound is not all there, or in what its header is merely inexact."""

    truncated: str = ""
    inexact: str = ""


def examine(path: Path) -> Fault:
    """Compare a recording's container with the file that it lies in; what only decoding shows is not seen here."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        for magic, look in LOOKS.items():
            if head.startswith(magic):
                return look(file, size)
    return Fault()


def duration(path: Path) -> float:
    """The length of a recording in seconds, as its header says, or as it is where the header does not.

    Raises `BadHeaderError`.
    """
    try:
        with Stream(str(path)) as file:
            refuse_other_rates(file.samplerate)
            samples = file.frames if file.frames < UNKNOWN else _count(file)
            if not samples and path.stat().st_size > 2**12:
                raise BadHeaderError("its header announces no samples, and there are bytes behind it; write it anew")
            return samples / file.samplerate
    # TypeError: of a name that ends in .raw
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise BadHeaderError(_unreadable(path, error)) from error


def refuse_other_rates(rate: int) -> None:
    """Raise `BadHeaderError` for a sample rate in Hz that no recording has."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise BadHeaderError(
            f"its header says {rate} samples per second, and {LOWEST_RATE} to {HIGHEST_RATE} can be read"
        )


def _unreadable(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        head = file.read(len(LFS))
    if not head:
        return "the file is empty"
    if head == LFS:
        return "a Git LFS pointer, not the recording itself; fetch it by: git lfs pull"
    return f"not readable as audio ({str(error).split(': ')[-1].rstrip('.')})"


def _count(file: Stream) -> int:
    """How many samples can be read."""
    samples = 0
    while block := len(file.read(BLOCK)):
        samples += block
    return samples


def mpeg_samples(path: Path) -> tuple[int, int] | None:
    """Samples of an MP3 by its Xing, Info or VBRI header, 0 without one, and by its frames; None for another file."""
    content = path.read_bytes()
    place = _after_tags(content)
    header = _mpeg_header(content, place)
    if header is None:
        return None
    length, samples = header
    announced = _announced_frames(content[place : place + length])
    if announced:
        place += length
    count = 0
    while (header := _mpeg_header(content, place)) and place + header[0] <= len(content):
        place, count = place + header[0], count + 1
    return announced * samples, count * samples


def _chunks(file: BinaryIO, start: int, size: int, order: Order) -> Iterator[tuple[bytes, int, int]]:
    """(name, place of its content, bytes announced) of each chunk of RIFF or AIFF."""
    place = start
    for _ in range(MOST_CHUNKS):
        if place + 8 > size:
            return
        file.seek(place)
        name, announced = file.read(4), int.from_bytes(file.read(4), order)
        yield name, place + 8, announced
        place += 8 + announced + announced % 2


def _form(sound: bytes, order: Order, wide: bool = False) -> Callable[[BinaryIO, int], Fault]:
    """Looks at a file of chunks; `sound` names the one with the samples, `wide` says that RF64 gives 64 bits."""

    def look(file: BinaryIO, size: int) -> Fault:
        file.seek(4)
        whole = int.from_bytes(file.read(4), order)
        long = 0
        for name, place, announced in _chunks(file, 12, size, order):
            if wide and name == b"ds64":
                file.seek(place)
                whole, long = (int.from_bytes(file.read(8), "little") for _ in range(2))
            if name == sound:
                samples = long if wide and announced == 0xFFFFFFFF else announced
                return _compare(size, place, samples, whole + 8, limit=2**63 if wide else PIPED)
        # No sound at all in what there is
        return _compare(size, 8, whole, whole + 8, limit=2**63 if wide else PIPED)

    return look


def _au(order: Order) -> Callable[[BinaryIO, int], Fault]:
    def look(file: BinaryIO, size: int) -> Fault:
        file.seek(4)
        place, announced = (int.from_bytes(file.read(4), order) for _ in range(2))
        return _compare(size, place, announced)

    return look


def _w64(file: BinaryIO, size: int) -> Fault:
    file.seek(16)
    whole = int.from_bytes(file.read(8), "little")
    place = 40
    for _ in range(MOST_CHUNKS):
        if place + 24 > size:
            break
        file.seek(place)
        name, announced = file.read(16), int.from_bytes(file.read(8), "little")
        if name.startswith(b"data"):
            return _compare(size, place + 24, max(0, announced - 24), whole, limit=2**63)
        place += max(24, announced + -announced % 8)
    return _compare(size, 0, whole, limit=2**63)


def _nist(file: BinaryIO, size: int) -> Fault:
    file.seek(0)
    lines = file.read(1024).decode("latin-1").split("\n")
    entries = {words[0]: words[2] for words in map(str.split, lines) if len(words) > 2}
    try:
        start, count = int(lines[1]), int(entries["sample_count"])
        width = int(entries.get("sample_n_bytes", "1")) * int(entries.get("channel_count", "1"))
    except (KeyError, ValueError, IndexError):
        return Fault()
    # Shortened sound has fewer bytes by its nature
    coding = entries.get("sample_coding", "pcm")
    return Fault() if "," in coding else _compare(size, start, count * width)


def _ogg(file: BinaryIO, size: int) -> Fault:
    """Whether the last page is whole and says that it is the last."""
    file.seek(max(0, size - 2 * LONGEST_PAGE))
    content = file.read()
    place = content.rfind(b"OggS\0")
    segments = content[place + 26] if 0 <= place < len(content) - 26 else 0
    table = content[place + 27 : place + 27 + segments]
    end = place + 27 + segments + sum(table)
    if place < 0 or len(content) < place + 27 or len(table) < segments or end > len(content):
        return Fault(truncated="truncated: its last page is cut")
    if not content[place + 5] & 4:
        return Fault(truncated="truncated: its last page does not say that the sound ends there")
    return Fault()


def _compare(size: int, place: int, announced: int, whole: int = 0, limit: int = PIPED) -> Fault:
    """`announced` bytes of sound from `place` on, and `whole` bytes of file, beside the file's `size`."""
    if announced < limit and place + announced > size:
        missing = place + announced - size
        return Fault(truncated=f"truncated: {missing} of the bytes that its header announces are missing")
    if size < whole < limit:
        return Fault(inexact=f"its header announces {whole - size} bytes more than there are, behind the sound")
    return Fault()


def _after_tags(content: bytes) -> int:
    """Where the sound begins in an MPEG file: behind what ID3 says of it."""
    place = 0
    while content[place : place + 3] == b"ID3" and len(content) >= place + 10:
        digits = content[place + 6 : place + 10]
        place += 10 + sum(digit << shift for digit, shift in zip(digits, (21, 14, 7, 0), strict=True))
    return place


def _announced_frames(first: bytes) -> int:
    """How many frames the first frame of an MP3 says that there are; 0 where it does not say."""
    for name, offset in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        tag = first.find(name)
        if tag >= 0 and len(first) > tag + offset and (name == b"VBRI" or first[tag + 7] & 1):
            return int.from_bytes(first[tag + offset : tag + offset + 4], "big")
    return 0


def _mpeg_header(content: bytes, place: int) -> tuple[int, int] | None:
    """Bytes and samples of the frame of MPEG layer III that begins at a place; None where none does."""
    head = content[place : place + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, rate, padding = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 1 & 1
    kilobits = KILOBITS[version == 3][head[2] >> 4]
    if version == 1 or rate == 3 or not kilobits:
        return None
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 1152 if version == 3 else 576
    return samples // 8 * kilobits * 1000 // hertz + padding, samples


# Of layer III, by the four bits of a header: MPEG 2 and 2.5, then MPEG 1; 0 where it does not say
KILOBITS = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
)
LOOKS: dict[bytes, Callable[[BinaryIO, int], Fault]] = {
    b"RIFF": _form(b"data", "little"),
    b"RIFX": _form(b"data", "big"),
    b"RF64": _form(b"data", "little", wide=True),
    b"FORM": _form(b"SSND", "big"),
    b".snd": _au("big"),
    b"dns.": _au("little"),
    b"riff": _w64,
    b"NIST": _nist,
    b"OggS": _ogg,
}
