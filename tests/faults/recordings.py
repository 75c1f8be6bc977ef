"""Recordings that are damaged, or hold what no recording should: the sound is that which was written, or it is said.

Judged beside what was written, not beside what the package reads of a whole file. Some things cannot be seen, and
count as harmless:

- samples that are other ones, or sectors of zeros, in sound without checksums, that is, in all formats but FLAC and
  Ogg (digital silence of real recordings happens to begin and end at the borders of sectors, too);
- frames of an MP3 whose bits were turned, and which can still be decoded;
- the end of an MP3 of unannounced length that is cut exactly between two of its frames.
"""

import io
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from ser_lightning.config import compose
from ser_lightning.corpora import Manifest
from ser_lightning.corpora.containers import Order
from ser_lightning.corpora.manifest import build_manifest
from ser_lightning.features.audio import decode, read_audio
from ser_lightning.features.sound import measure_corpus, remarks
from tests.faults.campaign import Ending, described, listening, write_bytes

STRUCK = "struck"
SHORTEST = 0.2  # seconds that a network needs
# So much sound may be missing, or another one where no checksum is
UNHEARD = 0.02  # seconds
# So much of a lossy recording may be another one around a frame that is harmed: it leans on those before it
AROUND = 0.2  # seconds
RATES = (16_000, 44_100)


@dataclass(frozen=True)
class Format:
    """A kind of files.

    Attributes:
        suffix: of a name.
        options: how soundfile writes it.
        checked: whether checksums stand over the sound.
        frame: samples that are lost together, 0 for sound that is not packed.
        sizes: where its header says how much there is: what stands before, bytes from there on, bytes, their order.
    """

    suffix: str
    options: dict[str, Any]
    checked: bool = False
    frame: int = 0
    sizes: tuple[tuple[bytes, int, int, Order], ...] = ()

    @property
    def lossless(self) -> bool:
        return not self.frame


# At another level soundfile does not heed the mode
_CONSTANT = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.5}
_RIFF = ((b"RIFF", 4, 4, "little"), (b"data", 4, 4, "little"))
FORMATS = {
    "wav": Format("wav", {"format": "WAV", "subtype": "PCM_16"}, sizes=_RIFF),
    "wav of 24 bits": Format("wav", {"format": "WAV", "subtype": "PCM_24"}, sizes=_RIFF),
    "wav of floats": Format("wav", {"format": "WAV", "subtype": "FLOAT"}, sizes=_RIFF),
    "extensible wav": Format("wav", {"format": "WAVEX", "subtype": "PCM_16"}, sizes=_RIFF),
    "flac": Format("flac", {"format": "FLAC", "subtype": "PCM_16"}, True, sizes=((b"fLaC", 22, 4, "big"),)),
    "ogg": Format("ogg", {"format": "OGG", "subtype": "VORBIS"}, True, frame=1024),
    "mp3": Format("mp3", {"format": "MP3"}, frame=1152, sizes=((b"Xing", 8, 4, "big"), (b"Xing", 12, 4, "big"))),
    "mp3 of constant rate": Format("mp3", _CONSTANT, frame=1152),
    "mp3 without a length": Format("mp3", _CONSTANT, frame=1152),
    "aiff": Format(
        "aiff",
        {"format": "AIFF", "subtype": "PCM_16"},
        sizes=((b"FORM", 4, 4, "big"), (b"COMM", 10, 4, "big"), (b"SSND", 4, 4, "big")),
    ),
    "au": Format("au", {"format": "AU", "subtype": "PCM_16"}, sizes=((b".snd", 8, 4, "big"),)),
    "w64": Format(
        "w64", {"format": "W64", "subtype": "PCM_16"}, sizes=((b"riff", 16, 8, "little"), (b"data", 16, 8, "little"))
    ),
    "rf64": Format(
        "rf64",
        {"format": "RF64", "subtype": "PCM_16"},
        sizes=tuple((b"ds64", place, 8, "little") for place in (8, 16, 24)),
    ),
}


@dataclass(frozen=True)
class Written:
    """A file and the sound in it.

    Attributes:
        kind: a name in `FORMATS`.
        content: the file's bytes.
        wave: the samples [n] that it has to give, float32; None where it has to be refused or named.
        rate: samples per second.
        begin: where the sound begins in the file.
        other: seconds of sound that may be another one without a word.
        missing: seconds of it that may be missing.
    """

    kind: str
    content: bytes
    wave: np.ndarray | None
    rate: int
    begin: int
    other: float
    missing: float


Strike = Callable[[Written, Path, random.Random], tuple[str, Written]]


