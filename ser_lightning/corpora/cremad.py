"""CREMA-D (Cao et al. 2014): file names, and a table of the actors' genders."""

import csv
import re
from pathlib import Path

import pandas as pd

from ser_lightning.corpora.folders import audio_folder, find_table, named_files
from ser_lightning.corpora.licences import ODBL
from ser_lightning.errors import UserError

EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
# 1001_DFA_ANG_XX.wav: actor, sentence, emotion, level; the release has one level X, in 1040_ITH_SAD_X.wav
NAME = re.compile(
    rf"(?P<actor>1\d\d\d)_(?P<sentence>{'|'.join(SENTENCES)})_(?P<emotion>{'|'.join(EMOTIONS)})_(?P<level>LO|MD|HI|XX?)"
)
EXAMPLE = f"1001_DFA_ANG_XX.wav (actor, sentence, emotion {' '.join(EMOTIONS)}, level LO MD HI XX)"


class CREMAD:
    """CREMA-D (Cao et al. 2014)."""

    licence = ODBL

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of CREMA-D; `root` holds AudioWAV/ and, for the genders, VideoDemographics.csv.

        The labels are what the actors were asked to play, not what listeners heard. Raises `UserError` for a wav
        file whose name is not CREMA-D's, and for a table of actors without their ids or sexes.
        """
        folder = audio_folder(root, "AudioWAV")
        genders = read_genders(folder)
        rows = [
            {
                "id": path.stem,
                "path": str(path),
                "raw_label": EMOTIONS[match["emotion"]],
                "speaker": match["actor"],
                "gender": genders.get(match["actor"], ""),
                "text_id": match["sentence"],
                "transcript": SENTENCES[match["sentence"]],
            }
            for path, match in named_files(folder, NAME, EXAMPLE)
        ]
        return pd.DataFrame(rows)


def read_genders(folder: Path) -> dict[str, str]:
    """Actor -> male or female, from the table in `folder` or beside it; empty without that table."""
    file = find_table(folder, "VideoDemographics.csv")
    if file is None:
        return {}
    with file.open(newline="", encoding="utf-8-sig") as handle:
        table = list(csv.DictReader(handle))
    if not table or not {"ActorID", "Sex"} <= table[0].keys():
        raise UserError(f"{file} has no columns ActorID and Sex; fetch it anew or remove it (genders are then unknown)")
    return {row["ActorID"]: (row["Sex"] or "").lower() for row in table}
