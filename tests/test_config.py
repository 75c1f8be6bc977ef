"""Configurations: types, ranges, switches, and the messages about keys that do not exist."""

import pytest

import ser_lightning
from ser_lightning.components.groups import CONF
from ser_lightning.config import choices, compose, known_keys, nearest_key
from ser_lightning.errors import UserError


def test_the_papers_values_are_the_default():
    config = compose()
    assert (config.loss.name, config.loss.lam, config.loss.class_weights) == ("center", 0.3, "inverse")
    assert config.loss.own == {"alpha": 0.5, "rule": "ema", "warm_up": 0}
    assert config.batching.order == "sorted"
    assert (config.split.name, config.split.folds, config.split.repeats) == ("paper", None, [0])
    assert config.split.own == {"reshuffle": True, "seed": 0, "swap": False}
    assert config.model.own == {"tied": False, "reset": "after", "dropout": 0.0}
    assert (config.loss.focal, config.loss.smoothing) == (0, 0)
    real = compose(["corpus=emodb", "corpus.root=x"])
    assert (real.optimizer.own, real.batching.size) == ({"learning_rate": 3e-4, "weight_decay": 0.0}, 32)


def test_the_authors_switches():
    config = compose(["experiment=authors"])
    assert config.model.own == {"tied": True, "reset": "before", "dropout": 0.0}
    assert config.loss.own == {"alpha": 0.5, "rule": "wen", "warm_up": 20}
    assert config.loss.class_weights == "smoothed"
    assert (config.batching.order, config.split.own["reshuffle"], config.trainer.check_every) == ("random", False, 11)
    assert (config.trainer.first_check, config.trainer.first_check_share) == (None, 0.0568)


