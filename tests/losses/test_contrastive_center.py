"""Contrastive-centre loss by hand and against a loop."""

import pytest
import torch

from ser_lightning.losses import update_centers
from ser_lightning.losses.contrastive_center import ContrastiveCenterLoss, contrastive_center_loss
from tests.losses.reference import CLASSES, FEATURES, drawn, drawn_centers, square, weighted


def test_by_hand():
    z, centers = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 2.0], [4.0, 0.0]])
    # own 1; others 4 and 9; 1 / (13 + 1) / 2
    loss = contrastive_center_loss(z, torch.tensor([0]), centers, torch.ones(1))
    assert loss.item() == pytest.approx(1 / 28)


def test_it_equals_a_loop_and_its_centres_are_those_of_centre_loss():
    loss, centers = ContrastiveCenterLoss(FEATURES, CLASSES, alpha=0.3, delta=2.0).double(), drawn_centers()
    loss.centers.copy_(centers)
    z, batch = drawn()
    shares = []
    for row, label in zip(z, batch.labels.tolist(), strict=True):
        others = sum(square(row, centers[j]) for j in range(CLASSES) if j != label)
        shares.append(square(row, centers[label]) / (others + 2.0) / 2)
    assert loss(z, z, batch).item() == pytest.approx(weighted(shares, batch))
    torch.testing.assert_close(loss.centers, update_centers(centers, z, batch.labels, 0.3))
