"""The paper's head: its logits and its first weights."""

import torch

from ser_lightning.heads import Linear


def test_logits_by_hand():
    head = Linear(features=2, classes=3)
    with torch.no_grad():
        head.fc2.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
        head.fc2.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    assert torch.equal(head(torch.tensor([[3.0, 4.0]])), torch.tensor([[3.0, 9.0, 6.0]]))


def test_initial_weights_are_glorots():
    head = Linear(features=64, classes=4)
    head.initialise()
    bound = (6 / 68) ** 0.5
    assert 0.9 * bound < head.fc2.weight.abs().max().item() <= bound
    assert not head.fc2.bias.any()
