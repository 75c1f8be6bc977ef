"""Attentive statistics pooling against a loop over frames."""

import numpy as np
import pytest
import torch

from ser_lightning.models.attentive import Attentive
from ser_lightning.models.pooling import equal_weights, mean_and_deviation


def by_hand(encoder, frames):
    """The means and deviations [heads, 2 * bins] of one utterance's frames [T, bins]."""
    W, b, v = (
        parameter.detach().double().numpy() for parameter in [*encoder.hidden.parameters(), encoder.score.weight]
    )
    frames = frames.double().numpy()
    statistics = []
    for head in v:
        e = [head @ np.tanh(W @ frame + b) for frame in frames]
        w = np.exp(e) / np.exp(e).sum()
        mean = sum(weight * frame for weight, frame in zip(w, frames, strict=True))
        variance = sum(weight * (frame - mean) ** 2 for weight, frame in zip(w, frames, strict=True))
        statistics.append(np.concatenate([mean, np.sqrt(np.maximum(variance, 1e-8))]))
    return np.stack(statistics)


@pytest.mark.parametrize("heads", [1, 3])
def test_against_a_loop(heads):
    torch.manual_seed(0)
    encoder = Attentive(6, width=8, heads=heads)
    encoder.score.weight.data.mul_(5)
    seen = []
    encoder.fc1.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    frames, lengths = torch.randn(3, 20, 6), torch.tensor([20, 13, 1])
    z = encoder(frames, lengths)
    assert z.shape == (3, 64)
    for row, length in enumerate(lengths):
        expected = by_hand(encoder, frames[row, :length])
        assert seen[0][row].detach().numpy().reshape(heads, 12) == pytest.approx(expected, abs=1e-6)


def test_it_begins_as_the_mean_and_deviation_and_learns_the_weights():
    encoder = Attentive(6, width=8, heads=2)
    encoder.initialise()
    seen = []
    encoder.fc1.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    frames, lengths = torch.randn(2, 20, 6), torch.tensor([20, 7])
    encoder(frames, lengths).sum().backward()
    plain = torch.cat(mean_and_deviation(frames, equal_weights(frames, lengths)), dim=2).flatten(1)
    torch.testing.assert_close(seen[0], torch.cat([plain, plain], dim=1))
    assert encoder.score.weight.grad.any(dim=1).all()
    assert not torch.allclose(*encoder.score.weight.grad)


def test_what_lies_behind_the_end_does_not_matter():
    encoder = Attentive(6)
    frames, lengths = torch.randn(2, 20, 6), torch.tensor([20, 5])
    changed = frames.clone()
    changed[1, 5:] = 1e3
    assert torch.equal(encoder(frames, lengths), encoder(changed, lengths))


def test_a_single_frame_trains_with_a_finite_gradient():
    encoder = Attentive(6)
    encoder(torch.randn(1, 1, 6), torch.tensor([1])).square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())
    assert encoder.fc1.weight.grad.any()


def test_bfloat16_is_for_the_product_with_the_frames_alone():
    torch.manual_seed(0)
    encoder = Attentive(6)
    frames, lengths = torch.randn(2, 20, 6), torch.tensor([20, 5])
    exact = encoder(frames, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        z = encoder(frames, lengths)
    assert z.dtype == torch.float32
    assert 0 < (z - exact).abs().max() < 0.05 * exact.abs().max()
