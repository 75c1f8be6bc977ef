"""A user's own parts, tried on a few made-up utterances before the corpus is read; what fails names file and line."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ser_lightning.components import Part, blamed
from ser_lightning.config import Config, FeaturesConfig
from ser_lightning.data.augment import Checked
from ser_lightning.data.normalise import normalise
from ser_lightning.errors import UserError
from ser_lightning.features.front_end import stored_bins, transform
from ser_lightning.features.statistics import Statistics
from ser_lightning.losses import LossParts
from ser_lightning.runs.readouts import fit_and_score
from ser_lightning.training.assembly import assemble, expect
from ser_lightning.training.recognizer import EmotionRecognizer, fit_head

# The closeness, relative to the largest value, with which an utterance's output must not depend on its batch
CLOSE = 1e-4
# How deep what a part holds is searched for weights that are not its parameters
DEPTH = 4
# What an epoch's last batch may be, and the share of a rank for which nothing is left
ALONE = "with one utterance in training, as the last batch of an epoch may have"
EVALUATED = "in evaluation, where self.training is False and nothing has a gradient"


class _Utterances(NamedTuple):
    """Frames [B, T, bins], zero behind an utterance's end, their lengths [B], and labels [B]."""

    frames: Tensor
    lengths: Tensor
    labels: Tensor


