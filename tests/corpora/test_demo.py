"""The demo as a corpus: made at first use, under a name that says what makes it."""

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest


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
