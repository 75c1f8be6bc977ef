"""Supervised contrastive loss against a loop and pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import SupConLoss

from ser_lightning.losses.supervised_contrastive import supervised_contrastive_loss
from tests.losses.reference import drawn, unweighted, weighted


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_a_loop(seed):
    z, batch = drawn(seed)
    labels = batch.labels.clone()
    labels[0], labels[1:][labels[1:] == 0] = 0, 1  # an anchor without another of its class
    u = [row / row.norm() for row in z.detach()]
    losses = []
    for i, label in enumerate(labels):
        others = [k for k in range(len(u)) if k != i]
        total = math.log(sum(math.exp(float(u[i] @ u[k]) / 0.3) for k in others))
        logs = [float(u[i] @ u[p]) / 0.3 - total for p in others if labels[p] == label]
        losses.append(-sum(logs) / len(logs) if logs else None)
    assert losses[0] is None
    loss = supervised_contrastive_loss(z, labels, batch.weights, 0.3)
    assert loss.item() == pytest.approx(weighted(losses, batch))


def test_it_equals_pytorch_metric_learning():
    z, batch = drawn(size=32)
    expected = SupConLoss(temperature=0.1)(z, batch.labels)
    torch.testing.assert_close(
        supervised_contrastive_loss(z, batch.labels, unweighted(batch).weights), expected, rtol=1e-6, atol=0
    )


def test_equal_features_have_its_floor():
    # all alike: log of the others
    loss = supervised_contrastive_loss(torch.ones(8, 3), torch.tensor([0, 1] * 4), torch.ones(8))
    assert loss.item() == pytest.approx(math.log(7), rel=1e-5)
