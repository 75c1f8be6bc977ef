"""The frames of an MP3: how many there are, and whether they follow one another without a gap."""

from typing import NamedTuple

# What players and taggers write behind the last frame
TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI")
FRAME = 1152  # samples, the most
# Of layer III, by the four bits of a header: MPEG 2 and 2.5, then MPEG 1; 0 where it does not say
KILOBITS = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
)


class Header(NamedTuple):
    """What the first four bytes of a frame say.

    Attributes:
        length: bytes of the frame.
        samples: of each channel.
        stream: what all frames of a file have in common: version, rate, and whether there is one channel.
    """

    length: int
    samples: int
    stream: tuple[int, int, bool]


def mpeg_samples(content: bytes) -> tuple[int, int] | None:
    """Samples of an MP3 by its Xing, Info or VBRI header, 0 without one, and by its frames; None for another file."""
    place = _after_tags(content)
    header = _header(content, place)
    if header is None:
        return None
    announced = _announced_frames(content[place : place + header.length])
    if announced:
        place += header.length
    _, count = _follow(content, place)
    return announced * header.samples, count * header.samples


def find_gap(content: bytes) -> str:
    """Where frames of an MP3 are missing, as a sentence; '' where none are known to be.

    An end that is cut between two frames is known only if the file announces how many there are.
    """
    start = _after_tags(content)
    first = _next_frame(content, start)
    if first is None:
        return ""
    if first > start:
        return f"bytes {start} to {first}, where it begins, are no frames of an MP3"
    end, _ = _follow(content, first)
    rest = content[end:]
    if rest.startswith(TAGS):
        rest = b""
    if rest and _next_frame(content, end) is not None:
        return f"its frames are interrupted at byte {end}"
    announced, counted = mpeg_samples(content) or (0, 0)
    # Not every program leaves the frame out that announces the others
    if announced - counted > FRAME:
        return f"it announces {announced} samples, and its frames have {counted}"
    return f"its last {len(rest)} bytes are no whole frame of an MP3" if rest and not announced else ""


def _follow(content: bytes, place: int) -> tuple[int, int]:
    """Where the whole frames from a place on end, and how many there are."""
    count, first = 0, _header(content, place)
    while (header := _header(content, place)) and first and header.stream == first.stream:
        if place + header.length > len(content):
            break
        place, count = place + header.length, count + 1
    return place, count


def _next_frame(content: bytes, place: int) -> int | None:
    """Where, from a place on, a frame begins that another follows, or the file's end; None where none does."""
    while (place := content.find(b"\xff", place)) >= 0:
        header = _header(content, place)
        if header:
            end = place + header.length
            following = _header(content, end)
            if end == len(content) or (following and following.stream == header.stream):
                return place
        place += 1
    return None


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


def _header(content: bytes, place: int) -> Header | None:
    """The frame of MPEG layer III that begins at a place; None where none does."""
    head = content[place : place + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, rate, padding = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 1 & 1
    kilobits = KILOBITS[version == 3][head[2] >> 4]
    if version == 1 or rate == 3 or not kilobits:
        return None
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 1152 if version == 3 else 576
    length = samples // 8 * kilobits * 1000 // hertz + padding
    return Header(length, samples, (version, rate, head[3] >> 6 == 3))
