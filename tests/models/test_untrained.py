"""No network: the mean of the frames, and their deviation where it is asked for."""

import pytest
import torch

from ser_lightning.models.untrained import Untrained


@pytest.mark.parametrize("statistics", ["mean", "mean_deviation"])
def test_z_is_of_the_valid_frames_alone(statistics):
    encoder = Untrained(6, statistics=statistics)
    frames, lengths = torch.randn(3, 20, 6), torch.tensor([20, 13, 2])
    z = encoder(frames, lengths)
    assert z.shape == (3, encoder.features)
    for row, length in enumerate(lengths):
        valid = frames[row, :length]
        expected = [valid.mean(dim=0), valid.std(dim=0, correction=0)][: 1 + (statistics != "mean")]
        torch.testing.assert_close(z[row], torch.cat(expected))
    assert list(encoder.parameters()) == []


def test_of_one_row_per_utterance_it_is_that_row():
    rows = torch.randn(3, 1, 6)
    assert torch.equal(Untrained(6)(rows, torch.ones(3, dtype=torch.int64)), rows[:, 0])
