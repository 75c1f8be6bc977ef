"""One run: what its folder holds, that it is repeatable, that it is not trained twice."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import seed_everything
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from ser_lightning.data.protocols import PARTS
from ser_lightning.errors import UserError
from ser_lightning.heads import Linear
from ser_lightning.heads.svm import SVM
from ser_lightning.losses import CenterLoss
from ser_lightning.metrics import confusion_counts, unweighted_accuracy, weighted_accuracy
from ser_lightning.runs.code import code_digest
from ser_lightning.runs.ledger import BEST, feature_values, read_features, read_predictions, read_result
from ser_lightning.training.job import mean_dev_ua, train_all, train_once
from ser_lightning.training.network import use_bf16
from ser_lightning.training.plan import plan_job
from ser_lightning.training.progress import StudyProgress
from ser_lightning.training.run import _seed, fold_data, train_run, write_predictions


def train(config):
    (planned,) = plan_job(config)
    with StudyProgress([planned]) as progress:
        return planned, train_all([planned], progress)[0]


@pytest.fixture
def run(small):
    planned, result = train(small())
    return planned, result


def folder_of(planned, config):
    return Path(config.paths.output) / "runs" / planned.signature


def test_the_folder_of_a_run(run, small):
    planned, result = run
    folder = folder_of(planned, small())
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.yaml", "metrics.csv", BEST, "predictions.parquet", "features.parquet", "result.json"}
    written = json.loads((folder / "result.json").read_text())
    assert written["corpus"] == "demo"
    assert written["synthetic"] is True
    assert written["protocol"] == "paper"
    assert (written["repeat"], written["fold"], written["steps"]) == (0, 0, 6)
    assert set(written["versions"]) >= {"python", "torch", "lightning", "ser-lightning", "librosa", "transformers"}
    assert written["code"] == {"version": written["versions"]["ser-lightning"], "digest": code_digest()}
    assert read_result(folder) == result


def test_ua_and_wa_follow_from_the_predictions(run, small):
    planned, result = run
    predictions = read_predictions(folder_of(planned, small()).parent, [planned.signature])
    for part, ua, wa in (("test", result.ua, result.wa), ("dev", result.dev_ua, result.dev_wa)):
        rows = predictions[predictions["part"] == part]
        assert sorted(rows["id"]) == planned.split.ids(part)
        logits = rows[[f"logit_{name}" for name in result.classes]].to_numpy()
        labels = rows["label"].map(result.classes.index).to_numpy()
        confusion = confusion_counts(labels, logits.argmax(axis=1), 4)
        assert unweighted_accuracy(confusion) == ua
        assert weighted_accuracy(confusion) == wa


def test_features_of_all_parts_are_kept(run, small):
    planned, result = run
    features = pd.read_parquet(folder_of(planned, small()) / "features.parquet")
    assert features["part"].value_counts().to_dict() == result.utterances
    assert [column for column in features if column.startswith("z_")] == [f"z_{i}" for i in range(64)]


def test_dev_ua_is_the_best_of_the_curve(run, small):
    planned, result = run
    curve = pd.read_csv(folder_of(planned, small()) / "metrics.csv")["dev/ua"].dropna()
    assert result.dev_ua == pytest.approx(curve.max(), abs=1e-6)


def test_the_checkpoint_holds_plain_types_only(run, small):
    planned, _ = run
    checkpoint = torch.load(folder_of(planned, small()) / BEST, weights_only=True)
    assert checkpoint["recognizer"]["classes"] == ["neu", "ang", "hap", "sad"]
    assert checkpoint["recognizer"]["features"] == {"name": "logmel", "max_seconds": 0.6, "floor": 80.0}
    assert checkpoint["recognizer"]["mean"].shape == (128,)
    assert "head.fc2.weight" in checkpoint["state_dict"]


def test_a_finished_run_is_not_trained_again(run, small):
    planned, _ = run
    before = (folder_of(planned, small()) / BEST).stat().st_mtime_ns
    train(small())
    assert (folder_of(planned, small()) / BEST).stat().st_mtime_ns == before


def test_an_unfinished_run_is_trained_anew_to_the_same_bits(run, small):
    planned, result = run
    folder = folder_of(planned, small())
    first = read_predictions(folder.parent, [planned.signature])
    (folder / "result.json").unlink()
    (folder / "predictions.parquet").write_bytes(b"half")
    _, again = train(small())
    pd.testing.assert_frame_equal(read_predictions(folder.parent, [planned.signature]), first)
    assert (again.ua, again.dev_ua, again.confusion) == (result.ua, result.dev_ua, result.confusion)


def test_checks_every_n_steps_from_the_first_check_on(small):
    config = small("trainer.check_every=2", "trainer.first_check=4", "seed=5")
    planned, result = train(config)
    curve = pd.read_csv(folder_of(planned, config) / "metrics.csv").dropna(subset=["dev/ua"])
    assert len(curve) == 3
    assert result.best_step in (4, 6)


def test_a_check_follows_the_last_step(small):
    config = small("trainer.check_every=4", "seed=6")
    planned, _ = train(config)
    curve = pd.read_csv(folder_of(planned, config) / "metrics.csv").dropna(subset=["dev/ua"])
    assert len(curve) == 2


def test_runs_of_other_folds_differ_in_data_and_start(small):
    config = small("split.folds=[0,1]")
    first, second = plan_job(config)
    assert set(first.split.ids("test")).isdisjoint(second.split.ids("test"))
    with StudyProgress([first, second]) as progress:
        results = train_all([first, second], progress)
    assert mean_dev_ua(results) == pytest.approx(np.mean([result.dev_ua for result in results]))


def test_side_by_side_is_one_by_one(small):
    def logits(workers):
        config = small("split.folds=[0,1]", "trainer.precision=32", f"trainer.workers={workers}", "seed=9")
        planned = plan_job(config)
        with StudyProgress(planned) as progress:
            results = train_all([*planned, planned[0]], progress)
        assert [result.fold for result in results] == [0, 1, 0]
        runs = folder_of(planned[0], config).parent
        predictions = read_predictions(runs, [run.signature for run in planned])
        for run in planned:
            shutil.rmtree(runs / run.signature)
        return predictions[[f"logit_{name}" for name in results[0].classes]].to_numpy()

    # not bit by bit: the number of threads decides in which order numbers are added
    np.testing.assert_allclose(logits(workers=2), logits(workers=1), atol=1e-4)


def test_two_processes_train_a_run_once(small, monkeypatch):
    config = small("seed=11")
    (planned,) = plan_job(config)
    (other,) = plan_job(config)
    trained = []
    monkeypatch.setattr("ser_lightning.training.run.train_run", lambda *of: trained.append(of) or train_run(*of))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(train_once, [planned, other])
    assert first == second
    assert len(trained) == 1


def test_a_diverged_run_says_so_and_stays_unfinished(small):
    config = small("optimizer.learning_rate=1e20", "trainer.precision=32")
    (planned,) = plan_job(config)
    with StudyProgress([planned]) as progress, pytest.raises(UserError, match="not a number after 6 steps"):
        train_all([planned], progress)
    assert planned.finished is None


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            CenterLoss,
            "the loss that is added, CenterLoss, is not a number on dev after 6 steps, though it is one in training;",
        ),
        (
            Linear,
            "the softmax term is not a number on dev after 6 steps, though it is one in training; see what encoder and",
        ),
    ],
)
def test_what_is_not_a_number_on_dev_alone_is_told(small, monkeypatch, part, message):
    forward = part.forward
    monkeypatch.setattr(part, "forward", lambda self, *given: forward(self, *given) / (1 if self.training else 0))
    (planned,) = plan_job(small("seed=12", "loss.lam=0.1"))
    assert train_once(planned).reason.startswith(message)


@pytest.mark.parametrize("place", [1, 2], ids=["z", "logits"])
def test_what_is_not_a_number_on_test_alone_is_told_and_makes_no_result(small, tmp_path, place):
    (planned,) = plan_job(small("seed=13"))
    data = fold_data(planned, torch.device("cpu"))
    outputs = [[[data.parts[part].ids, np.zeros((len(data.parts[part]), 4), np.float32)]] for part in PARTS]
    outputs = [[(ids, values, values.copy())] for ((ids, values),) in outputs]
    ((names, *values),) = outputs[-1]
    values[place - 1][2, 1] = np.nan
    trainer = Mock(predict=Mock(return_value=outputs))
    message = f"not a number for 1 of {len(names)} utterances of test, such as {re.escape(names[2])}; see what encoder"
    with pytest.raises(UserError, match=message):
        write_predictions(tmp_path, trainer, Mock(), data)
    assert not any(tmp_path.glob("*.parquet"))


def test_precision_is_what_was_asked_for():
    cpu = torch.device("cpu")
    assert use_bf16("bf16", cpu)
    assert not use_bf16("32", cpu)
    assert isinstance(use_bf16("auto", cpu), bool)


def test_a_loss_that_trains_alone_is_selected_and_tested_by_the_nearest_training_mean(small):
    config = small("loss=triplet", "loss.softmax=0", "head=means", "trainer.check_every=2")
    planned, result = train(config)
    folder = folder_of(planned, config)
    features = pd.read_parquet(folder / "features.parquet").set_index("id")
    z = features[[f"z_{i}" for i in range(64)]].to_numpy(dtype=float)
    training = (features["part"] == "train").to_numpy()
    means = [z[training & (features["label"] == name).to_numpy()].mean(axis=0) for name in result.classes]
    predictions = pd.read_parquet(folder / "predictions.parquet")
    others = z[features.index.get_indexer(predictions["id"])]
    expected = -((others[:, None] - np.stack(means)) ** 2).sum(axis=2) / 2
    logits = predictions[[f"logit_{name}" for name in result.classes]].to_numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)
    # The UA by which parameters were selected is that of these logits
    curve = pd.read_csv(folder / "metrics.csv")["dev/ua"].dropna()
    assert result.dev_ua == pytest.approx(curve.max(), abs=1e-6)


def test_without_an_encoder_that_is_trained_dev_is_looked_at_once_and_the_fitted_head_is_tested(small):
    """z is the mean over frames, normalised by the training part, and the logits are scikit-learn's."""
    planned, result = train(small("model=none", "head=svm", "head.C=0.1", "readout=svm", "readout.svm.C=0.1"))
    assert (result.steps, result.best_step) == (0, 0)
    assert not {"batching", "loss", "optimizer"} & result.settings.keys()
    features = read_features(planned.folder).set_index("id")
    z = feature_values(features)
    store = planned.store
    frames = {name: np.array(store.of(store.rows[name]), dtype=np.float64) for name in features.index}
    seen = np.concatenate([frames[name] for name in planned.split.ids("train")])
    mean, deviation = seen.mean(axis=0), seen.std(axis=0)
    np.testing.assert_allclose(
        z, [((frames[name] - mean) / deviation).mean(axis=0) for name in features.index], atol=1e-4
    )
    labels = np.array([result.classes.index(label) for label in features["label"]])
    training = (features["part"] == "train").to_numpy()
    scale = StandardScaler().fit(z[training])
    machine = LinearSVC(C=0.1, class_weight="balanced", dual=False).fit(scale.transform(z[training]), labels[training])
    predictions = read_predictions(planned.folder.parent, [planned.signature])
    expected = machine.decision_function(scale.transform(z[features.index.get_indexer(predictions["id"])]))
    logits = predictions[[f"logit_{name}" for name in result.classes]].to_numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    curve = pd.read_csv(planned.folder / "metrics.csv")
    assert curve["dev/ua"].tolist() == [pytest.approx(result.dev_ua, abs=1e-6)]
    assert not curve.filter(like="train/").columns.any()


