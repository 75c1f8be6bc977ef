"""Epochs become steps, fold by fold: the published numbers, the user's own, and what a corpus of one's own gets."""

import pandas as pd
import pytest

from ser_lightning.config import compose
from ser_lightning.data.splits import Split, make_splits
from ser_lightning.errors import UserError
from ser_lightning.reproduce import compose_setting
from ser_lightning.runs.schedule import Schedule, make_schedule
from ser_lightning.training.plan import plan_job, prepare


def schedule(utterances, *overrides):
    """On a fold with so many training utterances."""
    parts = ["train"] * utterances + ["dev", "test"]
    table = pd.DataFrame({"id": [f"{number:05d}" for number in range(len(parts))], "part": parts})
    return make_schedule(compose(["corpus.root=x", *overrides]), Split("paper", 0, 0, table))


@pytest.mark.parametrize(
    ("corpus", "utterances", "steps", "check_every", "first_check"),
    [
        ("cremad", 3920, 4900, 123, 278),
        ("cremad_all", 5954, 7400, 187, 420),
        ("demo", 512, 48, 16, 3),
        ("emodb", 271, 600, 22, 34),
        ("emodb", 272, 600, 22, 34),
        ("emodb_all", 428, 600, 22, 34),
        ("iemocap", 4425, 3520, 139, 200),
        ("iemocap_improvised", 2354, 1880, 74, 107),
        ("meld", 8244, 5160, 258, 293),
        ("meld_all", 9988, 6260, 313, 356),
        ("nemo", 2461, 3100, 77, 176),
        ("nemo_all", 3585, 4500, 113, 256),
        ("ravdess", 538, 1000, 22, 57),
        ("ravdess_all", 1152, 1400, 22, 80),
        ("savee", 240, 600, 22, 34),
        ("savee_all", 384, 700, 22, 40),
        ("tess", 1280, 1600, 40, 91),
        ("tess_all", 2240, 2800, 70, 159),
    ],
)
@pytest.mark.parametrize("features", ["logmel", "logstft"])
def test_the_steps_of_every_corpus(corpus, utterances, steps, check_every, first_check, features):
    chosen = f"corpus={corpus}", f"features={features}"
    epoch_steps = -(-utterances // (8 if corpus == "demo" else 32))
    assert schedule(utterances, *chosen) == Schedule(epoch_steps, steps, check_every, 0)
    assert schedule(utterances, *chosen, "experiment=authors") == Schedule(epoch_steps, steps, 11, first_check)


def test_the_folds_of_emodb(emodb_root, output):
    config = compose(["corpus=emodb", f"corpus.root={emodb_root}", f"paths.output={output}"])
    manifest, _ = prepare(config)
    schedules = [make_schedule(config, split) for split in make_splits(manifest, config.split)]
    assert schedules == 5 * [Schedule(9, 600, 22, 0)]


def test_the_study_s_own_epochs_on_iemocap_are_the_author_s_steps():
    def steps(features, *overrides):
        config = compose_setting(["corpus=iemocap", "corpus.root=x", *overrides], [f"features={features}"])
        table = pd.DataFrame({"id": [str(number) for number in range(4425)], "part": "train"})
        plan = make_schedule(config, Split("paper", 0, 0, table))
        return plan.max_steps, plan.first_check

    assert steps("logmel") == (3520, 0)
    assert steps("logstft") == (2920, 0)
    assert steps("logstft", "experiment=authors", "trainer.first_check_share=0.137") == (2920, 400)
    # What is typed comes before what the study has
    assert steps("logstft", "trainer.max_steps=60") == (60, 0)
    assert steps("logstft", "trainer.epochs=2") == (278, 0)
    assert steps("logstft", "corpus.training.epochs=2") == (278, 0)
    assert steps("logstft", "~study.epochs.iemocap") == (3520, 0)


def test_the_author_s_interval_in_the_study_of_divergences():
    study = compose(["study=divergences"]).study
    overrides = study.settings["author's selection interval"]
    assert schedule(271, "corpus=emodb", *overrides) == Schedule(9, 600, 11, 34)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["trainer.epochs=2"], (20, 10, 0)),
        (["trainer.epochs=0.25"], (2, 2, 0)),
        (["trainer.epochs=0.01"], (1, 1, 0)),
        (["trainer.epochs=2", "trainer.check_epochs=0.5"], (20, 5, 0)),
        (["trainer.epochs=2", "batching.size=4"], (38, 19, 0)),
        (["trainer.epochs=2", "trainer.first_check_share=0.5"], (20, 10, 10)),
        # Steps win
        (["trainer.epochs=2", "trainer.max_steps=60"], (60, 10, 0)),
        (["trainer.check_epochs=0.5", "trainer.max_steps=60", "trainer.check_every=11"], (60, 11, 0)),
        (["trainer.max_steps=60", "trainer.first_check=20", "trainer.first_check_share=0.9"], (60, 10, 20)),
        (["trainer.max_steps=60", "trainer.first_check=0", "trainer.first_check_share=0.9"], (60, 10, 0)),
        (["trainer.max_steps=6", "trainer.check_every=11"], (6, 6, 0)),
    ],
)
def test_what_is_said_in_epochs_and_in_steps(overrides, expected):
    every_epoch = "corpus.training.check_epochs=null"
    assert schedule(73, every_epoch, *overrides) == Schedule(19 if "batching.size=4" in overrides else 10, *expected)


def test_folds_of_unlike_size_have_their_own_steps(small):
    own = "trainer.max_steps=null", "trainer.epochs=3", "corpus.training.check_epochs=null"
    config = small("split=speaker", "split.folds=null", *own)
    for run in plan_job(config):
        epoch_steps = -(-len(run.split.ids("train")) // 4)
        assert run.schedule == Schedule(epoch_steps, 3 * epoch_steps, epoch_steps, 0)
        assert run.cost == 3 * epoch_steps * 128


def test_a_training_without_a_choice_of_parameters_is_refused(small):
    with pytest.raises(UserError) as error:
        plan_job(small("trainer.first_check=7"))
    assert str(error.value) == (
        "trainer.first_check=7: must be at most 6, the steps of the whole training (fold 0), or no parameters are ever "
        "selected"
    )
    assert plan_job(small("trainer.first_check=6"))[0].schedule.first_check == 6


def test_a_corpus_of_ones_own_says_nothing_of_its_training(tmp_path, monkeypatch):
    (tmp_path / "conf" / "corpus").mkdir(parents=True)
    (tmp_path / "recordings.py").write_text("class Recordings:\n    def __init__(self):\n        pass\n")
    (tmp_path / "conf" / "corpus" / "recordings.yaml").write_text(
        "_target_: recordings.Recordings\nroot: sounds\nclasses: {calm: [0], loud: [1, 2]}\n"
    )
    monkeypatch.chdir(tmp_path)
    config = compose(["corpus=recordings"])
    assert config.corpus.classes == {"calm": ["0"], "loud": ["1", "2"]}
    table = pd.DataFrame({"id": [str(number) for number in range(100)], "part": "train"})
    # 40 epochs of ceil(100 / 32) steps, dev after each
    assert make_schedule(config, Split("paper", 0, 0, table)) == Schedule(4, 160, 4, 0)
    assert config.optimizer.own["learning_rate"] == 3e-4
    assert config.corpus.training.note == "these are the defaults for any corpus, not chosen for this one"
