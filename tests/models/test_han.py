"""Statistics over segments against a loop over them."""

import numpy as np
import pytest
import torch

from ser_lightning.models.han import Han, statistics


def test_against_a_loop_over_segments():
    torch.manual_seed(0)
    encoder = Han(5)
    encoder.initialise()
    # So that some probabilities are above 0.2
    encoder.last.weight.data.mul_(5)
    frames, lengths = torch.randn(3, 60, 5), torch.tensor([60, 41, 25])
    z = encoder(frames, lengths).detach().numpy()
    weight = encoder.first.weight.detach().permute(0, 2, 1).flatten(1)  # [256, 25 * 5]
    for row, length in enumerate(lengths.tolist()):
        told = []
        for start in range(length - 24):
            x = torch.relu(weight @ frames[row, start : start + 25].flatten() + encoder.first.bias)
            for layer in encoder.hidden:
                x = torch.relu(layer(x))
            told.append(torch.softmax(encoder.last(x), dim=0).detach().numpy())
        p = np.stack(told)  # [segments, 16]
        expected = np.concatenate([p.max(axis=0), p.min(axis=0), p.mean(axis=0), (p > 0.2).mean(axis=0)])
        assert z[row] == pytest.approx(expected, abs=1e-5)
    assert z[:, 48:].any()


def test_what_lies_behind_the_end_does_not_matter():
    encoder = Han(5)
    frames, lengths = torch.randn(2, 60, 5), torch.tensor([60, 30])
    changed = frames.clone()
    changed[1, 30:] = 1e3
    assert torch.equal(encoder(frames, lengths), encoder(changed, lengths))


def test_statistics_are_of_full_precision_under_autocast():
    encoder = Han(5)
    encoder.last = torch.nn.Identity()
    seen = []
    encoder.last.register_forward_hook(lambda module, given, output: seen.append(output))
    frames, lengths = torch.randn(2, 60, 5), torch.tensor([60, 41])
    with torch.autocast("cpu", torch.bfloat16):
        z = encoder(frames, lengths)
    assert torch.equal(z, statistics(seen[0].float().softmax(dim=2), lengths - 24))
