"""Triplet-centre loss by hand and against a loop."""

import pytest
import torch

from ser_lightning.losses import update_centers
from ser_lightning.losses.triplet_center import TripletCenterLoss, triplet_center_loss
from tests.losses.reference import CLASSES, FEATURES, drawn, drawn_centers, square, weighted


@pytest.mark.parametrize(("margin", "expected"), [(5.0, 0.5 + 5.0 - 2.0), (1.0, 0.0)])
def test_by_hand(margin, expected):
    z, centers = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 2.0], [4.0, 0.0]])
    assert triplet_center_loss(z, torch.tensor([0]), centers, torch.ones(1), margin).item() == pytest.approx(expected)


def test_it_equals_a_loop_and_its_centres_are_those_of_centre_loss():
    loss, centers = TripletCenterLoss(FEATURES, CLASSES, alpha=0.3, margin=1.0).double(), drawn_centers()
    loss.centers.copy_(centers)
    z, batch = drawn()
    hinges = []
    for row, label in zip(z, batch.labels.tolist(), strict=True):
        nearest = min(square(row, centers[j]) for j in range(CLASSES) if j != label)
        hinges.append(max(0.0, square(row, centers[label]) / 2 + 1.0 - nearest / 2))
    assert 0 in hinges
    assert loss(z, z, batch).item() == pytest.approx(weighted(hinges, batch))
    torch.testing.assert_close(loss.centers, update_centers(centers, z, batch.labels, 0.3))
