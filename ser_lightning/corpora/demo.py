"""The synthetic demo corpus: speech by espeak-ng, made at first use and kept in the cache."""

import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from ser_lightning.corpora.licences import Licence
from ser_lightning.corpora.table import COLUMNS, read_rows

log = logging.getLogger(__name__)


class Demo:
    """Synthetic speech, which says nothing about people.

    Args:
        utterances: how many utterances.
        seed: equal seeds give equal bytes.
        overlap: spread of the prosody inside a class: the larger, the harder.
    """

    licence = Licence("MIT, as this package that makes it", "mit")
    synthetic = True
    # Raised when the synthesis changes, so that a cached corpus of an older version is not taken for the new one.
    version = 2

    def __init__(
        self,
        *,
        utterances: Annotated[int, Field(ge=100)] = 640,
        seed: Annotated[int, Field(ge=0)] = 0,
        overlap: Annotated[float, Field(gt=0)] = 0.5,
    ) -> None:
        self.utterances, self.seed, self.overlap = utterances, seed, overlap

    def make(self, folder: Path) -> None:
        """Synthesise the corpus. Raises `UserError` where espeak-ng cannot be used."""
        from ser_lightning.corpora.demo_speech import synthesise

        log.info("Making the synthetic demo corpus (%d utterances) in %s", self.utterances, folder.parent)
        synthesise(folder, self.utterances, self.seed, self.overlap)

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances in the folder that `make` filled."""
        return read_rows(root / "table.csv", root, {name: name for name in COLUMNS})
