"""The author's variants 4 and 5 by hand and against loops."""

import itertools

import pytest
import torch

from ser_lightning.losses.hinge import hinge_loss
from tests.losses.reference import CLASSES, drawn, means, square, weighted


def test_the_nearest_pair_by_hand():
    # lengths 1, 1, 1, 3: mean 1.5; scaled means (2/3, 0), (0, 2/3), (0, -2); no spread; the nearest pair is 8/9 apart
    z, labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -3.0]]), torch.tensor([0, 0, 1, 2])
    assert hinge_loss(z, labels, torch.ones(4), 4, margin=1.0).item() == pytest.approx(1 - 8 / 9)
    assert hinge_loss(z, labels, torch.ones(4), 4, margin=0.5).item() == 0
    assert hinge_loss(z[:2], labels[:2], torch.ones(2), 4).item() == 0


def test_scale_does_not_matter_even_with_a_feature_that_is_zero():
    # lengths 1, 0, 2: mean 1; the pairs are 1, 1 and 5 apart
    z, labels = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1, 2])
    for scale in (0.01, 1, 100):
        assert hinge_loss(scale * z, labels, torch.ones(3), 4, margin=3.0).item() == pytest.approx(3 - 1)


@pytest.mark.parametrize("gamma", [None, 0.2])
def test_it_equals_a_loop(gamma):
    z, batch = drawn()
    scaled = z.detach() / (sum(row.norm().item() for row in z) / len(z))
    centres = means(scaled, batch)
    within = [square(row, centres[label]) for row, label in zip(scaled, batch.labels.tolist(), strict=True)]
    pairs = [square(one, other) for one, other in itertools.combinations(centres.values(), 2)]
    between = min(pairs)
    if gamma:
        g = gamma * sum(pairs) / len(pairs)
        between = sum(g / (d + g) * d for d in pairs) / sum(g / (d + g) for d in pairs)
    loss = hinge_loss(z, batch.labels, batch.weights, CLASSES, 1.0, gamma)
    assert loss.item() == pytest.approx(1.0 + weighted(within, batch) - between)
