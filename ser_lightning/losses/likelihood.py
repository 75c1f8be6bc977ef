"""The likelihood term of the large-margin Gaussian mixture. Wan et al., CVPR 2018 (arXiv 1803.02988)."""

from torch import Tensor, nn

from ser_lightning.losses.distances import of_own_class, weighted_mean
from ser_lightning.losses.joint import LabeledBatch


class GaussianLikelihood(nn.Module):
    """L = sum_i w_{y_i} ||z_i - mu_{y_i}||^2 / 2 / sum_i w_{y_i}, with the trained means mu of `head=gaussian`.

    It is minus the logit of the own class, which with any other head is no likelihood of z, nor bounded below.
    """

    for_head = "gaussian"

    def forward(self, z: Tensor, logits: Tensor, batch: LabeledBatch) -> Tensor:
        """The loss, a scalar."""
        return weighted_mean(-of_own_class(logits, batch.labels), batch.weights)
