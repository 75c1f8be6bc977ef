"""The network: sizes, lengths, independence of the batch, and the GRU variants against loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_lightning.config import compose
from ser_lightning.heads import Linear
from ser_lightning.models import CRNN
from ser_lightning.models.crnn import output_length, seen_frames
from ser_lightning.models.gru import BidirectionalGRU, ResetBeforeGRU
from ser_lightning.training.plan import shortest_seconds

VARIANTS = [
    {},
    {"tied": True},
    {"reset": "before"},
    {"tied": True, "reset": "before"},
    {"bins": 513},
]


def parameters(**variant):
    network = [*CRNN(**variant).parameters(), *Linear(CRNN.features, 4).parameters()]
    return sum(parameter.numel() for parameter in network)


def test_parameter_counts_of_the_paper():
    # torch's GRU has a second bias vector of 3 * 128 per direction
    assert parameters() == 629_972 + 2 * 384 == 630_740
    assert parameters(tied=True) == 396_116 + 384 == 396_500
    assert parameters(reset="before") == 629_972
    assert parameters(tied=True, reset="before") == 396_116


def test_flattened_width_of_the_convolutions():
    assert CRNN(bins=128).gru.input_size == 480
    assert CRNN(bins=513).gru.input_size == 2880


def test_lengths_of_the_paper():
    assert output_length(torch.tensor([1400, 49, 48])).tolist() == [85, 1, 0]


@given(frames=st.integers(49, 1400))
def test_lengths_are_those_of_the_layers(frames):
    steps = (frames - 7) // 2 + 1  # conv1
    steps -= 2  # conv2
    for _ in range(2):  # pool, conv3 and pool, conv4
        steps = (steps - 2) // 2 + 1 - 2
    steps = (steps - 2) // 2 + 1  # pool
    assert output_length(torch.tensor([frames])).item() == steps


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_an_utterance_does_not_depend_on_its_batch(variant):
    torch.manual_seed(0)
    network = CRNN(**variant).eval()
    lengths = torch.tensor([180, 49, 131, 90])
    spectrogram = torch.randn(4, 180, variant.get("bins", 128))
    with torch.no_grad():
        z = network(spectrogram, lengths)
        for i, length in enumerate(lengths):
            alone = network(spectrogram[i : i + 1, :length], lengths[i : i + 1])
            torch.testing.assert_close(z[i], alone[0], rtol=1e-5, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(extra=st.integers(0, 70), seed=st.integers(0, 100))
def test_what_lies_behind_the_end_does_not_matter(extra, seed):
    generator = torch.Generator().manual_seed(seed)
    network = CRNN().eval()
    spectrogram = torch.randn(2, 80 + extra, 128, generator=generator)
    garbage = spectrogram.clone()
    garbage[:, 80:] = 1e3
    lengths = torch.tensor([80, 80])
    with torch.no_grad():
        torch.testing.assert_close(network(spectrogram, lengths), network(garbage, lengths))


def test_the_shape_of_the_feature():
    assert CRNN(bins=128)(torch.randn(3, 60, 128), torch.tensor([60, 55, 49])).shape == (3, CRNN.features)


def test_initial_weights():
    network = CRNN()
    network.initialise()
    bound = (6 / (48 * 9 + 64 * 9)) ** 0.5  # Glorot: fan-in 48, fan-out 64, kernel 3 x 3
    largest = network.convolutions[1].weight.abs().max().item()
    assert 0.95 * bound < largest <= bound
    assert not any(module.bias.any() for module in [*network.convolutions, network.fc1])
    assert torch.equal(network.prelu.weight, torch.zeros(64))


def after_the_reset(gru, direction, now, h):
    """torch's GRU cell by the formula of its documentation."""
    suffix = "_reverse" if direction and not gru.tied else ""
    w, u, b, c = (getattr(gru, f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    (wr, wz, wn), (ur, uz, un) = (w @ now + b).split(3), (u @ h + c).split(3)
    z = torch.sigmoid(wz + uz)
    return z * h + (1 - z) * torch.tanh(wn + torch.sigmoid(wr + ur) * un)


def before_the_reset(gru, direction, now, h):
    place = direction % len(gru.bias)
    w, u, b = gru.weight_ih[place], gru.weight_hh[place], gru.bias[place]
    r = torch.sigmoid(now @ w[:, :3] + h @ u[:, :3] + b[:3])
    z = torch.sigmoid(now @ w[:, 3:6] + h @ u[:, 3:6] + b[3:6])
    return z * h + (1 - z) * torch.tanh(now @ w[:, 6:] + (r * h) @ u[:, 6:] + b[6:])


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("gru, cell", [(BidirectionalGRU, after_the_reset), (ResetBeforeGRU, before_the_reset)])
def test_grus_against_a_loop(gru, cell, tied):
    torch.manual_seed(1)
    gru = gru(5, 3, tied)
    x, steps = torch.randn(3, 6, 5), torch.tensor([6, 1, 4])
    x[2, 4:] = torch.nan  # behind the end
    states = gru(x, steps)
    for i, length in enumerate(steps):
        for direction, inputs in enumerate((x[i, :length], x[i, :length].flip(0))):
            h = torch.zeros(3)
            for now in inputs:
                h = cell(gru, direction, now, h)
            torch.testing.assert_close(states[i, 3 * direction : 3 * direction + 3], h)


def test_the_gru_against_packed_sequences():
    """Outputs and gradients are those of torch's own way for sequences of several lengths."""
    torch.manual_seed(2)
    gru, packing = BidirectionalGRU(5, 3), torch.nn.GRU(5, 3, batch_first=True, bidirectional=True)
    packing.load_state_dict(gru.state_dict())
    x, steps, factors = torch.randn(4, 9, 5), torch.tensor([9, 7, 7, 2]), torch.randn(4, 6)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, steps, batch_first=True)
    expected = torch.cat([*packing(packed)[1]], dim=1)
    states = gru(x, steps)
    torch.testing.assert_close(states, expected)
    (states * factors).sum().backward()
    (expected * factors).sum().backward()
    for name, parameter in packing.named_parameters():
        torch.testing.assert_close(getattr(gru, name).grad, parameter.grad)


@given(steps=st.integers(1, 85))
def test_seen_frames_are_the_fewest_that_leave_so_many_steps(steps):
    assert output_length(seen_frames(steps)) == steps
    assert output_length(seen_frames(steps) - 1) == steps - 1


def test_bfloat16_is_for_the_convolutions_alone():
    network = CRNN()
    spectrogram, lengths = torch.randn(2, 100, 128), torch.tensor([100, 80])
    exact = network(spectrogram, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        z = network(spectrogram, lengths)
    assert z.dtype == torch.float32
    assert 0 < (z - exact).abs().max() < 0.05 * exact.abs().max()


def test_bad_input_is_refused():
    network = CRNN()
    with pytest.raises(ValueError, match="49"):
        network(torch.randn(1, 48, 128), torch.tensor([48]))
    with pytest.raises(ValueError, match="128"):
        network(torch.randn(1, 100, 64), torch.tensor([100]))


def test_the_shortest_accepted_recording_leaves_one_step():
    frames = 1 + round(shortest_seconds(compose([])) * 16_000) // 160
    assert output_length(torch.tensor([frames, frames - 1])).tolist() == [1, 0]
