"""What is common to all losses: class weights, the softmax term, and lambda. Equations (1), (5), (7) of the paper."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ser_lightning.losses.softmax import softmax_loss

# How much of an utterance may be of another class for a loss that knows but one
FOREIGN = 0.1


class LabeledBatch(NamedTuple):
    """What a loss is told of a batch beside z and logits.

    Attributes:
        labels: class indices [B], int64.
        weights: class weight of each utterance [B]; ones without class weights.
        speakers: a number for each speaker [B], int64; -1 where the corpus does not say who spoke.
    """

    labels: Tensor
    weights: Tensor
    speakers: Tensor


class Loss(Protocol):
    """A loss is a module that is added to the softmax term, lambda times.

    Its constructor may take what the bench knows, by these names: `features` (length of z), `classes` (how many),
    `class_counts` (training utterances of each). What a person sets is keyword-only. It may have buffers and
    parameters, which are saved and trained with the network; it is called on dev too, where `training` is False and it
    must change nothing. Where several devices share a batch, each has all of it.

    It may also have `tell() -> dict[str, Tensor]`, asked after every epoch: scalars are logged as train/<name>; and
    `for_head`, the name of the head whose logits it is made for: any other is refused.
    """

    def __call__(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar with a gradient or a constant 0, of features z [B, features] and logits [B, classes]."""
        ...


class LossParts(NamedTuple):
    """The joint loss and its two parts, scalars; `term` is what a loss adds, before lambda: zero where lambda is 0."""

    total: Tensor
    softmax: Tensor
    term: Tensor


def class_weights(counts: Sequence[int], formula: str = "inverse") -> Tensor | None:
    """Class weights w [classes] from the classes' counts N in the training part; only their ratios matter.

        "inverse"   w_j = max N / N_j               the text: inversely proportional
        "smoothed"  w_j = max N / (N_j + 0.5)       author's code
        "none"      None: every utterance counts the same, equations (1) and (2)

    Raises:
        ValueError: a class has no utterance, or `formula` is none of these.

    >>> class_weights([100, 50, 25, 100])
    tensor([1., 2., 4., 1.])
    """
    if min(counts) < 1:
        raise ValueError(f"every class needs an utterance in the training part, counts are {list(counts)}")
    n = torch.tensor(counts, dtype=torch.float32)
    if formula == "inverse":
        return n.max() / n
    if formula == "smoothed":
        return n.max() / (n + 0.5)
    if formula == "none":
        return None
    raise ValueError(f"formula must be inverse, smoothed or none, got '{formula}'")


def nearly_pure(labels: Tensor, others: Tensor, shares: Tensor) -> Tensor:
    """Which utterances [B] are of their class but for a tenth, since what is mixed in is little or of the same class.

    At least the purest of a batch, so that a loss is always given some.

    Args:
        labels: class indices [B].
        others: those of what is mixed in [B].
        shares: how much it is [B].

    >>> labels, shares = torch.tensor([0, 0, 1]), torch.tensor([0.4, 0.4, 0.05])
    >>> nearly_pure(labels, torch.tensor([0, 1, 0]), shares).tolist()
    [True, False, True]
    >>> nearly_pure(labels[:2], torch.tensor([2, 2]), torch.tensor([0.5, 0.3])).tolist()
    [False, True]
    """
    foreign = torch.where(labels == others, 0, shares)
    return foreign <= foreign.amin().clamp(min=FOREIGN)


class JointLoss(nn.Module):
    """Equation (7): L = s L_s^w + lambda L, of the weighted softmax term, equation (5), and any loss L; s is 1.

    Without a loss it is weighted cross-entropy, bit for bit.

    Of utterances that are mixed with m_i of class b_i (mixup, Zhang et al. 2018), and else are of class a_i, the
    softmax term is, with the cross-entropies l (with margin, focal and smoothing) and class weights w of each class,

        L_s = sum_i ( (1 - m_i) w_{a_i} l(a_i) + m_i w_{b_i} l(b_i) ) / sum_i ( (1 - m_i) w_{a_i} + m_i w_{b_i} )

    The loss that is added knows one class for each utterance, and its centres, pairs and counts are of classes; so it
    is given those utterances alone that are `nearly_pure`.

    Args:
        term: what is added; None where lambda is 0.
        lam: lambda.
        weights: class weights [classes], or None.
        margin: (logits, labels) -> the logits that the softmax term sees; None is the logits themselves.
        focal: gamma of the softmax term, see `softmax_loss`.
        smoothing: of its labels.
        softmax: s, the weight of the softmax term; with 0 the loss trains the encoder alone.
    """

    weights: Tensor | None

    def __init__(
        self,
        term: nn.Module | None = None,
        lam: float = 0.0,
        weights: Tensor | None = None,
        margin: Callable[[Tensor, Tensor], Tensor] | None = None,
        focal: float = 0.0,
        smoothing: float = 0.0,
        softmax: float = 1.0,
    ) -> None:
        super().__init__()
        self.term, self.lam, self.margin = term, lam, margin
        self.focal, self.smoothing, self.softmax = focal, smoothing, softmax
        self.register_buffer("weights", weights)

    def forward(
        self,
        z: Tensor,
        logits: Tensor,
        labels: Tensor,
        speakers: Tensor,
        mixed: tuple[Tensor, Tensor] | None = None,
    ) -> LossParts:
        """The loss of features z [B, D] and logits [B, classes] for labels [B] and speakers [B]; with a gradient.

        `mixed` are class indices [B] of what is mixed into each utterance, and its share m [B].
        """
        softmax = self._softmax(logits, labels, mixed)
        weighted = self.softmax * softmax
        if self.term is None:
            return LossParts(weighted, softmax, softmax.new_zeros(()))
        if mixed is not None:
            pure = nearly_pure(labels, *mixed)
            z, logits, labels, speakers = (one[pure] for one in (z, logits, labels, speakers))
        weights = torch.ones_like(labels, dtype=z.dtype) if self.weights is None else self.weights[labels]
        term = self.term(z, logits, LabeledBatch(labels, weights, speakers))
        return LossParts(weighted + self.lam * term, softmax, term)

    def _softmax(self, logits: Tensor, labels: Tensor, mixed: tuple[Tensor, Tensor] | None) -> Tensor:
        shares = None
        if mixed is not None:
            others, share = mixed
            logits, labels = torch.cat([logits, logits]), torch.cat([labels, others])  # [2 B, classes], [2 B]
            shares = torch.cat([1 - share, share])
        seen = logits if self.margin is None else self.margin(logits, labels)
        return softmax_loss(seen, labels, self.weights, self.focal, self.smoothing, shares)

    def tell(self) -> dict[str, Tensor]:
        """What the loss that is added tells of itself, by name; nothing where there is none."""
        tell = getattr(self.term, "tell", None)
        return tell() if callable(tell) else {}