class Recordings:
    """A corpus of five recordings, one of which is struck."""

    name = "recordings"
    slice = 20

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = compose(
            ["corpus=table", f"corpus.root={folder}", "corpus.table=none.csv", "corpus.max_bad_share=1"]
        ).corpus
        self.others: dict[int, list[Path]] = {}
        for rate in RATES:
            self.others[rate] = [folder / f"{rate} {number}.wav" for number in range(4)]
            for number, file in enumerate(self.others[rate]):
                soundfile.write(file, speech(random.Random(number), rate), rate)

    def strike(self, draws: random.Random) -> tuple[str, Ending, str]:
        kind, rate = draws.choice(list(FORMATS)), draws.choice(RATES)
        written = write(kind, speech(draws, rate), rate)
        file = self.folder / f"{STRUCK}.{FORMATS[kind].suffix}"
        write_bytes(file, written.content)
        blow = draws.choice(BLOWS)
        try:
            done, expected = blow(written, file, draws)
            description = f"{kind} of {len(speech_of(written)) / rate:.2f} s at {rate} Hz: {done}"
            with described(description):
                return description, *self._look(file, expected)
        finally:
            shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink(missing_ok=True)

    def _look(self, file: Path, expected: Written) -> tuple[Ending, str]:
        """What train and doctor make of it."""
        cache = self.folder / "cache"
        shutil.rmtree(cache, ignore_errors=True)
        with listening() as words:
            manifest = self._manifest(file, expected.rate)
            complaints = dict(manifest.left_out)
            sound, problems = measure_corpus(manifest, cache)
            complaints |= problems
            for what, names in remarks(manifest, sound).items():
                complaints |= {name: f"{what}: {name}" for name in names}
        if other := [line for line in complaints.values() if STRUCK not in line]:
            return Ending.WRONG, f"said of another recording: {other}"
        reasons = "\n".join(complaints.values())
        if STRUCK in (*manifest.left_out, *problems):
            return Ending.NAMED, reasons
        recording, resampled = decode(file), read_audio(file)
        heard, rate = recording.wave.mean(axis=1), recording.rate
        if abs(len(resampled) - len(heard) * 16_000 / rate) > 1:
            return Ending.WRONG, f"resampled to {len(resampled)} samples"
        fault = difference(expected, heard, rate)
        if fault:
            return (Ending.NAMED, reasons) if complaints else (Ending.WRONG, fault)
        return (Ending.NAMED if complaints else Ending.UNHARMED), reasons or str(words)

    def _manifest(self, file: Path, rate: int) -> Manifest:
        files = [*self.others[rate], file]
        rows = pd.DataFrame(
            {"id": [one.stem for one in files], "path": [str(one) for one in files], "raw_label": list("abaab")}
        )
        return build_manifest(rows, self.config, SHORTEST)


def speech(draws: random.Random, rate: int) -> np.ndarray:
    """Something like speech: a voice of gliding pitch in syllables, a little noise, silence at neither end."""
    noise = np.random.default_rng(draws.randrange(2**32))
    time = np.arange(round(draws.uniform(0.6, 2) * rate)) / rate
    pitch = draws.uniform(90, 250) * (1 + 0.2 * np.sin(2 * np.pi * draws.uniform(0.3, 2) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 12))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * draws.uniform(2, 5) * time)
    return np.asarray(0.15 * syllables * voice + 0.003 * noise.standard_normal(len(time)), dtype=np.float32)


def write(kind: str, wave: np.ndarray, rate: int, whole: bool = True) -> Written:
    """A recording as soundfile writes it; its samples are rounded to what it can hold before."""
    form = FORMATS[kind]
    bits = {"PCM_16": 16, "PCM_24": 24}.get(form.options.get("subtype", ""))
    if bits and whole:
        wave = (np.round(wave * 2.0 ** (bits - 1)) / 2.0 ** (bits - 1)).astype(np.float32)
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 1, **form.options) as opened:
        opened.write(wave)
    content = file.getvalue()
    if kind == "mp3 without a length":
        content = content[mpeg_frame(content[:4], rate) :]
    missing = UNHEARD if form.lossless else max(UNHEARD, form.frame / (rate if rate > 32_000 else 2 * rate))
    written = Written(kind, content, wave, rate, _begin(form, content), 0.0, missing)
    if form.lossless or not whole:
        return written
    heard = soundfile.read(io.BytesIO(content), dtype="float32")[0]
    # What is lost and delayed at the ends is no fault of the package
    assert abs(len(heard) - len(wave)) <= 4 * form.frame
    return replace(written, wave=heard)


def mpeg_frame(head: bytes, rate: int) -> int:
    """Bytes of a frame of MPEG layer III at 44.1 or 16 kHz, by its header."""
    high = rate > 32_000
    table = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    low = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    kilobits = (table if high else low)[(head[2] >> 4) - 1]
    return (144 if high else 72) * kilobits * 1000 // rate + (head[2] >> 1 & 1)


