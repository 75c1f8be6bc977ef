"""Protocols: shares, disjointness, strata, who is apart from whom, independence of the order of files."""

import logging
from collections import Counter
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_lightning.config import compose
from ser_lightning.corpora import Manifest
from ser_lightning.data.protocols import deal, deal_utterances
from ser_lightning.data.splits import limit_training, make_splits, write_splits
from ser_lightning.errors import UserError

PAPER, SPEAKER, SESSION = (compose([f"split={name}"]).split for name in ("paper", "speaker", "session"))
TEXT = compose(["split=text", "split.groups=4"]).split
CLASSES = ("neu", "ang", "hap", "sad")


def changed(config, folds=None, repeats=(0,), **settings):
    return config.model_copy(update={"folds": folds, "repeats": list(repeats), "own": {**config.own, **settings}})


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
            "text_id": rng.choice([f"t{i}" for i in range(8)], utterances),
            "corpus": "",
        }
    )
    table["speaker"] = table["session"] + table["gender"]
    return Manifest("test", classes, table)


def one_split(manifest, config, repeat=0, fold=0):
    (split,) = make_splits(manifest, changed(config, [fold], [repeat]))
    return split


def facts(manifest, split, part, column):
    table = manifest.table.set_index("id")
    return set(table.loc[split.ids(part), column])


@settings(max_examples=30, deadline=None)
@given(utterances=st.integers(300, 700), seed=st.integers(0, 1000), repeat=st.integers(0, 5))
def test_five_folds_test_and_select_on_everything_once(utterances, seed, repeat):
    manifest = corpus(utterances, seed)
    splits = make_splits(manifest, changed(PAPER, repeats=[repeat]))
    assert len(splits) == 5
    for split in splits:
        parts = {part: set(split.ids(part)) for part in ("train", "dev", "test")}
        assert sum(map(len, parts.values())) == utterances == len(set().union(*parts.values()))
        for part in ("dev", "test"):
            assert abs(len(parts[part]) - utterances / 10) < 1
    held_out = Counter(name for split in splits for part in ("dev", "test") for name in split.ids(part))
    assert set(held_out.values()) == {1}
    assert len(held_out) == utterances


def test_the_shares_of_iemocap():
    parts = Counter(deal_utterances(corpus(5531), 10, np.random.default_rng(0)).tolist())
    assert sorted(parts.values()) == [553] * 9 + [554]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_every_stratum_is_dealt_evenly(seed):
    manifest = corpus(500, seed)
    parts = deal_utterances(manifest, 10, np.random.default_rng(seed))
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
    parts = deal_utterances(Manifest("test", CLASSES, table), 10, np.random.default_rng(0))
    counts = pd.crosstab(parts, table["label"])
    assert (counts == [12, 18, 18, 12]).all(axis=None)


def test_repetitions_divide_anew_or_not():
    manifest = corpus(400)
    unshuffled = changed(PAPER, reshuffle=False)
    assert one_split(manifest, PAPER, 0, 0).digest != one_split(manifest, PAPER, 1, 0).digest
    assert one_split(manifest, unshuffled, 0, 0).digest == one_split(manifest, unshuffled, 1, 0).digest
    assert one_split(manifest, PAPER, 1, 2).digest == one_split(manifest, PAPER, 1, 2).digest


def test_a_class_missing_from_a_part_is_refused():
    manifest = corpus(60)
    manifest.table.loc[3:, ["label", "raw_label"]] = "neu"
    with pytest.raises(UserError, match=r"no utterance of .* too few for parts with every class"):
        one_split(manifest, PAPER)


def test_published_division_is_not_moved_by_the_libraries():
    """A frozen digest: were it to change, nobody could repeat a published run."""
    parts = deal_utterances(corpus(200), 10, np.random.default_rng([0, 0]))
    assert parts[:12].tolist() == [5, 8, 0, 6, 3, 4, 2, 0, 8, 6, 8, 4]


def test_swapped_folds_test_what_the_others_selected_on():
    manifest = corpus(400)
    splits = make_splits(manifest, changed(PAPER, swap=True))
    assert len(splits) == 10
    for first, second in zip(splits[:5], splits[5:], strict=True):
        assert (first.ids("dev"), first.ids("test")) == (second.ids("test"), second.ids("dev"))
        assert first.ids("train") == second.ids("train")
    assert sorted(name for split in splits for name in split.ids("test")) == manifest.table["id"].tolist()


