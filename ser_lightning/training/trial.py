"""A user's own parts, tried on a few made-up utterances before the corpus is read; what fails names file and line."""

import numpy as np
import torch
from torch import Tensor

from ser_lightning.components import Part, blamed
from ser_lightning.config import Config, FeaturesConfig
from ser_lightning.errors import UserError
from ser_lightning.features.store import transform
from ser_lightning.runs.readouts import fit_and_score
from ser_lightning.training.recognizer import EmotionRecognizer
from ser_lightning.training.run import assemble

# The closeness, relative to the largest value, with which an utterance's output must not depend on its batch
CLOSE = 1e-4


def try_parts(config: Config) -> None:
    """Put a batch of two utterances and a batch of one through the parts of a configuration, and fit its read-outs.

    Raises `UserError`, with the part, and file and line of its code, for an exception, an array of a wrong shape, a
    value or gradient that is not finite, and an encoder for which an utterance's output depends on its batch.
    """
    classes = list(config.corpus.classes or [f"class {number}" for number in range(4)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        bins = _try_front_end(config.features)
        counts = list(range(1, len(classes) + 1))
        with blamed(config.model, config.head, config.loss, config.features):
            recognizer = assemble(config, classes, bins, counts)
        fewest = getattr(recognizer.encoder, "fewest", 1)
        lengths = torch.tensor([fewest + 40, fewest])
        frames = torch.randn(2, fewest + 40, bins)
        frames[1, fewest:] = 0
        labels = torch.tensor([0, len(classes) - 1])
        _try_step(config, recognizer, frames, lengths, labels)
        _try_step(config, recognizer, frames[1:, :fewest], lengths[1:], labels[1:])
        _refuse_dependence(config.model, recognizer.encoder, frames, lengths)
        _try_readouts(config, int(recognizer.encoder.features), len(classes))  # type: ignore[arg-type]


def _try_front_end(part: FeaturesConfig) -> int:
    """The bins of a front end that makes of noise what it says it makes."""
    with blamed(part):
        front_end = part.make()
        for samples in {front_end.shortest, max(front_end.shortest, front_end.sample_rate)}:
            noise = 0.1 * np.random.default_rng(0).standard_normal(samples).astype(np.float32)
            transform(part, front_end, noise, f"{samples} samples of noise")
        return int(front_end.bins)


def _try_step(config: Config, recognizer: EmotionRecognizer, frames: Tensor, lengths: Tensor, labels: Tensor) -> None:
    """Put a batch through all parts and back."""
    size, classes = len(labels), len(recognizer.classes)
    with blamed(config.model):
        z: Tensor = recognizer.encoder(frames, lengths)
        _expect(config.model, "z", z, [size, recognizer.encoder.features])
    with blamed(config.head):
        logits: Tensor = recognizer.head(z)
        _expect(config.head, "the logits", logits, [size, classes])
    with blamed(config.loss, config.head):
        parts = recognizer.loss(z, logits, labels, torch.zeros_like(labels))
        _expect(config.loss, "the loss", parts.term, [])
        parts.total.backward()
    for name, parameter in recognizer.named_parameters():
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            raise UserError(
                f"loss={config.loss.name}: for a batch of {size} the gradient of {name} has values that are not finite"
            )


def _try_readouts(config: Config, features: int, classes: int) -> None:
    """Fit the user's own read-outs to twenty made-up utterances of each class."""
    labels = np.arange(20 * classes) % classes
    z = np.random.default_rng(0).standard_normal((len(labels), features)) + labels[:, None]
    for part in config.readout.values():
        if part.folder:
            fit_and_score(part, z, labels, z[:classes], classes)


def _expect(part: Part, noun: str, values: object, shape: list[object]) -> None:
    if not isinstance(values, Tensor):
        kind = type(values).__name__
        raise UserError(f"{part.group}={part.name}: the type of {noun} is {kind}; it should be a tensor {shape}")
    if list(values.shape) != shape:
        raise UserError(f"{part.group}={part.name}: the shape of {noun} is {list(values.shape)}; it should be {shape}")
    if not torch.isfinite(values).all():
        raise UserError(f"{part.group}={part.name}: not all values of {noun} are finite")


def _refuse_dependence(part: Part, encoder: torch.nn.Module, frames: Tensor, lengths: Tensor) -> None:
    """Raise where an utterance's z depends on what it is batched with."""
    encoder.eval()
    with torch.no_grad():
        together = encoder(frames, lengths)[1]
        alone = encoder(frames[1:, : lengths[1]], lengths[1:])[0]
    encoder.train()
    difference = float((together - alone).abs().max() / alone.abs().max().clamp(min=1e-12))
    if difference > CLOSE:
        raise UserError(
            f"model={part.name}: z of an utterance depends on its batch, by {difference:.2g} of its largest value; "
            "what lies behind an utterance's length must not count"
        )
