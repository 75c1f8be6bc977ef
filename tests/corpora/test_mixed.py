"""Several corpora in one: what keeps them apart, and what they have in common."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from ser_lightning.data.audit import audit_split
from ser_lightning.data.splits import make_splits
from ser_lightning.errors import UserError
from ser_lightning.features.sound import measure_corpus

EMODB = [f"{speaker}{text}{letter}a" for speaker in ("03", "08") for text in ("a01", "a02") for letter in "NWFTL"]
SAVEE = [f"{speaker}_{letter}0{n}" for speaker in ("DC", "JE") for n in (1, 2) for letter in ("n", "a", "h", "sa", "d")]


def make_tree(folder):
    """The trees of two corpora; no recording is another.

    Returns the overrides that name them, for tests/test_contracts.py.
    """
    for corpus, names in {"emodb": EMODB, "savee": SAVEE}.items():
        (folder / corpus).mkdir()
        for name in names:
            noise(folder / corpus / f"{name}.wav", name)
    return [f"corpus.roots={{emodb: '{folder}/emodb', savee: '{folder}/savee'}}"]


def noise(file, name):
    rng = np.random.default_rng(list(name.encode()))
    soundfile.write(file, 0.1 * rng.standard_normal(16_000), 16_000)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "it's here, [all] = both"
    folder.mkdir()
    make_tree(folder)
    return folder


def load(*overrides, **roots):
    folders = ", ".join(f"{name}: {quoted(folder)}" for name, folder in roots.items())
    config = compose(["corpus=mixed", f"corpus.roots={{{folders}}}", *overrides])
    return load_manifest(config.corpus, Path(next(iter(roots.values()))).parent / "output" / "cache")


def quoted(folder):
    return '"' + str(folder) + '"'


def test_ids_and_speakers_have_the_corpus_before_them(root):
    manifest = load(emodb=root / "emodb", savee=root / "savee")
    table = manifest.table.set_index("id")
    assert manifest.classes == ("neu", "ang", "hap", "sad")
    assert table.groupby(["corpus", "label"]).size().to_dict() == {
        (corpus, label): 4 for corpus in ("emodb", "savee") for label in manifest.classes
    }
    columns = ["path", "raw_label", "label", "corpus", "speaker", "gender", "text_id", "session", "part"]
    assert table.loc["emodb/08a02Wa", columns].tolist() == [
        str(root / "emodb" / "08a02Wa.wav"), "ang", "ang", "emodb", "emodb/08", "female", "emodb/a02", "", "",
    ]  # fmt: skip
    assert table.loc["savee/JE_sa02", columns].tolist() == [
        str(root / "savee" / "JE_sa02.wav"), "sad", "sad", "savee", "savee/JE", "male", "savee/common02", "", "",
    ]  # fmt: skip


def test_classes_of_other_corpora_are_mapped(root):
    with pytest.raises(UserError, match=r"mixed: unknown label 'boredom', first at .*08a02La\.wav|03a01La\.wav"):
        load(emodb_all=root / "emodb", savee_all=root / "savee")
    words = "corpus.classes={neu: [neu], ang: [ang], hap: [hap], sad: [sad, boredom]}", "corpus.ignore=[disgust]"
    table = load(*words, emodb_all=root / "emodb", savee_all=root / "savee").table
    assert table["label"].value_counts().to_dict() == {"sad": 12, "neu": 8, "ang": 8, "hap": 8}


def test_a_table_of_the_user_s_own_may_be_one_of_them(root, tmp_path, monkeypatch, caplog):
    """Whose speakers, texts and files are called as others are."""
    labels = {"calm": "neu", "cross": "ang", "glad": "hap", "low": "sad"}
    rows = [f"{name}.wav,{label},08 ,a01,train" for name, label in zip(EMODB, 5 * list(labels), strict=True)]
    (root / "emodb" / "t.csv").write_text("\n".join(["path,label,speaker,text_id,part", *rows]))
    (tmp_path / "conf" / "corpus").mkdir(parents=True)
    (tmp_path / "conf" / "corpus" / "mine.yaml").write_text(
        f"_target_: ser_lightning.corpora.table.Table\nroot: ???\ntable: t.csv\n"
        f"classes: {{{', '.join(f'{own}: [{label}]' for label, own in labels.items())}}}\nignore: []\n"
        "columns: {path: path, label: label, speaker: speaker, text_id: text_id, part: part}\n"
    )
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        table = load(emodb=root / "emodb", mine=root / "emodb").table.set_index("id")
    assert table.loc["mine/08a02La.wav", ["speaker", "text_id", "part"]].tolist() == ["mine/08", "mine/a01", "train"]
    assert table.loc["emodb/08a02Ta", ["speaker", "text_id", "part"]].tolist() == ["emodb/08", "emodb/a02", ""]
    assert table["corpus"].value_counts().to_dict() == {"mine": 20, "emodb": 16}
    assert "mine: " in caplog.text
    assert "20 rows; columns used: path, label, speaker, text_id, part" in caplog.text


def test_a_corpus_that_is_made_may_be_one_of_them(root, output):
    config = compose(["corpus=mixed", f"corpus.roots={{demo: null, emodb: {quoted(root / 'emodb')}}}"])
    manifest = load_manifest(config.corpus, output / "cache")
    assert manifest.synthetic
    assert manifest.table["corpus"].value_counts().to_dict() == {"demo": 640, "emodb": 16}


def test_a_corpus_tested_on_another_shares_nothing_with_it_but_what_was_planted(root, tmp_path):
    (root / "savee" / "JE_n02.wav").write_bytes((root / "emodb" / "03a01Na.wav").read_bytes())
    manifest = load(emodb=root / "emodb", savee=root / "savee")
    splits = make_splits(manifest, compose(["split=corpus", "split.dev=0.25"]).split)
    sound, _ = measure_corpus(manifest, tmp_path / "cache")
    audits = [audit_split(manifest, sound, split) for split in splits]
    assert [(audit.utterances, audit.speaker, audit.sentence, audit.take) for audit in audits] == [(16, 0, 0, 0)] * 2
    in_dev = ["emodb/03a01Na" in splits[1].ids("dev"), "savee/JE_n02" in splits[0].ids("dev")]
    assert [audits[1].audio, audits[0].audio] == [0 if dev else 1 / 16 for dev in in_dev]
    assert [audits[1].dev_copy, audits[0].dev_copy] == [1 / 16 if dev else 0 for dev in in_dev]


@pytest.mark.parametrize(
    ("roots", "message"),
    [
        ("{}", "mixed: corpus.roots names fewer than two corpora; it is e.g. corpus.roots={emodb: a/folder, ravdess"),
        ("{emodb: .}", "mixed: corpus.roots names fewer than two corpora"),
        ("{emodb: ., savvy: .}", "mixed: corpus.roots: there is no corpus savvy; there are audformat, cremad, crem"),
        ("{emodb: ., savee: /nowhere}", "mixed: savee: there is no folder /nowhere; corpus.root must name"),
        ("{emodb: ., savee: null}", "mixed: savee: corpus.root is not set"),
        ("{emodb: ., mixed: null}", "mixed: mixed: corpus.roots is not set"),
    ],
)
def test_what_cannot_be_mixed(root, monkeypatch, roots, message):
    monkeypatch.chdir(root / "emodb")
    with pytest.raises(UserError) as error:
        load_manifest(compose(["corpus=mixed", f"corpus.roots={roots}"]).corpus, root / "cache")
    assert str(error.value).startswith(message)


def test_its_root_is_those_of_its_corpora(root):
    with pytest.raises(UserError, match=r"corpus\.root=/a: mixed has no folder of its own; see corpus\.roots"):
        load("corpus.root=/a", emodb=root / "emodb", savee=root / "savee")