def test_a_fold_that_there_is_not():
    with pytest.raises(UserError, match=r"split\.folds=5: the paper protocol has the folds 0 to 4 here; split\.folds="):
        one_split(corpus(400), PAPER, fold=5)


@settings(max_examples=20, deadline=None)
@given(utterances=st.integers(300, 700), seed=st.integers(0, 1000), groups=st.integers(3, 10))
def test_speakers_are_apart_and_each_is_tested_once(utterances, seed, groups):
    manifest = corpus(utterances, seed)
    # every speaker has every class, as ten speakers of chance would not always
    manifest.table["label"] = [CLASSES[number % 4] for number in manifest.table.groupby("speaker").cumcount()]
    splits = make_splits(manifest, changed(SPEAKER, groups=groups, seed=seed))
    assert len(splits) == groups
    for split in splits:
        train, dev, test = (facts(manifest, split, part, "speaker") for part in ("train", "dev", "test"))
        assert [train & dev, train & test, dev & test] == [set()] * 3
        assert len(split.table) == utterances
    tested = [name for split in splits for name in split.ids("test")]
    assert sorted(tested) == manifest.table["id"].tolist()


def test_a_tenth_of_the_other_speakers_utterances_may_select():
    manifest = corpus(600)
    whole = make_splits(manifest, SPEAKER)
    splits = make_splits(manifest, changed(SPEAKER, dev="utterances"))
    selected = []
    for apart, split in zip(whole, splits, strict=True):
        assert split.ids("test") == apart.ids("test")
        train, dev, test = (facts(manifest, split, part, "speaker") for part in ("train", "dev", "test"))
        assert dev <= train
        assert not test & (train | dev)
        others = 600 - len(split.ids("test"))
        assert len(split.ids("dev")) == pytest.approx(others / 10, abs=6)
        selected += split.ids("dev")
    assert len(set(selected)) == len(selected)
    assert make_splits(manifest, changed(SPEAKER, dev="utterances"))[0].digest == splits[0].digest
    assert not compose(["split=speaker"]).split.make().uses
    assert changed(SPEAKER, dev="utterances").make().uses == "selected on a tenth of the training speakers' utterances"


def test_groups_of_speakers_are_of_like_size_classes_and_gender():
    """Ten speakers of 60 to 105 utterances, five groups: pairs of a large and a small one, of both genders."""
    rows = []
    for number in range(10):
        gender = "female" if number % 2 else "male"
        rows += [(f"s{number}", gender, CLASSES[i % 4]) for i in range(60 + 5 * number)]
    table = pd.DataFrame(rows, columns=["speaker", "gender", "label"])
    manifest = Manifest("test", CLASSES, table.assign(id=[f"{i:04d}" for i in range(len(table))]))
    group = deal(manifest, table["speaker"], 5, seed=0, repeat=0)
    sizes = np.bincount(group)
    assert sizes.sum() == 825
    assert sizes.max() - sizes.min() <= 15
    assert (pd.crosstab(group, table["gender"]) > 0).all(axis=None)
    assert table["speaker"].groupby(group).nunique().tolist() == [2] * 5


