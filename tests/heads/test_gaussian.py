"""The Gaussian head by hand."""

import torch

from ser_lightning.heads.gaussian import Gaussian

Z, LABELS = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 1])


def made(margin):
    head = Gaussian(features=2, classes=2, margin=margin)
    with torch.no_grad():
        head.means.copy_(torch.tensor([[0.0, 0.0], [0.0, 2.0]]))
    return head


def test_logits_are_minus_half_the_squared_distances():
    assert made(0.3)(Z).tolist() == [[-0.5, -2.5], [-4.5, -0.5]]


def test_the_margin_makes_the_own_class_farther():
    head = made(0.5)
    torch.testing.assert_close(head.margin(head(Z), LABELS), torch.tensor([[-0.75, -2.5], [-4.5, -0.75]]))
    assert torch.equal(made(0.0).margin(head(Z), LABELS), head(Z))
