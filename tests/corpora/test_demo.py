"""The demo as a corpus: made at first use, under a name that says what makes it."""

from pathlib import Path

import numpy as np
import soundfile

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from ser_lightning.corpora.demo import Demo


def make_tree(folder):
    """Nothing, for the demo is made by itself.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    return ["corpus.utterances=100"]


def test_it_is_made_once_for_equal_settings(tmp_path):
    def load(*words):
        return load_manifest(compose([*make_tree(tmp_path), *words]).corpus, tmp_path)

    first, other = load(), load("corpus.seed=1")
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.wav")}
    assert (len(first), len(other), len(before)) == (100, 100, 200)
    assert load().digest == first.digest
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.wav")} == before
    assert first.synthetic


def test_one_that_is_damaged_is_made_anew(tmp_path, monkeypatch):
    config = compose(make_tree(tmp_path)).corpus

    def make(self, folder):
        for name in config.classes:
            soundfile.write(folder / f"{name}.wav", np.full(16_000, 0.1), 16_000)
        rows = [f"{name},{name}.wav,{name}" for name in config.classes]
        (folder / "table.csv").write_text("\n".join(["id,path,label", *rows]))

    monkeypatch.setattr(Demo, "make", make)
    paths = load_manifest(config, tmp_path).table["path"]
    first = Path(paths[0])
    content = first.read_bytes()
    first.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert load_manifest(config, tmp_path).table["path"].equals(paths)
    assert first.read_bytes() == content
