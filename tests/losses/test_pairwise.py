"""Pairwise loss by hand and against loops."""

import itertools
import math

import pytest
import torch
from torch import nn

from ser_lightning.losses.pairwise import PairwiseLoss, cosine_pair_loss
from tests.losses.reference import FEATURES, drawn


def halves(values):
    """Half the weighted mean over pairs of one class and half that over pairs of two: rows (same, weight, value)."""
    return (
        sum(
            sum(w * v for alike, w, v in values if alike == same) / sum(w for alike, w, _ in values if alike == same)
            for same in (True, False)
        )
        / 2
    )


def test_by_hand():
    # one pair of a class, of cosine 0.6; with the third, cosines 0 and 0.8
    z = torch.tensor([[2.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    loss = cosine_pair_loss(z, torch.tensor([0, 0, 1]), torch.ones(3))
    assert loss.item() == pytest.approx((0.2 + 0.4) / 2)
    # an angle of more than 90 degrees between classes costs nothing
    assert cosine_pair_loss(torch.tensor([[1.0, 0.0], [-1.0, 0.1]]), torch.tensor([0, 1]), torch.ones(2)).item() == 0


def test_it_equals_a_loop():
    z, batch = drawn()
    loss = PairwiseLoss(FEATURES, discrimination=0.5).double()
    u = [row / row.norm() for row in z.detach()]
    cosines, errors = [], []
    for i, k in itertools.permutations(range(len(u)), 2):
        alike, weight = bool(batch.labels[i] == batch.labels[k]), float(batch.weights[i])
        cosine = float(u[i] @ u[k])
        cosines.append((alike, weight, (1 - cosine) / 2 if alike else max(0.0, cosine)))
        verdict = loss.network((u[i] - u[k]).abs()).item()
        errors.append((alike, weight, math.log1p(math.exp(-verdict if alike else verdict))))
    assert loss(z, z, batch).item() == pytest.approx(halves(cosines) + 0.5 * halves(errors))


def test_the_network_is_trained_and_none_is_needed():
    z, batch = drawn()
    loss = PairwiseLoss(FEATURES).double()
    loss(z, z, batch).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in loss.parameters())
    alone = PairwiseLoss(FEATURES, discrimination=0.0).double()
    nn.init.constant_(alone.network[0].weight, 7.0)
    assert alone(z, z, batch).item() == cosine_pair_loss(z, batch.labels, batch.weights).item()
