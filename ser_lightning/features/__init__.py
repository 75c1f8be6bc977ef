"""From sound to log spectrograms, and all of a corpus's frames in one file.

Names are imported when they are first used: a recording is read without what makes a store.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ser_lightning.features.spectrogram import LogMel, LogSTFT
    from ser_lightning.features.store import FeatureStore, build_store

__all__ = ["FeatureStore", "LogMel", "LogSTFT", "build_store"]

_HOMES = {"FeatureStore": "store", "LogMel": "spectrogram", "LogSTFT": "spectrogram", "build_store": "store"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