def speech_of(written: Written) -> np.ndarray:
    """The samples of a recording that is whole."""
    assert written.wave is not None
    return written.wave


def difference(expected: Written, heard: np.ndarray, rate: int) -> str:
    """In what the sound is another one than that which was written; '' where that is not to be heard."""
    wave = expected.wave
    if wave is None:
        return "it was to be refused, or named"
    if rate != expected.rate:
        return f"{rate} samples per second"
    gap = (len(wave) - len(heard)) / rate
    if abs(gap) > expected.missing:
        return f"{gap:.3f} s {'missing' if gap > 0 else 'too many'}"
    both = min(len(wave), len(heard))
    wave, heard = wave[:both], heard[:both]
    if FORMATS[expected.kind].lossless:
        other = np.count_nonzero(wave != heard) / rate
    else:
        size = rate // 100
        blocks = both // size * size
        distance = (wave - heard)[:blocks].reshape(-1, size).std(axis=1)
        other = float(np.count_nonzero(distance > 0.1 * wave.std()) / 100)
    return f"{other:.4f} s are other sound" if other > expected.other else ""


def _begin(form: Format, content: bytes) -> int:
    """Where the sound begins in a file that is whole."""
    if form.suffix == "flac":
        return max(content.find(b"\xff\xf8"), 4)
    if form.suffix == "ogg":
        return content.index(b"OggS", content.index(b"vorbis", 60))
    if form.suffix == "mp3":
        return 4
    if form.suffix == "au":
        return int.from_bytes(content[4:8], "big")
    if form.suffix == "aiff":
        return content.index(b"SSND") + 16
    return content.index(b"data") + (24 if form.suffix == "w64" else 8)


# What is done to files


