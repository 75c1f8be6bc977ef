"""Ring loss: its radius, and its value by hand."""

import pytest
import torch

from ser_lightning.losses import LabeledBatch
from ser_lightning.losses.ring import RingLoss

Z = torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, 0.0]])
BATCH = LabeledBatch(torch.tensor([0, 1, 2]), torch.tensor([1.0, 2.0, 1.0]), torch.zeros(3))


def test_the_radius_begins_at_the_mean_length_and_is_trained_from_there():
    loss = RingLoss()
    # lengths 5, 1, 0, mean 2: (9 + 2 * 1 + 4) / 4 / 2
    term = loss(Z, Z, BATCH)
    assert loss.radius.item() == 2
    assert term.item() == pytest.approx(15 / 8)
    term.backward()
    # - sum w (length - R) / sum w
    assert loss.radius.grad.item() == pytest.approx(-(3 - 2 - 2) / 4)
    loss(10 * Z, Z, BATCH)
    assert loss.radius.item() == 2


def test_on_dev_it_does_not_begin():
    loss = RingLoss().eval()
    loss(Z, Z, BATCH)
    assert (loss.radius.item(), loss.started.item()) == (0, False)
