"""Surrey Audio-Visual Expressed Emotion (Haq & Jackson 2010), its sound: everything stands in the file names."""

import re
from pathlib import Path

import pandas as pd

from ser_lightning.corpora.folders import audio_folder, named_files
from ser_lightning.corpora.licences import Licence
from ser_lightning.errors import UserError

EMOTIONS = {
    "a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness", "su": "surprise",
}  # fmt: skip
SPEAKERS = ("DC", "JE", "JK", "KL")
# DC_a01.wav, or a01.wav in a folder DC: speaker, emotion, number of the sentence within the emotion
NAME = re.compile(rf"((?P<speaker>{'|'.join(SPEAKERS)})_)?(?P<emotion>{'|'.join(EMOTIONS)})(?P<number>\d\d)")
EXAMPLE = f"DC_a01.wav or DC/a01.wav (speaker {' '.join(SPEAKERS)}, emotion {' '.join(EMOTIONS)}, sentence)"


class SAVEE:
    """Surrey Audio-Visual Expressed Emotion (Haq & Jackson 2010), its sound."""

    licence = Licence("for research, on registration")

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of SAVEE; `root` holds the files, or AudioData/ or folders DC, JE, JK, KL of them.

        Raises `UserError` for a wav file whose name is not SAVEE's, and for one without a speaker.
        """
        rows = []
        for path, match in named_files(audio_folder(root, "AudioData"), NAME, EXAMPLE):
            speaker = match["speaker"] or path.parent.name
            if speaker not in SPEAKERS:
                raise UserError(f"neither name nor folder of {path} says who speaks; name it like {EXAMPLE}")
            sentence = match["emotion"] + match["number"]
            rows.append(
                {
                    "id": f"{speaker}_{sentence}",
                    "path": str(path),
                    "raw_label": EMOTIONS[match["emotion"]],
                    "speaker": speaker,
                    "gender": "male",
                    "text_id": text_of(match["emotion"], match["number"]),
                }
            )
        return pd.DataFrame(rows)


def text_of(emotion: str, number: str) -> str:
    """Which words: common01 to common03 are taken to be the same in every emotion, all others as the emotion's own.

    Haq & Jackson name three sentences common to all emotions, which are numbered first. The neutral part also repeats
    sentences of single emotions, but no list that comes with the sound says which: a split by text still shares those.
    """
    return f"common{number}" if number in ("01", "02", "03") else emotion + number