def test_repetitions_are_other_divisions_as_long_as_there_are_others():
    """Five women and five men as in EmoDB, by number of utterances: 25 pairs of both."""
    sizes = dict(zip("abcdefghij", (36, 46, 39, 30, 47, 27, 26, 41, 27, 20), strict=True))
    rows = [
        (name, "female" if name in "bdfgi" else "male", i % 4) for name, count in sizes.items() for i in range(count)
    ]
    table = pd.DataFrame(rows, columns=["speaker", "gender", "label"])
    manifest = Manifest("test", CLASSES, table.assign(id=[f"{i:04d}" for i in range(len(table))]))
    deals = [deal(manifest, table["speaker"], 5, seed=0, repeat=repeat) for repeat in range(6)]
    speakers = [table["speaker"].groupby(group).unique().map(frozenset).tolist() for group in deals]
    assert len({frozenset(groups) for groups in speakers}) == 6
    assert len({group for groups in speakers[:4] for group in groups}) == 20
    again = deal(manifest, table["speaker"], 5, seed=0, repeat=3)
    assert np.array_equal(again, deals[3])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_neither_voice_nor_sentence_of_a_part_is_in_another(seed):
    manifest = corpus(2000, seed)
    # More than any sentence has, as IEMOCAP's improvised turns
    manifest.table.loc[manifest.table.index % 5 < 3, "text_id"] = ""
    for split in make_splits(manifest, changed(TEXT, seed=seed)):
        for column in ("speaker", "text_id"):
            train, dev, test = (facts(manifest, split, part, column) - {""} for part in ("train", "dev", "test"))
            assert [train & dev, train & test, dev & test] == [set()] * 3
        # speech without a text goes by its speaker, so that all of the tested speakers' is tested
        free = manifest.table[(manifest.table["text_id"] == "")]
        speakers = facts(manifest, split, "test", "speaker")
        assert facts(manifest, split, "test", "text_id") - {""}
        assert set(free.loc[free["speaker"].isin(speakers), "id"]) <= set(split.ids("test"))


def test_two_sentences_cannot_be_kept_apart_in_three_parts():
    manifest = corpus(400)
    manifest.table["text_id"] = np.where(np.arange(400) % 2, "kids", "dogs")
    with pytest.raises(UserError, match="split=text needs at least 3 sentences, and there are 2"):
        make_splits(manifest, TEXT)


def test_session_folds():
    manifest = corpus(600)
    splits = make_splits(manifest, SESSION)
    tested = [facts(manifest, split, "test", "session") for split in splits]
    assert tested == [{"1"}, {"2"}, {"3"}, {"4"}, {"5"}]
    assert [facts(manifest, split, "dev", "session") for split in splits] == [{"2"}, {"3"}, {"4"}, {"5"}, {"1"}]
    assert facts(manifest, splits[0], "train", "session") == {"3", "4", "5"}


def test_session_folds_that_select_on_the_other_speaker():
    manifest = corpus(600)
    splits = make_splits(manifest, changed(SESSION, dev="speaker"))
    tested = [facts(manifest, split, "test", "speaker") for split in splits]
    assert tested[:3] == [{"1female"}, {"1male"}, {"2female"}]
    assert facts(manifest, splits[0], "dev", "speaker") == {"1male"}
    assert facts(manifest, splits[0], "train", "session") == {"2", "3", "4", "5"}
    assert len(splits) == 10


@pytest.mark.parametrize("config", [PAPER, SPEAKER, TEXT, SESSION], ids=lambda config: config.name)
def test_the_order_of_files_on_disk_is_of_no_effect(config):
    """Loaders sort by id, whatever order the disk gives; the division is then a function of names and facts."""
    manifest = corpus(1200)
    shuffled = manifest.table.sample(frac=1, random_state=1)
    again = Manifest("test", CLASSES, shuffled.sort_values("id", ignore_index=True))
    assert [split.digest for split in make_splits(manifest, config)] == [
        split.digest for split in make_splits(again, config)
    ]


def test_unknown_speakers_are_named():
    manifest = corpus(400)
    manifest.table.loc[7, "speaker"] = ""
    with pytest.raises(UserError, match="the speaker of 1 utterances is unknown, first of u00007"):
        make_splits(manifest, SPEAKER)


def test_more_groups_than_speakers():
    with pytest.raises(UserError, match=r"split\.groups=11 needs at least 11 speakers, and there are 10"):
        make_splits(corpus(400), changed(SPEAKER, groups=11))


