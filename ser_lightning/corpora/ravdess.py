"""RAVDESS, its speech (Livingstone & Russo 2018): everything stands in the file names."""

import logging
import re
from pathlib import Path

import pandas as pd

from ser_lightning.corpora.folders import audio_folder, named_files
from ser_lightning.corpora.licences import CC_BY_NC_SA
from ser_lightning.errors import UserError

log = logging.getLogger(__name__)

# 03-01-05-02-01-02-07.wav: sound alone (03) of speech (01), angry, strong, statement 1, second time, actor 7
NAME = re.compile(
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<statement>0[12])"
    r"-(?P<repetition>0[12])-(?P<actor>0[1-9]|1\d|2[0-4])"
)
EXAMPLE = (
    "03-01-05-02-01-02-07.wav (modality, vocal channel, emotion 01-08, intensity, statement, repetition, actor 01-24)"
)
EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
    "05": "angry", "06": "fearful", "07": "disgust", "08": "surprised",
}  # fmt: skip
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}


class RAVDESS:
    """RAVDESS, its speech (Livingstone & Russo 2018)."""

    licence = CC_BY_NC_SA

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of RAVDESS's speech; `root` holds the folders Actor_01 to Actor_24.

        Song and the sound of videos are set aside with a warning. Raises `UserError` for a wav file whose name is not
        RAVDESS's, and where no file is speech.
        """
        # The copy on Kaggle holds every file twice: in Actor_*/ and in this folder.
        folder = audio_folder(root, "audio_speech_actors_01-24")
        files = named_files(folder, NAME, EXAMPLE)
        speech = [(path, match) for path, match in files if (match["modality"], match["channel"]) == ("03", "01")]
        if not speech:
            raise UserError(f"none of the {len(files)} wav files in {folder} is speech, named 03-01-*.wav")
        if len(speech) < len(files):
            log.warning(
                "RAVDESS: %d of %d files are song or belong to videos (not named 03-01-*) and are set aside",
                len(files) - len(speech),
                len(files),
            )
        rows = [
            {
                "id": path.stem,
                "path": str(path),
                "raw_label": EMOTIONS[match["emotion"]],
                "speaker": match["actor"],
                "gender": "male" if int(match["actor"]) % 2 else "female",
                "text_id": match["statement"],
                "transcript": STATEMENTS[match["statement"]],
            }
            for path, match in speech
        ]
        return pd.DataFrame(rows)
