"""Headers beside what their files hold, for every container: whole, cut, written to a pipe, and merely inexact."""

import io

import numpy as np
import pytest
import soundfile

from ser_lightning.corpora.containers import BadHeaderError, duration, examine

RATE = 16_000
# Four seconds, so that compressed files have several pages and frames
WAVE = 0.3 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
KINDS = {
    "wav": {},
    "wavx": {"format": "WAVEX"},
    "law.wav": {"subtype": "ULAW"},
    "big.wav": {"endian": "BIG"},
    "rf64": {"format": "RF64"},
    "aiff": {},
    "aifc": {"format": "AIFF", "endian": "LITTLE"},
    "au": {},
    "little.au": {"endian": "LITTLE"},
    "w64": {},
    "sph": {"format": "NIST"},
    "iff": {"format": "SVX"},
    "ogg": {"format": "OGG"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
}

# Whose sound goes to the end of the file
UNDIVIDED = ("au", "little.au", "w64", "sph")


def content_of(name, wave=WAVE):
    options = {"format": name.rpartition(".")[2].upper(), **KINDS.get(name, {})}
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, **options)
    return file.getvalue()


@pytest.mark.parametrize("name", KINDS)
def test_a_cut_file_is_truncated(tmp_path, name):
    content = content_of(name)
    file = tmp_path / name
    for tail in (b"", b"ID3 or whatever else"):
        file.write_bytes(content + tail)
        more = ""
        if tail and name in UNDIVIDED:
            more = f"{len(tail)} bytes lie behind the sound that its header announces"
        assert (examine(file).truncated, examine(file).inexact) == ("", more)
    for share in (0.9, 0.5, 0.1):
        file.write_bytes(content[: int(share * len(content))])
        assert examine(file).truncated.startswith("truncated: ")
    file.write_bytes(content[:-2])
    assert examine(file).truncated


def test_an_ogg_that_is_cut_between_two_pages(tmp_path):
    content = content_of("ogg")
    (tmp_path / "a.ogg").write_bytes(content[: content.rfind(b"OggS")])
    assert examine(tmp_path / "a.ogg").truncated == "truncated: its last page does not say that the sound ends there"


def patched(content, *changes):
    changed = bytearray(content)
    for place, value, size, order in changes:
        changed[place : place + size] = value.to_bytes(size, order)
    return bytes(changed)


@pytest.mark.parametrize("size", [0, 2**32 - 1])
@pytest.mark.parametrize("name", ["wav", "big.wav", "aiff", "au", "w64", "rf64"])
def test_sizes_that_a_stream_announces_are_accepted(tmp_path, name, size):
    content = content_of(name)
    data = max(content.find(b"data"), content.find(b"SSND"))
    long = 2**64 - 1 if size else 0
    changes = {
        "wav": [(4, size, 4, "little"), (data + 4, size, 4, "little")],
        "big.wav": [(4, size, 4, "big"), (data + 4, size, 4, "big")],
        "aiff": [(4, size, 4, "big"), (data + 4, size, 4, "big")],
        "au": [(8, size, 4, "big")],
        "w64": [(16, long, 8, "little"), (data + 16, long, 8, "little")],
        "rf64": [(20, long, 8, "little"), (28, long, 8, "little")],
    }
    (tmp_path / name).write_bytes(patched(content, *changes[name]))
    fault = examine(tmp_path / name)
    assert (fault.truncated, fault.inexact) == ("", "")


@pytest.mark.parametrize("name", ["wav", "aiff"])
def test_a_chunk_of_sound_that_announces_twice_as_much_as_there_is(tmp_path, name):
    content, order = content_of(name), "little" if name == "wav" else "big"
    data = max(content.find(b"data"), content.find(b"SSND"))
    (tmp_path / name).write_bytes(patched(content, (data + 4, 2 * 2 * len(WAVE), 4, order)))
    assert examine(tmp_path / name).truncated == (
        f"truncated: {2 * len(WAVE) - (8 if name == 'aiff' else 0)} of the bytes that its header announces are missing"
    )


@pytest.mark.parametrize("name", ["wav", "aiff"])
def test_a_size_of_the_whole_that_does_not_fit_is_merely_inexact(tmp_path, name):
    content, order = content_of(name), "little" if name == "wav" else "big"
    (tmp_path / name).write_bytes(patched(content, (4, len(content) - 8 + 6, 4, order)))
    fault = examine(tmp_path / name)
    assert fault.truncated == ""
    assert fault.inexact == "its header announces 6 bytes more than there are, behind the sound"


