"""What the header of a recording promises beside what its file holds; libsndfile reads a cut file without a word."""

import io
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
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
# WAV's codings whose samples have a width of their own: integers, floats, A-law, mu-law, an extension's
PLAIN = (1, 3, 6, 7, 0xFFFE)
LAWS = (6, 7)

Order = Literal["little", "big"]
# A WAV's description: coding, channels, samples per second, bytes per second, bytes of a frame, bits of a sample
WAVE = {"little": struct.Struct("<HHIIHH"), "big": struct.Struct(">HHIIHH")}


class BadHeaderError(Exception):
    """A file that is no recording, or whose header cannot be true; the message says why."""


class Stream(soundfile.SoundFile):
    """A recording that is read from its beginning to its end: in a FLAC of unknown length libsndfile cannot seek."""

    def seekable(self) -> bool:
        return False


def _read_once() -> None:
    """Open, fail to open, and read a sound, before threads do it at once.

    cffi makes a C type when it is first used; two threads that do so in the same moment end the process with an
    assertion (python-cffi issue 271).
    """
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(2), LOWEST_RATE, format="WAV")
    sound.seek(0)
    with Stream(sound) as file:
        file.read(1, dtype="float32", always_2d=True)
        file.read(1)
        str(file)
    with suppress(soundfile.LibsndfileError), Stream(os.devnull):
        pass


_read_once()


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file: why its sound is not all there, or in what its header is merely inexact."""

    truncated: str = ""
    inexact: str = ""


def examine(path: Path) -> Fault:
    """Compare a recording's container with the file that it lies in; what only decoding shows is not seen here.

    Raises `BadHeaderError` where the header contradicts itself.
    """
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
        with Stream(os.fsencode(path)) as file:
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


def _chunks(file: BinaryIO, start: int, size: int, order: Order) -> Iterator[tuple[bytes, int, int]]:
    """(name, place of its content, bytes announced) of each chunk of RIFF or AIFF; the file stands at that place."""
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
        whole, kind = int.from_bytes(file.read(4), order), file.read(4)
        long, limit, doubt, description = 0, 2**63 if wide else PIPED, "", b""
        for name, place, announced in _chunks(file, 12, size, order):
            if wide and name == b"ds64":
                whole, long = (int.from_bytes(file.read(8), "little") for _ in range(2))
            elif name == b"fmt ":
                doubt = _doubt_description(file.read(16), order)
            elif name == b"COMM" and kind == b"AIFF":
                description = file.read(8)
            elif name == sound:
                samples = long if wide and announced == 0xFFFFFFFF else announced
                fault = _compare(size, place, samples, whole + 8, limit, doubt)
                if fault.truncated or not 0 < samples < limit:
                    return fault
                if len(description) == 8:
                    _refuse_other_size(description, samples - 8 - int.from_bytes(file.read(4), order))
                end = min(size, whole + 8) if 0 < whole < limit else size
                return fault if fault.inexact else Fault(inexact=_doubt_rest(file, place + samples, end, order))
        # No sound at all in what there is
        return _compare(size, 8, whole, whole + 8, limit)

    return look


def _doubt_description(description: bytes, order: Order) -> str:
    """What does not fit in a WAV's description; raises `BadHeaderError` where its samples cannot be told apart."""
    if len(description) < 16:
        return ""
    coding, channels, rate, speed, width, bits = WAVE[order].unpack(description)
    # Cool Edit's floats are 24 bits in 4 bytes
    if coding in PLAIN and width != channels * -(-bits // 8) and (bits, width) != (24, 4 * channels):
        raise BadHeaderError(
            f"its header contradicts itself: {channels} channels of {bits} bits are not {width} bytes; write it anew"
        )
    if coding in LAWS and bits != 8:
        raise BadHeaderError(
            f"its header contradicts itself: samples by A-law or mu-law have no {bits} bits; write it anew"
        )
    if coding in PLAIN and rate * width != speed:
        return f"its header says {rate} samples and {speed} bytes per second"
    return ""


def _refuse_other_size(description: bytes, announced: int) -> None:
    """Raise `BadHeaderError` where an AIFF's description means another size of sound, in bytes, than is announced."""
    channels, samples, bits = struct.unpack(">HIH", description)
    described = channels * samples * -(-bits // 8)
    if 0 < samples < PIPED and abs(described - announced) > 1:
        raise BadHeaderError(
            f"its header contradicts itself: {samples} samples in {channels} channels of {bits} bits are not the "
            f"{announced} bytes of sound that it announces; write it anew"
        )


def _doubt_rest(file: BinaryIO, begin: int, end: int, order: Order) -> str:
    """A doubt where what lies between the sound and the end of its form are no chunks."""
    # Not every program pads sound of an odd size
    if end - begin < 8 or any(_are_chunks(file, place, end, order) for place in (begin, begin + 1)):
        return ""
    return f"{end - begin} bytes behind the sound that its header announces are of no known kind"


def _are_chunks(file: BinaryIO, begin: int, end: int, order: Order) -> bool:
    last = begin
    for name, place, announced in _chunks(file, begin, end, order):
        if not (name.isascii() and name.decode().isprintable()):
            return False
        last = place + announced
    return last <= end


def _au(order: Order) -> Callable[[BinaryIO, int], Fault]:
    def look(file: BinaryIO, size: int) -> Fault:
        file.seek(4)
        place, announced = (int.from_bytes(file.read(4), order) for _ in range(2))
        return _compare(size, place, announced, doubt=_doubt_more(size, place, announced))

    return look


def _w64(file: BinaryIO, size: int) -> Fault:
    file.seek(16)
    whole = int.from_bytes(file.read(8), "little")
    place, doubt = 40, ""
    for _ in range(MOST_CHUNKS):
        if place + 24 > size:
            break
        file.seek(place)
        name, announced = file.read(16), int.from_bytes(file.read(8), "little")
        if name.startswith(b"fmt "):
            doubt = _doubt_description(file.read(16), "little")
        if name.startswith(b"data"):
            samples = max(0, announced - 24)
            return _compare(size, place + 24, samples, whole, 2**63, doubt or _doubt_more(size, place + 24, samples))
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
    if "," in entries.get("sample_coding", "pcm"):
        return Fault()
    return _compare(size, start, count * width, doubt=_doubt_more(size, start, count * width))


def _doubt_more(size: int, place: int, announced: int) -> str:
    """A doubt where more bytes lie behind the sound than padding; in W64 and NIST libsndfile takes them for sound."""
    more = size - place - announced
    return f"{more} bytes lie behind the sound that its header announces" if announced and more > 7 else ""


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


def _compare(size: int, place: int, announced: int, whole: int = 0, limit: int = PIPED, doubt: str = "") -> Fault:
    """`announced` bytes of sound from `place` on, and `whole` bytes of file, beside the file's `size`.

    `doubt` is what else in the header is inexact.
    """
    if announced < limit and place + announced > size:
        missing = place + announced - size
        return Fault(truncated=f"truncated: {missing} of the bytes that its header announces are missing")
    if size < whole < limit:
        return Fault(inexact=f"its header announces {whole - size} bytes more than there are, behind the sound")
    return Fault(inexact=doubt)


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
