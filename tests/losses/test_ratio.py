"""The author's variants 6 and 7 by hand and against loops."""

import itertools
import math

import pytest
import torch

from ser_lightning.losses import center_loss
from ser_lightning.losses.ratio import RatioLoss, fisher_ratio
from tests.losses.reference import CLASSES, FEATURES, drawn, drawn_centers, means, square, weighted


def test_by_hand():
    # means (1, 0) and (0, 3); within (1 + 1 + 0) / 3; between 10 / 2
    z, labels = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0, 3])
    assert fisher_ratio(z, labels, torch.ones(3), 4).item() == pytest.approx(2 / 3 / 5)
    assert fisher_ratio(z[:2], labels[:2], torch.ones(2), 4).item() == 0


def test_variant_6_equals_a_loop():
    z, batch = drawn()
    centres = means(z, batch)
    within = weighted([square(row, centres[label]) for row, label in zip(z, batch.labels.tolist(), strict=True)], batch)
    pairs = [square(one, other) / 2 for one, other in itertools.combinations(centres.values(), 2)]
    loss = RatioLoss(FEATURES, CLASSES).double()
    assert loss(z, z, batch).item() == pytest.approx(within / (sum(pairs) / len(pairs)))


def test_variant_7_equals_a_loop():
    loss = RatioLoss(FEATURES, CLASSES, centers="moving").double()
    loss.centers.copy_(drawn_centers())
    z, batch = drawn()
    within = center_loss(z, batch.labels, drawn_centers(), batch.weights).item()
    lengths = [math.sqrt(square(one, other)) for one, other in itertools.combinations(means(z, batch).values(), 2)]
    assert loss(z, z, batch).item() == pytest.approx(within / (sum(lengths) / len(lengths)) ** 2)


@pytest.mark.parametrize("centers", ["batch", "moving"])
def test_its_gradient_drives_classes_apart(centers):
    loss = RatioLoss(1, 2, centers=centers)
    loss.centers.copy_(torch.tensor([[0.0], [3.0]]))
    z = torch.tensor([[-0.5], [0.5], [2.5], [3.5]], requires_grad=True)
    _, batch = drawn(size=4)
    loss(z, z, batch._replace(labels=torch.tensor([0, 0, 1, 1]), weights=torch.ones(4))).backward()
    assert z.grad[:2].sum() > 0 > z.grad[2:].sum()
