"""Toronto Emotional Speech Set (Pichora-Fuller & Dupuis 2020): everything stands in the file names."""

import logging
import re
from pathlib import Path

import pandas as pd

from ser_lightning.corpora.folders import named_files
from ser_lightning.corpora.licences import CC_BY_NC_ND

log = logging.getLogger(__name__)

EMOTIONS = {
    "angry": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy", "neutral": "neutral",
    "ps": "surprise", "sad": "sad",
}  # fmt: skip
# OAF_back_angry.wav: the older (OAF) or younger (YAF) woman, word, emotion; the release has one OA_bite_neutral.wav
NAME = re.compile(rf"(?P<speaker>OAF?|YAF)_(?P<word>[A-Za-z-]+)_(?P<emotion>{'|'.join(EMOTIONS)})")
EXAMPLE = f"OAF_back_angry.wav (speaker OAF YAF, word, emotion {' '.join(EMOTIONS)})"


class TESS:
    """Toronto Emotional Speech Set (Pichora-Fuller & Dupuis 2020)."""

    licence = CC_BY_NC_ND

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of TESS; the files lie anywhere below `root`, the names of its folders do not matter.

        Warns that two speakers allow no claim about others. Raises `UserError` for a wav file whose name is not
        TESS's.
        """
        rows = [
            {
                "id": path.stem,
                "path": str(path),
                "raw_label": EMOTIONS[match["emotion"]],
                "speaker": "YAF" if match["speaker"] == "YAF" else "OAF",
                "gender": "female",
                "text_id": match["word"],
                "transcript": f"Say the word {match['word']}",
            }
            for path, match in named_files(root, NAME, EXAMPLE)
        ]
        log.warning("TESS: two speakers only, so that no result says how well new speakers are recognised")
        return pd.DataFrame(rows)
