"""Pure functions and small modules for the joint loss, usable without the rest of the project."""

from ser_lightning.losses.center import CenterLoss, center_loss, update_centers
from ser_lightning.losses.joint import JointLoss, LabeledBatch, Loss, LossParts, class_weights

__all__ = [
    "CenterLoss",
    "JointLoss",
    "LabeledBatch",
    "Loss",
    "LossParts",
    "center_loss",
    "class_weights",
    "update_centers",
]
