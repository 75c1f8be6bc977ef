"""MELD (Poria et al. 2019): scenes of a television series; its three tables, and the sound of its videos.

The corpus itself was not at hand: layout and faults are those that published readers and its users' reports agree on.
"""

import logging
import re
import shlex
from pathlib import Path

import pandas as pd

from ser_lightning.corpora.columns import read_columns
from ser_lightning.corpora.licences import Licence
from ser_lightning.errors import UserError, listing

log = logging.getLogger(__name__)

# The release's folders; those of copies have names that begin with the part's
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
FOLDER = re.compile(r"(?:output_repeated_splits_)?(train|dev|test)", re.IGNORECASE)
# dia0_utt0.mp4: dialogue and utterance, numbered from 0 in each part
NAME = re.compile(r"(?P<anew>final_videos_test)?(?P<utterance>dia\d+_utt\d+)")
VIDEO = ".mp4"
SOUNDS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")
# The one's video is damaged (issues 39 and 52 of the release), the other's was never in it (issues 22 and 27)
MISSING = ("train_dia125_utt3", "dev_dia110_utt7")


class MELD:
    """MELD (Poria et al. 2019)."""

    # Of its tables; whose the series is, it does not say
    licence = Licence("GPL 3.0")

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of MELD.

        `root` holds at any depth train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv, and in folders whose names
        begin with the part's, or are the release's, the sound that was taken out of the videos, e.g. dia0_utt0.wav.

        Of a test utterance that the release has twice, the file whose name begins with final_videos_test is read, which
        was cut anew. `MISSING` is left out. Speakers go by their names in the series; some names are of several people
        (All, Guy), and the main ones are in all parts.

        Raises `UserError` where a table or the recordings of a part are not there, where of a part's videos no sound
        was taken out, and where several files may be an utterance.
        """
        table = pd.concat([_read_table(root, part) for part in FOLDERS], ignore_index=True)
        missing = table["id"].isin(MISSING)
        if missing.any():
            log.info("MELD: left out, since the release lacks their sound: %s", listing(table.loc[missing, "id"]))
        table = table[~missing]
        recordings = _find(root)
        sounds = {
            name: [file for file in recordings.get(name, []) if file.suffix.lower() != VIDEO] for name in table["id"]
        }
        silent = [name for name, files in sounds.items() if not files and name in recordings]
        _refuse_silent_parts(root, table, sounds, silent)
        for name, files in sounds.items():
            if len(files) > 1:
                raise UserError(f"{listing(files, ' and ')} may each be {name}; remove all but one")
        if silent:
            log.warning("MELD: %d videos lack their sound: %s. %s", len(silent), listing(silent), _remedy(root))
        # Of a video that lacks its sound where that would be, of what is not there at all where the parts are
        lacking = {name: recordings[name][0].with_suffix(".wav") for name in silent}
        paths = [
            str(sounds[name][0] if sounds[name] else lacking.get(name, root / f"{name}.wav")) for name in table["id"]
        ]
        return table.assign(path=paths)


def _read_table(root: Path, part: str) -> pd.DataFrame:
    name = f"{part}_sent_emo.csv"
    files = sorted(root.rglob(name))
    if not files:
        raise UserError(f"there is no {name} in or below {root}; corpus.root is the folder of MELD's tables and videos")
    if len({file.read_bytes() for file in files}) > 1:
        raise UserError(f"{listing(files, ' and ')} differ; remove all but one")
    table = read_columns(files[0], ["Emotion", "Dialogue_ID", "Utterance_ID"], ["Speaker", "Utterance"])
    dialogue = f"{part}_dia" + table["Dialogue_ID"]
    return pd.DataFrame(
        {
            "id": dialogue + "_utt" + table["Utterance_ID"],
            "raw_label": table["Emotion"],
            "speaker": table["Speaker"],
            "dialogue": dialogue,
            "part": part,
            "transcript": table["Utterance"],
        }
    )


def _find(root: Path) -> dict[str, list[Path]]:
    """Utterance -> its sounds and videos; where some were cut anew, those alone."""
    files: dict[str, list[Path]] = {}
    anew: dict[str, list[Path]] = {}
    for file in sorted(root.rglob("*dia*_utt*")):
        name = NAME.fullmatch(file.stem)
        part = next(filter(None, map(FOLDER.match, file.relative_to(root).parts[-2::-1])), None)
        if name and part and file.suffix.lower() in (VIDEO, *SOUNDS):
            utterance = f"{part[1].lower()}_{name['utterance']}"
            (anew if name["anew"] else files).setdefault(utterance, []).append(file)
    return files | anew


def _refuse_silent_parts(root: Path, table: pd.DataFrame, sounds: dict[str, list[Path]], silent: list[str]) -> None:
    for part, folder in FOLDERS.items():
        names = table.loc[table["part"] == part, "id"]
        if any(sounds[name] for name in names):
            continue
        if videos := len(set(names) & set(silent)):
            raise UserError(f"of the {part} part, {videos} videos have no sound beside them. {_remedy(root)}")
        raise UserError(
            f"there are no recordings of the {part} part, such as {root / folder / 'dia0_utt0.wav'}; put them into a "
            f"folder whose name begins with {part}"
        )


def _remedy(root: Path) -> str:
    videos = f"find {shlex.quote(str(root))} -name '*dia*_utt*{VIDEO}' ! -name '._*'"
    sound = f'ffmpeg -nostdin -n -v error -i "$1" -vn -ac 1 -ar 16000 "${{1%{VIDEO}}}.wav"'
    return f"Take it out of them by: {videos} -exec sh -c '{sound}' - {{}} \\;"
