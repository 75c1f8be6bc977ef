"""The paper's division: shares, disjointness, strata, independence of the order of files."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_lightning.config import SplitConfig
from ser_lightning.corpora import Manifest
from ser_lightning.data.splits import make_split, tenths
from ser_lightning.errors import UserError

PAPER = SplitConfig(protocol="paper", folds=[0], repeats=[0], reshuffle=True, seed=0)
CLASSES = ("neu", "ang", "hap", "sad")


def corpus(utterances, seed=0, classes=CLASSES):
    rng = np.random.default_rng(seed)
    label = rng.choice(classes, utterances)
    table = pd.DataFrame(
        {
            "id": [f"u{i:05d}" for i in range(utterances)],
            "raw_label": label,
            "label": label,
            "session": rng.choice(["1", "2", "3", "4", "5"], utterances),
            "kind": rng.choice(["scripted", "improvised"], utterances),
            "gender": rng.choice(["female", "male"], utterances),
        }
    )
    return Manifest("test", classes, table.assign(speaker="", dialogue="", text_id="", path="", seconds=1.0))


@settings(max_examples=30, deadline=None)
@given(utterances=st.integers(300, 700), seed=st.integers(0, 1000), repeat=st.integers(0, 5))
def test_five_folds_test_and_select_on_everything_once(utterances, seed, repeat):
    manifest = corpus(utterances, seed)
    splits = [make_split(manifest, PAPER, repeat, fold) for fold in range(5)]
    for split in splits:
        parts = {part: set(split.ids(part)) for part in ("train", "dev", "test")}
        assert sum(map(len, parts.values())) == utterances == len(set().union(*parts.values()))
        for part in ("dev", "test"):
            assert abs(len(parts[part]) - utterances / 10) < 1
    held_out = Counter(name for split in splits for part in ("dev", "test") for name in split.ids(part))
    assert set(held_out.values()) == {1}
    assert len(held_out) == utterances


def test_the_shares_of_iemocap():
    parts = Counter(tenths(corpus(5531), np.random.default_rng(0)).tolist())
    assert sorted(parts.values()) == [553] * 9 + [554]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_every_stratum_is_dealt_evenly(seed):
    manifest = corpus(500, seed)
    parts = tenths(manifest, np.random.default_rng(seed))
    strata = manifest.table.assign(part=parts).groupby(["session", "kind", "gender", "raw_label"])["part"]
    for _, dealt in strata:
        counts = dealt.value_counts().reindex(range(10), fill_value=0)
        assert counts.max() - counts.min() <= 1


def test_labels_are_dealt_evenly_where_all_speakers_have_the_same_counts():
    """Dealt speaker by speaker, every speaker's last label would land in the same parts each time."""
    table = pd.DataFrame(
        [
            {"session": session, "kind": kind, "gender": gender, "raw_label": label, "label": label}
            for session in "12345"
            for kind in ("scripted", "improvised")
            for gender in ("female", "male")
            for label, count in (("neu", 9), ("ang", 6), ("hap", 9), ("sad", 6))
            for _ in range(count)
        ]
    )
    table = table.assign(id=[f"{i:03d}" for i in range(600)])
    parts = tenths(Manifest("test", CLASSES, table), np.random.default_rng(0))
    counts = pd.crosstab(parts, table["label"])
    assert (counts == [12, 18, 18, 12]).all(axis=None)


def test_repetitions_divide_anew_or_not():
    manifest = corpus(400)
    unshuffled = SplitConfig(protocol="paper", folds=[0], repeats=[0], reshuffle=False, seed=0)
    assert make_split(manifest, PAPER, 0, 0).digest != make_split(manifest, PAPER, 1, 0).digest
    assert make_split(manifest, unshuffled, 0, 0).digest == make_split(manifest, unshuffled, 1, 0).digest
    assert make_split(manifest, PAPER, 1, 2).digest == make_split(manifest, PAPER, 1, 2).digest


def test_a_class_missing_from_a_part_is_refused():
    manifest = corpus(60)
    manifest.table.loc[3:, ["label", "raw_label"]] = "neu"
    with pytest.raises(UserError, match=r"no utterance of .* too few for ten parts"):
        make_split(manifest, PAPER, 0, 0)


def test_published_division_is_not_moved_by_the_libraries():
    """A frozen digest: were it to change, nobody could repeat a published run."""
    parts = tenths(corpus(200), np.random.default_rng([0, 0]))
    assert parts[:12].tolist() == [5, 8, 0, 6, 3, 4, 2, 0, 8, 6, 8, 4]
