"""Where a corpus lies on this disk."""

import re
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


def named_files(
    config: CorpusConfig, folder: Path, name: re.Pattern[str], example: str
) -> list[tuple[Path, re.Match[str]]]:
    """The wav files in and below `folder`, each with what `name` finds in its name less the suffix.

    Raises `UserError` where there is none, and for a file that is not named like `example`.
    """
    # ._NAME.wav are macOS's resource forks, which copies of corpora carry along.
    found = (path for path in folder.rglob("*") if path.suffix.lower() == ".wav" and not path.name.startswith("._"))
    files = []
    for path in sorted(found):
        match = name.fullmatch(path.stem)
        if match is None:
            raise UserError(
                f"{config.name}: {path} is not named like {example}; rename it or move it out of the folder"
            )
        files.append((path, match))
    if not files:
        raise UserError(f"{config.name}: no wav files in or below {folder}; corpus.root is the folder of {example}")
    return files
