"""The nearest training mean by hand."""

import torch

from ser_lightning.heads.means import Means

Z = torch.tensor([[1.0, 0.0], [3.0, 2.0], [0.0, 4.0]])


def test_logits_are_minus_half_the_squared_distances_from_the_means():
    head = Means(features=2, classes=2)
    head.fit(Z, torch.tensor([0, 0, 1]))
    # Means (2, 1) and (0, 4)
    assert head(Z).tolist() == [[-1.0, -8.5], [-1.0, -6.5], [-6.5, 0.0]]


def test_means_are_kept_with_the_parameters_and_are_none():
    head, other = Means(2, 2), Means(2, 2)
    head.fit(Z, torch.tensor([0, 0, 1]))
    other.load_state_dict(head.state_dict())
    assert torch.equal(other(Z), head(Z))
    assert list(head.parameters()) == []
