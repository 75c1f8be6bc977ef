"""Dai, Wu, Li, Wu, Jia, Meng: "Learning discriminative features from spectrograms using center loss for speech emotion
recognition", ICASSP 2019: its numbers, the names of its figures and tables, and verdicts."""

from ser_lightning.papers.icassp2019.chapter import chapter

__all__ = ["chapter"]
