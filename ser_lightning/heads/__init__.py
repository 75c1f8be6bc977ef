"""Heads: from the feature z to logits."""

from ser_lightning.heads.linear import Linear

__all__ = ["Linear"]
