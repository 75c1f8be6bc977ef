"""From sound to log spectrograms, and all of a corpus's frames in one file.

Names are imported when they are first used: a recording is read without what makes a store.
"""

from typing import TYPE_CHECKING

from lazy_loader import attach

if TYPE_CHECKING:
    from ser_lightning.features.spectrogram import LogMel as LogMel
    from ser_lightning.features.spectrogram import LogSTFT as LogSTFT
    from ser_lightning.features.store import FeatureStore as FeatureStore
    from ser_lightning.features.store import build_store as build_store

__getattr__, __dir__, __all__ = attach(
    __name__, submod_attrs={"spectrogram": ["LogMel", "LogSTFT"], "store": ["FeatureStore", "build_store"]}
)