def test_a_written_division_is_read_back_as_the_same(tmp_path):
    manifest = corpus(1200)
    splits = make_splits(manifest, changed(SPEAKER, repeats=[0, 1]))
    write_splits(splits, tmp_path / "split.csv")
    config = compose(["split=file", "split.repeats=[0,1]", f"split.table={tmp_path}/split.csv"]).split
    again = make_splits(manifest, config)
    assert [(split.repeat, split.fold, split.digest) for split in again] == [
        (split.repeat, split.fold, split.digest) for split in splits
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,role\nu00000,train\n", "has no column part; it has id, role"),
        ("id,part\nu00000,trian\n", "line 2: part 'trian': the parts are train, dev, test"),
        ("id,part\nu00000,train\nx,dev\n", "line 3: id 'x': test has no such utterance"),
        ("id,part\nu00000,train\nu00000,dev\n", "line 3: id 'u00000': it stands twice in one fold"),
        ("id,part,fold\nu00000,train,1\n", "repetition 0 has the folds 1; number them from 0"),
        ("", "split.csv is empty"),
        ("id,part\n", "has headings and no rows"),
        ("id,part\nu00000,train\n\nx,dev\n", "line 4: id 'x': test has no such utterance"),
        ("id,part\nu00000,tr\udcfcn\n", "is not UTF-8 text: byte 0xfc in line 2"),
        ('id,part\n"u00000,train\n', "opens a cell in line 2 is not closed by its end"),
        ("id,part,fold\nu00000,train,99999999999999999999\n", "line 2: fold '9+': a whole number from 0 is expected"),
        ("id,part,fold\nu00000,train,-1\n", "line 2: fold '-1': a whole number from 0 is expected"),
        ("id,part,fold\nu00000,train,one\n", "line 2: fold 'one': a whole number from 0 is expected"),
    ],
)
def test_a_faulty_division_is_refused_by_line(tmp_path, text, message):
    (tmp_path / "split.csv").write_text(text, errors="surrogateescape")
    config = compose(["split=file", f"split.table={tmp_path}/split.csv"]).split
    with pytest.raises(UserError, match=message):
        make_splits(corpus(20), config)


def test_a_division_may_name_a_recording_that_was_left_out(tmp_path, caplog):
    manifest = corpus(400)
    splits = make_splits(manifest, SPEAKER)
    write_splits(splits, tmp_path / "split.csv")
    first = manifest.table["id"].iloc[0]
    fewer = replace(manifest, table=manifest.table.iloc[1:], left_out={first: "damaged"})
    again = make_splits(fewer, compose(["split=file", f"split.table={tmp_path}/split.csv"]).split)
    assert [split.ids("test") for split in again] == [[i for i in split.ids("test") if i != first] for split in splits]
    assert "5 rows name recordings that were left out" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "".join(f"{line},\n" for line in text.splitlines()),
        lambda text: "\n".join(f"{line}," if number else line for number, line in enumerate(text.splitlines())),
        lambda text: text.replace(",", " , "),
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
    ],
)
def test_a_division_may_have_trailing_commas_and_blanks(tmp_path, change):
    manifest = corpus(400)
    splits = make_splits(manifest, SPEAKER)
    write_splits(splits, tmp_path / "split.csv")
    (tmp_path / "split.csv").write_text(change((tmp_path / "split.csv").read_text()), newline="")
    again = make_splits(manifest, compose(["split=file", f"split.table={tmp_path}/split.csv"]).split)
    assert [split.digest for split in again] == [split.digest for split in splits]


def test_a_protocol_that_edits_the_table_edits_a_copy(monkeypatch):
    class Editing:
        """Shuffles the labels of whatever it is given, and divides by what it finds there."""

        def divide(self, manifest, repeat):
            seen.append(manifest.digest)
            manifest.table["label"] = manifest.table["label"].sample(frac=1, random_state=0).to_numpy()
            del manifest.table["session"]
            return np.array(["train", "dev", "test"])[np.arange(len(manifest)) % 3][None]

    seen = []
    manifest = corpus(300)
    manifest.table["dialogue"] = ""
    monkeypatch.setattr(type(PAPER), "make", lambda self: Editing())
    before = manifest.digest
    make_splits(manifest, changed(PAPER, repeats=[0, 1]))
    make_splits(manifest, changed(PAPER, repeats=[0]))
    assert {before, manifest.digest} == set(seen)
    assert len(seen) == 3


