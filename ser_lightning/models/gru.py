"""Bidirectional GRUs and an LSTM that stop at each utterance's end, without packed sequences.

All are called with x [B, T, inputs] and the number of valid steps [B], and give the forward state after the last
valid step beside the backward state at the first, [B, 2 * width]. What lies behind the last valid step has no effect.
"""

import math

import torch
from torch import Tensor, nn

# At a gate: sigmoid(1e4 + ...) is exactly 1 and sigmoid(-1e4 + ...) exactly 0, so that a state of zero stays zero.
WAIT = 1e4


def behind_end(x: Tensor, steps: Tensor) -> Tensor:
    """Whether a time step of x [B, T, ...] lies behind the utterance's valid `steps` [B]: [B, T]."""
    return torch.arange(x.shape[1], device=x.device)[None, :] >= steps[:, None]


def reverse(x: Tensor, steps: Tensor) -> Tensor:
    """Each of x [B, T, ...] backwards over its valid `steps` [B]; what lies behind them is unspecified."""
    time = torch.arange(x.shape[1], device=x.device)
    index = (steps[:, None] - 1 - time[None, :]).clamp(min=0)  # [B, T]
    return x.gather(1, index[:, :, None].expand_as(x))


def ends(states: Tensor, steps: Tensor) -> Tensor:
    """Of states [B, T, 2 * width] the forward one after the last valid step beside the backward one at the first."""
    width = states.shape[2] // 2
    last = states[torch.arange(len(states), device=states.device), steps - 1]  # [B, 2 * width]
    return torch.cat([last[:, :width], states[:, 0, width:]], dim=1)


class BidirectionalGRU(nn.GRU):
    """torch's GRU: the candidate is tanh(W x + b + r * (U h + b')).

    An input of its own tells the backward direction to wait until the last valid step, so that one call on padded
    sequences does for both directions: packed ones are what a GPU takes longest for in a step.

    Args:
        inputs: size of x's last dimension.
        width: size of a direction's state.
        tied: one set of weights for both directions (author's code).
    """

    waiting: Tensor

    def __init__(self, inputs: int, width: int, tied: bool = False) -> None:
        super().__init__(inputs, width, batch_first=True, bidirectional=not tied)
        self.tied = tied
        waiting = torch.zeros(3 * width, 1)
        waiting[width : 2 * width] = WAIT  # gates in torch's order: reset, update, candidate
        self.register_buffer("waiting", waiting, persistent=False)

    def forward(self, x: Tensor, steps: Tensor) -> Tensor:  # type: ignore[override]
        return ends(self.states(x, steps), steps)

    def states(self, x: Tensor, steps: Tensor) -> Tensor:
        """The states of both directions [B, T, 2 * width]; those behind the last valid step are unspecified."""
        h = x.new_zeros(2, x.shape[0], self.hidden_size)
        weights = _weights(self, self.waiting, "" if self.tied else "_reverse")
        return torch._VF.gru(_with_end(x, steps), h, weights, True, 1, 0.0, self.training, True, True)[0]


class BidirectionalLSTM(nn.LSTM):
    """torch's LSTM, whose backward direction waits at each utterance's end as `BidirectionalGRU`'s does.

    Args:
        inputs: size of x's last dimension.
        width: size of a direction's state.
    """

    waiting: Tensor

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(inputs, width, batch_first=True, bidirectional=True)
        waiting = torch.zeros(4 * width, 1)
        waiting[:width] = -WAIT  # gates in torch's order: input, forget, cell, output
        self.register_buffer("waiting", waiting, persistent=False)

    def forward(self, x: Tensor, steps: Tensor) -> Tensor:  # type: ignore[override]
        return ends(self.states(x, steps), steps)

    def states(self, x: Tensor, steps: Tensor) -> Tensor:
        """The states of both directions [B, T, 2 * width]; those behind the last valid step are unspecified."""
        zeros = x.new_zeros(2, x.shape[0], self.hidden_size)
        weights = _weights(self, self.waiting, "_reverse")
        return torch._VF.lstm(_with_end(x, steps), (zeros, zeros), weights, True, 1, 0.0, self.training, True, True)[0]


def _with_end(x: Tensor, steps: Tensor) -> Tensor:
    """x [B, T, inputs], 0 behind each end, with a further input that is 1 there: [B, T, inputs + 1]."""
    behind = behind_end(x, steps)[:, :, None]
    return torch.cat([x.masked_fill(behind, 0), behind.to(x.dtype)], dim=2)


def _weights(cells: nn.RNNBase, waiting: Tensor, backward: str) -> list[Tensor]:
    """Weights of the forward direction, then of the one that is called `backward`, which waits at the further input."""
    weights = []
    for suffix, further in (("", torch.zeros_like(waiting)), (backward, waiting)):
        weight_ih, weight_hh, bias_ih, bias_hh = (
            getattr(cells, f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        weights += [torch.cat([weight_ih, further], dim=1), weight_hh, bias_ih, bias_hh]
    return weights


class ResetBeforeGRU(nn.Module):
    """The GRU of Cho et al. 2014, as in the author's code: the candidate is tanh(W x + U (r * h) + b).

    One bias vector per direction, for a second would add nothing here.

    Args:
        inputs: size of x's last dimension.
        width: size of a direction's state.
        tied: one set of weights for both directions (author's code).
    """

    def __init__(self, inputs: int, width: int, tied: bool = False) -> None:
        super().__init__()
        directions = 1 if tied else 2
        bound = 1 / math.sqrt(width)
        self.weight_ih = nn.Parameter(torch.empty(directions, inputs, 3 * width).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(directions, width, 3 * width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(directions, 3 * width).uniform_(-bound, bound))

    def forward(self, x: Tensor, steps: Tensor) -> Tensor:
        return torch.cat([self._run(x, steps, 0), self._run(reverse(x, steps), steps, -1)], dim=1)

    def _run(self, x: Tensor, steps: Tensor, direction: int) -> Tensor:
        """The state [B, width] after each utterance's last valid step."""
        width = self.weight_hh.shape[1]
        driven = x @ self.weight_ih[direction] + self.bias[direction]  # [B, T, 3 * width]: reset, update, candidate
        recurrent_gates, recurrent_candidate = self.weight_hh[direction].split([2 * width, width], dim=1)
        h = x.new_zeros(x.shape[0], width)
        running = ~behind_end(x, steps).T  # [T, B]
        for now, alive in zip(driven.unbind(1), running, strict=True):
            gates = torch.sigmoid(now[:, : 2 * width] + h @ recurrent_gates)
            reset, update = gates.split(width, dim=1)
            candidate = torch.tanh(now[:, 2 * width :] + (reset * h) @ recurrent_candidate)
            h = torch.where(alive[:, None], update * h + (1 - update) * candidate, h)
        return h