def _cut(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    content = written.content
    size = draws.choice(
        [draws.randrange(len(content)), draws.randrange(written.begin + 1), len(content) - draws.randrange(1, 65)]
    )
    write_bytes(file, content[: max(0, size)])
    if written.kind == "mp3 without a length" and _between_frames(content, size, written.rate):
        return f"cut between two frames, to {size} bytes, which cannot be seen", replace(written, missing=np.inf)
    return f"cut to {size} bytes of {len(content)}", written


def _between_frames(content: bytes, size: int, rate: int) -> bool:
    place = 0
    while place < size:
        place += mpeg_frame(content[place : place + 4], rate)
    return place == size


def _junk(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    junk = draws.choice(
        [
            b"\n",
            b"\0" * 64,
            b"\0" * 4096,
            b"TAG" + b"a title".ljust(125, b"\0"),
            b"ID3\3\0\0\0\0\1\0" + bytes(128),
            b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf59.27.100\0",
            draws.randbytes(draws.choice([7, 700, 7000])),
        ]
    )
    write_bytes(file, written.content + junk)
    return f"{len(junk)} bytes {junk[:8]!r} behind it", written


def _turn(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    content = bytearray(written.content)
    in_header = draws.random() < 0.5
    place = draws.randrange(written.begin) if in_header else draws.randrange(written.begin, len(content))
    bit = draws.randrange(8)
    content[place] ^= 1 << bit
    write_bytes(file, content)
    # Every frame of an MP3 has a header, and no checksum
    strict = in_header and FORMATS[written.kind].lossless
    return f"bit {bit} of byte {place} turned, {_place(in_header)}", written if strict else _forgiven(written)


def _turn_many(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    content = bytearray(written.content)
    places = [draws.randrange(written.begin, len(content)) for _ in range(draws.choice([2, 10, 50]))]
    for place in places:
        content[place] ^= 1 << draws.randrange(8)
    write_bytes(file, content)
    return f"{len(places)} bits turned in the sound, from byte {min(places)}", _forgiven(written, len(places))


def _zeros(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    """A disk loses whole sectors and pages."""
    content, size = bytearray(written.content), draws.choice([512, 4096])
    begin = size * draws.randrange(-(-len(content) // size))
    end = min(begin + size, len(content))
    content[begin:end] = bytes(end - begin)
    write_bytes(file, content)
    description, form = f"zeros from byte {begin} to {end}", FORMATS[written.kind]
    if begin < written.begin:
        return description, written
    return description, replace(written, other=np.inf) if form.lossless and not form.checked else _forgiven(written)


def _forgiven(written: Written, bits: int = 1) -> Written:
    """With as much other sound as nobody can see where the sound itself is harmed."""
    form = FORMATS[written.kind]
    if form.lossless:
        return written if form.checked else replace(written, other=UNHEARD)
    return written if form.checked else replace(written, other=bits * AROUND)


def _place(in_header: bool) -> str:
    return "in the header" if in_header else "in the sound"


def _size(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    sizes = FORMATS[written.kind].sizes
    if not sizes or sizes[0][0] not in written.content:
        return _turn(written, file, draws)
    before, further, width, order = draws.choice(sizes)
    content = bytearray(written.content)
    place = content.index(before) + further
    size = int.from_bytes(content[place : place + width], order)
    largest = 2 ** (8 * width) - 1
    other = draws.choice([2 * size, size // 2, 0, largest, largest // 2, size - draws.randrange(2, 5000), size + 2])
    other = min(max(other, 0), largest)
    content[place : place + width] = other.to_bytes(width, order)
    write_bytes(file, content)
    return f"the size behind {before.decode()} + {further} is {other} in place of {size}", written


def _other_content(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    """Another recording, of another format as often as not, which is a good one."""
    other = write(draws.choice(list(FORMATS)), speech(draws, written.rate), written.rate)
    write_bytes(file, other.content)
    return f"another recording in its place, {other.kind}", other


def _no_sound(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 64044\n"
    kinds = {
        "text": b"this is no sound\n" * draws.choice([1, 1000]),
        "a page of the web": b"<!DOCTYPE html><html><head><title>404</title></head></html>\n",
        "a pointer of Git LFS": lfs,
        "nothing": b"",
        "an archive": b"PK\3\4" + draws.randbytes(3000),
        "noise": draws.randbytes(30_000),
        "zeros": bytes(30_000),
        "its own beginning alone": written.content[: written.begin],
    }
    name = draws.choice(list(kinds))
    write_bytes(file, kinds[name])
    return f"{name} in its place", replace(written, wave=None)


def _no_file(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    kind = draws.choice(["folder", "pipe", "loop of links", "link to nothing", "gap"])
    file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind != "gap":
        file.symlink_to(file if kind == "loop of links" else file.with_name("nothing"))
    return f"a {kind} in its place", replace(written, wave=None)


def _other_samples(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    """A file that is whole, and holds what no recording should."""
    wave, rate = speech_of(written).astype(np.float64), written.rate
    some = draws.randrange(len(wave))
    waves = {
        "a sample that is no number": np.where(np.arange(len(wave)) == some, np.nan, wave),
        "a sample that is infinite": np.where(np.arange(len(wave)) == some, -np.inf, wave),
        "nothing but what is no number": np.full(len(wave), np.nan),
        "samples of 1e25": 1e25 * wave,
        "samples of 1e38": 1e38 * wave / np.abs(wave).max(),
        "samples of 1e-30": 1e-30 * wave,
        "samples on the scale of 16-bit integers": 32_768 * wave,
        "silence": 0 * wave,
        "no sample": wave[:0],
        "one sample": wave[:1],
        "0.01 s": wave[: rate // 100],
    }
    name = draws.choice(list(waves))
    of_floats = np.abs(waves[name]).max(initial=0) > 1 or not np.isfinite(waves[name]).all() or "1e" in name
    kind = "wav of floats" if of_floats else written.kind
    if kind == "mp3 without a length":
        kind = "mp3"
    with np.errstate(over="ignore"):
        other = write(kind, waves[name].astype(np.float32), rate, whole=False)
    write_bytes(file, other.content)
    return f"{name}, {kind}", replace(other, wave=None)


def _other_header(written: Written, file: Path, draws: random.Random) -> tuple[str, Written]:
    """A WAV whose header says in one place what is not so."""
    written = write("wav", speech_of(written), written.rate)
    content = bytearray(written.content)
    fields = {
        "samples per second": (24, 4, [0, 1, 500, 2_000_000_000, 2**32 - 1, 2 * written.rate, written.rate + 1]),
        "bytes per second": (28, 4, [0, 1, 4 * written.rate]),
        "channels": (22, 2, [0, 2, 3, 7, 1025, 65_535]),
        "bytes of a frame": (32, 2, [0, 1, 4, 65_535]),
        "bits of a sample": (34, 2, [0, 8, 12, 24, 32, 65_535]),
        "coding": (20, 2, [0, 2, 3, 6, 7, 17, 0x55, 0xFFFE]),
        "bytes of the description": (16, 4, [0, 2, 15, 18, 40, 2**32 - 1]),
    }
    name = draws.choice(list(fields))
    place, width, values = fields[name]
    value = draws.choice(values)
    content[place : place + width] = value.to_bytes(width, "little")
    write_bytes(file, content)
    return f"a wav, its {name} said to be {value}", written


BLOWS: tuple[Strike, ...] = (
    *(_cut, _cut, _turn, _turn, _turn, _turn_many, _zeros, _zeros, _size, _size, _size),
    *(_junk, _other_content, _no_sound, _no_file, _other_samples, _other_samples, _other_header),
)
