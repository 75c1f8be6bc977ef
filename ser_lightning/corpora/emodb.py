"""Berlin Database of Emotional Speech (Burkhardt et al. 2005): everything stands in the file names."""

import re

import pandas as pd

from ser_lightning.config import CorpusConfig
from ser_lightning.corpora.folders import audio_folder
from ser_lightning.corpora.manifest import Manifest, build_manifest
from ser_lightning.errors import UserError

# 03a01Fa.wav: speaker 03, text a01, emotion F, version a
NAME = re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<letter>[A-Z])(?P<version>[a-z])\.wav")
EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral",
}  # fmt: skip
MEN = {"03", "10", "11", "12", "15"}


def load(config: CorpusConfig) -> Manifest:
    """The manifest of EmoDB; `config.root` holds the files or a folder wav/ of them.

    Raises `UserError` for a missing folder and for a wav file whose name is not EmoDB's.
    """
    folder = audio_folder(config, "wav")
    files = sorted(path for path in folder.glob("*.wav") if not path.name.startswith("._"))
    if not files:
        raise UserError(
            f"{config.name}: no wav files in {folder}; corpus.root is the folder that holds wav/03a01Fa.wav"
        )
    rows = []
    for path in files:
        match = NAME.fullmatch(path.name)
        if match is None or match["letter"] not in EMOTIONS:
            raise UserError(f"{config.name}: {path} is not named like 03a01Fa.wav; move it out of the folder")
        rows.append(
            {
                "id": path.stem,
                "path": str(path),
                "raw_label": EMOTIONS[match["letter"]],
                "speaker": match["speaker"],
                "gender": "male" if match["speaker"] in MEN else "female",
                "text_id": match["text"],
            }
        )
    return build_manifest(pd.DataFrame(rows), config)
