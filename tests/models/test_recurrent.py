"""Recurrent layers alone: against the paper's network, and against torch's own way for sequences of several lengths."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ser_lightning.models import CRNN
from ser_lightning.models.crnn import output_length
from ser_lightning.models.recurrent import Recurrent

LENGTHS = torch.tensor([9, 7, 7, 2])


def test_a_gru_is_what_follows_the_convolutions_of_the_paper():
    torch.manual_seed(0)
    whole, alone = CRNN(), Recurrent(480)
    weights = {name.replace("gru.", "layers.0."): values for name, values in whole.state_dict().items()}
    alone.load_state_dict({name: values for name, values in weights.items() if not name.startswith("convolutions")})
    given = []
    whole.gru.register_forward_pre_hook(lambda module, arguments: given.append(arguments[0]))
    lengths = torch.tensor([120, 70])
    z = whole(torch.randn(2, 120, 128), lengths)
    torch.testing.assert_close(alone(given[0], output_length(lengths)), z)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_against_packed_sequences(cell, pooling):
    """Two layers; what is pooled and its gradients."""
    torch.manual_seed(2)
    encoder = Recurrent(5, cell=cell, width=3, layers=2, pooling=pooling)
    kind = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    reference = kind(5, 3, num_layers=2, batch_first=True, bidirectional=True)
    layers = [layer.state_dict() for layer in encoder.layers]
    reference.load_state_dict(
        {name.replace("_l0", f"_l{place}"): layer[name] for place, layer in enumerate(layers) for name in layer}
    )
    seen, factors = [], torch.randn(4, 6)
    encoder.fc1.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    frames = torch.randn(4, 9, 5)
    for row, length in enumerate(LENGTHS):
        frames[row, length:] = torch.nan
    encoder(frames, LENGTHS)
    packed, states = reference(pack_padded_sequence(frames, LENGTHS, batch_first=True))
    if pooling == "mean":
        expected = pad_packed_sequence(packed, batch_first=True)[0].sum(dim=1) / LENGTHS[:, None]
    else:
        last = states[0] if cell == "lstm" else states
        expected = torch.cat([last[-2], last[-1]], dim=1)
    torch.testing.assert_close(seen[0], expected)
    (seen[0] * factors).sum().backward()
    (expected * factors).sum().backward()
    for name, parameter in reference.named_parameters():
        layer = int(name.partition("_l")[2][0])
        mine = getattr(encoder.layers[layer], name.replace(f"_l{layer}", "_l0"))
        torch.testing.assert_close(mine.grad, parameter.grad)


def test_it_runs_in_full_precision_under_autocast():
    encoder = Recurrent(5, cell="lstm")
    frames = torch.randn(4, 9, 5)
    with torch.autocast("cpu", torch.bfloat16):
        z = encoder(frames, LENGTHS)
    assert torch.equal(z, encoder(frames, LENGTHS))
