"""From sound to log spectrograms, and all of a corpus's frames in one file."""

from ser_lightning.features.spectrogram import LogMel, LogSTFT
from ser_lightning.features.store import FeatureStore, build_store

__all__ = ["FeatureStore", "LogMel", "LogSTFT", "build_store"]
