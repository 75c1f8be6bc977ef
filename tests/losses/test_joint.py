"""The joint loss against loops and weighted cross-entropy."""

import math

import pytest
import torch
from torch import nn

from ser_lightning.heads.cosine import Cosine
from ser_lightning.losses import CenterLoss, JointLoss, class_weights

WEIGHTS = torch.tensor([1.0, 2.0, 4.0, 1.5])


def batch(seed=0, size=32):
    """z, logits, labels, speakers."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(size, 64, generator=generator)
    logits = torch.randn(size, 4, generator=generator)
    labels = torch.randint(0, 4, (size,), generator=generator)
    return z, logits, labels, torch.arange(size)


class Told(nn.Module):
    """A loss that is the mean of z, and keeps what it was told."""

    def forward(self, z, logits, batch):
        self.batch = batch
        return z.mean()


def test_without_a_loss_it_is_weighted_cross_entropy_bit_for_bit():
    joint = JointLoss(weights=WEIGHTS)
    reference = nn.CrossEntropyLoss(weight=WEIGHTS)
    for seed in range(20):
        z, logits, labels, speakers = batch(seed)
        one, other = logits.clone().requires_grad_(), logits.clone().requires_grad_()
        loss = joint(z, one, labels, speakers).total
        expected = reference(other, labels)
        assert loss.item() == expected.item()
        loss.backward()
        expected.backward()
        assert torch.equal(one.grad, other.grad)


def test_equation_5_against_a_loop():
    z, logits, labels, speakers = batch()
    above = below = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        log_softmax = row[label] - math.log(sum(math.exp(value) for value in row))
        above -= WEIGHTS[label].item() * log_softmax
        below += WEIGHTS[label].item()
    loss = JointLoss(weights=WEIGHTS)(z, logits, labels, speakers).total
    assert loss.item() == pytest.approx(above / below, rel=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_equation_7_of_any_loss(weights):
    z, logits, labels, speakers = batch()
    joint = JointLoss(Told(), 0.3, weights)
    parts = joint(z, logits, labels, speakers)
    expected = nn.functional.cross_entropy(logits, labels, weights) + 0.3 * z.mean()
    torch.testing.assert_close(parts.total, expected)
    assert parts.term == z.mean()
    told = joint.term.batch
    assert torch.equal(told.labels, labels)
    assert torch.equal(told.weights, torch.ones(32) if weights is None else weights[labels])
    assert torch.equal(told.speakers, speakers)


def test_the_margin_is_seen_by_the_softmax_term_alone():
    class Logits(Told):
        def forward(self, z, logits, batch):
            return logits.sum()

    z, logits, labels, speakers = batch()
    parts = JointLoss(Logits(), 1.0, WEIGHTS, margin=lambda logits, labels: 2 * logits)(z, logits, labels, speakers)
    assert parts.softmax == nn.functional.cross_entropy(2 * logits, labels, WEIGHTS)
    assert parts.term == logits.sum()


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_the_softmax_term_of_mixed_utterances_against_a_loop(weights):
    z, logits, labels, speakers = batch()
    others, shares = batch(1)[2], torch.rand(32, generator=torch.Generator().manual_seed(2)) / 2
    own = Cosine(64, 4, margin=0.3).margin
    parts = JointLoss(weights=weights, margin=own)(z, logits, labels, speakers, (others, shares))
    above = below = 0.0
    for row, a, b, m in zip(logits, labels, others, shares.tolist(), strict=True):
        for label, share in ((a, 1 - m), (b, m)):
            weight = share * (1.0 if weights is None else weights[label].item())
            # Each label has its own margin
            seen = own(row[None], label[None])
            above += weight * nn.functional.cross_entropy(seen, label[None]).item()
            below += weight
    assert parts.total.item() == pytest.approx(above / below, rel=1e-5)


def test_with_nothing_mixed_in_it_is_the_loss_of_what_there_is():
    given = batch()
    mixed = JointLoss(Told(), 0.3, WEIGHTS)(*given, (batch(1)[2], torch.zeros(32)))
    torch.testing.assert_close(mixed.total, JointLoss(Told(), 0.3, WEIGHTS)(*given).total)


def test_centres_follow_nearly_pure_utterances_alone():
    z, logits, _, speakers = batch(size=4)
    labels, others = torch.tensor([0, 0, 1, 1]), torch.tensor([1, 0, 0, 2])
    shares = torch.tensor([0.4, 0.4, 0.05, 0.2])
    joint = JointLoss(CenterLoss(64, 4, alpha=0.5), 0.3, WEIGHTS)
    parts = joint(z, logits, labels, speakers, (others, shares))
    # The second is of one class, the third nearly
    torch.testing.assert_close(parts.term, (1 * z[1].square().sum() + 2 * z[2].square().sum()) / 3)
    torch.testing.assert_close(joint.term.centers[:2], z[1:3] / 2)
    assert not joint.term.centers[2:].any()


def test_class_weights_by_hand():
    counts = [1366, 882, 1309, 867]
    assert torch.allclose(class_weights(counts), torch.tensor([1.0, 1366 / 882, 1366 / 1309, 1366 / 867]))
    smoothed = torch.tensor([1366 / 1366.5, 1366 / 882.5, 1366 / 1309.5, 1366 / 867.5])
    assert torch.allclose(class_weights(counts, "smoothed"), smoothed)
    assert class_weights(counts, "none") is None


def test_the_scale_of_class_weights_cancels():
    one = JointLoss(CenterLoss(64, 4), 0.3, WEIGHTS)(*batch()).total
    other = JointLoss(CenterLoss(64, 4), 0.3, 7 * WEIGHTS)(*batch()).total
    torch.testing.assert_close(one, other)


def test_a_class_without_utterances_is_refused():
    with pytest.raises(ValueError, match="every class"):
        class_weights([3, 0, 2, 1])
    with pytest.raises(ValueError, match="formula"):
        class_weights([3, 1, 2, 1], "sqrt")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_softmax_term_has_a_weight_of_its_own(share):
    z, logits, labels, speakers = batch()
    z.requires_grad_()
    logits.requires_grad_()
    parts = JointLoss(Told(), 0.3, WEIGHTS, softmax=share)(z, logits, labels, speakers)
    whole = JointLoss(Told(), 0.3, WEIGHTS)(z, logits, labels, speakers)
    assert parts.softmax.item() == whole.softmax.item()
    assert parts.total.item() == pytest.approx(share * whole.softmax.item() + 0.3 * z.mean().item(), rel=1e-6)
    (gradient,) = torch.autograd.grad(parts.total, logits, retain_graph=True)
    assert gradient.abs().sum().item() > 0 if share else not gradient.any()
