"""The recordings that a study is of, read from their corpus's folder and from nowhere else."""

import base64
import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ser_lightning.components.groups import Choice, all_choices
from ser_lightning.components.part import CODE, TARGET
from ser_lightning.config import CorpusConfig
from ser_lightning.corpora.loading import Corpus, read_rows
from ser_lightning.errors import UserError, listing
from ser_lightning.features.audio import RATE, BadRecordingError, decode, read_audio
from ser_lightning.files import absolute, parse_yaml, read_text
from ser_lightning.runs.ledger import CONFIG, damaged, read_sealed
from ser_lightning.runs.study import COMMAND

# Of a spectrogram: 40 ms Hamming windows every 10 ms, as the front ends have them, and decibels below the loudest
WINDOW, SHIFT, FLOOR_DB = 640, 160, 80.0
# Frames of a picture: of longer recordings windows are further apart
MOST_FRAMES = 2000


@dataclass(frozen=True)
class Recordings:
    """Where the recordings of a corpus lie.

    Attributes:
        paths: id -> file, as the corpus says.
        folders: in which a file must lie, links followed, to be read.
    """

    paths: Mapping[str, str]
    folders: Sequence[Path]

    def file(self, name: str) -> Path:
        """The recording of an utterance. Raises `UserError` where there is none inside the corpus's folder."""
        if name not in self.paths:
            raise UserError(f"{name} is not in the corpus as it is now")
        path = Path(self.paths[name])
        try:
            file = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise UserError(f"{path} is not there") from error
        if not any(file.is_relative_to(folder) for folder in self.folders):
            raise UserError(f"{path} lies outside the corpus's folder, {' and '.join(map(str, self.folders))}")
        if not file.is_file():
            raise UserError(f"{path} is not a regular file")
        return file


def find_recordings(config: CorpusConfig, cache: Path, moved: bool = False) -> Recordings:
    """The recordings of a corpus.

    Args:
        config: the corpus.
        cache: where one that is made is kept.
        moved: whether the user said by --root where it lies.

    Raises `UserError` where it has none, or does not lie there.
    """
    try:
        corpus, rows = read_rows(config, cache)
    except UserError as error:
        raise error if moved else UserError(f"{error} (--root says where the corpus lies if it has moved)") from error
    paths = dict(zip(rows["id"], map(str, rows["path"]), strict=True))
    return Recordings(paths, [folder.resolve() for folder in _folders(config, corpus, cache)])


def wav(file: Path) -> bytes:
    """A recording as 16-bit WAV with its own rate and channels, which every browser plays. Raises `UserError`."""
    try:
        recording = decode(file)
    except BadRecordingError as error:
        raise UserError(f"{file}: {error}") from error
    content = io.BytesIO()
    soundfile.write(content, recording.wave, recording.rate, format="WAV", subtype="PCM_16")
    return content.getvalue()


def spectrogram(file: Path) -> dict[str, Any]:
    """A recording's spectrogram as plain values: seconds, frames, bins (0 to 8 kHz), and values, see `decibels`, in
    base64, frame by frame. Raises `UserError`."""
    try:
        wave = read_audio(file)
    except BadRecordingError as error:
        raise UserError(f"{file}: {error}") from error
    levels = decibels(wave)
    frames, bins = levels.shape
    values = base64.b64encode(levels.tobytes()).decode()
    return {"seconds": len(wave) / RATE, "frames": frames, "bins": bins, "values": values}


def decibels(wave: np.ndarray) -> np.ndarray:
    """The power of a wave [samples] at 16 kHz by time and frequency [frames, 321], uint8: 255 is the loudest, 0 what is
    80 dB below and less."""
    shift = SHIFT * -(-len(wave) // (SHIFT * MOST_FRAMES))
    padded = np.pad(wave.astype(np.float64), (0, max(0, WINDOW - len(wave))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::shift]  # [frames, 640]
    power = np.abs(np.fft.rfft(windows * np.hamming(WINDOW))) ** 2  # [frames, 321]
    loudest = max(power.max(), np.finfo(np.float64).tiny)
    level = 10 * np.log10(np.maximum(power / loudest, 10 ** (-FLOOR_DB / 10)))
    return np.round(255 * (1 + level / FLOOR_DB)).astype(np.uint8)


def read_corpus(study: Path | None, run: Path, roots: Sequence[str] = ()) -> CorpusConfig:
    """The corpus that a run was made of, by its config.yaml; its class is one of `conf/` or of the user's ./conf.

    Args:
        study: the folder of a study that has the run; None: there is none.
        run: the folder of a finished run.
        roots: where the corpus lies, if no longer where it was; of those that are joined NAME=FOLDER each that moved.

    Raises `UserError` where the corpus is none that is known here, or has no such root.
    """
    try:
        values: dict[str, Any] = dict(parse_yaml(read_sealed(run, CONFIG).decode())["corpus"])
        name = str(values["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(run, CONFIG, error) from error
    choices = {choice.name: choice for choice in all_choices() if choice.group == CorpusConfig.group}
    # One that corpus.name= calls otherwise stands in the command
    typed = _corpora_typed(study)
    words = [name, *typed] if name in typed or not typed else [*typed, name]
    chosen = next((choices[word] for word in words if word in choices), None)
    if chosen is None:
        raise UserError(
            f"the corpus {name} is not known here; give the command in the folder that has its conf/corpus/"
        )
    values |= {TARGET: _target(chosen, choices), CODE: None} | (_moved(values, roots) if roots else {})
    code = chosen.code
    if code is None:
        return CorpusConfig.read(values)
    folder = code.write(run.parent.parent / "cache")
    return CorpusConfig.read({**values, CODE: code.digest}, folder)


def _moved(values: Mapping[str, Any], roots: Sequence[str]) -> dict[str, Any]:
    """What of a corpus's settings is another now."""
    joined = values.get("roots")
    if not isinstance(joined, dict):
        if len(roots) > 1:
            raise UserError(f"--root is given {len(roots)} times, and {values['name']} has one folder")
        return {"root": roots[0]}
    folders = dict(word.partition("=")[::2] for word in roots)
    if not all(name in joined and folder for name, folder in folders.items()):
        raise UserError(
            f"--root {roots[0]}: {values['name']} joins {listing(list(joined), ' and ')}; say which has moved, --root "
            f"{next(iter(joined))}=FOLDER"
        )
    return {"roots": joined | folders}


def _corpora_typed(study: Path | None) -> list[str]:
    """What the commands that made a study set `corpus=` to, the last first."""
    if study is None:
        return []
    try:
        words = shlex.split(read_text(study / COMMAND))
    except (OSError, ValueError):
        return []
    return [word.removeprefix("corpus=") for word in reversed(words) if word.startswith("corpus=")]


def _target(choice: Choice, choices: Mapping[str, Choice]) -> str | None:
    """The class that a corpus is of: its own word, or that of what it is based on."""
    bases = [choices[base] for base in choice.values.get("defaults") or [] if base in choices]
    return choice.target or next((_target(base, choices) for base in bases), None)


def _folders(config: CorpusConfig, corpus: Corpus, cache: Path) -> list[Path]:
    """Where the recordings of a corpus may lie: its root, those of the corpora that it joins, or where it was made."""
    roots: Sequence[str | None] = [config.root]
    if getattr(corpus, "joins", False):
        roots = list(config.own.get("roots", {}).values())
    return [absolute(root) if root else cache / "corpora" for root in roots]