def test_training_is_limited_class_by_class_and_nothing_else_changes():
    manifest = corpus(120)
    role = np.array(["train"] * 100 + ["dev"] * 10 + ["test"] * 10, dtype="<U5")
    role = np.random.default_rng(0).permutation(role)
    limited = limit_training(manifest, role, 50, np.random.default_rng([0, 1]))
    labels = manifest.table["label"].to_numpy()
    before = {name: int(((role == "train") & (labels == name)).sum()) for name in manifest.classes}
    after = {name: int(((limited == "train") & (labels == name)).sum()) for name in manifest.classes}
    assert sum(after.values()) == 50
    assert all(abs(after[name] - before[name] / 2) <= 1 for name in manifest.classes)
    changed = role != limited
    assert set(role[changed]) == {"train"}
    assert set(limited[changed]) == {""}
    again = limit_training(manifest, role, 50, np.random.default_rng([0, 1]))
    other = limit_training(manifest, role, 50, np.random.default_rng([0, 2]))
    assert (limited == again).all()
    assert (limited != other).any()
    assert (limit_training(manifest, role, 500, np.random.default_rng(0)) == role).all()
    with pytest.raises(UserError, match=r"split.max_train=3 leaves no utterance of [a-z]+ to train on"):
        limit_training(manifest, role, 3, np.random.default_rng(0))


def test_a_protocol_at_equal_size_tests_the_same_utterances():
    manifest = corpus(400)
    free, limited = (make_splits(manifest, PAPER.model_copy(update={"max_train": most})) for most in (None, 200))
    for one, other in zip(free, limited, strict=True):
        assert (one.ids("dev"), one.ids("test")) == (other.ids("dev"), other.ids("test"))
        assert len(other.ids("train")) == 200
        assert set(other.ids("train")) < set(one.ids("train"))
        assert one.digest != other.digest


OFFICIAL = compose(["split=official"]).split


def partitioned(parts):
    """400 utterances of ten speakers, whose parts are these in turn."""
    manifest = corpus(400)
    manifest.table["part"] = [parts[number % len(parts)] for number in range(400)]
    return manifest


def test_the_corpus_s_own_partition_is_one_fold(caplog):
    manifest = partitioned(["Train", "train", "Development", "Test2", "Test1", ""])
    with caplog.at_level(logging.INFO):
        (split,) = make_splits(manifest, OFFICIAL)
    part = manifest.table.set_index("id")["part"]
    for name, written in (("train", {"Train", "train"}), ("dev", {"Development"}), ("test", {"Test1"})):
        assert split.ids(name) == part.index[part.isin(written)].tolist()
    assert (
        "its parts are train (134), development (67), test2 (67), test1 (66), none (66); tested on test1, selected "
        "on the dev part" in caplog.text
    )
    assert split.uses == ""
    (other,) = make_splits(manifest, changed(OFFICIAL, test="test2"))
    assert other.ids("test") == part.index[part == "Test2"].tolist()
    assert other.ids("train") == split.ids("train")
    with pytest.raises(UserError, match=r"folds=1: the official protocol has fold 0 alone here; split\.folds=null"):
        one_split(manifest, OFFICIAL, fold=1)


@pytest.mark.parametrize(
    ("parts", "settings", "message"),
    [
        ([""], {}, "test: split=official needs a partition of the corpus's own, which this one does not have; use spl"),
        (["dev", "test"], {}, r"split=official finds no part named train; the parts are dev \(200\), test \(200\)"),
        (["train", "dev", "eval"], {}, r"no part named test; say which is tested by split\.test=\.\.\., of train \("),
        (["train", "dev", "test"], {"test": "test3"}, r"no part split\.test=test3 to be tested; the parts are trai"),
        (["train", "dev", "test"], {"test": "dev"}, r"no part split\.test=dev to be tested"),
    ],
)
def test_what_the_partition_does_not_have_is_said(parts, settings, message):
    with pytest.raises(UserError, match=message):
        make_splits(partitioned(parts), changed(OFFICIAL, **settings))


def test_a_part_of_another_name_can_be_tested():
    manifest = partitioned(["train", "valid", "eval"])
    (split,) = make_splits(manifest, changed(OFFICIAL, test="Eval"))
    assert split.ids("test") == manifest.table.loc[manifest.table["part"] == "eval", "id"].tolist()


def test_without_a_dev_part_a_tenth_of_the_training_speakers_selects(caplog):
    manifest = partitioned(["train", "train", "train", "test"])
    with caplog.at_level(logging.INFO):
        splits = make_splits(manifest, changed(OFFICIAL, repeats=[0, 1, 2]))
    assert "tested on test, selected on a share of 0.1 of the training speakers" in caplog.text
    for split in splits:
        train, dev = (facts(manifest, split, part, "speaker") for part in ("train", "dev"))
        assert (len(train), len(dev), train & dev) == (9, 1, set())
        assert split.uses == "selected on a share of 0.1 of the training speakers"
        assert len(split.table) == 400
        assert split.ids("test") == splits[0].ids("test")
    assert len({tuple(split.ids("dev")) for split in splits}) > 1


