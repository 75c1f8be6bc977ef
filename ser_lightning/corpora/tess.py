"""Toronto Emotional Speech Set (Pichora-Fuller & Dupuis 2020): everything stands in the file names."""

import logging
import re

import pandas as pd

from ser_lightning.config import CorpusConfig
from ser_lightning.corpora.folders import corpus_root, named_files
from ser_lightning.corpora.manifest import Manifest, build_manifest

log = logging.getLogger(__name__)

EMOTIONS = {
    "angry": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy", "neutral": "neutral",
    "ps": "surprise", "sad": "sad",
}  # fmt: skip
# OAF_back_angry.wav: the older (OAF) or younger (YAF) woman, word, emotion; the release has one OA_bite_neutral.wav
NAME = re.compile(rf"(?P<speaker>OAF?|YAF)_(?P<word>[A-Za-z-]+)_(?P<emotion>{'|'.join(EMOTIONS)})")
EXAMPLE = f"OAF_back_angry.wav (speaker OAF YAF, word, emotion {' '.join(EMOTIONS)})"


def load(config: CorpusConfig) -> Manifest:
    """The manifest of TESS; the files lie anywhere below `config.root`, the names of its folders do not matter.

    Warns that two speakers allow no claim about others. Raises `UserError` for a missing folder and for a wav file
    whose name is not TESS's.
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
        for path, match in named_files(config, corpus_root(config), NAME, EXAMPLE)
    ]
    log.warning("%s: two speakers only, so that no result says how well new speakers are recognised", config.name)
    return build_manifest(pd.DataFrame(rows), config)
