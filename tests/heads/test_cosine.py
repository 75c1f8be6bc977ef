"""The cosine head against hand-computed angles and pytorch-metric-learning's margins."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss
from torch import nn

from ser_lightning.heads.cosine import Cosine


def drawn(**settings):
    generator = torch.Generator().manual_seed(0)
    head = Cosine(features=6, classes=4, **settings).double()
    z = torch.randn(20, 6, generator=generator, dtype=torch.float64)
    return head, z.requires_grad_(), torch.randint(0, 4, (20,), generator=generator)


def test_logits_by_hand():
    head = Cosine(features=2, classes=3, scale=10.0)
    with torch.no_grad():
        head.directions.copy_(torch.tensor([[7.0, 0.0], [0.0, 0.5], [-1.0, 0.0]]))
    torch.testing.assert_close(head(torch.tensor([[6.0, 8.0]])), torch.tensor([[6.0, 8.0, -6.0]]))


def test_without_a_margin_it_is_the_normalised_softmax():
    for kind in ("additive", "angular"):
        head, z, labels = drawn(margin=0.0, kind=kind)
        logits = head(z)
        expected = 8.0 * nn.functional.normalize(z) @ nn.functional.normalize(head.directions).T
        torch.testing.assert_close(logits, expected)
        torch.testing.assert_close(head.margin(logits, labels), logits, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "reference"),
    [
        ("additive", CosFaceLoss(4, 6, margin=0.3, scale=8)),
        ("angular", ArcFaceLoss(4, 6, margin=math.degrees(0.3), scale=8)),
    ],
)
def test_the_margin_is_that_of_pytorch_metric_learning(kind, reference):
    head, z, labels = drawn(margin=0.3, kind=kind)
    reference.W = nn.Parameter(head.directions.detach().T.clone())
    # its guard for angles of more than pi - m is another one
    own = head(z)[torch.arange(20), labels] / 8
    assert own.min() > -math.cos(0.3)
    loss = nn.functional.cross_entropy(head.margin(head(z), labels), labels)
    torch.testing.assert_close(loss, reference(z, labels).double(), rtol=1e-5, atol=0)


def test_the_angular_margin_falls_throughout():
    head = Cosine(features=2, classes=2, scale=1.0, margin=0.5, kind="angular")
    angles = torch.linspace(0, math.pi, 200)
    logits = torch.stack([angles.cos(), torch.zeros(200)], dim=1)
    margins = head.margin(logits, torch.zeros(200, dtype=torch.int64))
    assert (margins[:, 0].diff() < 0).all()
    assert (margins[:, 0] < logits[:, 0]).all()
    assert torch.equal(margins[:, 1], logits[:, 1])
    assert margins[100, 0].item() == pytest.approx(math.cos(angles[100].item() + 0.5), abs=1e-6)


@pytest.mark.parametrize("kind", ["additive", "angular"])
def test_zero_and_aligned_features_have_finite_gradients(kind):
    head = Cosine(features=2, classes=2, kind=kind)
    z = torch.stack([torch.zeros(2), 3 * head.directions[0].detach()]).requires_grad_()
    labels = torch.tensor([0, 0])
    nn.functional.cross_entropy(head.margin(head(z), labels), labels).backward()
    assert torch.isfinite(z.grad).all()
    assert torch.isfinite(head.directions.grad).all()
