"""What holds of every loss that ships: its gradient, no NaN wherever a batch is odd, weights that only compare."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_lightning.components.groups import shipped_choices
from ser_lightning.config import compose
from ser_lightning.losses import LabeledBatch
from tests.losses.reference import CLASSES, FEATURES, drawn

NAMES = [choice.name for choice in shipped_choices() if choice.group == "loss"]
VARIANTS = [
    *([f"loss={name}"] for name in NAMES),
    ["loss=ratio", "loss.centers=moving"],
    ["loss=hinge", "loss.pairs=all", "loss.margin=1"],
    ["loss=triplet", "loss.mining=all"],
]
CONFIGS = {" ".join(words): compose(words).loss for words in VARIANTS}


def made(name, steps=2):
    """The loss, in float64, after so many training steps on drawn batches."""
    torch.manual_seed(0)
    bench = {"features": FEATURES, "classes": CLASSES, "class_counts": [40, 20, 10, 30]}
    loss = CONFIGS[name].make(**bench).double()
    for seed in range(1, 1 + steps):
        z, batch = drawn(seed)
        value(loss, z.detach(), batch)
    return loss


def value(loss, z, batch):
    return loss(z, -z[:, :CLASSES].square(), batch)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_gradient_is_that_of_finite_differences(name):
    loss = made(name).eval()
    z, batch = drawn(3)
    assert torch.autograd.gradcheck(lambda z: value(loss, z, batch), z)
    for parameter in loss.parameters():
        assert torch.autograd.gradcheck(lambda _, loss=loss: value(loss, z.detach(), batch), parameter)


@pytest.mark.parametrize("name", CONFIGS)
def test_dev_changes_nothing(name):
    loss = made(name).eval()
    before = {name: tensor.clone() for name, tensor in loss.state_dict().items()}
    value(loss, *drawn(3))
    assert all(torch.equal(before[name], tensor) for name, tensor in loss.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", CONFIGS)
def test_half_precision_and_weights_of_zero_are_finite(name, dtype):
    loss = made(name).to(dtype)
    z, batch = drawn(3)
    batch = batch._replace(weights=0 * batch.weights.to(dtype))
    assert value(loss, z.to(dtype), batch).isfinite()


@pytest.mark.parametrize("name", CONFIGS)
def test_only_the_ratios_of_the_weights_count(name):
    loss = made(name).eval()
    z, batch = drawn(3)
    heavy = batch._replace(weights=7 * batch.weights)
    torch.testing.assert_close(value(loss, z, batch), value(loss, z, heavy))


@pytest.mark.parametrize("name", CONFIGS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_no_batch_makes_it_infinite(name, data):
    """A batch of one, classes that are absent, features that are equal, zero, tiny or large."""
    loss = made(name, data.draw(st.integers(0, 2)))
    size = data.draw(st.integers(1, 6))
    labels = torch.tensor(data.draw(st.lists(st.integers(0, CLASSES - 1), min_size=size, max_size=size)))
    kind = data.draw(st.sampled_from(["drawn", "equal", "zero", "tiny", "large"]))
    z, _ = drawn(data.draw(st.integers(0, 99)), size, {"tiny": 1e-12, "large": 1e4}.get(kind, 1.0))
    if kind in ("equal", "zero"):
        z = (z.detach()[:1] * (kind == "equal")).repeat(size, 1).requires_grad_()
    batch = LabeledBatch(labels, torch.ones(size, dtype=torch.float64), torch.arange(size))
    for _ in range(2):
        total = value(loss, z, batch)
        assert torch.isfinite(total)
        (gradient,) = torch.autograd.grad(total, z, allow_unused=True, materialize_grads=True)
        assert torch.isfinite(gradient).all()
    assert all(torch.isfinite(tensor).all() for tensor in loss.state_dict().values())
