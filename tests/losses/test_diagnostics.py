"""Diagnostics of the centre loss: against hand-computed numbers and against autograd."""

import pytest
import torch

from ser_lightning.losses import JointLoss
from ser_lightning.losses.diagnostics import (
    CenterGradientShare,
    MeanLosses,
    SummedClasses,
    center_drift,
    class_distances,
    class_sums,
    softmax_gradients,
)
from ser_lightning.losses.joint import LossParts

# Class 0 at (0, 0) and (2, 0): mean (1, 0), spread 1. Class 1 at (1, 3) and (1, 7): mean (1, 5), spread 4.
Z = torch.tensor([[0.0, 0.0], [1.0, 3.0], [2.0, 0.0], [1.0, 7.0]])
LABELS = torch.tensor([0, 1, 0, 1])


def test_distances_of_a_hand_computed_example():
    within, between = class_distances(class_sums(Z, LABELS, 2), torch.zeros(2, 2))
    assert within.item() == pytest.approx(2.5**0.5)  # mean of 1 and 4
    assert between.item() == pytest.approx(5.0)


def test_between_is_the_mean_over_pairs():
    z = torch.tensor([[0.0], [1.0], [5.0]])
    _, between = class_distances(class_sums(z, torch.arange(3), 3), torch.zeros(3, 1))
    assert between.item() == pytest.approx(((1 + 16 + 25) / 3) ** 0.5)


def test_a_class_counts_once_however_many_features_it_has():
    z, labels = torch.cat([Z, Z[:1], Z[2:3]]), torch.cat([LABELS, LABELS[:1], LABELS[2:3]])
    within, _ = class_distances(class_sums(z, labels, 2), torch.zeros(2, 2))
    assert within.item() == pytest.approx(2.5**0.5)


def test_close_features_far_from_the_origin_keep_their_distance():
    generator = torch.Generator().manual_seed(0)
    centers = torch.tensor([[300.0] * 64, [-300.0] * 64])
    labels = torch.arange(2).repeat(50)
    z = centers[labels] + 1e-2 * torch.randn(100, 64, generator=generator)
    within, between = class_distances(class_sums(z - centers[labels], labels, 2), centers)
    exact = z.double()
    means = torch.stack([exact[labels == j].mean(0) for j in range(2)])
    assert within.item() == pytest.approx((exact - means[labels]).square().sum(1).mean().sqrt().item(), rel=1e-3)
    assert between.item() == pytest.approx((means[0] - means[1]).norm().item(), rel=1e-6)


def test_sums_of_batches_are_those_of_the_whole():
    metric = SummedClasses(2, 2)
    for part in (slice(0, 1), slice(1, 4)):
        metric.update(Z[part], LABELS[part])
    for ours, whole in zip(metric.compute(), class_sums(Z, LABELS, 2), strict=True):
        assert torch.equal(ours, whole)
    metric.reset()
    assert not metric.counts.any()


def test_mean_losses_weigh_batches_by_their_utterances():
    losses = MeanLosses()
    losses.update(LossParts(torch.tensor(1.0), torch.tensor(2.0), torch.tensor(3.0)), 3)
    losses.update(LossParts(torch.tensor(5.0), torch.tensor(4.0), torch.tensor(0.0)), 1)
    assert losses.compute() == (2.0, 2.5, 2.25)


def test_diagnostics_are_no_part_of_a_checkpoint():
    assert not SummedClasses(2, 2).state_dict()
    assert not CenterGradientShare().state_dict()
    assert not MeanLosses().state_dict()


def test_drift_of_a_hand_computed_example():
    moved = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert center_drift(torch.tensor([[0.0, 0.0], [0.0, 1.0]]), moved).item() == pytest.approx((25 / 2) ** 0.5)


def test_softmax_gradient_of_a_hand_computed_example():
    # Equal logits: p = (1/2, 1/2), so that p - y = (-1/2, 1/2), times V.
    gradients = softmax_gradients(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    torch.testing.assert_close(gradients, torch.tensor([[-1.0, 2.0]]))


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 3.0, 2.0])], ids=["unweighted", "weighted"])
def test_the_share_is_that_of_autograds_gradients(weights):
    generator = torch.Generator().manual_seed(1)
    output = torch.nn.Linear(5, 3)
    z = torch.randn(7, 5, generator=generator, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    loss = JointLoss(3, 5, lam=0.7, weights=weights).eval()
    loss.center.centers.normal_(generator=generator)

    def gradient(lam):
        loss.lam = lam
        return torch.autograd.grad(loss(z, output(z), labels).total, z)[0]

    softmax, whole = gradient(0), gradient(0.7)
    expected = (whole - softmax).norm() / (softmax.norm() + (whole - softmax).norm())

    share = CenterGradientShare()
    with torch.no_grad():
        center = 2 * 0.7 * (z - loss.center.centers[labels])
        of_softmax = softmax_gradients(output(z), labels, output.weight)
    share.update(of_softmax, center, None if weights is None else weights[labels])
    assert share.compute().item() == pytest.approx(expected.item(), rel=1e-5)


def test_without_gradients_the_share_is_zero():
    share = CenterGradientShare()
    share.update(torch.zeros(2, 3), torch.zeros(2, 3))
    assert share.compute().item() == 0
