"""Sums over the processes (ranks) that share a training; one process by itself is not touched by any of it."""

import torch
from torch import Tensor, distributed


def world_size() -> int:
    """How many ranks share the training of this process."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


@torch.no_grad()
def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of the ranks' tensors of equal shape, without a gradient; with one rank the tensor itself."""
    if world_size() == 1:
        return tensor
    total = tensor.detach().clone()
    distributed.all_reduce(total)
    return total