@pytest.mark.parametrize(("share", "unknown"), [(0.05, False), (0.1, True), (0.4, True)])
def test_where_speakers_do_not_do_a_share_of_the_training_utterances_selects(caplog, share, unknown):
    manifest = partitioned(["train", "train", "train", "test"])
    if unknown:
        manifest.table.loc[0, "speaker"] = ""
    with caplog.at_level(logging.INFO):
        (split,) = make_splits(manifest, changed(OFFICIAL, dev=share))
    # 0.4 is no whole number of parts, and two come nearest to it
    used = {0.4: 0.5}.get(share, share)
    assert split.uses == f"selected on a share of {used:g} of the training utterances"
    assert len(split.ids("dev")) == 300 * used
    assert set(manifest.table.set_index("id").loc[split.ids("dev"), "label"]) == set(CLASSES)


ACROSS = compose(["split=corpus"]).split


def joined(**speakers):
    """Several corpora in one, of 40 utterances a speaker; so many speakers each, none: they are unknown."""
    tables = []
    for name, number in speakers.items():
        own = corpus(40 * (number or 10), seed=len(name)).table.assign(corpus=name)
        own["speaker"] = [f"{name}/{i % number}" if number else "" for i in range(len(own))]
        tables.append(own.assign(id=name + "/" + own["id"]))
    return Manifest("mixed", CLASSES, pd.concat(tables).sort_values("id", ignore_index=True))


def test_each_corpus_is_tested_by_what_the_others_train(caplog):
    manifest = joined(a=20, b=3, c=10, d=None)
    with caplog.at_level(logging.INFO):
        splits = make_splits(manifest, ACROSS)
    origin = manifest.table.set_index("id")["corpus"]
    for split, tested in zip(splits, "abcd", strict=True):
        assert split.ids("test") == origin.index[origin == tested].tolist()
        assert len(split.table) == len(manifest)
        train, dev = (facts(manifest, split, part, "speaker") for part in ("train", "dev"))
        # one of ten parts of each that trains: whole speakers where there are ten
        shared = {"b/0", "b/1", "b/2"} if tested != "b" else set()
        assert (train & dev) - {""} == shared
        sizes = origin[split.ids("dev")].value_counts().to_dict()
        expected = {"a": 80, "b": 12, "c": 40, "d": 40}
        assert sizes == {name: size for name, size in expected.items() if name != tested}
        known = ", ".join(name for name in "bd" if name != tested)
        assert split.uses == f"selected on utterances of the training speakers of {known}"
    assert "tested on a; a share of 0.1 of the speakers of c, and of the utterances of b, d selects" in caplog.text


@pytest.mark.parametrize(
    ("settings", "folds"),
    [
        ({"train": ["b"]}, [("b", "a"), ("b", "c")]),
        ({"test": ["c"]}, [("ab", "c")]),
        ({"test": ["c", "a"]}, [("b", "c"), ("b", "a")]),
        ({"train": ["a"], "test": ["c"]}, [("a", "c")]),
    ],
)
def test_which_corpora_train_and_which_are_tested(settings, folds):
    manifest = joined(a=10, b=10, c=10)
    splits = make_splits(manifest, changed(ACROSS, **settings))
    assert [
        (
            "".join(sorted(facts(manifest, split, "train", "corpus") | facts(manifest, split, "dev", "corpus"))),
            "".join(sorted(facts(manifest, split, "test", "corpus"))),
        )
        for split in splits
    ] == folds


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": ["x"]}, "mixed: split.train: x is none of a, b"),
        ({"test": ["x"]}, "mixed: split.test: x is none of a, b"),
        ({"train": ["a"], "test": ["a"]}, "split=corpus: a cannot both train and be tested"),
        ({"train": ["a", "b"]}, "split=corpus: none of a, b is left to train or be tested"),
        ({"test": ["a", "b"]}, "split=corpus: none of a, b is left to train or be tested"),
    ],
)
def test_corpora_that_cannot_train_or_be_tested(settings, message):
    with pytest.raises(UserError, match=message):
        make_splits(joined(a=10, b=10), changed(ACROSS, **settings))


