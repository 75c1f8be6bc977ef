"""The LightningModule: its step is the loss of its network, lambda 0 is plain cross-entropy, checkpoints are plain."""

import shutil
from itertools import combinations

import pandas as pd
import pytest
import torch
from torch import nn

import ser_lightning.recognizer as recognizer_module
from ser_lightning.config import compose
from ser_lightning.data.batches import Batch
from ser_lightning.losses import class_weights
from ser_lightning.recognizer import EmotionRecognizer
from ser_lightning.runs.job import train_all
from ser_lightning.runs.plan import plan_job
from ser_lightning.runs.progress import StudyProgress

COUNTS = [40, 20, 30, 10]


def recognizer(**loss):
    torch.manual_seed(0)
    config = compose([f"loss.{name}={value}" for name, value in loss.items()])
    return EmotionRecognizer(("neu", "ang", "hap", "sad"), 128, COUNTS, config.model, config.loss, 1e-3)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([120, 100, 80, 60])
    spectrogram = torch.randn(4, 120, 128, generator=generator)
    return Batch(spectrogram, lengths, torch.tensor([0, 1, 2, 3]), ("a", "b", "c", "d"), 4)


def test_training_with_lambda_zero_equals_a_plain_loop_bit_for_bit():
    module, plain = recognizer(lam=0), recognizer(lam=0).network
    ours = module.configure_optimizers()
    theirs = torch.optim.Adam(plain.parameters(), lr=1e-3, fused=True)
    cross_entropy = nn.CrossEntropyLoss(class_weights(COUNTS))
    for seed in range(4):
        loss = module.training_step(batch(seed), 0)
        ours.zero_grad()
        loss.backward()
        ours.step()
        _, logits = plain(batch(seed).spectrogram, batch(seed).lengths)
        expected = cross_entropy(logits, batch(seed).labels)
        theirs.zero_grad()
        expected.backward()
        theirs.step()
        assert loss.item() == expected.item()
    for one, other in zip(module.network.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_centres_follow_the_features_of_the_batch():
    module = recognizer(lam=0.3, alpha=0.5)
    z, _ = module(batch())
    module.training_step(batch(), 0)
    torch.testing.assert_close(module.loss.center.centers, 0.5 * z.detach())


def test_centres_are_saved_and_not_trained():
    module = recognizer(lam=0.3)
    trained = {id(p) for group in module.configure_optimizers().param_groups for p in group["params"]}
    assert id(module.loss.center.centers) not in trained
    module.training_step(batch(), 0)
    other = recognizer(lam=0.3)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.loss.center.centers, module.loss.center.centers)
    assert other.loss.center.centers.any()


def test_diagnostics_change_no_trained_number(small, monkeypatch):
    def trained(seed):
        planned = plan_job(small(f"seed={seed}", "trainer.precision=32"))
        with StudyProgress(planned) as progress:
            train_all(planned, progress)
        tables = [pd.read_parquet(planned[0].folder / name) for name in ("predictions.parquet", "features.parquet")]
        shutil.rmtree(planned[0].folder)
        return pd.concat(tables)

    class Blind(recognizer_module.SummedClasses):
        def update(self, *arguments):
            pass

    measured = trained(31)
    monkeypatch.setattr(EmotionRecognizer, "_sum_gradients", lambda *arguments: None)
    monkeypatch.setattr(EmotionRecognizer, "on_train_epoch_end", lambda self: None)
    monkeypatch.setattr(recognizer_module, "SummedClasses", Blind)
    pd.testing.assert_frame_equal(trained(31), measured, check_exact=True)


def test_the_logged_diagnostics_of_a_run(small):
    def curve(*overrides):
        (planned,) = plan_job(small("seed=32", "trainer.max_steps=12", *overrides))
        with StudyProgress([planned]) as progress:
            train_all([planned], progress)
        rows = pd.read_csv(planned.folder / "metrics.csv")
        features = pd.read_parquet(planned.folder / "features.parquet")
        return rows, features[features["part"] == "dev"]

    rows, dev = curve("loss.lam=0.3")
    assert rows["train/lr"].dropna().nunique() == 1
    assert rows["train/center_drift"].dropna().gt(0).all()
    assert rows["train/center_gradient"].dropna().between(0.001, 0.999).all()

    rows, dev = curve("loss.lam=0", "trainer.check_every=12")
    assert rows["train/center_drift"].dropna().eq(0).all()
    assert rows["train/center_gradient"].dropna().eq(0).all()
    # The parameters of the only evaluation are the best, so that features.parquet holds the same z.
    z = dev.filter(regex="^z_").astype(float)
    means = z.groupby(dev["label"]).transform("mean")
    within = ((z - means) ** 2).sum(axis=1).groupby(dev["label"]).mean().mean() ** 0.5
    distinct = z.groupby(dev["label"]).mean().to_numpy()
    pairs = [((one - other) ** 2).sum() for one, other in combinations(distinct, 2)]
    (evaluation,) = rows.dropna(subset="dev/ua").to_dict("records")
    assert evaluation["dev/within_classes"] == pytest.approx(within, rel=1e-4)
    assert evaluation["dev/between_classes"] == pytest.approx((sum(pairs) / len(pairs)) ** 0.5, rel=1e-4)
