"""Where utterances and labels come from: one file per corpus, and what they have in common, the `Manifest`.

Names are imported when they are first used: a header is read without pandas.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ser_lightning.corpora.loading import Corpus, load_manifest
    from ser_lightning.corpora.manifest import Manifest

__all__ = ["Corpus", "Manifest", "load_manifest"]

_HOMES = {"Corpus": "loading", "Manifest": "manifest", "load_manifest": "loading"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