def test_training_follows_the_corpus_whatever_the_features():
    for features in ("logmel", "logstft"):
        trainer = compose(["corpus=emodb", "corpus.root=x", f"features={features}"]).trainer
        assert (trainer.epochs, trainer.max_steps, trainer.check_epochs, trainer.check_every) == (66.7, None, 2.4, None)
    assert compose(["corpus.training.epochs=7"]).trainer.epochs == 7


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss.alpha=1.5", "loss.alpha=1.5: must be at most 1"),
        ("loss.lam=-1", "loss.lam=-1: must be at least 0"),
        ("loss.lam=o.5", "loss.lam=o.5: must be a number"),
        ("seed=null", "seed=None: must be a whole number"),
        ("seed=true", "seed=True: must be a whole number"),
        ("loss.warm_up=2.0", "loss.warm_up=2.0: must be a whole number"),
        ("loss.lam=inf", "loss.lam=inf: must be finite"),
        ("model.tied=1", "model.tied=1: must be true or false"),
        ("split.folds=[-1]", "split.folds=-1: must be at least 0"),
        ("split.folds=[0,0,1]", "split.folds=[0, 0, 1]: 0 stands there twice; name each once"),
        ("split.repeats=[1,0,1]", "split.repeats=[1, 0, 1]: 1 stands there twice"),
        ("split=file", "split.table is not set: CSV with the columns id and part"),
        ("split.folds=[]", "split.folds is empty"),
        ("split.folds=3", "split.folds=3: must be a list, e.g. split.folds=[0]"),
        ("loss.rule=mean", "loss.rule=mean: must be one of ema, wen"),
        ("optimizer.learning_rate=0", "optimizer.learning_rate=0: must be above 0"),
        ("corpus=emodb", "corpus.root is not set"),
        ("+loss.gamma=1", "loss.gamma is not a setting of loss=center"),
        ("+loss.lamda=1", "loss.lamda is not a setting of loss=center; did you mean loss.lam?"),
        ("+trainer.step=1", "trainer.step is not a setting"),
        ("trainer.epochs=0", "trainer.epochs=0: must be above 0"),
        ("trainer.check_epochs=-1", "trainer.check_epochs=-1: must be above 0"),
        ("study.level_margin=0", "study.level_margin=0: must be above 0 (points of UA or WA"),
        ("study.effect_margin=-1.5", "study.effect_margin=-1.5: must be above 0 (points"),
        ("trainer.first_check_share=1.5", "trainer.first_check_share=1.5: must be at most 1"),
        ("+corpus.training.steps={logmel: 600}", "did you mean corpus.training.epochs?"),
    ],
)
def test_bad_values_are_named(override, message):
    with pytest.raises(UserError) as error:
        compose([override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_classes_are_changed_one_by_one():
    """Hydra merges what is given with what the file has, so that classes that were to be left out stayed."""
    savee = ["corpus=savee", "corpus.root=x"]
    with pytest.raises(
        UserError, match=r"leaves its others as they are: '~corpus\.classes\.NAME' leaves one out, '\+corpus"
    ):
        compose([*savee, "corpus.classes={neu: [neutral], ang: [anger]}"])
    whole = {"neu": ["neutral"], "ang": ["anger"], "hap": ["happiness"], "sad": ["sadness", "fear"]}
    assert compose([*savee, f"corpus.classes={whole}".replace("'", "")]).corpus.classes == whole
    fewer = compose(
        [*savee, "corpus.classes={ang: [anger], sad: [sadness]}", "~corpus.classes.neu", "~corpus.classes.hap"]
    )
    assert fewer.corpus.classes == {"ang": ["anger"], "sad": ["sadness"]}
    more = compose([*savee, "corpus.classes.hap=[surprise]", "+corpus.classes.fear=[fear]"]).corpus.classes
    assert (more["hap"], more["fear"], more["neu"]) == (["surprise"], ["fear"], ["neutral"])


def test_the_nearest_key():
    assert nearest_key("loss.lamda") == "loss.lam"
    assert nearest_key("split.fold") == "split.folds"
    assert nearest_key("trainer.steps") == "trainer.max_steps"
    assert nearest_key("corpus.utterence") == "corpus.utterances"
    assert nearest_key("trayner") == "trainer"
    assert nearest_key("qwertyuiop") is None


@pytest.mark.parametrize(
    "group",
    [
        "corpus",
        "features",
        "split",
        "batching",
        "model",
        "head",
        "loss",
        "optimizer",
        "trainer",
        "logger",
        "experiment",
    ],
)
def test_every_shipped_file_composes(group):
    files = sorted((CONF / group).glob("*.yaml"))
    assert files
    for file in files:
        given = {
            "table": "corpus.table=t",
            "mixed": "corpus.roots={a: b}",
            "file": "split.table=t",
            "pretrained": "features.weights=w",
        }.get(file.stem)
        compose([f"{group}={file.stem}", "++corpus.root=x", *([given] if given else [])])


def test_output_is_absolute_and_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SER_OUTPUT", str(tmp_path))
    assert compose().paths.output == str(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert compose(["paths.output=here"]).paths.output == str(tmp_path / "here")


def test_several_read_outs_have_a_place_each():
    config = compose(["readout=[svm,centers]", "readout.svm.C=0.1"])
    assert {name: part.own for name, part in config.readout.items()} == {
        "svm": {"kernel": "linear", "C": 0.1},
        "centers": {"metric": "euclidean"},
    }
    assert config.described["readout"]["svm"] == {"name": "svm", "kernel": "linear", "C": 0.1}
    assert compose(["readout=svm"]).readout.keys() == {"svm"}
    assert compose().readout == compose(["readout=[]"]).readout == {}
    assert {"readout.svm.C", "readout.centers.metric"} < known_keys().keys()
    assert choices()["readout"] == ["centers", "elm", "svm", "svm_rbf"]


def test_a_key_of_several_meanings_has_each_with_the_choices_that_mean_it():
    meaning = known_keys()["split.test"]
    assert meaning.startswith("the corpora that are tested, one a fold; ")
    assert "(corpus); the part that is tested; null: " in meaning
    assert meaning.endswith(" (official)")
    assert "a new deal for every repetition (speaker, text)" in known_keys()["split.reshuffle"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["readout=svm", "readout.svm.C=0"], "readout.svm.C=0: must be above 0"),
        (["readout=svm", "+readout.svm.c=1"], "readout.svm.c is not a setting of readout=svm; did you mean readout.sv"),
        (["readout=svm", "readout.svm.c=1"], "readout.svm.c is not a setting; did you mean readout.svm.C?"),
        (["readout=centers", "readout.svm.C=1"], "readout.svm.C has no effect without readout=svm"),
        (["readout=[centers,svn]"], "there is no readout=svn; choose one of centers, elm, svm"),
        (["+readout.svm=3"], "readout.svm is not a setting; read-outs are chosen by readout=..., e.g. readout=svm"),
    ],
)
def test_bad_read_outs_are_named(overrides, message):
    with pytest.raises(UserError) as error:
        ser_lightning.compose(*overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_seed_beyond_the_generators_and_a_study_without_a_name_are_refused():
    assert compose(["seed=4294967295"]).seed == 2**32 - 1
    with pytest.raises(UserError, match="seed=4294967296: must be below 4294967296"):
        compose(["seed=4294967296"])
    with pytest.raises(UserError, match=r"study\.name is empty: give it a name"):
        compose(["study.name=''"])
    for name in ("exp/one", ".."):
        with pytest.raises(UserError, match=f"study.name={name}: it is no name of one folder; leave out /"):
            compose([f"study.name={name}"])


@pytest.mark.parametrize(
    "word",
    [
        "paths.output=''",
        "paths.output=null",
        "paths.output=' '",
        "paths.output={a: b}",
        "paths.output=[a]",
        "~paths.output",
        "~paths",
        "paths=5",
    ],
)
def test_an_output_that_is_no_folder_is_refused(word):
    with pytest.raises(UserError, match=r"paths\.output=.* is no folder: name one"):
        compose([word])
