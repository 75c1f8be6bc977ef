"""A run is its signature: what matters changes it, what does not leaves it."""

import shutil
from functools import cache

import pytest

from ser_lightning.config import compose
from ser_lightning.data.splits import make_splits
from ser_lightning.identity import digest
from ser_lightning.runs.schedule import Schedule, make_schedule
from ser_lightning.runs.signature import identity, origin, settings, signature
from ser_lightning.training.plan import prepare
from tests.conftest import SMALL
from tests.features.networks import random_network


@pytest.fixture(scope="module")
def sign(output):
    """The signature of a run of the small configuration; of equal words it is made once."""

    @cache
    def signature_of(*overrides, fold=0, repeat=0):
        config = compose([*SMALL, f"paths.output={output}", *overrides])
        manifest, store = prepare(config)
        (split,) = make_splits(manifest, config.split.model_copy(update={"folds": [fold], "repeats": [repeat]}))
        return signature(config, manifest, store.audio, split, make_schedule(config, split))

    return signature_of


@pytest.mark.parametrize(
    "override",
    [
        "logger=wandb",
        "trainer.accelerator=cpu",
        "study.name=other",
        "split.folds=[0,1,2]",
        "corpus.training.note=other",
        # Six steps are said in steps
        "corpus.training.epochs=99",
        "trainer.check_epochs=2",
        "trainer.check_every=6",
        "trainer.first_check=0",
    ],
)
def test_what_does_not_matter(sign, override):
    assert sign(override) == sign()


@pytest.mark.parametrize(
    "override",
    [
        "loss.lam=0.1",
        "loss.alpha=0.1",
        "loss.rule=wen",
        "trainer.max_steps=7",
        "trainer.check_every=2",
        "trainer.first_check=1",
        "trainer.first_check_share=0.5",
        "trainer.precision=32",
        "batching=random",
        "optimizer.learning_rate=0.01",
        "model.tied=true",
        "seed=1",
        "split.seed=1",
        "corpus.seed=1",
        "corpus.overlap=0.9",
        "features.max_seconds=3",
        "features.floor=60",
        "loss.focal=2",
        "loss.smoothing=0.1",
        "model.dropout=0.3",
        "optimizer.weight_decay=0.01",
        "augment.mixup=0.2",
    ],
)
def test_what_matters(sign, override):
    assert sign(override) != sign()


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "8515fee160be"),
        (["loss.lam=0"], "f0f262adbc35"),
        (["experiment=authors"], "fbd902fb7811"),
        (["features=logstft", "loss.alpha=.1"], "eda69888aa96"),
        (["split=speaker"], "dbcd80e1d594"),
        (["split=text"], "3e7efe9e5b0e"),
        (["augment=spec"], "9e4afcff8740"),
    ],
)
def test_settings_that_came_later_leave_runs_of_before_their_names(overrides, name):
    """The names are those of the code that did not have dropout, decay, focal loss, smoothing and mixup."""
    assert digest(identity(compose(overrides), Schedule(1, 2, 1, 0))) == name


def test_steps_and_epochs_that_are_the_same_are_the_same_run(sign):
    # 96 training utterances in batches of 4
    epochs = sign("trainer.max_steps=null", "trainer.epochs=2", "trainer.check_epochs=0.5")
    assert epochs == sign("trainer.max_steps=48", "trainer.check_every=12")
    assert epochs == sign("trainer.max_steps=null", "corpus.training.epochs=2", "trainer.check_every=12")
    assert epochs != sign("trainer.max_steps=48")


def test_fold_and_repetition_matter(sign):
    assert len({sign(fold=fold, repeat=repeat) for fold in range(5) for repeat in range(2)}) == 10


def test_with_lambda_zero_the_centres_settings_do_not_matter(sign):
    alone = sign("loss.lam=0")
    assert sign("loss.lam=0", "loss.alpha=0.1") == alone
    assert sign("loss.lam=0", "loss.rule=wen", "loss.warm_up=3") == alone
    assert sign("loss.lam=0", "loss.class_weights=none") != alone


@pytest.mark.parametrize(
    "override",
    [
        "loss.lam=3",
        "loss=triplet",
        "loss.focal=2",
        "optimizer.learning_rate=0.5",
        "batching=random",
        "trainer.epochs=3",
    ],
)
def test_where_no_step_is_made_what_belongs_to_steps_does_not_matter(sign, override):
    words = ["model=none", "head=svm", "trainer.max_steps=null"]
    assert sign(*words, override) == sign(*words)
    assert settings(compose([*words, override])) == settings(compose(words))


@pytest.mark.parametrize("override", ["model.statistics=mean_deviation", "head.C=1", "head=means", "seed=1"])
def test_where_no_step_is_made_front_end_encoder_and_head_matter(sign, override):
    assert sign("model=none", "head=svm", override) != sign("model=none", "head=svm")


def test_an_encoder_as_it_is_made_is_another_run_than_a_trained_one(sign):
    assert sign("head=svm", "model.trained=false") != sign("head=svm")
    assert "trained" not in settings(compose(["head=svm"]))["model"]


def test_what_settings_do_not_say_has_an_origin(small, tmp_path):
    """Corpus, classes of parts and files by content, neither folds nor settings; nothing of a loss with lambda 0."""
    table = tmp_path / "division.csv"

    def origin_of(*overrides):
        config = small(*overrides)
        manifest, store = prepare(config)
        return origin(config, manifest, store.audio)

    plain = origin_of()
    assert plain.keys() == {"corpus", "features", "split", "model", "head", "loss", "optimizer"}
    assert origin_of("split.folds=[1]", "loss.lam=3", "trainer.max_steps=9", "features.floor=60") == plain
    assert plain.items() - origin_of("loss.lam=0").items() == {("loss", plain["loss"])}
    assert plain.items() - origin_of("corpus.seed=1").items() == {("corpus", plain["corpus"])}
    untrained = origin_of("model=none", "head=svm")
    assert untrained.keys() == {"corpus", "features", "split", "model", "head"}
    versions = []
    for content in ("a", "b"):
        table.write_text(content)
        versions.append(origin_of("split=file", f"split.table={table}"))
    assert versions[0].items() ^ versions[1].items() == {("split.table", one["split.table"]) for one in versions}


def test_the_weights_that_a_setting_names_are_an_origin(small, tmp_path):
    network = shutil.copytree(random_network("Hubert"), tmp_path / "network")
    config, (manifest, _) = small("features=pretrained", f"features.weights={network}"), prepare(small())
    former = origin(config, manifest, "audio")
    shutil.copy(random_network("WavLM") / "model.safetensors", network)
    assert former.items() - origin(config, manifest, "audio").items() == {
        ("features.weights", former["features.weights"])
    }
