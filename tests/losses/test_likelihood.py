"""The Gaussian's likelihood term is centre loss, halved, with the head's means."""

import torch

from ser_lightning.heads.gaussian import Gaussian
from ser_lightning.losses import center_loss
from ser_lightning.losses.likelihood import GaussianLikelihood
from tests.losses.reference import CLASSES, FEATURES, drawn


def test_it_is_half_of_centre_loss_and_moves_the_means_too():
    z, batch = drawn()
    head = Gaussian(FEATURES, CLASSES).double()
    loss = GaussianLikelihood()(z, head(z), batch)
    torch.testing.assert_close(loss, center_loss(z, batch.labels, head.means, batch.weights) / 2)
    loss.backward()
    assert (head.means.grad.abs().sum(dim=1) > 0).tolist() == [bool((batch.labels == j).any()) for j in range(CLASSES)]
