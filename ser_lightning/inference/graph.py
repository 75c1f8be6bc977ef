"""A network with its front end as one graph, from sound to logits and z, that ONNX can say.

It computes what `Network` does, in float32 as that does, and the STFT in float64; utterances of a batch, of any
lengths, do not depend on each other, nor on what lies behind their ends.
"""

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ser_lightning.components.groups import shipped_choices
from ser_lightning.data.normalise import Level, TrainingPart, Utterance
from ser_lightning.errors import UserError
from ser_lightning.features.spectrogram import (
    DFT,
    DFT_BINS,
    SHIFT,
    SMALLEST_POWER,
    WINDOW,
    LogMel,
    LogSpectrogram,
    LogSTFT,
)
from ser_lightning.features.statistics import SMALLEST_VARIANCE
from ser_lightning.heads.cosine import Cosine
from ser_lightning.heads.gaussian import Gaussian
from ser_lightning.heads.linear import Linear
from ser_lightning.heads.means import Means
from ser_lightning.models.crnn import CRNN, GRU_WIDTH, output_length
from ser_lightning.models.gru import BidirectionalGRU, ResetBeforeGRU, behind_end

if TYPE_CHECKING:
    from ser_lightning.inference.network import Network, TrainingMoments

# What can be said in ONNX, by group of parts; no subclass of these, which may compute something else
EXPORTED: dict[str, tuple[type, ...]] = {
    "features": (LogMel, LogSTFT),
    "normalise": (TrainingPart, Level, Utterance),
    "model": (CRNN,),
    "head": (Linear, Cosine, Gaussian, Means),
}
# The files of an exported network, and what their inputs and outputs are called
SINGLE, BATCH = "model.onnx", "batch.onnx"
SIGNAL, LENGTHS, LOGITS, Z = "signal", "lengths", "logits", "z"
OPSET = 18
# Samples of the shortest sound that the encoder can do with
SHORTEST = (CRNN.fewest - 1) * SHIFT


