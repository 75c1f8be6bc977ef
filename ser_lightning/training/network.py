"""From settings to encoder and head, without Lightning: for training, and for whatever uses a network later."""

from typing import Any

import torch
from torch import Tensor, nn

from ser_lightning.components import Part, blamed
from ser_lightning.config import FeaturesConfig, HeadConfig, ModelConfig
from ser_lightning.errors import UserError


def make_network(
    features: FeaturesConfig, model: ModelConfig, head: HeadConfig, stored: int, classes: int
) -> tuple[nn.Module, nn.Module]:
    """Encoder and head of a configuration, untrained, for so many numbers in a frame as it is stored, and classes.

    The encoder has a front end's `join` inside, where that has one. Raises `UserError`, with the part, where one is no
    module, or does not say how long z is.
    """
    encoder = _make_encoder(features, model, stored)
    length = _whole_number(model, encoder, "features", "the length of z")
    if hasattr(encoder, "fewest"):
        _whole_number(model, encoder, "fewest", "the frames that it can do with")
    return encoder, make_module(head, features=length, classes=classes)


class JoinedEncoder(nn.Module):
    """An encoder that is given what a front end's `join` makes of stored frames; both are trained."""

    def __init__(self, join: nn.Module, encoder: nn.Module) -> None:
        super().__init__()
        self.join, self.encoder = join, encoder
        # As far as it says it; what is wrong with these is said as of any encoder
        for name in ("features", "fewest"):
            if hasattr(encoder, name):
                setattr(self, name, getattr(encoder, name))

    def initialise(self) -> None:
        """Initialise the encoder, if it has a way of its own."""
        initialise: Any = getattr(self.encoder, "initialise", None)
        if initialise is not None:
            initialise()

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """z [B, features] of stored frames [B, T, stored] with `lengths` [B] valid ones."""
        z: Tensor = self.encoder(self.join(frames), lengths)
        return z


def _make_encoder(features: FeaturesConfig, model: ModelConfig, stored: int) -> nn.Module:
    join = None
    # Making a front end may take long
    if hasattr(features.load(), "join"):
        front_end = features.make()
        with blamed(features):
            join = front_end.join()
    if join is None:
        return make_module(model, bins=stored)
    if not isinstance(join, nn.Module):
        raise UserError(f"{features.place}: its join() gives a {type(join).__name__}, which is no torch.nn.Module")
    return JoinedEncoder(join, make_module(model, bins=front_end.bins))


def make_module(part: Part, **bench: Any) -> nn.Module:
    """A part that is a module. Raises `UserError`, with the part, where it is none."""
    module = part.make(**bench)
    if not isinstance(module, nn.Module):
        raise UserError(
            f"{part.place}: {type(module).__name__} is no torch.nn.Module; derived from it, and with "
            "super().__init__() first in its __init__, its weights are trained and saved"
        )
    return module


def _whole_number(part: Part, module: nn.Module, name: str, meaning: str) -> int:
    value = getattr(module, name, None)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        present = value if isinstance(value, int | float | str | None) else type(value).__name__
        raise UserError(f"{part.place}: its `{name}`, {meaning}, should be a whole number above 0; it is {present}")
    return value


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether convolutions run in bfloat16; "auto" is yes where the hardware computes it natively."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return False
