"""What a loss does to the features: how far they lie apart, and what share of the gradient is its own.

A pure function, and metrics that sum up batches on the device. Nothing here takes part in a gradient, or in the state
of a checkpoint.
"""

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ser_lightning.losses.joint import LossParts


def class_distances(z: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Distance within and between classes, two scalars, from the means m_j of the n_j features z of each class j:

        within  = sqrt( mean_j  sum_{i in j} ||z_i - m_j||^2 / n_j )
        between = sqrt( mean_{j<k} ||m_j - m_k||^2 )

    Every class counts the same; one without features is left out. NaN where no class or no pair is left.

    Args:
        z: features [n, D].
        labels: class indices [n], int64.
        classes: how many there are.

    >>> z = torch.tensor([[0.0, 1.0], [0.0, 3.0], [4.0, 2.0]])
    >>> class_distances(z, torch.tensor([0, 0, 2]), classes=3)
    (tensor(0.7071), tensor(4.))
    """
    members = nn.functional.one_hot(labels, classes).to(z.dtype)  # [n, classes]
    counts = members.sum(dim=0)  # [classes]
    means = (members.T @ z) / counts.clamp(min=1)[:, None]  # [classes, D]
    spreads = members.T @ (z - means[labels]).square().sum(dim=1) / counts.clamp(min=1)  # [classes]
    present = counts > 0
    # The mean square over pairs is twice the variance.
    between = 2 * means[present].var(dim=0).sum()
    return spreads[present].mean().sqrt(), between.sqrt()


class ClassDistances(Metric):
    """`class_distances` of all features given to `update`.

    Args:
        classes: how many there are.
    """

    full_state_update = False
    z: list[Tensor]
    labels: list[Tensor]

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("z", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, z: Tensor, labels: Tensor) -> None:
        """Add features z [B, D] with class indices [B]."""
        self.z.append(z.detach())
        self.labels.append(labels)

    def compute(self) -> tuple[Tensor, Tensor]:
        """The distances so far."""
        return class_distances(dim_zero_cat(self.z), dim_zero_cat(self.labels), self.classes)


class MeanLosses(Metric):
    """The mean over utterances of the joint loss and its parts, without waiting for the device at each batch."""

    full_state_update = False
    sums: Tensor
    utterances: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(3), dist_reduce_fx="sum")
        self.add_state("utterances", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, parts: LossParts, utterances: int) -> None:
        """Add the means of a batch of so many utterances; where ranks share it, each gives the whole batch's number."""
        self.sums += utterances * torch.stack(parts).detach()
        self.utterances += utterances

    def compute(self) -> LossParts:
        """The means so far."""
        return LossParts(*self.sums / self.utterances)


class GradientShare(Metric):
    """Which share of the gradient at z is that of the loss which is added, over all batches given to `update`:

        share = ||lambda dL/dz|| / ( ||s dL_s/dz|| + ||lambda dL/dz|| )

    with the norms over all of them, [utterances, D].
    """

    full_state_update = False
    softmax: Tensor
    term: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("softmax", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("term", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, z: Tensor, parts: LossParts, lam: float, softmax: float = 1.0) -> None:
        """Add a batch: its features z [B, D], from which the parts of the loss were computed; `softmax` is s."""
        for name, part, scale in (("softmax", parts.softmax, softmax), ("term", parts.term, lam)):
            if part.requires_grad and z.requires_grad:
                (gradient,) = torch.autograd.grad(part, z, retain_graph=True, materialize_grads=True)
                setattr(self, name, getattr(self, name) + (scale * gradient).square().sum())

    def compute(self) -> Tensor:
        """The share, in [0, 1]; 0 where the loss that is added, or z, has no gradient."""
        term = self.term.sqrt()
        return term / (term + self.softmax.sqrt()).clamp(min=torch.finfo(term.dtype).tiny)
