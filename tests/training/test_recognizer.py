"""The LightningModule: its step is the loss of its network, lambda 0 is plain cross-entropy, checkpoints are plain."""

import os
import shutil
from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import pandas as pd
import pytest
import torch
from torch import distributed, nn

from ser_lightning.config import compose
from ser_lightning.data.batches import Batch
from ser_lightning.errors import UserError
from ser_lightning.losses import class_weights
from ser_lightning.losses.diagnostics import ClassDistances, GradientShare
from ser_lightning.training.assembly import assemble
from ser_lightning.training.job import train_all
from ser_lightning.training.plan import plan_job
from ser_lightning.training.progress import StudyProgress
from ser_lightning.training.recognizer import EmotionRecognizer, gather
from tests import commands

COUNTS = [40, 20, 30, 10]


def recognizer(**loss):
    torch.manual_seed(0)
    config = compose([f"loss.{name}={value}" for name, value in loss.items()])
    return assemble(config, ("neu", "ang", "hap", "sad"), 128, COUNTS)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([120, 100, 80, 60])
    spectrogram = torch.randn(4, 120, 128, generator=generator)
    return Batch(spectrogram, lengths, torch.tensor([0, 1, 2, 3]), torch.zeros(4), ("a", "b", "c", "d"), 4)


def test_training_with_lambda_zero_equals_a_plain_loop_bit_for_bit():
    module, plain = recognizer(lam=0), recognizer(lam=0)
    optimizer = module.configure_optimizers()
    network = nn.ModuleList([plain.encoder, plain.head])
    reference = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    cross_entropy = nn.CrossEntropyLoss(class_weights(COUNTS))
    for seed in range(4):
        loss = module.training_step(batch(seed), 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        logits = plain.head(plain.encoder(batch(seed).spectrogram, batch(seed).lengths))
        expected = cross_entropy(logits, batch(seed).labels)
        reference.zero_grad()
        expected.backward()
        reference.step()
        assert loss.item() == expected.item()
    for one, other in zip(module.parameters(), network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_first_weights_do_not_depend_on_the_loss():
    with_loss, without = recognizer(lam=0.3), recognizer(lam=0)
    assert without.loss.term is None
    for one, other in zip(with_loss.encoder.parameters(), without.encoder.parameters(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(with_loss.head.fc2.weight, without.head.fc2.weight)


def test_a_loss_that_gives_something_else_in_the_midst_of_training_is_named():
    module = recognizer(lam=0.3)
    for value, message in [
        (torch.ones(4), "loss=center: the shape of the loss is [4]; it should be []"),
        (torch.ones(()), "loss=center: the loss has no gradient, so that lambda times it changes nothing"),
    ]:
        module.training_step(batch(), 0)
        forward, module.loss.term.forward = module.loss.term.forward, lambda *given, value=value: value
        with pytest.raises(UserError) as refusal:
            module.training_step(batch(), 0)
        assert str(refusal.value).startswith(message)
        module.loss.term.forward = forward


def test_mixed_utterances_are_trained_to_be_of_both_classes():
    mixed = torch.tensor([1, 1, 3, 0]), torch.tensor([0.3, 0.5, 0.2, 0.1])
    module = recognizer(lam=0, class_weights="none")
    loss = module.training_step(replace(batch(), mixed=mixed), 0)
    targets = torch.tensor([[0.7, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 0.8, 0.2], [0.1, 0, 0, 0.9]])
    torch.testing.assert_close(loss, nn.functional.cross_entropy(module(batch())[1], targets))


def test_centres_follow_the_features_of_the_batch():
    module = recognizer(lam=0.3, alpha=0.5)
    z, _ = module(batch())
    module.training_step(batch(), 0)
    torch.testing.assert_close(module.loss.term.centers, 0.5 * z.detach())


def test_centres_are_saved_and_not_trained():
    module = recognizer(lam=0.3)
    trained = {id(p) for group in module.configure_optimizers().param_groups for p in group["params"]}
    assert id(module.loss.term.centers) not in trained
    module.training_step(batch(), 0)
    other = recognizer(lam=0.3)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.loss.term.centers, module.loss.term.centers)
    assert other.loss.term.centers.any()


# Features of whole batches; of two ranks the first has every second utterance, the other the rest.
WHOLES = [torch.arange(14.0).reshape(7, 2), torch.arange(2.0).reshape(1, 2)]


def gather_on_rank(rank: int, meeting: str, results: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    gathered = []
    for whole in WHOLES:
        share = whole[rank::2].clone().requires_grad_()
        z = gather(share, len(whole))
        # A gradient of its own for every utterance, the same on both ranks
        (z * (1 + torch.arange(len(whole)))[:, None]).sum().backward()
        labels = gather(torch.arange(len(whole))[rank::2], len(whole))
        gathered.append((z.detach(), labels, share.grad))
    torch.save(gathered, f"{results}/{rank}")
    distributed.destroy_process_group()


def test_ranks_gather_whole_batches_in_order_and_get_their_gradients(tmp_path):
    environment, meeting = {**os.environ, "MASTER_ADDR": "127.0.0.1"}, str(tmp_path / "meeting")
    printed = tmp_path / "printed"
    ranks = [
        commands.forks().call(gather_on_rank, printed, environment, rank=rank, meeting=meeting, results=str(tmp_path))
        for rank in range(2)
    ]
    assert [process.wait() for process in ranks] == [0, 0], printed.read_text()
    for rank in range(2):
        gathered = torch.load(tmp_path / str(rank), weights_only=True)
        for whole, (z, labels, gradient) in zip(WHOLES, gathered, strict=True):
            assert torch.equal(z, whole)
            assert torch.equal(labels, torch.arange(len(whole)))
            # DDP divides by the number of ranks.
            expected = (1 + torch.arange(len(whole)))[rank::2, None].expand(-1, 2).float()
            assert torch.equal(gradient / 2, expected)


def test_diagnostics_change_no_trained_number(small, monkeypatch):
    def trained(seed):
        planned = plan_job(small(f"seed={seed}", "trainer.precision=32"))
        with StudyProgress(planned) as progress:
            train_all(planned, progress)
        tables = [pd.read_parquet(planned[0].folder / name) for name in ("predictions.parquet", "features.parquet")]
        shutil.rmtree(planned[0].folder)
        return pd.concat(tables)

    measured = trained(31)
    monkeypatch.setattr(GradientShare, "update", lambda *arguments: None)
    monkeypatch.setattr(EmotionRecognizer, "on_train_epoch_end", lambda self: None)
    monkeypatch.setattr(ClassDistances, "update", lambda *arguments: None)
    monkeypatch.setattr(ClassDistances, "compute", lambda self: (0.0, 0.0))
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
    assert rows["train/term_gradient"].dropna().between(0.001, 0.999).all()

    rows, dev = curve("loss.lam=0", "trainer.check_every=12")
    assert "train/center_drift" not in rows
    assert rows["train/term_gradient"].dropna().eq(0).all()
    # The parameters of the only evaluation are the best, so that features.parquet holds the same z.
    z = dev.filter(regex="^z_").astype(float)
    means = z.groupby(dev["label"]).transform("mean")
    within = ((z - means) ** 2).sum(axis=1).groupby(dev["label"]).mean().mean() ** 0.5
    distinct = z.groupby(dev["label"]).mean().to_numpy()
    pairs = [((one - other) ** 2).sum() for one, other in combinations(distinct, 2)]
    (evaluation,) = rows.dropna(subset="dev/ua").to_dict("records")
    assert evaluation["dev/within_classes"] == pytest.approx(within, rel=1e-4)
    assert evaluation["dev/between_classes"] == pytest.approx((sum(pairs) / len(pairs)) ** 0.5, rel=1e-4)
