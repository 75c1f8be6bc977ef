"""Centre loss and centre updates against hand-computed numbers and plain loops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ser_lightning.losses import CenterLoss, LabeledBatch, center_loss, update_centers
from ser_lightning.losses.center import center_drift

Z = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
LABELS = torch.tensor([0, 0, 2])
BATCH = LabeledBatch(LABELS, torch.ones(3), torch.zeros(3, dtype=torch.int64))
LOGITS = torch.zeros(3, 4)
CENTERS = torch.tensor([[1.0, 1.0], [5.0, 5.0], [0.0, 0.0], [7.0, 7.0]])


def loop_loss(z, labels, centers, weights):
    """Equation (6) written out."""
    above = below = 0.0
    for feature, label in zip(z, labels, strict=True):
        above += weights[label] * sum((a - b) ** 2 for a, b in zip(feature, centers[label], strict=True))
        below += weights[label]
    return above / below


def loop_update(centers, z, labels, alpha, rule):
    """Equations (3) and (4), or Wen et al.'s rule, written out."""
    moved = [list(map(float, row)) for row in centers]
    for j in range(len(centers)):
        members = [list(map(float, feature)) for feature, label in zip(z, labels, strict=True) if label == j]
        if not members:
            continue
        n = len(members)
        for d in range(len(moved[j])):
            mean = sum(member[d] for member in members) / n
            rate = alpha if rule == "ema" else alpha * n / (1 + n)
            moved[j][d] = moved[j][d] - rate * (moved[j][d] - mean)
    return torch.tensor(moved)


def test_equation_2_by_hand():
    # distances 0+1, 4+1, 0+4: mean 10/3
    assert center_loss(Z, LABELS, CENTERS).item() == pytest.approx(10 / 3)


def test_equation_6_by_hand():
    # (1 + 5 + 3 * 4) / 5
    weights = torch.tensor([1.0, 1.0, 3.0])
    assert center_loss(Z, LABELS, CENTERS, weights).item() == pytest.approx(18 / 5)


def test_equation_4_by_hand():
    # class 0: mean (2, 0), half way from (1, 1); class 2: mean (0, 2), half way from (0, 0); the others stay
    expected = torch.tensor([[1.5, 0.5], [5.0, 5.0], [0.0, 1.0], [7.0, 7.0]])
    assert torch.equal(update_centers(CENTERS, Z, LABELS, alpha=0.5), expected)


def test_wen_by_hand():
    # n = 2 and 1: rates 0.6 * 2/3 = 0.4 and 0.6 * 1/2 = 0.3
    expected = torch.tensor([[1.4, 0.6], [5.0, 5.0], [0.0, 0.6], [7.0, 7.0]])
    torch.testing.assert_close(update_centers(CENTERS, Z, LABELS, alpha=0.6, rule="wen"), expected)


@given(seed=st.integers(0, 10_000), alpha=st.floats(0, 1), rule=st.sampled_from(["ema", "wen"]))
def test_loss_and_update_equal_loops(seed, alpha, rule):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(11, 3, generator=generator)
    labels = torch.randint(0, 4, (11,), generator=generator)
    centers = torch.randn(4, 3, generator=generator)
    weights = torch.rand(4, generator=generator) + 0.1
    loss = center_loss(z, labels, centers, weights[labels])
    assert loss.item() == pytest.approx(float(loop_loss(z, labels, centers, weights)), rel=1e-5)
    moved = update_centers(centers, z, labels, alpha, rule)
    torch.testing.assert_close(moved, loop_update(centers, z, labels, alpha, rule), rtol=1e-5, atol=1e-5)


def test_no_gradient_reaches_the_centres():
    centers = CENTERS.clone().requires_grad_()
    z = Z.clone().requires_grad_()
    center_loss(z, LABELS, centers).backward()
    assert centers.grad is None
    torch.testing.assert_close(z.grad, 2 * (Z - CENTERS[LABELS]) / 3)


def test_a_moving_average_forgets_its_start():
    loss = CenterLoss(features=2, classes=4, alpha=0.5)
    assert torch.equal(loss.centers, torch.zeros(4, 2))
    for _ in range(3):
        loss(Z, LOGITS, BATCH)
    # after three halvings 7/8 of the way from zero to the batch's mean
    torch.testing.assert_close(loss.centers[0], torch.tensor([1.75, 0.0]))
    assert torch.equal(loss.centers[1], torch.zeros(2))


def test_the_loss_is_taken_with_the_centres_from_before_the_batch():
    loss = CenterLoss(features=2, classes=4, alpha=0.5)
    # Squared distances from zero 1, 9, 4; then from (1, 0), (1, 0), (0, 1): 0, 4, 1
    assert loss(Z, LOGITS, BATCH).item() == pytest.approx(14 / 3)
    assert loss(Z, LOGITS, BATCH).item() == pytest.approx(5 / 3)


def test_evaluation_moves_no_centre():
    loss = CenterLoss(features=2, classes=4).eval()
    assert loss(Z, LOGITS, BATCH).item() == pytest.approx(14 / 3)
    assert not loss.centers.any()
    assert loss.steps == 0


def test_warm_up_has_no_loss_and_an_alpha_of_one():
    loss = CenterLoss(features=2, classes=4, alpha=0.1, warm_up=2)
    for _ in range(2):
        assert loss(Z, LOGITS, BATCH).item() == 0
        assert torch.equal(loss.centers[0], torch.tensor([2.0, 0.0]))
    assert loss(Z + 1, LOGITS, BATCH).item() == pytest.approx((1 + 5 + 2) / 3)
    torch.testing.assert_close(loss.centers[0], torch.tensor([2.1, 0.1]))


def test_the_buffer_is_kept_in_place_and_saved():
    loss = CenterLoss(features=2, classes=4, alpha=1.0)
    before = loss.centers
    loss(Z, LOGITS, BATCH)
    assert loss.centers is before
    assert torch.equal(loss.state_dict()["centers"][2], torch.tensor([0.0, 2.0]))


def test_it_tells_how_far_the_centres_moved_since_it_was_asked():
    loss = CenterLoss(features=2, classes=4, alpha=1.0)
    loss(Z, LOGITS, BATCH)
    loss(Z, LOGITS, BATCH)
    # Two of four centres moved by 2 each
    assert loss.tell()["center_drift"].item() == pytest.approx((8 / 4) ** 0.5)
    assert loss.tell()["center_drift"].item() == 0
    assert torch.equal(loss.tell()["centers"], loss.centers)


def test_drift_of_a_hand_computed_example():
    moved = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert center_drift(torch.tensor([[0.0, 0.0], [0.0, 1.0]]), moved).item() == pytest.approx((25 / 2) ** 0.5)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="ema, wen"):
        update_centers(CENTERS, Z, LABELS, 0.5, rule="mean")
