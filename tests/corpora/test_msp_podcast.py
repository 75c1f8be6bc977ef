"""MSP-Podcast by its table of consensus labels."""

import numpy as np
import pytest

from ser_lightning.config import compose
from ser_lightning.data.splits import make_splits
from ser_lightning.errors import UserError
from tests.corpora.recordings import load, write

HEAD = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
ROWS = [
    "MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1",
    "MSP-PODCAST_0001_0009.wav,A,5.777778,2.555556,5.0,39,Male,Test1",
    "MSP-PODCAST_0002_0033.wav,H,4.125,4.75,4.0,41,Female,Train",
    "MSP-PODCAST_0002_0034_0001.wav,S,3.0,3.75,3.166667,Unknown,Unknown,Train",
    *(f"MSP-PODCAST_0003_000{number}.wav,{code},4,4,4,41,Female,Train" for number, code in enumerate("UFDCOX")),
    *(f"MSP-PODCAST_0004_000{number}.wav,{code},4,4,4,7,Female,Development" for number, code in enumerate("NAHS")),
    *(f"MSP-PODCAST_0005_000{number}.wav,{code},4,4,4,8,Male,Test2" for number, code in enumerate("NAHS")),
]


def make_tree(folder):
    """A recording of every class, in the release's layout.

    Returns the overrides that name it, for tests/test_contracts.py.
    """
    write(folder / "Audios", *(row.split(".wav,")[0] for row in ROWS))
    (folder / "Labels").mkdir()
    (folder / "Labels" / "labels_consensus.csv").write_text("\n".join([HEAD, *ROWS]))
    return [f"corpus.root={folder}"]


@pytest.fixture
def root(tmp_path):
    make_tree(tmp_path)
    return tmp_path


def described(root, *columns):
    """Id less what all have -> what the manifest of all eight classes says there."""
    table = load(root, "msp_podcast_all").table
    names = table["id"].str.removeprefix("MSP-PODCAST_")
    return dict(zip(names, table[list(columns)].to_numpy().tolist(), strict=True))


def test_the_four_classes_of_the_paper_and_all_eight(root):
    manifest = load(root, "msp_podcast")
    assert manifest.classes == ("neu", "ang", "hap", "sad")
    assert manifest.table["label"].value_counts().to_dict() == {"neu": 3, "ang": 3, "hap": 3, "sad": 3}
    rest = load(root, "msp_podcast_all").table.set_index("id").loc["MSP-PODCAST_0003_0000":"MSP-PODCAST_0003_0009"]
    assert rest["label"].tolist() == ["surprise", "fear", "disgust", "contempt"]


def test_who_speaks_where_and_in_which_part(root):
    table = described(root, "speaker", "gender", "dialogue", "part")
    assert table["0001_0009"] == ["39", "male", "MSP-PODCAST_0001", "test1"]
    assert table["0002_0034_0001"] == ["", "", "MSP-PODCAST_0002", "train"]
    assert table["0004_0000"] == ["7", "female", "MSP-PODCAST_0004", "dev"]
    assert table["0005_0003"] == ["8", "male", "MSP-PODCAST_0005", "test2"]


def test_ratings_are_numbers_and_blank_ones_unknown(root):
    file = root / "Labels" / "labels_consensus.csv"
    file.write_text(file.read_text().replace("2.2,4.0,2.6", ",4.0,2.6"))
    table = described(root, "valence", "activation", "dominance")
    assert table["0001_0009"] == [2.555556, 5.777778, 5.0]
    np.testing.assert_equal(table["0001_0008"], [4.0, np.nan, 2.6])


def test_its_partition_with_either_test_set(root):
    """Training lacks most classes here, so that the roles are looked at before they make a fold."""
    manifest = load(root, "msp_podcast")
    for words, tested in ([], ["0001_0008", "0001_0009"]), (["split.test=test2"], [f"0005_000{i}" for i in range(4)]):
        (roles,) = compose(["split=official", *words]).split.make().divide(manifest, 0)
        table = manifest.table.set_index("id")
        names = table.index.str.removeprefix("MSP-PODCAST_")
        assert names[roles == "test"].tolist() == tested
        assert names[roles == "dev"].tolist() == [f"0004_000{i}" for i in range(4)]
        assert names[roles == "train"].tolist() == ["0002_0033", "0002_0034_0001"]
    with pytest.raises(UserError, match="no utterance of ang, neu in the train part of fold 0"):
        make_splits(manifest, compose(["split=official", "split.test=test2"]).split)


def test_folders_that_archives_made_twice(root):
    digest = load(root, "msp_podcast").digest
    for name in ("Labels", "Audios"):
        (root / name).rename(root / "moved")
        (root / name).mkdir()
        (root / "moved").rename(root / name / name)
    assert load(root, "msp_podcast").digest == digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("EmoClass", "Emotion"), "has no column EmoClass; it has FileName, Emotion, EmoAct"),
        (lambda text: text.replace(",A,5.7", ",,5.7"), "EmoClass is blank in 1 rows, first in row 2"),
        (lambda text: text.replace("5.777778", "much"), r"labels_consensus\.csv, row 2: EmoAct 'much' is no number"),
        (lambda text: text.replace(",A,5.7", ",Q,5.7"), "unknown label 'Q', first at .*MSP-PODCAST_0001_0009.wav"),
        (lambda text: text.replace("Test2", "Test2,1", 1), r"cannot be read as a CSV \(Expected 8 fields in line 16"),
        (lambda text: text.replace("\n", ",1\n").replace("Set,1", "Set") + ",1", "has more cells in its rows"),
        (lambda text: HEAD, "has headings and no rows"),
        (lambda text: "", "is empty; copy it anew from where it came from"),
    ],
)
def test_a_table_that_is_not_the_release_s(root, change, message):
    file = root / "Labels" / "labels_consensus.csv"
    file.write_text(change(file.read_text()))
    with pytest.raises(UserError, match=message):
        load(root, "msp_podcast")


def test_where_the_table_is_looked_for(root):
    with pytest.raises(UserError, match=r"no .*Audios/Labels/labels_consensus.csv; corpus.root is the folder that hol"):
        load(root / "Audios", "msp_podcast")
