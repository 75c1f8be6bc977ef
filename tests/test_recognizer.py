"""The LightningModule: its step is the loss of its network, lambda 0 is plain cross-entropy, checkpoints are plain."""

import torch
from torch import nn

from ser_lightning.config import compose
from ser_lightning.data.batches import Batch
from ser_lightning.losses import class_weights
from ser_lightning.recognizer import EmotionRecognizer

COUNTS = [40, 20, 30, 10]


def recognizer(**loss):
    torch.manual_seed(0)
    config = compose([f"loss.{name}={value}" for name, value in loss.items()])
    module = EmotionRecognizer(("neu", "ang", "hap", "sad"), 128, COUNTS, config.model, config.loss, 1e-3)
    module.log_dict = lambda *args, **kwargs: None
    return module


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([120, 100, 80, 60])
    spectrogram = torch.randn(4, 120, 128, generator=generator)
    return Batch(spectrogram, lengths, torch.tensor([0, 1, 2, 3]), ("a", "b", "c", "d"))


def test_training_with_lambda_zero_equals_a_plain_loop_bit_for_bit():
    module, plain = recognizer(lam=0), recognizer(lam=0).network
    ours = module.configure_optimizers()
    theirs = torch.optim.Adam(plain.parameters(), lr=1e-3)
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
