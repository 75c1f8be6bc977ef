"""Berlin Database of Emotional Speech (Burkhardt et al. 2005): everything stands in the file names."""

import re
from pathlib import Path

import pandas as pd

from ser_lightning.corpora.folders import audio_folder, named_files
from ser_lightning.corpora.licences import CC0

# 03a01Fa.wav: speaker 03, text a01, emotion F, version a
NAME = re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<letter>[WLEAFTN])(?P<version>[a-z])")
EXAMPLE = "03a01Fa.wav (speaker, text, emotion W L E A F T N, version)"
EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral",
}  # fmt: skip
MEN = {"03", "10", "11", "12", "15"}


class EmoDB:
    """Berlin Database of Emotional Speech (Burkhardt et al. 2005)."""

    licence = CC0

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of EmoDB; `root` holds the files or a folder wav/ of them.

        Raises `UserError` for a wav file whose name is not EmoDB's.
        """
        rows = [
            {
                "id": path.stem,
                "path": str(path),
                "raw_label": EMOTIONS[match["letter"]],
                "speaker": match["speaker"],
                "gender": "male" if match["speaker"] in MEN else "female",
                "text_id": match["text"],
            }
            for path, match in named_files(audio_folder(root, "wav"), NAME, EXAMPLE)
        ]
        return pd.DataFrame(rows)
