"""MSP-Podcast (Lotfian & Busso 2019; Busso et al. 2025): the consensus labels, which all its releases have as a table.

The corpus itself was not at hand: names and codes are those that published readers of its releases agree on.
"""

from pathlib import Path

import pandas as pd

from ser_lightning.corpora.columns import read_columns, read_numbers
from ser_lightning.corpora.licences import Licence
from ser_lightning.errors import UserError

LABELS = "labels_consensus.csv"
# O: evaluators agree on another word than these; X: no word was chosen most often
EMOTIONS = {
    "A": "anger", "S": "sadness", "H": "happiness", "U": "surprise", "F": "fear", "D": "disgust", "C": "contempt",
    "N": "neutral", "O": "other", "X": "no_agreement",
}  # fmt: skip
# Means from 1 to 7
RATINGS = {"valence": "EmoVal", "activation": "EmoAct", "dominance": "EmoDom"}
PARTS = {"development": "dev", "validation": "dev"}


class MSPPodcast:
    """MSP-Podcast (Lotfian & Busso 2019; Busso et al. 2025)."""

    licence = Licence("an agreement that each institution signs")

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of MSP-Podcast; `root` holds Labels/ and Audios/, each perhaps in a folder of its own name.

        What the release calls Unknown, of speakers and genders, is unknown. The parts of its partition are train, dev,
        test1, test2 and test3. `dialogue` is the podcast: the first number in the name of a file.

        Raises `UserError` where the table of labels is not there, or cannot be read, or lacks a column.
        """
        file = _find_labels(root)
        table = read_columns(file, ["FileName", "EmoClass"], [*RATINGS.values(), "SpkrID", "Gender", "Split_Set"])
        names = table["FileName"]
        part = table["Split_Set"].str.lower()
        rows = pd.DataFrame(
            {
                "id": names.str.removesuffix(".wav"),
                "path": f"{_audio_folder(root, names.iloc[0])}/" + names,
                # a letter that is none of these is told as a label that is in no class
                "raw_label": table["EmoClass"].replace(EMOTIONS),
                "speaker": table["SpkrID"].where(table["SpkrID"].str.lower() != "unknown", ""),
                "gender": table["Gender"].str.lower().replace("unknown", ""),
                "dialogue": names.str.extract(r"^(\D+\d+)_", expand=False).fillna(""),
                "part": part.replace(PARTS),
            }
        )
        return rows.assign(**{name: read_numbers(table[column], file) for name, column in RATINGS.items()})


def _find_labels(root: Path) -> Path:
    places = [root / "Labels" / LABELS, root / "Labels" / "Labels" / LABELS, root / LABELS]
    for file in places:
        if file.is_file():
            return file
    raise UserError(f"there is no {places[0]}; corpus.root is the folder that holds Labels/{LABELS} and Audios/")


def _audio_folder(root: Path, name: str) -> Path:
    """Where the recording of this name lies; where it should if it is nowhere."""
    places = [root / "Audios", root / "Audios" / "Audios", root / "Audio"]
    return next((folder for folder in places if (folder / name).is_file()), places[0])
