"""The network alone."""

from ser_lightning.models.crnn import CRNN

__all__ = ["CRNN"]