class Spectrogram(nn.Module):
    """`LogMel` or `LogSTFT` of padded waves, each reflected at its own end; of longer ones the middle.

    Args:
        front_end: which of the two, and its floor.
        longest: frames that are kept.
    """

    bank: Tensor | None
    added: Tensor
    window: Tensor

    def __init__(self, front_end: LogSpectrogram, longest: int) -> None:
        super().__init__()
        self.floor, self.longest = front_end.floor, longest
        # From power [B, T, 513] to bins: both kinds are linear
        nothing = front_end.scale(torch.zeros(1, DFT_BINS))  # [1, bins]
        self.register_buffer("added", nothing)
        banded = isinstance(front_end, LogMel)
        self.register_buffer("bank", front_end.scale(torch.eye(DFT_BINS)) if banded else None)
        self.register_buffer("window", torch.hamming_window(WINDOW, dtype=torch.float64))

    def forward(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Decibels [B, T, bins], 0 behind each end, and frames [B], of waves [B, samples] with `lengths` [B]."""
        spectrum = torch.stft(
            _reflected(waves, lengths).double(), DFT, SHIFT, WINDOW, self.window, center=False, return_complex=True
        )
        power = torch.view_as_real(spectrum).square().sum(dim=3).transpose(1, 2).float()  # [B, T, 513]
        power = power + self.added if self.bank is None else power @ self.bank  # [B, T, bins]
        decibels = 10.0 * torch.log10(power.clamp(min=SMALLEST_POWER))
        frames = lengths // SHIFT + 1
        if self.floor is not None:
            present = decibels.masked_fill(behind_end(decibels, frames)[:, :, None], -1e9)
            decibels = torch.maximum(decibels, present.amax(dim=(1, 2), keepdim=True) - self.floor)
        # After the floor, which the whole recording sets
        start = (frames - self.longest).clamp(min=0) // 2
        kept = torch.arange(decibels.shape[1])[: self.longest]
        index = (start[:, None] + kept[None]).clamp(max=decibels.shape[1] - 1)  # [B, T, at most the longest]
        decibels = decibels.gather(1, index[:, :, None].expand(-1, -1, decibels.shape[2]))
        frames = frames.clamp(max=self.longest)
        return decibels.masked_fill(behind_end(decibels, frames)[:, :, None], 0.0), frames


def _reflected(waves: Tensor, lengths: Tensor) -> Tensor:
    """Waves [B, samples] with half a DFT's samples before and behind: [B, samples + 1024].

    By gather, for an utterance ends where its length says, and not where the batch does.
    """
    last = lengths[:, None] - 1
    place = (torch.arange(waves.shape[1] + DFT) - DFT // 2).abs()[None]
    return waves.gather(1, torch.where(place > last, 2 * last - place, place).clamp(min=0))


class NormalisedFrames(nn.Module):
    """What `TrainingMoments` does: what is taken away from each utterance, then the training part's moments."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, normalisation: "TrainingMoments") -> None:
        super().__init__()
        self.part: Any = normalisation.part
        self.register_buffer("mean", torch.from_numpy(normalisation.mean).double())
        self.register_buffer("deviation", torch.from_numpy(normalisation.deviation).double())

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Normalised frames [B, T, bins], 0 behind each end, of frames [B, T, bins] that are 0 there."""
        shift, scale = self._own(frames.double(), lengths[:, None, None])
        normalised = (frames - (shift + scale * self.mean).float()) / (scale * self.deviation).float()
        return normalised.masked_fill(behind_end(frames, lengths)[:, :, None], 0.0)

    def _own(self, frames: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale of each utterance, what broadcasts to [B, 1, bins]."""
        one = torch.ones(1, dtype=torch.float64)
        if isinstance(self.part, TrainingPart):
            return 0 * one, one
        means = frames.sum(dim=1, keepdim=True) / counts  # [B, 1, bins]
        if isinstance(self.part, Level):
            return means.mean(dim=2, keepdim=True), one
        if not self.part.deviation:
            return means, one
        variance = frames.square().sum(dim=1, keepdim=True) / counts - means.square()
        return means, torch.where(variance > SMALLEST_VARIANCE, variance, one).sqrt()


class OnnxGRU(nn.Module):
    """ONNX's own GRU, which ends each utterance at its length in both directions, with the weights of one of ours."""

    W: Tensor
    R: Tensor
    B: Tensor

    def __init__(self, gru: BidirectionalGRU | ResetBeforeGRU) -> None:
        super().__init__()
        if isinstance(gru, ResetBeforeGRU):
            directions = [(gru.weight_ih[k].T, gru.weight_hh[k].T, gru.bias[k]) for k in (0, -1)]
            weights = [(*several, torch.zeros_like(several[2])) for several in directions]
        else:
            names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
            weights = [tuple(getattr(gru, name + end) for name in names) for end in ("", "_reverse" * (not gru.tied))]
        inputs, states, first, second = (
            torch.stack([_update_first(one.detach()) for one in several]) for several in zip(*weights, strict=True)
        )
        self.register_buffer("W", inputs)  # [2, 3 * width, inputs]
        self.register_buffer("R", states)  # [2, 3 * width, width]
        self.register_buffer("B", torch.cat([first, second], dim=1))  # [2, 6 * width]
        self.after = int(isinstance(gru, BidirectionalGRU))

    def forward(self, x: Tensor, steps: Tensor) -> Tensor:
        """The last states of both directions [B, 2 * width] of x [B, T, inputs] with `steps` [B] valid ones."""
        _, last = torch.onnx.ops.symbolic_multi_out(
            "GRU",
            (x.transpose(0, 1), self.W, self.R, self.B, steps.to(torch.int32)),
            {"direction": "bidirectional", "hidden_size": GRU_WIDTH, "linear_before_reset": self.after},
            dtypes=(torch.float32, torch.float32),
            shapes=((x.shape[1], 2, x.shape[0], GRU_WIDTH), (2, x.shape[0], GRU_WIDTH)),
            version=14,
        )
        return torch.cat([last[0], last[1]], dim=1)


def _update_first(weights: Tensor) -> Tensor:
    """Weights [3 * width, ...] in torch's order, reset, update, candidate, in ONNX's: update, reset, candidate."""
    reset, update, candidate = weights.chunk(3)
    return torch.cat([update, reset, candidate])


class Branch(nn.Module):
    """What one network makes of the decibels that all share."""

    def __init__(self, network: "Network") -> None:
        super().__init__()
        self.normalised = NormalisedFrames(network.normalisation)
        # The exporter reads weights as they lie in memory
        encoder: Any = deepcopy(network.encoder).to(memory_format=torch.contiguous_format)
        self.encoder, self.gru = encoder, OnnxGRU(encoder.gru)
        self.head = deepcopy(network.head)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, classes] and z [B, 64] of decibels [B, T, bins], 0 behind each end, and frames [B]."""
        x = self.encoder.convolve(self.normalised(frames, lengths))  # [B, T', channels * bins']
        z = self.encoder.feature(self.gru(x, output_length(lengths)))
        return self.head(z), z


class Graph(nn.Module):
    """Networks from sound on.

    Args:
        networks: with one front end, and parts that can be exported, see `refuse_unexportable`.
        temperatures: by which the logits of each of several are divided before their probabilities are averaged.
    """

    def __init__(self, networks: Sequence["Network"], temperatures: Sequence[float]) -> None:
        super().__init__()
        first = networks[0]
        front_end: Any = first.front_end
        self.spectrogram = Spectrogram(front_end, round(first.max_seconds * front_end.rate))
        self.branches = nn.ModuleList(Branch(network) for network in networks)
        self.temperatures = list(temperatures)

    def forward(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and z of waves [B, samples] in [-1, 1] at 16 kHz, `lengths` [B] of them valid; NaN for fewer than
        `SHORTEST`.

        Of one network its own logits [B, classes] and z [B, 64]; of several the logarithm of their mean calibrated
        probability, and the z of all, one behind the other [B, 64 * networks].
        """
        frames, number = self.spectrogram(signal, lengths)
        logits, z = zip(*(branch(frames, number) for branch in self.branches), strict=True)
        short = (lengths < SHORTEST)[:, None]
        return (
            together(logits, self.temperatures).masked_fill(short, math.nan),
            torch.cat(z, dim=1).masked_fill(short, math.nan),
        )


