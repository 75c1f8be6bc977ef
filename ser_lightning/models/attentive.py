"""Attentive statistics pooling, Okabe, Koshinaka and Shinoda, Interspeech 2018, with several heads."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.models.encoder import Encoder
from ser_lightning.models.gru import behind_end
from ser_lightning.models.pooling import mean_and_deviation


class Attentive(Encoder):
    """Weighted means and deviations over time, whose weights are learned; FC1 with PReLU.

    Of frames x_t of an utterance, with a scoring vector v_k for each head k,

        h_t = ReLU(A x_t + a)
        e_kt = v_k . tanh(W h_t + b)        w_kt = softmax_t e_kt
        m_k = sum_t w_kt h_t                s_k = sqrt( sum_t w_kt (h_t - m_k)^2 )

    and z is made of all m_k and s_k. The original has one head, and frame-wise layers that see neighbours; W is as wide
    as h here. The frame-wise layer may run under bfloat16 autocast, all else runs in float32.

    Args:
        bins: numbers in a frame.
        width: of h.
        heads: how many sets of weights there are.
        dropout: share of the statistics that is 0 in training, and half of it of z; not of h, whose deviation it would
            raise in training alone.
    """

    def __init__(
        self,
        bins: int,
        *,
        width: Annotated[int, Field(ge=1)] = 128,
        heads: Annotated[int, Field(ge=1)] = 4,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(dropout)
        self.frame = nn.Sequential(nn.Linear(bins, width), nn.ReLU())
        # A bias of e would be the same for all frames, and the softmax takes it away
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, heads, bias=False))
        self.end_with(heads * 2 * width)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """z [B, 64] of frames [B, T, bins] with `lengths` [B] valid ones."""
        h = self.frame(frames).float()  # [B, T, width]
        with torch.autocast(h.device.type, enabled=False):
            behind = behind_end(h, lengths.to(h.device, non_blocking=True))  # [B, T]
            scores = self.score(h).transpose(1, 2).masked_fill(behind[:, None], -torch.inf)  # [B, heads, T]
            statistics = mean_and_deviation(h, scores.softmax(dim=2))  # 2 x [B, heads, width]
            return self.feature(torch.cat(statistics, dim=2).flatten(1))