def test_a_class_that_one_of_several_corpora_lacks_is_told_of_it():
    manifest = joined(a=10, b=10)
    lacking = (manifest.table["corpus"] == "b") & (manifest.table["label"] == "sad")
    manifest.table.loc[lacking, "label"] = "neu"
    with pytest.raises(UserError, match=r"no utterance of sad in the test part of fold 1 .* b has no such"):
        one_split(manifest, ACROSS, fold=1)


@pytest.mark.parametrize("names", [[""], ["a"], ["a", "b", ""]])
def test_one_corpus_alone_cannot_be_divided_by_corpora(names):
    manifest = corpus(400)
    manifest.table["corpus"] = [names[number % len(names)] for number in range(400)]
    with pytest.raises(UserError, match="split=corpus needs several corpora, and of each utterance its own"):
        make_splits(manifest, ACROSS)


PAIRS = compose(["split=pairs"]).split


def test_pairs_of_corpora_are_each_within_itself_each_other_and_all_others():
    manifest = joined(a=10, b=10, c=10)
    splits = make_splits(manifest, changed(PAIRS, within=3))
    parts = [
        tuple("".join(sorted(facts(manifest, split, part, "corpus"))) for part in ("train", "dev", "test"))
        for split in splits
    ]
    assert parts == [
        (training, training, tested)
        for tested, others in (("a", ["b", "c", "bc"]), ("b", ["a", "c", "ac"]), ("c", ["a", "b", "ab"]))
        for training in [*[tested] * 3, *others]
    ]
    for tested, place in zip("abc", (0, 6, 12), strict=True):
        own = set(manifest.table.loc[manifest.table["corpus"] == tested, "id"])
        assert set().union(*(split.ids("test") for split in splits[place : place + 3])) == own
        for split in splits[place : place + 3]:
            voices = [facts(manifest, split, part, "speaker") for part in ("train", "dev", "test")]
            assert sum(map(len, voices)) == len(set.union(*voices)) == 10
        for split in splits[place + 3 : place + 6]:
            assert set(split.ids("test")) == own


def test_pairs_of_corpora_without_any_within_itself_and_with_too_few_groups():
    manifest = joined(a=10, b=10)
    # Of two corpora all others are one, which is no fold of its own
    splits = make_splits(manifest, changed(PAIRS, within=0))
    assert [split.uses for split in splits] == ["", ""]
    known = make_splits(joined(a=10, b=3), changed(PAIRS, within=0))
    # First a is tested, then b
    assert [split.uses for split in known] == ["selected on utterances of the training speakers of b", ""]
    with pytest.raises(UserError, match=r"split.within=2: testing, selecting and training need 3 groups"):
        make_splits(manifest, changed(PAIRS, within=2))


@pytest.mark.parametrize("uses", [None, 1, ["one for two folds"], [1, 2]])
def test_a_protocol_that_says_no_phrase_for_its_folds_is_refused(monkeypatch, uses):
    protocol = changed(PAIRS, within=0).make()
    monkeypatch.setattr(type(PAIRS), "make", lambda config: Mock(divide=protocol.divide, uses=uses))
    with pytest.raises(UserError, match=r"split=pairs: `uses` is .*, where a phrase is expected, or a list of one"):
        make_splits(joined(a=10, b=10), changed(PAIRS, within=0))


def test_pairs_want_several_corpora_and_within_each_known_speakers_enough():
    with pytest.raises(UserError, match="split=pairs needs several corpora, and of each utterance its own"):
        make_splits(joined(a=10), changed(PAIRS, within=0))
    manifest = joined(a=10, b=4)
    with pytest.raises(
        UserError, match=r"split.within=5 divides each corpus by speakers, and of b there are 4; split."
    ):
        make_splits(manifest, PAIRS)
    manifest.table.loc[manifest.table.index[-1], "speaker"] = ""
    with pytest.raises(UserError, match=r"of b some are unknown; split\.within=0 tests no corpus within itself"):
        make_splits(manifest, PAIRS)