def test_a_head_that_takes_dev_is_given_it_beside_the_training_part(small, monkeypatch):
    given = []
    monkeypatch.setattr(SVM, "fit", lambda self, z, labels, dev: given.extend([(z, labels), dev]))
    planned, result = train(small("model=none", "head=svm", "seed=5"))
    table = read_features(planned.folder)
    for part, (z, labels) in zip(("train", "dev"), given, strict=True):
        own = table[table["part"] == part]
        assert sorted(z[:, 0].tolist()) == pytest.approx(sorted(own["z_0"]))
        assert sorted(result.classes[label] for label in labels) == sorted(own["label"])


def test_an_encoder_that_is_not_trained_stays_as_it_is_made(small):
    planned, _ = train(small("model.trained=false", "head=means"))
    seed_everything(_seed(0, planned.split.repeat, planned.split.fold), verbose=False)
    encoder = planned.config.model.make(bins=128)
    encoder.initialise()
    weights = torch.load(planned.folder / BEST, weights_only=True)["state_dict"]
    for name, parameter in encoder.state_dict().items():
        assert torch.equal(weights[f"encoder.{name}"], parameter)
    assert weights["head.means"].any()


def test_a_head_that_is_trained_is_refused_where_nothing_is(small):
    with pytest.raises(UserError, match=r"^model=none is not trained \(model\.trained=false\), and then head=linear"):
        plan_job(small("model=none"))
    with pytest.raises(UserError, match="model=none with head=svm has no weights that could be trained; with"):
        train(small("model=none", "model.trained=true", "head=svm", "loss.softmax=0"))


