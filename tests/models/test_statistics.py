"""z against NumPy's mean and deviation through the same layer."""

import numpy as np
import pytest
import torch

from ser_lightning.models.statistics import Statistics


def test_z_is_a_layer_on_the_mean_and_deviation_of_the_valid_frames():
    torch.manual_seed(0)
    encoder = Statistics(6)
    encoder.prelu.weight.data.fill_(0.3)
    frames, lengths = torch.randn(3, 20, 6), torch.tensor([20, 13, 2])
    z = encoder(frames, lengths).detach().numpy()
    weight, bias = (parameter.detach().double().numpy() for parameter in encoder.fc1.parameters())
    for row, length in enumerate(lengths):
        valid = frames[row, :length].double().numpy()
        line = weight @ np.concatenate([valid.mean(axis=0), valid.std(axis=0)]) + bias
        assert z[row] == pytest.approx(np.where(line > 0, line, 0.3 * line), abs=1e-5)


def test_what_lies_behind_the_end_does_not_matter():
    encoder = Statistics(6)
    frames, lengths = torch.randn(2, 20, 6), torch.tensor([20, 5])
    changed = frames.clone()
    changed[1, 5:] = 1e3
    assert torch.equal(encoder(frames, lengths), encoder(changed, lengths))


def test_statistics_are_of_full_precision_under_autocast():
    encoder = Statistics(6)
    frames, lengths = torch.randn(2, 20, 6), torch.tensor([20, 5])
    with torch.autocast("cpu", torch.bfloat16):
        z = encoder(frames, lengths)
    assert torch.equal(z, encoder(frames, lengths))


def test_dropout_is_of_statistics_and_half_of_it_of_z():
    torch.manual_seed(0)
    encoder = Statistics(5000, dropout=0.5)
    seen = []
    encoder.fc1.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    encoder.prelu.weight.data.fill_(1)
    z = torch.cat([encoder(torch.randn(20, 9, 5000), torch.full((20,), 9)) for _ in range(5)])
    assert (torch.cat(seen) == 0).float().mean() == pytest.approx(0.5, abs=0.01)
    # 6,400 values
    assert (z == 0).float().mean() == pytest.approx(0.25, abs=0.03)
    encoder.eval()
    assert (encoder(torch.randn(20, 9, 5000), torch.full((20,), 9)) != 0).all()
