"""How long a run trains, and when dev is looked at: what was said in epochs, or in steps, as steps of its fold."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ser_lightning.errors import UserError

if TYPE_CHECKING:
    from ser_lightning.config import Config
    from ser_lightning.data.splits import Split


@dataclass(frozen=True)
class Schedule:
    """A run's training in steps.

    Attributes:
        epoch_steps: steps of one epoch.
        max_steps: of the whole training; 0 where nothing is trained.
        check_every: between two evaluations of dev.
        first_check: before which no parameters are selected.
    """

    epoch_steps: int
    max_steps: int
    check_every: int
    first_check: int


def make_schedule(config: "Config", split: "Split") -> Schedule:
    """The steps of a configuration on a fold; where both are given, steps win over epochs and shares.

    No step where the encoder is not trained. Raises `UserError` where the training ends before parameters may be
    selected.
    """
    trainer = config.trainer
    epoch_steps = steps_per_epoch(len(split.ids("train")), config.batching.size)
    if not config.model.trained:
        return Schedule(epoch_steps, 0, 0, 0)
    max_steps = trainer.max_steps or steps_of(trainer.epochs, epoch_steps)
    check_every = trainer.check_every or steps_of(trainer.check_epochs or 1, epoch_steps)
    first_check = trainer.first_check
    if first_check is None:
        first_check = round(trainer.first_check_share * max_steps)
    if first_check > max_steps:
        raise UserError(
            f"trainer.first_check={first_check}: must be at most {max_steps}, the steps of the whole training (fold "
            f"{split.fold}), or no parameters are ever selected"
        )
    return Schedule(epoch_steps, max_steps, min(check_every, max_steps), first_check)


def steps_per_epoch(utterances: int, batch_size: int) -> int:
    """Training steps of one epoch, the last of which may have fewer utterances.

    >>> steps_per_epoch(271, 32)
    9
    """
    return -(-utterances // batch_size)


def steps_of(epochs: float, epoch_steps: int) -> int:
    """The nearest whole number of steps, at least one.

    >>> steps_of(66.7, 9), steps_of(0.01, 9)
    (600, 1)
    """
    return max(1, round(epochs * epoch_steps))
