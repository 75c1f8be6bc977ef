"""Attentive statistics pooling, Okabe, Koshinaka and Shinoda, Interspeech 2018, with several heads."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.models.encoder import Encoder
from ser_lightning.models.gru import behind_end
from ser_lightning.models.pooling import mean_and_deviation


class Attentive(Encoder):
    """Weighted means and deviations of the frames over time, whose weights are learned; FC1 with PReLU.

    Of frames x_t of an utterance, with a scoring vector v_k for each head k,

        e_kt = v_k . tanh(W x_t + b)        w_kt = softmax_t e_kt
        m_k = sum_t w_kt x_t                s_k = sqrt( sum_t w_kt (x_t - m_k)^2 )

    and z is made of all m_k and s_k. The original has one head. The matrix product W x_t may run under bfloat16
    autocast, all else runs in float32.

    Args:
        bins: numbers in a frame.
        width: of W x_t.
        heads: how many sets of weights there are.
        dropout: share of the statistics that is 0 in training, and half of it of z.
    """

    def __init__(
        self,
        bins: int,
        *,
        width: Annotated[int, Field(ge=1)] = 64,
        heads: Annotated[int, Field(ge=1)] = 4,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(dropout)
        self.hidden = nn.Linear(bins, width)
        # A bias of e would be the same for all frames, and the softmax takes it away
        self.score = nn.Linear(width, heads, bias=False)
        self.end_with(heads * 2 * bins)

    def initialise(self) -> None:
        """As other encoders, but all frames begin with the same weight, and z as that of `Statistics`."""
        super().initialise()
        nn.init.zeros_(self.score.weight)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """z [B, 64] of frames [B, T, bins] with `lengths` [B] valid ones."""
        hidden = self.hidden(frames).float()  # [B, T, width]
        with torch.autocast(frames.device.type, enabled=False):
            frames = frames.float()
            behind = behind_end(frames, lengths.to(frames.device, non_blocking=True))  # [B, T]
            scores = self.score(hidden.tanh()).transpose(1, 2).masked_fill(behind[:, None], -torch.inf)  # [B, heads, T]
            statistics = mean_and_deviation(frames, scores.softmax(dim=2))  # 2 x [B, heads, bins]
            return self.feature(torch.cat(statistics, dim=2).flatten(1))
