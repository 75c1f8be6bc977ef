"""The GRU of Cho et al. 2014, as in the author's code: the reset gate acts before the recurrent product."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence


def reverse(x: Tensor, steps: Tensor) -> Tensor:
    """Each of x [B, T, ...] backwards over its valid `steps` [B]; what lies behind them is unspecified."""
    time = torch.arange(x.shape[1])
    index = (steps[:, None] - 1 - time[None, :]).clamp(min=0).to(x.device)  # [B, T]
    return x.gather(1, index[:, :, None].expand_as(x))


class ResetBeforeGRU(nn.Module):
    """A GRU layer whose candidate is tanh(W x + U (r * h) + b); torch's is tanh(W x + b + r * (U h + b')).

    One bias vector per direction, for a second would add nothing here. Called like `torch.nn.GRU` with a packed
    sequence; it returns (None, final states [directions, B, width]).
    """

    def __init__(self, inputs: int, width: int, batch_first: bool = True, bidirectional: bool = False) -> None:
        super().__init__()
        assert batch_first
        directions = 2 if bidirectional else 1
        bound = 1 / math.sqrt(width)
        self.weight_ih = nn.Parameter(torch.empty(directions, inputs, 3 * width).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(directions, width, 3 * width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(directions, 3 * width).uniform_(-bound, bound))

    def forward(self, packed: PackedSequence) -> tuple[None, Tensor]:
        x, steps = pad_packed_sequence(packed, batch_first=True)  # [B, T, inputs], [B]
        states = [self._run(x, steps, 0)]
        if len(self.bias) == 2:
            states.append(self._run(reverse(x, steps), steps, 1))
        return None, torch.stack(states)

    def _run(self, x: Tensor, steps: Tensor, direction: int) -> Tensor:
        """The state [B, width] after each utterance's last valid step."""
        width = self.weight_hh.shape[1]
        driven = x @ self.weight_ih[direction] + self.bias[direction]  # [B, T, 3 * width]: reset, update, candidate
        recurrent_gates, recurrent_candidate = self.weight_hh[direction].split([2 * width, width], dim=1)
        h = x.new_zeros(x.shape[0], width)
        running = (torch.arange(x.shape[1])[:, None] < steps[None, :]).to(x.device)  # [T, B]
        for now, alive in zip(driven.unbind(1), running, strict=True):
            gates = torch.sigmoid(now[:, : 2 * width] + h @ recurrent_gates)
            reset, update = gates.split(width, dim=1)
            candidate = torch.tanh(now[:, 2 * width :] + (reset * h) @ recurrent_candidate)
            h = torch.where(alive[:, None], update * h + (1 - update) * candidate, h)
        return h
