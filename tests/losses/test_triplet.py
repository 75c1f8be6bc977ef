"""Triplet loss against a loop and pytorch-metric-learning."""

import itertools

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import TripletMarginMiner
from pytorch_metric_learning.reducers import MeanReducer

from ser_lightning.losses.triplet import triplet_loss
from tests.losses.reference import drawn, square, unweighted


@pytest.mark.parametrize("semihard", [True, False])
def test_it_equals_a_loop(semihard):
    z, batch = drawn()
    u = [row / row.norm() for row in z.detach()]
    labels, above, below = batch.labels.tolist(), 0.0, 0.0
    for a, p, n in itertools.permutations(range(len(u)), 3):
        if labels[a] != labels[p] or labels[a] == labels[n]:
            continue
        near, far = square(u[a], u[p]), square(u[a], u[n])
        if semihard and not near < far < near + 0.4:
            continue
        above += float(batch.weights[a]) * max(0.0, near - far + 0.4)
        below += float(batch.weights[a])
    loss = triplet_loss(z, batch.labels, batch.weights, 0.4, semihard)
    assert loss.item() == pytest.approx(above / below)


@pytest.mark.parametrize("semihard", [True, False])
def test_it_equals_pytorch_metric_learning(semihard):
    z, batch = drawn(size=32)
    # its distances are not squared by default
    distance = LpDistance(power=2)
    miner = TripletMarginMiner(margin=0.2, type_of_triplets="semihard", distance=distance)
    reference = TripletMarginLoss(margin=0.2, distance=distance, reducer=MeanReducer())
    expected = reference(z, batch.labels, miner(z, batch.labels) if semihard else None)
    loss = triplet_loss(z, batch.labels, unweighted(batch).weights, 0.2, semihard)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
