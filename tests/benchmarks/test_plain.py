"""The plain implementation and ours compute the same, so that only their speed differs."""

import pytest
import torch

from benchmarks.plain import PlainCRNN, PlainTraining
from ser_lightning.config import compose
from ser_lightning.data.batches import Batch
from ser_lightning.losses import class_weights
from ser_lightning.training.assembly import assemble

COUNTS = [40, 20, 30, 10]


def ours():
    torch.manual_seed(0)
    return assemble(compose([]), ("neu", "ang", "hap", "sad"), 128, COUNTS)


def plain_names(recognizer):
    """The weights of our network under the plain one's names."""
    weights = [*recognizer.encoder.named_parameters(), *recognizer.head.named_parameters()]
    return {
        name.replace("convolutions.0", "conv1")
        .replace("convolutions.1", "conv2")
        .replace("convolutions.2", "conv3")
        .replace("convolutions.3", "conv4"): value
        for name, value in weights
    }


def test_every_step_has_the_same_loss_gradients_and_centres():
    """From equal weights and centres; on noise, Adam makes of the last digit another path within some ten steps."""
    recognizer = ours()
    joint = recognizer.loss
    plain = PlainTraining(PlainCRNN(128, 4), class_weights(COUNTS), joint.lam, joint.term.alpha, 1e-3)
    optimizer = recognizer.configure_optimizers()
    generator = torch.Generator().manual_seed(1)
    for _ in range(8):
        lengths = torch.randint(49, 200, (9,), generator=generator).sort(descending=True).values
        x = torch.randn(9, int(lengths.max()), 128, generator=generator)
        for utterance, length in zip(x, lengths, strict=True):
            utterance[length:] = 0
        labels = torch.randint(0, 4, (9,), generator=generator)
        plain.network.load_state_dict(plain_names(recognizer))
        plain.centers = joint.term.centers.clone()
        loss = recognizer.training_step(Batch(x, lengths, labels, torch.zeros(9), tuple("abcdefghi"), 9), 0)
        optimizer.zero_grad()
        loss.backward()
        assert plain.step(x, lengths, labels) == pytest.approx(loss.item(), rel=1e-4)
        gradients = {name: value.grad for name, value in plain_names(recognizer).items()}
        for name, parameter in plain.network.named_parameters():
            # Where two of a pool are equal but for the last digit, another one gets the gradient
            assert (parameter.grad - gradients[name]).norm() <= 1e-2 * gradients[name].norm() + 1e-7
        torch.testing.assert_close(plain.centers, joint.term.centers, rtol=1e-5, atol=1e-6)
        optimizer.step()
