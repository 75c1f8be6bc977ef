"""Several corpora in one, by the classes that they have in common."""

from pathlib import Path
from typing import Optional

import pandas as pd

from ser_lightning.config import CorpusConfig, choices, compose
from ser_lightning.corpora.loading import read_rows, tell
from ser_lightning.corpora.manifest import SCENES, SENTENCES, label_rows, name_doubts
from ser_lightning.errors import UserError

# Names that mean something within their corpus alone
LOCAL = ("id", "speaker", "session", "dialogue", "text_id")
KEPT = ("path", "gender", "kind", "part", "transcript")


class Mixed:
    """Several corpora in one.

    Args:
        roots: corpus, as in corpus=..., -> its folder, or null where it is made; its classes are those of its own file.
    """

    joins = True

    def __init__(self, *, roots: dict[str, Optional[str]]) -> None:
        self.roots = roots
        self.synthetic, self.texts = False, SENTENCES
        self.uses = f"corpora joined: {', '.join(roots)}"

    def load(self, root: Path) -> pd.DataFrame:
        """The utterances of all corpora that have a class; `root` is where those that are made are kept.

        Their labels are the classes of their own corpora. Ids, speakers, sessions, dialogues and texts have their
        corpus's name before them, so that what is not the same never is. Votes and ratings are unknown, since labels
        and scales differ.

        Raises `UserError` where there are fewer than two corpora, or one is unknown or cannot be read.
        """
        if len(self.roots) < 2:
            raise UserError(
                "corpus.roots names fewer than two corpora; it is e.g. corpus.roots={emodb: a/folder, ravdess: another}"
            )
        tables = []
        for name, folder in self.roots.items():
            config = _member(name, folder, root)
            corpus, rows = read_rows(config, root)
            rows, written = label_rows(rows, config)
            tell(corpus, config)
            name_doubts(written, rows, config)
            self.synthetic |= bool(getattr(corpus, "synthetic", False))
            # What is said of both must be true of either
            if getattr(corpus, "texts", SENTENCES) == SCENES:
                self.texts = SCENES
            local = {column: (name + "/" + rows[column]).where(rows[column] != "", "") for column in LOCAL}
            tables.append(rows[list(KEPT)].assign(**local, raw_label=rows["label"], corpus=name))
        return pd.concat(tables, ignore_index=True)


def _member(name: str, folder: str | None, cache: Path) -> CorpusConfig:
    """The configuration of one corpus, as `corpus=NAME corpus.root=FOLDER` makes it."""
    known = choices()["corpus"]
    if name not in known:
        raise UserError(f"corpus.roots: there is no corpus {name}; there are {', '.join(known)}")
    places = {"corpus.root": folder, "paths.output": str(cache.parent)}
    quoted = {key: "'{}'".format(place.replace("'", "\\'")) if place else "null" for key, place in places.items()}
    try:
        return compose([f"corpus={name}", *(f"{key}={place}" for key, place in quoted.items())]).corpus
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
