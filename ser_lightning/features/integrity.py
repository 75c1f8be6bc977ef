"""What the bytes of a recording say against the sound that was decoded of them, where libsndfile says nothing."""

import hashlib
import zlib
from pathlib import Path

import numpy as np

from ser_lightning.corpora.mpeg import find_gap
from ser_lightning.features.audio import Recording

# Bytes of a sample of FLAC
WIDTHS = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3}
# Ogg's checksum takes the bits of a byte in the other order than zlib's
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def find_damage(path: Path, recording: Recording) -> str:
    """What is wrong inside the file of a recording that was decoded, as a sentence; '' where nothing is known to be.

    Only FLAC and Ogg have checksums, and an MP3 is known by its frames; in other formats nothing can be seen.
    """
    if recording.container == "FLAC":
        return _find_other_sound(path.read_bytes(), recording)
    if recording.container == "OGG":
        return _find_lost_page(path.read_bytes())
    return find_gap(path.read_bytes()) if recording.container == "MP3" else ""


def _find_other_sound(content: bytes, recording: Recording) -> str:
    """Whether the samples of a FLAC are those whose checksum stands in its header."""
    begin = content.index(b"fLaC")
    checksum = content[begin + 26 : begin + 42]
    # Who streams knows none
    if not any(checksum):
        return ""
    width = WIDTHS[recording.subtype]
    # Exact, for float32 holds 24 bits
    integers = (recording.wave * np.float32(2 ** (8 * width - 1))).astype("<i4")
    samples = integers.view(np.uint8).reshape(-1, 4)[:, :width]
    if hashlib.md5(samples.tobytes(), usedforsecurity=False).digest() == checksum:
        return ""
    return "its sound is not that of which its header gives the checksum"


def _find_lost_page(content: bytes) -> str:
    """The first page of an Ogg file that is damaged, or missing."""
    place, numbers = 0, dict[bytes, int]()
    while (place := content.find(b"OggS\0", place)) >= 0:
        segments = content[place + 26 : place + 27]
        end = place + 27 + sum(segments)
        end += sum(content[place + 27 : end])
        page = content[place:end]
        checksum = int.from_bytes(page[22:26], "little")
        if len(page) < 27 or _checksum(page[:22] + bytes(4) + page[26:]) != checksum:
            return f"its page at byte {place} is damaged, and what it held is lost"
        stream, number = page[14:18], int.from_bytes(page[18:22], "little")
        if number != numbers.get(stream, -1) + 1:
            return f"there is a page missing before byte {place}"
        numbers[stream] = number
        place = end
    return ""


def _checksum(page: bytes) -> int:
    mirrored = zlib.crc32(page.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(MIRRORED), "big")
