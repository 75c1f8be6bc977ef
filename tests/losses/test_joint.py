"""The joint loss against loops and weighted cross-entropy."""

import math

import pytest
import torch
from torch import nn

from ser_lightning.losses import JointLoss, center_loss, class_weights, update_centers

WEIGHTS = torch.tensor([1.0, 2.0, 4.0, 1.5])


def batch(seed=0, size=32):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(size, 64, generator=generator)
    logits = torch.randn(size, 4, generator=generator)
    labels = torch.randint(0, 4, (size,), generator=generator)
    return z, logits, labels


def test_lambda_zero_is_weighted_cross_entropy_bit_for_bit():
    joint = JointLoss(lam=0, weights=WEIGHTS)
    reference = nn.CrossEntropyLoss(weight=WEIGHTS)
    for seed in range(20):
        z, logits, labels = batch(seed)
        ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        loss = joint(z, ours, labels).total
        expected = reference(theirs, labels)
        assert loss.item() == expected.item()
        loss.backward()
        expected.backward()
        assert torch.equal(ours.grad, theirs.grad)
    assert not joint.center.centers.any()


def test_equation_5_against_a_loop():
    z, logits, labels = batch()
    above = below = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        log_softmax = row[label] - math.log(sum(math.exp(value) for value in row))
        above -= WEIGHTS[label].item() * log_softmax
        below += WEIGHTS[label].item()
    assert JointLoss(lam=0, weights=WEIGHTS)(z, logits, labels).total.item() == pytest.approx(above / below, rel=1e-5)


def test_equation_7_uses_the_centres_from_before_the_batch():
    joint = JointLoss(lam=0.3, alpha=0.5, weights=WEIGHTS)
    centers = torch.zeros(4, 64)
    for seed in range(5):
        z, logits, labels = batch(seed)
        parts = joint(z, logits, labels)
        expected = nn.functional.cross_entropy(logits, labels, WEIGHTS) + 0.3 * center_loss(z, labels, centers, WEIGHTS)
        torch.testing.assert_close(parts.total, expected)
        torch.testing.assert_close(parts.total, parts.softmax + 0.3 * parts.center)
        centers = update_centers(centers, z, labels, 0.5)
        torch.testing.assert_close(joint.center.centers, centers)


def test_evaluation_moves_no_centre():
    joint = JointLoss(lam=0.3).eval()
    joint(*batch())
    assert not joint.center.centers.any()


def test_warm_up_has_lambda_zero_and_alpha_one():
    joint = JointLoss(lam=0.3, alpha=0.1, warm_up=2)
    for seed in range(2):
        z, logits, labels = batch(seed)
        parts = joint(z, logits, labels)
        assert parts.total.item() == nn.functional.cross_entropy(logits, labels).item()
        torch.testing.assert_close(joint.center.centers, torch.stack([z[labels == j].mean(0) for j in range(4)]))
    before = joint.center.centers.clone()
    z, logits, labels = batch(2)
    parts = joint(z, logits, labels)
    torch.testing.assert_close(parts.total, parts.softmax + 0.3 * parts.center)
    torch.testing.assert_close(joint.center.centers, update_centers(before, z, labels, 0.1))


def test_class_weights_by_hand():
    counts = [1366, 882, 1309, 867]
    assert torch.allclose(class_weights(counts), torch.tensor([1.0, 1366 / 882, 1366 / 1309, 1366 / 867]))
    smoothed = torch.tensor([1366 / 1366.5, 1366 / 882.5, 1366 / 1309.5, 1366 / 867.5])
    assert torch.allclose(class_weights(counts, "smoothed"), smoothed)
    assert class_weights(counts, "none") is None


def test_the_scale_of_class_weights_cancels():
    z, logits, labels = batch()
    one = JointLoss(lam=0.3, weights=WEIGHTS)(z, logits, labels).total
    other = JointLoss(lam=0.3, weights=7 * WEIGHTS)(z, logits, labels).total
    torch.testing.assert_close(one, other)


def test_a_class_without_utterances_is_refused():
    with pytest.raises(ValueError, match="every class"):
        class_weights([3, 0, 2, 1])
    with pytest.raises(ValueError, match="formula"):
        class_weights([3, 1, 2, 1], "sqrt")
