"""The softmax term against loops and torch; nothing of it is changed where its settings are 0."""

import math

import pytest
import torch
from torch import nn

from ser_lightning.losses.softmax import softmax_loss

WEIGHTS = torch.tensor([1.0, 2.0, 4.0, 1.5], dtype=torch.float64)


def drawn(seed=0, size=16):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(size, 4, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(0, 4, (size,), generator=generator)


@pytest.mark.parametrize("seed", range(5))
def test_without_settings_it_is_torchs_cross_entropy_bit_for_bit(seed):
    logits, labels = drawn(seed)
    expected = nn.functional.cross_entropy(logits, labels, weight=WEIGHTS)
    assert softmax_loss(logits, labels, WEIGHTS).item() == expected.item()


@pytest.mark.parametrize(("focal", "smoothing"), [(2.0, 0.0), (0.5, 0.0), (0.0, 0.1), (1.5, 0.2)])
def test_it_equals_a_loop(focal, smoothing):
    logits, labels = drawn()
    above = below = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(value) for value in row)
        for k, value in enumerate(row):
            p = math.exp(value) / total
            q = smoothing / 4 + (1 - smoothing) * (k == label)
            above -= float(WEIGHTS[label]) * q * (1 - p) ** focal * math.log(p)
        below += float(WEIGHTS[label])
    assert softmax_loss(logits, labels, WEIGHTS, focal, smoothing).item() == pytest.approx(above / below)
    assert torch.autograd.gradcheck(lambda logits: softmax_loss(logits, labels, WEIGHTS, focal, smoothing), logits)


@pytest.mark.parametrize(("focal", "smoothing"), [(0.0, 0.0), (2.0, 0.1)])
def test_shares_are_as_if_utterances_were_there_that_often(focal, smoothing):
    logits, labels = drawn(size=3)
    often = [0, 0, 0, 1, 2, 2]
    expected = softmax_loss(logits[often], labels[often], WEIGHTS, focal, smoothing)
    shares = torch.tensor([1.5, 0.5, 1.0])
    torch.testing.assert_close(softmax_loss(logits, labels, WEIGHTS, focal, smoothing, shares), expected)


def test_smoothing_without_weights_is_torchs():
    logits, labels = drawn()
    expected = nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    torch.testing.assert_close(softmax_loss(logits, labels, smoothing=0.1), expected)


@pytest.mark.parametrize("focal", [0.5, 2.0])
def test_certainty_has_a_finite_gradient(focal):
    logits = torch.tensor([[1000.0, 0.0, 0.0, 0.0]], requires_grad=True)
    softmax_loss(logits, torch.tensor([0]), focal=focal).backward()
    assert torch.isfinite(logits.grad).all()
