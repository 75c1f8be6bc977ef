"""Folders like those of a corpus's release, and the manifest of what lies in one."""

import numpy as np
import soundfile

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest


def load(root, name):
    """The manifest of `corpus=name` in the folder `root`."""
    return load_manifest(compose([f"corpus={name}", f"corpus.root={root}"]).corpus, root)


def write(root, *names, kind="WAV"):
    """A second of noise as `root`/NAME.wav for each name; folders are made."""
    for name in names:
        file = root / f"{name}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, 0.1 * np.random.default_rng(0).standard_normal(8000), 8000, format=kind)
