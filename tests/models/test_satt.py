"""Windows of up to 3 s: how an utterance is cut, and that a window is what the same frames alone are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_lightning.errors import UserError
from ser_lightning.models.satt import WINDOW, Satt, cut, output_length


@given(lengths=st.lists(st.integers(49, 1400), min_size=1, max_size=4))
def test_an_utterance_is_cut_into_as_few_windows_of_like_length_as_can_be(lengths):
    frames = torch.arange(max(lengths) * len(lengths)).reshape(len(lengths), -1, 1).float()
    owners, windows, valid = cut(frames, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        own = owners == row
        assert own.sum() == -(-length // WINDOW)
        assert valid[own].max() <= WINDOW
        assert valid[own].max() - valid[own].min() <= 1
        kept = [window[:size, 0] for window, size in zip(windows[own], valid[own], strict=True)]
        assert torch.equal(torch.cat(kept), frames[row, :length, 0])
        assert not any(window[size:].any() for window, size in zip(windows[own], valid[own], strict=True))


def test_z_is_the_mean_over_windows():
    torch.manual_seed(0)
    encoder = Satt(128).eval()
    frames = torch.randn(2, 700, 128)
    with torch.no_grad():
        z = encoder(frames, torch.tensor([700, 120]))
        parts = [
            encoder(frames[:1, start:stop], torch.tensor([stop - start]))
            for start, stop in ((0, 233), (233, 466), (466, 700))
        ]
        torch.testing.assert_close(z[0], torch.cat(parts).mean(dim=0), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(z[1:], encoder(frames[1:, :120], torch.tensor([120])), rtol=1e-4, atol=1e-6)


def test_a_window_is_convolved_pooled_and_read_in_both_directions():
    """Against torch's own layers."""
    torch.manual_seed(0)
    encoder = Satt(128)
    frames = torch.randn(1, 100, 128)
    x = frames[:, None]
    for convolution, size in zip(encoder.convolutions, ((12, 16), (8, 12), (5, 7)), strict=True):
        assert convolution.kernel_size == size
        x = torch.max_pool2d(convolution(x).relu(), 2)
    lstm = torch.nn.LSTM(32 * 8, 128, batch_first=True, bidirectional=True)
    lstm.load_state_dict(encoder.lstm.state_dict())
    _, (states, _) = lstm(x.transpose(1, 2).flatten(2))
    expected = encoder.prelu(encoder.fc1(torch.cat([states[0], states[1]], dim=1)))
    torch.testing.assert_close(encoder(frames, torch.tensor([100])), expected)


@settings(max_examples=20)
@given(length=st.integers(49, 300))
def test_lengths_are_those_of_the_layers(length):
    x = torch.zeros(1, 1, length, 69)
    for convolution in Satt(69).convolutions:
        x = torch.max_pool2d(convolution(x), 2)
    assert x.shape[2:] == (output_length(length, 0), 1)


def test_too_few_bins_are_refused():
    with pytest.raises(UserError, match="model=satt needs 69 bins or more, and features give 68"):
        Satt(68)
