"""From a configuration to a recognizer whose parts give what a part of their kind gives, at every step."""

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from ser_lightning.components import Part, blamed
from ser_lightning.config import Config
from ser_lightning.errors import UserError
from ser_lightning.losses import JointLoss, LabeledBatch, class_weights
from ser_lightning.training.network import make_module, make_network
from ser_lightning.training.recognizer import EmotionRecognizer


def assemble(
    config: Config,
    classes: Sequence[str],
    bins: int,
    class_counts: Sequence[int],
    seed: int = 0,
    bf16: bool = False,
    front_end: dict[str, Any] | None = None,
) -> EmotionRecognizer:
    """The recognizer of a configuration, for so many classes, and numbers in a frame as it is stored (`bins`).

    `seed` is that of the loss's own weights, and of what parts draw in training. Raises `UserError`, with the part,
    where one is no module, or does not say how long z is; where nothing could be trained; and whenever a part gives
    something of another kind or shape than it should, or nothing that could train it.
    """
    encoder, head = make_network(config.features, config.model, config.head, bins, len(classes))
    features: int = encoder.features  # type: ignore[assignment]
    # In turn only when both are made, since making them draws random numbers too
    for part, module in ((config.model, encoder), (config.head, head)):
        initialise: Any = getattr(module, "initialise", None)
        if initialise is not None:
            with blamed(part):
                initialise()
    term = None
    if config.adds_loss:
        # Of a random state of its own, so that a loss with weights leaves the network's as they are without it
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            term = make_module(config.loss, features=features, classes=len(classes), class_counts=list(class_counts))
        term.register_forward_hook(lambda module, given, output: _check_term(config.loss, module, given[0], output))
    if term is not None and not config.loss.softmax and not hasattr(head, "fit"):
        with blamed(config.loss):
            reached = _reaches_logits(term, features, len(classes))
        if not reached:
            refuse_untrained_head(config)
    _watch(config.model, encoder, "z", features)
    _watch(config.head, head, "the logits", len(classes))
    weights = class_weights(class_counts, config.loss.class_weights)
    recognizer = EmotionRecognizer(
        classes,
        encoder,
        head,
        JointLoss(
            term,
            config.loss.lam,
            weights,
            getattr(head, "margin", None),
            config.loss.focal,
            config.loss.smoothing,
            config.loss.softmax,
        ),
        config.optimizer.make(),
        bf16,
        front_end,
        seed,
    )
    if config.model.trained and not any(parameter.requires_grad for parameter in recognizer.parameters()):
        raise UserError(
            f"model={config.model.name} with head={config.head.name} has no weights that could be trained; with "
            "model.trained=false no step is made"
        )
    return recognizer


def expect(part: Part, noun: str, values: object, shape: list[int]) -> Tensor:
    """The values, if they are a floating-point tensor of this shape. Raises `UserError`, with the part, if not."""
    if not isinstance(values, Tensor):
        raise UserError(f"{part.place}: the type of {noun} is {type(values).__name__}; it should be a tensor {shape}")
    if list(values.shape) != shape:
        raise UserError(f"{part.place}: the shape of {noun} is {list(values.shape)}; it should be {shape}")
    if not values.is_floating_point():
        raise UserError(f"{part.place}: the type of {noun} is {values.dtype}; it should be floating-point")
    return values


def _watch(part: Part, module: nn.Module, noun: str, width: int) -> None:
    """Check what a module gives, [B, width], each time that it is called."""

    def check(module: nn.Module, given: tuple[Tensor, ...], output: object) -> None:
        tensor = expect(part, noun, output, [len(given[0]), width])
        untrained = torch.is_grad_enabled() and not tensor.requires_grad
        if untrained and any(parameter.requires_grad for parameter in module.parameters()):
            raise UserError(
                f"{part.place}: {noun} has no gradient, so that its weights are not trained; is there a "
                "no_grad() or detach() in its forward()?"
            )

    module.register_forward_hook(check)


def refuse_untrained_head(config: Config) -> NoReturn:
    """Raise the `UserError` of a head that neither the softmax term nor the loss trains, nor anything fits."""
    raise UserError(
        f"loss.softmax=0 leaves head={config.head.name} untrained, for loss={config.loss.name} goes by z alone; "
        "head=means and head=svm are fitted to the features of the training part, so that they can do without"
    )


def _reaches_logits(term: nn.Module, features: int, classes: int) -> bool:
    """Whether a loss has a gradient to the logits, by a batch of drawn ones."""
    with torch.random.fork_rng(devices=[]):
        z, logits = (torch.randn(2 * classes, size, requires_grad=True) for size in (features, classes))
    labels = torch.arange(2 * classes) % classes
    term.eval()
    output = term(z, logits, LabeledBatch(labels, torch.ones(2 * classes), torch.full_like(labels, -1)))
    term.train()
    return output.requires_grad and torch.autograd.grad(output, logits, allow_unused=True)[0] is not None


def _check_term(part: Part, module: nn.Module, z: Tensor, output: object) -> None:
    """Check what a loss gives each time that it is called; it may be a constant 0, as in a warm-up."""
    term = expect(part, "the loss", output, [])
    if module.training and torch.is_grad_enabled() and not term.requires_grad and bool(term != 0):
        hint = "is there a detach() or no_grad() in its forward()?"
        if not z.requires_grad:
            hint = "the encoder has no weights that are trained, so that loss.lam=0 is the same"
        raise UserError(f"{part.place}: the loss has no gradient, so that lambda times it changes nothing; {hint}")
