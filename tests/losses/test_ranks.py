"""Loss, gradients and centres of ranks that share a batch are those of one process with the whole batch."""

import os
from datetime import timedelta

import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from ser_lightning.losses import JointLoss

WEIGHTS = torch.tensor([1.0, 2.0, 4.0, 1.5])
# Shares of a batch of 9: unequal; one without a class that the other has; one empty.
SHARES = {
    "unequal": [range(0, 9, 2), range(1, 9, 2)],
    "a class on one rank alone": [range(0, 4), range(4, 9)],
    "empty": [range(9), range(0)],
}
LABELS = torch.tensor([0, 1, 0, 1, 2, 3, 2, 3, 2])
SETTINGS = [
    {"lam": 0.3, "alpha": 0.5},
    {"lam": 0.3, "alpha": 0.5, "rule": "wen", "weights": WEIGHTS},
    {"lam": 1.0, "alpha": 0.1, "weights": WEIGHTS, "warm_up": 1},
    {"lam": 0.0, "weights": WEIGHTS},
]


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(9, 64, generator=generator), torch.randn(9, 4, generator=generator)


def three_steps(joint: JointLoss, share: range, scale: float = 1.0) -> list[Tensor]:
    """Losses, gradients of the share at z and logits, and centres after each of three steps."""
    found = []
    for step in range(3):
        z, logits = (part[list(share)].requires_grad_() for part in batch(step))
        parts = joint(z, logits, LABELS[list(share)])
        (parts.total * scale).backward()
        gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in (z, logits)]
        found += [parts.total.detach(), parts.softmax, parts.center, *gradients, joint.center.centers.clone()]
    return found


def on_rank(rank: int, meeting: str, results: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1")
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    found = {
        (number, name): three_steps(JointLoss(**settings), shares[rank])
        for number, settings in enumerate(SETTINGS)
        for name, shares in SHARES.items()
    }
    torch.save(found, f"{results}/{rank}")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What the two ranks found."""
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(on_rank, (str(folder / "meeting"), str(folder)), nprocs=2)
    return [torch.load(folder / str(rank), weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("number", range(len(SETTINGS)))
@pytest.mark.parametrize("name", SHARES)
def test_two_ranks_are_one_process_with_the_whole_batch(both, number, name):
    alone = three_steps(JointLoss(**SETTINGS[number]), range(9))
    ranks = [found[number, name] for found in both]
    for step in range(3):
        at = slice(6 * step, 6 * step + 6)
        total, softmax, center, at_z, at_logits, centers = alone[at]
        for place, expected in enumerate((total, softmax, center)):
            mean = torch.stack([found[at][place] for found in ranks]).mean()
            torch.testing.assert_close(mean, expected, rtol=1e-6, atol=1e-6)
        for place, expected in ((3, at_z), (4, at_logits)):
            # DDP divides by the number of ranks.
            parts = torch.zeros_like(expected)
            for share, found in zip(SHARES[name], ranks, strict=True):
                parts[list(share)] = found[at][place] / 2
            torch.testing.assert_close(parts, expected, rtol=1e-5, atol=1e-7)
        for found in ranks:
            torch.testing.assert_close(found[at][5], centers, rtol=0, atol=1e-6)
        assert torch.equal(ranks[0][at][5], ranks[1][at][5])
