"""The synthetic demo corpus: speech by espeak-ng, made at first use and kept in the cache."""

import logging
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from ser_lightning.config import DemoConfig
from ser_lightning.corpora.manifest import Manifest, build_manifest
from ser_lightning.corpora.table import read_rows
from ser_lightning.errors import UserError
from ser_lightning.identity import digest

log = logging.getLogger(__name__)

# Raised when the synthesis changes, so that a cached corpus of an older version is not taken for the new one.
VERSION = 1


def load_demo(config: DemoConfig, cache: Path) -> Manifest:
    """The manifest of the demo corpus, synthesised into `cache` if it is not there yet.

    Raises `UserError` where espeak-ng cannot be used, and where a folder is given, which would be ignored.
    """
    if config.root:
        raise UserError(
            f"corpus.root={config.root}: the demo corpus is synthesised and has no folder; "
            "choose whose folder that is, e.g. corpus=emodb or corpus=table"
        )
    name = f"demo-{digest([VERSION, config.utterances, config.seed, config.overlap])}"
    folder = cache / "corpora" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f"{name}.lock"):
        if not folder.is_dir():
            _synthesise_whole(folder, config)
    columns: dict[str, str | None] = {
        column: column
        for column in ("id", "path", "label", "speaker", "gender", "session", "dialogue", "kind", "text_id")
    }
    return build_manifest(read_rows(folder / "table.csv", folder, columns), config, synthetic=True)


def _synthesise_whole(folder: Path, config: DemoConfig) -> None:
    """All of the corpus or nothing: it is made beside its place and moved there when complete."""
    from ser_lightning.corpora.demo_speech import synthesise

    log.info("Making the synthetic demo corpus (%d utterances) in %s", config.utterances, folder)
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
    try:
        synthesise(unfinished, config.utterances, config.seed, config.overlap)
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
