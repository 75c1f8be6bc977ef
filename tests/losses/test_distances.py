"""What losses are made of, by hand and where it is easily NaN."""

import torch

from ser_lightning.losses.distances import class_means, length, pair_distances, squared_distances, unit, weighted_mean


def test_means_and_distances_between_classes_by_hand():
    z = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    means, counts = class_means(z, torch.tensor([0, 0, 2]), 4)
    assert means.tolist() == [[2.0, 0.0], [0.0, 0.0], [0.0, 4.0], [0.0, 0.0]]
    assert counts.squeeze(1).tolist() == [2.0, 0.0, 1.0, 0.0]
    distances, pairs = pair_distances(means, counts)
    # the only pair that occurs
    assert pairs.nonzero().tolist() == [[0, 2]]
    assert distances[0, 2] == 20


def test_squared_distances_of_equal_points_are_zero():
    z = 1e4 + torch.rand(5, 64)
    assert squared_distances(z, z).diagonal().tolist() == [0.0] * 5
    torch.testing.assert_close(squared_distances(z.double(), z.double()), torch.cdist(z.double(), z.double()) ** 2)


def test_zero_has_no_direction_and_a_finite_gradient():
    z = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    assert length(z).tolist() == [[1.0], [5.0]]
    unit(z).sum().backward()
    # at zero it is the identity; else (I - u u') / 5 of u = (.6, .8), times (1, 1)
    torch.testing.assert_close(z.grad, torch.tensor([[1.0, 1.0], [0.032, -0.024]]))


def test_without_weight_the_mean_is_zero():
    values = torch.tensor([2.0, 5.0], requires_grad=True)
    mean = weighted_mean(values, torch.zeros(2))
    mean.backward()
    assert (mean.item(), values.grad.tolist()) == (0.0, [0.0, 0.0])