@pytest.mark.parametrize(
    "words, message",
    [
        ("loss.softmax=0 loss=triplet", "^loss.softmax=0 leaves head=linear untrained, for loss=triplet goes by z"),
        ("loss.softmax=0 head=means loss.lam=0", "^loss.softmax=0 and loss.lam=0 leave nothing to train by"),
        ("head=svm loss.lam=0", "^head=svm is fitted and not trained, so that the softmax term cannot train an"),
        ("head=means loss=triplet", "^head=means is fitted and not trained"),
        ("loss=likelihood", "^loss=likelihood is made for head=gaussian, and not for head=linear$"),
        (
            "normalise=utterance features=functionals model=statistics",
            "^normalise=utterance goes by the frames of an utterance, of which features=functionals has one row",
        ),
        (
            "features=functionals",
            "^model=crnn needs 49 frames of an utterance, and features=functionals makes 1 at most; choose model=",
        ),
        (
            "augment=speed features=functionals model=statistics",
            "^augment=speed changes the course of an utterance's frames, of which features=functionals has one row",
        ),
        (
            "augment=spec features=waveform model=waveform",
            "^augment=spec changes spectra, and a frame of features=waveform is a stretch of the sound",
        ),
    ],
)
def test_parts_that_would_not_train_each_other_are_refused(small, words, message):
    with pytest.raises(UserError, match=message):
        train(small("seed=77", *words.split()))
