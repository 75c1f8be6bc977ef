"""The synthetic demo corpus: speech by espeak-ng, made at first use and kept in the cache."""

import logging
from pathlib import Path

from ser_lightning.config import DemoConfig
from ser_lightning.corpora.manifest import Manifest, build_manifest
from ser_lightning.corpora.table import read_rows
from ser_lightning.errors import UserError
from ser_lightning.files import make_folder_once
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
    make_folder_once(folder, lambda unfinished: _synthesise(unfinished, config))
    columns: dict[str, str | None] = {
        column: column
        for column in ("id", "path", "label", "speaker", "gender", "session", "dialogue", "kind", "text_id")
    }
    return build_manifest(read_rows(folder / "table.csv", folder, columns), config, synthetic=True)


def _synthesise(folder: Path, config: DemoConfig) -> None:
    from ser_lightning.corpora.demo_speech import synthesise

    log.info("Making the synthetic demo corpus (%d utterances) in %s", config.utterances, folder.parent)
    synthesise(folder, config.utterances, config.seed, config.overlap)