@pytest.mark.parametrize("name", ["wav", "wavx", "big.wav", "rf64", "w64", "au", "little.au"])
def test_sound_behind_that_which_the_header_announces_is_inexact(tmp_path, name):
    content, half = content_of(name), len(WAVE)
    data, order = content.find(b"data"), "big" if name in ("big.wav", "au") else "little"
    place, size, value = {
        "au": (8, 4, half),
        "little.au": (8, 4, half),
        "rf64": (28, 8, half),
        "w64": (data + 16, 8, half + 24),
    }.get(name, (data + 4, 4, half))
    (tmp_path / name).write_bytes(patched(content, (place, value, size, order)))
    fault = examine(tmp_path / name)
    what = "lie behind the sound that its header announces"
    if name not in UNDIVIDED:
        what = "behind the sound that its header announces are of no known kind"
    assert (fault.truncated, fault.inexact) == ("", f"{half} bytes {what}")


@pytest.mark.parametrize("padding", [b"", b"\0"])
def test_chunks_behind_sound_of_odd_size_are_known_whether_it_is_padded_or_not(tmp_path, padding):
    content = content_of("wav")
    odd = patched(content, (40, len(content) - 44 - 1, 4, "little"))[:-1]
    whole = odd + padding + b"LIST\4\0\0\0INFOid3 \3\0\0\0abc"
    (tmp_path / "a.wav").write_bytes(patched(whole, (4, len(whole) - 8, 4, "little")))
    fault = examine(tmp_path / "a.wav")
    assert (fault.truncated, fault.inexact) == ("", "")


@pytest.mark.parametrize(
    ("name", "place", "value", "size", "why"),
    [
        ("wav", 34, 24, 2, "1 channels of 24 bits are not 2 bytes"),
        ("wav", 32, 1, 2, "1 channels of 16 bits are not 1 bytes"),
        ("wav", 20, 7, 2, "samples by A-law or mu-law have no 16 bits"),
        ("w64", 40 + 24 + 2, 2, 2, "2 channels of 16 bits are not 2 bytes"),
        ("aiff", 20, 2, 2, "64000 samples in 2 channels of 16 bits are not the 128000 bytes of sound"),
        ("aiff", 22, 32_000, 4, "32000 samples in 1 channels of 16 bits are not the 128000 bytes of sound"),
        ("aiff", 42, 64_008, 4, "64000 samples in 1 channels of 16 bits are not the 64000 bytes of sound"),
        ("aiff", 46, 500, 4, "64000 samples in 1 channels of 16 bits are not the 127500 bytes of sound"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, name, place, value, size, why):
    order = "big" if name == "aiff" else "little"
    (tmp_path / name).write_bytes(patched(content_of(name), (place, value, size, order)))
    with pytest.raises(BadHeaderError, match=f"its header contradicts itself: {why}"):
        examine(tmp_path / name)


def test_other_bytes_per_second_than_samples_are_inexact(tmp_path):
    (tmp_path / "a.wav").write_bytes(patched(content_of("wav"), (24, 16_001, 4, "little")))
    assert examine(tmp_path / "a.wav").inexact == "its header says 16001 samples and 32000 bytes per second"


def test_a_file_of_endless_chunks_is_given_up(tmp_path):
    for head in (b"RIFF\0\0\0\0WAVE", b"riff" + bytes(36)):
        (tmp_path / "a").write_bytes(head + bytes(100_000))
        assert examine(tmp_path / "a").truncated == ""


def flac(samples):
    """A FLAC whose header announces so many samples, in 36 bits."""
    content = bytearray(content_of("flac"))
    content[21] = content[21] & 0xF0 | samples >> 32
    content[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("samples", [0, 2**36 - 1])
def test_a_flac_of_unknown_length_is_as_long_as_it_is(tmp_path, samples):
    (tmp_path / "a.flac").write_bytes(flac(samples))
    assert duration(tmp_path / "a.flac") == 4.0


@pytest.mark.parametrize("rate", [1, 999, 2_000_000_000])
def test_a_rate_that_no_recording_has_is_refused(tmp_path, rate):
    (tmp_path / "a.wav").write_bytes(patched(content_of("wav"), (24, rate, 4, "little")))
    with pytest.raises(BadHeaderError, match=f"its header says {rate} samples per second, and 1000 to 1000000 can"):
        duration(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.wav", b"", "the file is empty"),
        ("a.wav", b"text", "not readable as audio"),
        ("a.raw", b"text", "not readable as audio"),
        ("a.flac", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "a Git LFS pointer, not the reco"),
        ("a.wav", patched(content_of("wav"), (4, 0, 4, "little"), (40, 0, 4, "little")), "its header announces no sam"),
    ],
)
def test_what_is_no_recording_says_what_it_is(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadHeaderError, match=why):
        duration(tmp_path / name)
