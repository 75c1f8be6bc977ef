"""Where a corpus lies on this disk."""

from pathlib import Path

from ser_lightning.config import CorpusConfig
from ser_lightning.errors import UserError


def corpus_root(config: CorpusConfig) -> Path:
    """`corpus.root` as an absolute path; raises `UserError` if it is not set or no folder."""
    if not config.root:
        raise UserError(f"{config.name}: corpus.root is not set; give the folder of the corpus")
    root = Path(config.root).expanduser().resolve()
    if not root.is_dir():
        raise UserError(f"{config.name}: there is no folder {root}; corpus.root must name the corpus's folder")
    return root


def audio_folder(config: CorpusConfig, name: str) -> Path:
    """The folder `name` below `corpus.root`, or the root itself if it was given as that folder."""
    root = corpus_root(config)
    return root / name if (root / name).is_dir() else root
