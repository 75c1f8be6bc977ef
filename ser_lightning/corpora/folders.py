"""Where a corpus lies on this disk."""

import re
from pathlib import Path

from ser_lightning.errors import UserError


def audio_folder(root: Path, name: str) -> Path:
    """The folder `name` below the corpus's, or that itself if it was given as that folder."""
    return root / name if (root / name).is_dir() else root


def find_table(folder: Path, name: str) -> Path | None:
    """A corpus's table, in the folder of its sound or beside that; None where it is in neither."""
    files = (place / name for place in (folder, folder.parent))
    return next((file for file in files if file.is_file()), None)


def named_files(folder: Path, name: re.Pattern[str], example: str) -> list[tuple[Path, re.Match[str]]]:
    """The wav files in and below `folder`, each with what `name` finds in its name less the suffix.

    Raises `UserError` where there is none, and for a file that is not named like `example`.
    """
    # ._NAME.wav are macOS's resource forks, which copies of corpora carry along.
    paths = (path for path in folder.rglob("*") if path.suffix.lower() == ".wav" and not path.name.startswith("._"))
    files = []
    for path in sorted(paths):
        match = name.fullmatch(path.stem)
        if match is None:
            raise UserError(f"{path} is not named like {example}; rename it or move it out of the folder")
        files.append((path, match))
    if not files:
        raise UserError(f"no wav files in or below {folder}; corpus.root is the folder of {example}")
    return files