def together(logits: Sequence[Tensor], temperatures: Sequence[float]) -> Tensor:
    """What networks with logits [B, classes] each say together: of one its own, of several the logarithm of their mean
    calibrated probability."""
    if len(logits) == 1:
        return logits[0]
    shares = [(one / by).log_softmax(dim=1) for one, by in zip(logits, temperatures, strict=True)]
    return torch.stack(shares).logsumexp(dim=0) - math.log(len(shares))


class SingleGraph(nn.Module):
    """The same for one utterance, whose length is that of its wave."""

    def __init__(self, whole: Graph) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [1, classes] and z [1, 64] of a wave [1, samples]."""
        return self.whole(signal, torch.zeros(1, dtype=torch.int64) + signal.shape[1])


def refuse_unexportable(network: "Network") -> None:
    """Raise `UserError` where a part of a network cannot be said in ONNX, or needs more than the recording."""
    parts = {
        "features": network.front_end,
        "normalise": network.normalisation.part,
        "model": network.encoder,
        "head": network.head,
    }
    for group, part in parts.items():
        if type(part) not in EXPORTED[group]:
            names = {choice.target: choice.name for choice in shipped_choices() if choice.group == group}
            able = ", ".join(names[f"{kind.__module__}.{kind.__name__}"] for kind in EXPORTED[group])
            raise UserError(
                f"{group}={network.parts[group].name} cannot be exported to ONNX, which can be done of {able}; "
                "`ser predict` answers with every network"
            )


def write_graphs(networks: Sequence["Network"], temperatures: Sequence[float], folder: Path) -> None:
    """Write `model.onnx`, of one utterance, and `batch.onnx`, of several, into a folder.

    Raises `UserError` as `refuse_unexportable` does, and where networks have several front ends.
    """
    for network in networks:
        refuse_unexportable(network)
    if len({id(network.front_end) for network in networks}) > 1:
        raise UserError("networks with several front ends cannot be exported together; --run chooses one")
    graph = Graph(networks, temperatures).eval()
    batch, samples = torch.export.Dim("batch"), torch.export.Dim("samples", min=SHORTEST)
    waves = torch.zeros(3, 5 * SHORTEST)
    lengths = torch.tensor([5, 4, 3]) * SHORTEST
    _write(graph, (waves, lengths), [SIGNAL, LENGTHS], ({0: batch, 1: samples}, {0: batch}), folder / BATCH)
    _write(SingleGraph(graph), (waves[:1],), [SIGNAL], ({1: samples},), folder / SINGLE)


def _write(
    graph: nn.Module, arguments: tuple[Tensor, ...], inputs: list[str], shapes: tuple[Any, ...], file: Path
) -> None:
    with torch.no_grad(), _quiet_exporter():
        program = torch.onnx.export(
            graph.eval(),
            arguments,
            dynamo=True,
            opset_version=OPSET,
            # The optimiser would leave out what log-STFT adds to the power
            optimize=False,
            verbose=False,
            input_names=inputs,
            output_names=[LOGITS, Z],
            dynamic_shapes=shapes,
            external_data=False,
        )
    assert program is not None
    _tidy(program.model)
    file.write_bytes(program.model_proto.SerializeToString())


def _tidy(model: Any) -> None:
    """Without what the exporter notes, which has the paths of this machine, and what onnxruntime warns of."""
    import onnx_ir

    for node in model.graph:
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
        # These it cannot fold
        if node.op_type == "CastLike" and (kind := node.inputs[1].dtype):
            node.attributes["to"] = onnx_ir.AttrInt64("to", int(kind))
            node.op_type = "Cast"
            node.resize_inputs(1)
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
    model.graph.metadata_props.clear()


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without what torch's exporter says of itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
