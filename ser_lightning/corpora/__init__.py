"""Where utterances and labels come from: one file per corpus, each hands on a `Manifest`."""

from pathlib import Path

from ser_lightning.config import CorpusConfig, DemoConfig, EmoDBConfig, TableConfig
from ser_lightning.corpora.manifest import Manifest

__all__ = ["Manifest", "load_manifest"]


def load_manifest(config: CorpusConfig, cache: Path) -> Manifest:
    """The manifest of the configured corpus; `cache` is where the demo corpus is kept."""
    if isinstance(config, DemoConfig):
        from ser_lightning.corpora.demo import load_demo

        return load_demo(config, cache)
    if isinstance(config, EmoDBConfig):
        from ser_lightning.corpora.emodb import load_emodb

        return load_emodb(config)
    assert isinstance(config, TableConfig)
    from ser_lightning.corpora.table import load_table

    return load_table(config)