def try_parts(config: Config) -> None:
    """Put a batch of two utterances and a batch of one through the parts of a configuration, and fit what is fitted.

    Raises `UserError`, with the part, and file and line of its code, for an exception, an array of a wrong shape, a
    value or gradient that is not finite, weights that would not be trained, a part that learns in evaluation, an
    encoder for which an utterance's output depends on its batch, and what is no optimiser.
    """
    classes = list(config.corpus.classes or [f"class {number}" for number in range(4)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        bins = _try_front_end(config.features)
        recognizer = assemble(config, classes, bins, list(range(1, len(classes) + 1)))
        fewest = getattr(recognizer.encoder, "fewest", 1)
        frames, lengths = torch.randn(2, fewest + 40, bins), torch.tensor([fewest + 40, fewest])
        frames[1, fewest:] = 0
        two = _Utterances(frames, lengths, torch.tensor([0, len(classes) - 1]))
        one = _Utterances(frames[1:, :fewest], lengths[1:], two.labels[1:])
        _try_step(config, recognizer, two)
        with _circumstance(ALONE):
            _try_step(config, recognizer, one)
        with _circumstance(EVALUATED):
            for utterances in (two, one):
                _try_evaluation(config, recognizer, utterances)
        _refuse_dependence(config.model, recognizer.encoder, two, one)
        if config.model.trained:
            _try_optimizer(config, recognizer)
        _try_on_frames(config, frames.numpy())
        features: Any = recognizer.encoder.features
        _try_fit(config.head, recognizer.head, features, len(classes))
        _try_readouts(config, features, len(classes))


@contextmanager
def _circumstance(words: str) -> Iterator[None]:
    """Makes a `UserError` in this context say in what circumstance it was raised."""
    try:
        yield
    except UserError as error:
        hint = "; nn.BatchNorm1d cannot do with that, nn.LayerNorm can" * (
            "more than 1 value per channel" in str(error)
        )
        raise UserError(f"{error} ({words}{hint})") from error


def _try_front_end(part: FeaturesConfig) -> int:
    """The numbers in a stored frame of a front end that makes of noise what it says it makes."""
    with blamed(part):
        front_end = part.make()
        for samples in {front_end.shortest, max(front_end.shortest, front_end.sample_rate)}:
            noise = 0.1 * np.random.default_rng(0).standard_normal(samples).astype(np.float32)
            transform(part, front_end, noise, f"{samples} samples of noise")
        return stored_bins(front_end)


def _forward(config: Config, recognizer: EmotionRecognizer, utterances: _Utterances) -> tuple[Tensor, LossParts]:
    """z and the parts of the loss of some utterances; every part's own output is looked at before the next has it."""
    frames, lengths, labels = utterances
    known = {id(parameter) for parameter in recognizer.parameters()}
    with blamed(config.model):
        z: Tensor = recognizer.encoder(frames.clone(), lengths)
    _look(config.model, recognizer.encoder, "z", z, known)
    with blamed(config.head):
        logits: Tensor = recognizer.head(z)
        seen = logits if recognizer.loss.margin is None else recognizer.loss.margin(logits, labels)
    _look(config.head, recognizer.head, "the logits", logits, known)
    _look(
        config.head,
        recognizer.head,
        "margin's logits",
        expect(config.head, "margin's logits", seen, [*logits.shape]),
        known,
    )
    with blamed(config.loss):
        parts = recognizer.loss(z, logits, labels, torch.zeros_like(labels))
    _look(config.loss, recognizer.loss.term, "the loss", parts.term, known)
    return z, parts


def _try_step(config: Config, recognizer: EmotionRecognizer, utterances: _Utterances) -> None:
    """Put a batch through all parts and back; the softmax term before the loss, to see whose gradient is not finite."""
    z, parts = _forward(config, recognizer, utterances)
    if z.requires_grad:
        z.retain_grad()
    size = len(z)
    with blamed(config.head, config.model):
        if parts.softmax.requires_grad:
            parts.softmax.backward(retain_graph=True)
    _refuse_gradients(config.head, size, {"z": z, **dict(recognizer.head.named_parameters(prefix="head"))})
    with blamed(config.loss, config.model):
        if parts.term.requires_grad:
            (recognizer.loss.lam * parts.term).backward()
    _refuse_gradients(config.loss, size, {"z": z, **dict(recognizer.loss.named_parameters(prefix="loss"))})
    _refuse_gradients(config.model, size, dict(recognizer.encoder.named_parameters(prefix="encoder")))


def _refuse_gradients(part: Part, size: int, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.grad is not None and not torch.isfinite(tensor.grad).all():
            raise UserError(
                f"{part.place}: for a batch of {size} the gradient of {name} has values that are not finite"
            )


def _try_evaluation(config: Config, recognizer: EmotionRecognizer, utterances: _Utterances) -> None:
    """Put a batch through all parts as dev and test are, which must leave them as they are."""
    modules = [(config.model, recognizer.encoder), (config.head, recognizer.head), (config.loss, recognizer.loss.term)]
    before = [_state(module) for _, module in modules]
    recognizer.eval()
    with torch.inference_mode():
        _forward(config, recognizer, utterances)
    recognizer.train()
    for (part, module), former in zip(modules, before, strict=True):
        for name, tensor in _state(module).items():
            if name not in former or not torch.equal(tensor, former[name]):
                raise UserError(f"{part.place}: forward() changes {name}; change it only `if self.training`")


def _state(module: nn.Module | None) -> dict[str, Tensor]:
    """A copy of a module's parameters and buffers, what is no number as 0."""
    if module is None:
        return {}
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {name: tensor.detach().clone().nan_to_num() for name, tensor in tensors}


def _try_optimizer(config: Config, recognizer: EmotionRecognizer) -> None:
    """Make a step with the gradients that there are."""
    part = config.optimizer
    with blamed(part):
        optimizer = recognizer.configure_optimizers()
        if not isinstance(optimizer, torch.optim.Optimizer):
            kind = type(optimizer).__name__
            raise UserError(f"{part.place}: it makes {kind}; it should make a torch.optim.Optimizer")
        optimizer.step(lambda: 0.0)
    for name, parameter in recognizer.named_parameters():
        if not torch.isfinite(parameter).all():
            raise UserError(f"{part.place}: a step makes of {name} values that are not finite")


def _try_on_frames(config: Config, frames: np.ndarray) -> None:
    """Normalise utterances' frames [B, T, bins], each of another speaker, and augment one of them."""
    sums = Statistics(np.full(len(frames), frames.shape[1]), frames.sum(axis=1), np.square(frames).sum(axis=1))
    speakers = np.array([f"speaker {number}" for number in range(len(frames))])
    normalised = normalise(config.normalise, sums, speakers, np.ones(len(frames), dtype=bool))
    augmentation = Checked(config.augment)
    if not augmentation.changes:
        return
    mean = torch.from_numpy(normalised.mean)
    one, other = (augmentation(torch.tensor(frames[0]), mean, np.random.default_rng(0)) for _ in range(2))
    if not torch.equal(one, other):
        raise UserError(
            f"{config.augment.place}: called twice, with equal frames and an equal rng, it makes different frames; all "
            "that it draws must be drawn from rng, a numpy.random.Generator"
        )


def _try_fit(part: Part, head: nn.Module, features: int, classes: int) -> None:
    """Fit a head that is fitted to twenty made-up utterances of each class."""
    z, labels = (torch.from_numpy(one) for one in _made_up(features, classes))
    z = z.float()
    with blamed(part):
        fit_head(head, lambda name: (z, labels))
        logits: Tensor = head(z)
    _look(part, head, "the logits, once it is fitted,", logits, {id(parameter) for parameter in head.parameters()})


def _made_up(features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """z [20 * classes, features] and class indices."""
    labels = np.arange(20 * classes) % classes
    return np.random.default_rng(0).standard_normal((len(labels), features)) + labels[:, None], labels


def _try_readouts(config: Config, features: int, classes: int) -> None:
    """Fit the user's own read-outs to twenty made-up utterances of each class."""
    z, labels = _made_up(features, classes)
    for part in config.readout.values():
        if part.folder:
            fit_and_score(part, z, labels, (z, labels), z[:classes], classes)


def _look(part: Part, module: nn.Module | None, noun: str, values: Tensor, known: set[int]) -> None:
    """Raise where values are not finite, or come of weights that are not among the `known` parameters."""
    if not torch.isfinite(values).all():
        raise UserError(f"{part.place}: not all values of {noun} are finite")
    for weights in _leaves(values):
        if id(weights) in known:
            continue
        place = _place(module, weights) if module is not None else None
        # Others are made in forward(), for a gradient that the loss itself needs
        if place is not None or isinstance(weights, nn.Parameter):
            where = f"self.{place}" if place else "forward()"
            raise UserError(
                f"{part.place}: {where} has weights {list(weights.shape)} that are not its parameters, so "
                "that they are neither trained nor saved; keep layers as attributes or in an nn.ModuleList, and "
                "tensors as nn.Parameter"
            )


def _leaves(values: Tensor) -> Iterator[Tensor]:
    """The tensors that a gradient of these values would reach."""
    seen, waiting = set(), [values.grad_fn]
    while waiting:
        node: Any = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(getattr(node, "variable", None), Tensor):
            yield node.variable
        waiting += [following for following, _ in node.next_functions]


def _place(module: nn.Module, weights: Tensor) -> str | None:
    """The attribute of a module in which a tensor lies, e.g. blocks.0.layers."""
    for name, child in module.named_modules():
        for attribute, value in vars(child).items():
            if attribute != "_modules" and _holds(value, weights):
                return f"{name}.{attribute}".lstrip(".")
    return None


def _holds(value: object, weights: Tensor, depth: int = DEPTH) -> bool:
    if value is weights:
        return True
    inner: Iterable[object] = ()
    if isinstance(value, nn.Module):
        inner = value.parameters()
    elif isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, list | tuple | set):
        inner = value
    elif hasattr(value, "__dict__"):
        inner = vars(value).values()
    return depth > 0 and any(_holds(one, weights, depth - 1) for one in inner)


def _refuse_dependence(part: Part, encoder: nn.Module, two: _Utterances, one: _Utterances) -> None:
    """Raise where an utterance's z depends on what it is batched with, or on chance."""
    encoder.eval()
    with torch.inference_mode(), blamed(part):
        together, again = (encoder(two.frames.clone(), two.lengths) for _ in range(2))
        alone = encoder(one.frames.clone(), one.lengths)[0]
    encoder.train()
    largest = alone.abs().max().clamp(min=1e-12)
    if float((together - again).abs().max() / largest) > CLOSE:
        raise UserError(f"{part.place}: z of the same utterance is another each time; draw only `if self.training`")
    difference = float((together[1] - alone).abs().max() / largest)
    if difference > CLOSE:
        raise UserError(
            f"{part.place}: z of an utterance depends on its batch, by {difference:.2g} of its largest value; "
            "what lies behind an utterance's length must not count"
        )
