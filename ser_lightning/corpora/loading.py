"""What a corpus is, and from a configured one to its manifest."""

import logging
from pathlib import Path
from typing import Protocol

import pandas as pd

from ser_lightning.components import blamed
from ser_lightning.config import CorpusConfig
from ser_lightning.contents import make_sealed_folder
from ser_lightning.corpora.manifest import SENTENCES, Manifest, build_manifest, refuse_other_rows
from ser_lightning.errors import UserError
from ser_lightning.files import absolute
from ser_lightning.identity import digest

log = logging.getLogger(__name__)


class Corpus(Protocol):
    """Where utterances come from.

    Its constructor may take `labels`, those of its raw labels that some class has; None: each is a class.

    A `licence` (a `Licence`) says under what it is given; models of a corpus without one are exported under a licence
    that the user names.

    A corpus that is not real speech says `synthetic = True`. One that is made, not given, has a method `make(folder)`
    that fills a new folder, which then is its root; a `version` is raised when it makes something else. One that joins
    others says `joins = True`, has for a root the folder in which those that are made are kept, and names them in
    `uses`, a phrase for captions. One that reads a table may say in a `summary` what it has read, and in `doubts`, a
    sentence each, what may be meant otherwise. One whose texts are scenes of many lines, not sentences, says
    `texts = SCENES` (`corpora.manifest`).
    """

    def load(self, root: Path) -> pd.DataFrame:
        """A row per utterance of the corpus in the folder `root`.

        Columns: id (unique), path (of the recording) and raw_label (the corpus's own, which `corpus.classes` maps to
        classes); and what is known of speaker, gender, session, dialogue, kind (e.g. scripted), text_id (equal for
        equal words), part (of the corpus's own partition: train, dev, test or another name), corpus (of several in
        one), transcript, votes (evaluator -> raw labels chosen), valence, activation, dominance. Raises `UserError`,
        without the corpus's name, for what a person can mend.
        """
        ...


def load_manifest(config: CorpusConfig, cache: Path, shortest: float = 0.0) -> Manifest:
    """The manifest of the configured corpus; recordings shorter than `shortest` seconds are left out.

    `cache` is where a corpus that is made is kept. Raises `UserError`, with the corpus's name, for what a person can
    mend.
    """
    corpus, rows = read_rows(config, cache)
    with blamed(config):
        synthetic, texts = bool(getattr(corpus, "synthetic", False)), getattr(corpus, "texts", SENTENCES)
        manifest = build_manifest(rows, config, shortest, synthetic, texts)
    tell(corpus, config)
    return manifest


def make_corpus(config: CorpusConfig) -> Corpus:
    """The configured corpus, of which nothing has been read."""
    labels = [label for labels in config.classes.values() for label in labels] if config.classes else None
    made: Corpus = config.make(labels=labels)
    return made


def read_rows(config: CorpusConfig, cache: Path) -> tuple[Corpus, pd.DataFrame]:
    """The configured corpus, and its rows as it gives them; `cache` and errors as of `load_manifest`."""
    corpus = make_corpus(config)
    with blamed(config):
        root = _root(config, corpus, cache)
        try:
            rows = corpus.load(root)
        except UserError as error:
            raise UserError(f"{config.name}: {error}") from error
        refuse_other_rows(rows, f"{config.name}: {config.target}.load")
    return corpus, rows


def tell(corpus: Corpus, config: CorpusConfig) -> None:
    """Say what a corpus has to say once its rows are read."""
    if summary := getattr(corpus, "summary", ""):
        log.info("%s: %s", config.name, summary)
    for doubt in getattr(corpus, "doubts", ()):
        log.warning("%s: %s", config.name, doubt)


def _root(config: CorpusConfig, corpus: Corpus, cache: Path) -> Path:
    if hasattr(corpus, "make"):
        return _made(config, corpus, cache)
    if not getattr(corpus, "joins", False):
        return _given(config)
    if config.root:
        raise UserError(f"corpus.root={config.root}: {config.name} has no folder of its own; see corpus.roots")
    return cache


def _given(config: CorpusConfig) -> Path:
    if not config.root:
        raise UserError(f"{config.name}: corpus.root is not set; give the folder of the corpus")
    root = absolute(config.root)
    if not root.is_dir():
        raise UserError(f"{config.name}: there is no folder {root}; corpus.root must name the corpus's folder")
    return root


def _made(config: CorpusConfig, corpus: Corpus, cache: Path) -> Path:
    """Where the corpus was made; it is made first if it was not."""
    if config.root:
        raise UserError(
            f"corpus.root={config.root}: the {config.name} corpus is made, not read, and has no folder; "
            "choose whose folder that is, e.g. corpus=emodb or corpus=table"
        )
    name = f"{config.name}-{digest([getattr(corpus, 'version', 0), config.code, config.content])}"
    folder = cache / "corpora" / name
    register = cache / "contents" / "corpora" / f"{name}.json"
    make_sealed_folder(folder, corpus.make, register, accept_unsealed=True)  # type: ignore[attr-defined]
    return folder
