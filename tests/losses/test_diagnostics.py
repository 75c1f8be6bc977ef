"""Diagnostics of what a loss does: against hand-computed numbers and against autograd."""

import pytest
import torch

from ser_lightning.losses import CenterLoss, JointLoss, LossParts
from ser_lightning.losses.diagnostics import ClassDistances, GradientShare, MeanLosses, class_distances

# Class 0 at (0, 0) and (2, 0): mean (1, 0), spread 1. Class 1 at (1, 3) and (1, 7): mean (1, 5), spread 4.
Z = torch.tensor([[0.0, 0.0], [1.0, 3.0], [2.0, 0.0], [1.0, 7.0]])
LABELS = torch.tensor([0, 1, 0, 1])


def test_distances_of_a_hand_computed_example():
    within, between = class_distances(Z, LABELS, 2)
    assert within.item() == pytest.approx(2.5**0.5)  # mean of 1 and 4
    assert between.item() == pytest.approx(5.0)


def test_between_is_the_mean_over_pairs():
    z = torch.tensor([[0.0], [1.0], [5.0]])
    _, between = class_distances(z, torch.arange(3), 3)
    assert between.item() == pytest.approx(((1 + 16 + 25) / 3) ** 0.5)


def test_a_class_counts_once_however_many_features_it_has():
    z, labels = torch.cat([Z, Z[:1], Z[2:3]]), torch.cat([LABELS, LABELS[:1], LABELS[2:3]])
    within, _ = class_distances(z, labels, 2)
    assert within.item() == pytest.approx(2.5**0.5)


def test_close_features_far_from_the_origin_keep_their_distance():
    generator = torch.Generator().manual_seed(0)
    centers = torch.tensor([[300.0] * 64, [-300.0] * 64])
    labels = torch.arange(2).repeat(50)
    z = centers[labels] + 1e-2 * torch.randn(100, 64, generator=generator)
    within, between = class_distances(z, labels, 2)
    exact = z.double()
    means = torch.stack([exact[labels == j].mean(0) for j in range(2)])
    assert within.item() == pytest.approx((exact - means[labels]).square().sum(1).mean().sqrt().item(), rel=1e-3)
    assert between.item() == pytest.approx((means[0] - means[1]).norm().item(), rel=1e-6)


def test_distances_of_batches_are_those_of_the_whole():
    metric = ClassDistances(2)
    for part in (slice(0, 1), slice(1, 4)):
        metric.update(Z[part], LABELS[part])
    assert metric.compute() == class_distances(Z, LABELS, 2)
    metric.reset()
    metric.update(2 * Z, LABELS)
    assert metric.compute() == class_distances(2 * Z, LABELS, 2)


def test_mean_losses_weigh_batches_by_their_utterances():
    losses = MeanLosses()
    losses.update(LossParts(torch.tensor(1.0), torch.tensor(2.0), torch.tensor(3.0)), 3)
    losses.update(LossParts(torch.tensor(5.0), torch.tensor(4.0), torch.tensor(0.0)), 1)
    assert losses.compute() == (2.0, 2.5, 2.25)


def test_diagnostics_are_no_part_of_a_checkpoint():
    assert not ClassDistances(2).state_dict()
    assert not GradientShare().state_dict()
    assert not MeanLosses().state_dict()


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 3.0, 2.0])], ids=["unweighted", "weighted"])
def test_the_share_is_that_of_gradients_by_hand(weights):
    generator = torch.Generator().manual_seed(1)
    output = torch.nn.Linear(5, 3)
    z = torch.randn(7, 5, generator=generator, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    term = CenterLoss(5, 3).eval()
    term.centers.normal_(generator=generator)
    share = GradientShare()
    share.update(z, JointLoss(term, 0.7, weights)(z, output(z), labels, labels), 0.7)

    # V^T (p_i - y_i) and 2 (z_i - c_{y_i}), each weighted
    by_class = torch.ones(3) if weights is None else weights
    scale = (by_class[labels] / by_class[labels].sum())[:, None]
    errors = output(z).softmax(dim=1) - torch.nn.functional.one_hot(labels, 3)
    softmax = (scale * (errors @ output.weight)).norm()
    center = (scale * 0.7 * 2 * (z - term.centers[labels])).norm()
    assert share.compute().item() == pytest.approx((center / (softmax + center)).item(), rel=1e-5)


def test_the_share_leaves_the_gradients_of_the_training_alone():
    z = Z.clone().requires_grad_()
    parts = JointLoss(CenterLoss(2, 2), 0.5)(z, 3 * z, LABELS, LABELS)
    share = GradientShare()
    share.update(z, parts, 0.5)
    assert z.grad is None
    parts.total.backward()
    other = Z.clone().requires_grad_()
    JointLoss(CenterLoss(2, 2), 0.5)(other, 3 * other, LABELS, LABELS).total.backward()
    assert torch.equal(z.grad, other.grad)


def test_without_a_loss_the_share_is_zero():
    share = GradientShare()
    z = Z.clone().requires_grad_()
    share.update(z, JointLoss()(z, 3 * z, LABELS, LABELS), 0.0)
    assert share.compute().item() == 0


def test_where_the_encoder_is_not_trained_the_share_is_zero():
    share, output = GradientShare(), torch.nn.Linear(2, 3)
    share.update(Z, JointLoss(CenterLoss(2, 3), 0.5)(Z, output(Z), LABELS, LABELS), 0.5)
    assert share.compute().item() == 0
