"""Where utterances and labels come from: one file per corpus, each hands on a `Manifest`."""

from importlib import import_module
from pathlib import Path

from ser_lightning.config import CorpusConfig, DemoConfig
from ser_lightning.corpora.manifest import Manifest

__all__ = ["Manifest", "load_manifest"]


def load_manifest(config: CorpusConfig, cache: Path) -> Manifest:
    """The manifest of the configured corpus, by `load` of the file that `corpus.format` names.

    `cache` is where the demo corpus is kept.
    """
    if isinstance(config, DemoConfig):
        from ser_lightning.corpora.demo import load_demo

        return load_demo(config, cache)
    manifest: Manifest = import_module(f"ser_lightning.corpora.{config.format}").load(config)
    return manifest
