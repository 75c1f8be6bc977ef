"""nEMO, Polish (Christop 2024): file names, and a table with genders and words."""

import csv
import re
from pathlib import Path

import pandas as pd

from ser_lightning.corpora.folders import audio_folder, find_table, named_files
from ser_lightning.corpora.licences import CC_BY_NC_SA
from ser_lightning.errors import UserError

# The paper says surprise, the files surprised.
EMOTIONS = {
    "anger": "anger", "fear": "fear", "happiness": "happiness", "neutral": "neutral", "sadness": "sadness",
    "surprised": "surprise", "surprise": "surprise",
}  # fmt: skip
# WR0_surprised_64.wav: speaker, emotion, sentence
NAME = re.compile(rf"(?P<speaker>[A-Z]+\d+)_(?P<emotion>{'|'.join(EMOTIONS)})_(?P<sentence>\d+)")
EXAMPLE = "WR0_surprised_64.wav (speaker, emotion anger fear happiness neutral sadness surprised, sentence)"


class NEMO:
    """nEMO (Christop 2024)."""

    licence = CC_BY_NC_SA

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of nEMO; `root` holds samples/ and, for genders and transcripts, data.tsv.

        Raises `UserError` for a wav file whose name is not nEMO's, and for a table without file_id.
        """
        folder = audio_folder(root, "samples")
        table = read_table(folder)
        rows = []
        for path, match in named_files(folder, NAME, EXAMPLE):
            described = table.get(path.stem, {})
            rows.append(
                {
                    "id": path.stem,
                    "path": str(path),
                    "raw_label": EMOTIONS[match["emotion"]],
                    "speaker": match["speaker"],
                    "gender": described.get("gender", ""),
                    "text_id": match["sentence"],
                    "transcript": described.get("raw_text", ""),
                }
            )
        return pd.DataFrame(rows)


def read_table(folder: Path) -> dict[str, dict[str, str]]:
    """File name less the suffix -> its row of data.tsv, in `folder` or beside it; empty without that table."""
    file = find_table(folder, "data.tsv")
    if file is None:
        return {}
    with file.open(newline="", encoding="utf-8-sig") as handle:
        # A quotation mark in a sentence is a letter like any other.
        rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE, restval=""))
    if not rows or "file_id" not in rows[0]:
        raise UserError(
            f"{file} has no column file_id; fetch it anew or remove it (genders and words are then unknown)"
        )
    return {Path(row["file_id"]).stem: {key: row[key].strip() for key in row if key} for row in rows}
