"""Island loss against loops, and how its centres move."""

import math

import pytest
import torch

from ser_lightning.losses import center_loss
from ser_lightning.losses.island import IslandLoss, closeness
from tests.losses.reference import CLASSES, FEATURES, drawn, drawn_centers


def cosine(one, other):
    lengths = math.sqrt(sum(float(a) ** 2 for a in one)) * math.sqrt(sum(float(b) ** 2 for b in other))
    return sum(float(a) * float(b) for a, b in zip(one, other, strict=True)) / lengths


def test_closeness_by_hand():
    # cosines of the three pairs: 0.6, 0, -0.8; each twice, and 1 more for each; the zero centre has none
    centers = torch.tensor([[3.0, 4.0], [2.0, 0.0], [0.0, -1.0], [0.0, 0.0]])
    assert closeness(centers).item() == pytest.approx(2 * (1.6 + 1.0 + 0.2))


def test_the_loss_is_centre_loss_and_a_loop_over_pairs():
    loss, centers = IslandLoss(FEATURES, CLASSES, push=3.0).double().eval(), drawn_centers()
    loss.centers.copy_(centers)
    z, batch = drawn()
    pairs = sum(cosine(centers[j], centers[k]) + 1 for j in range(CLASSES) for k in range(CLASSES) if j != k)
    expected = center_loss(z, batch.labels, centers, batch.weights).item() + 3.0 * pairs
    assert loss(z, z, batch).item() == pytest.approx(expected)


def test_centres_follow_their_class_and_leave_each_other():
    loss, centers = IslandLoss(2, 3, alpha=0.5, push=2.0), torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    loss.centers.copy_(centers)
    z = torch.tensor([[3.0, 0.0]])
    _, batch = drawn(size=1)
    loss(z, z, batch._replace(labels=torch.tensor([0]), weights=torch.ones(1)))
    # the gradient of the cosine at (1, 0) is (0, 1), at (0, 2) it is (0.5, 0); each times alpha push / (classes - 1);
    # before, the first went half way to (3, 0)
    torch.testing.assert_close(loss.centers, torch.tensor([[2.0, -0.5], [-0.25, 2.0], [0.0, 0.0]]))
