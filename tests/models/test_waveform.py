"""Raw sound: against torch's own layers, lengths, and that frames are put together again."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from ser_lightning.models.waveform import Waveform, output_length, seen_samples


def test_against_torchs_layers_on_the_whole_sound():
    torch.manual_seed(0)
    encoder = Waveform(160)
    sound = torch.randn(1, 4800)
    x = sound[:, None]
    for convolution, pool in zip(encoder.convolutions, (10, 8, 8), strict=True):
        x = torch.nn.functional.max_pool1d(torch.nn.functional.leaky_relu(convolution(x), 0.1), pool)
    x = x.transpose(1, 2)
    assert x.shape == (1, 6, 256)
    lstm = torch.nn.LSTM(256, 128, num_layers=2, batch_first=True, bidirectional=True)
    layers = [layer.state_dict() for layer in encoder.layers]
    lstm.load_state_dict(
        {name.replace("_l0", f"_l{place}"): layer[name] for place, layer in enumerate(layers) for name in layer}
    )
    _, (states, _) = lstm(x)
    expected = encoder.prelu(encoder.fc1(torch.cat([states[-2], states[-1]], dim=1)))
    torch.testing.assert_close(encoder(sound.reshape(1, 30, 160), torch.tensor([30])), expected)


@given(samples=st.integers(1097, 200_000))
def test_lengths_are_those_of_the_layers(samples):
    steps = (samples - 7) // 10
    steps = (steps - 5) // 8
    steps = (steps - 5) // 8
    assert output_length(torch.tensor([samples])).item() == steps
    assert seen_samples(steps) <= samples < seen_samples(steps + 1)


def test_the_fewest_frames_leave_a_step_and_one_less_does_not():
    for bins in (160, 128, 32):
        fewest = Waveform(bins).fewest
        assert output_length(fewest * bins) >= 1 > output_length((fewest - 1) * bins)


def test_what_lies_behind_the_end_does_not_matter():
    encoder = Waveform(160)
    frames, lengths = torch.randn(2, 30, 160), torch.tensor([30, 12])
    changed = frames.clone()
    changed[1, 12:] = 1e3
    torch.testing.assert_close(encoder(frames, lengths), encoder(changed, lengths))
