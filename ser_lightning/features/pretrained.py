"""Hidden states of a pretrained speech network, frozen: wav2vec 2.0, HuBERT, WavLM, data2vec, Whisper's encoder.

Any model of the library transformers that has them; which layer serves best is open, for emotion it is seldom the last
(Pepino et al. 2021; Ma et al. 2024, EmoBox).
"""

import hashlib
import math
import re
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ser_lightning.errors import UserError, listing

EXTRA = "pip install 'ser-lightning[pretrained]'"
# What transformers reads of a model's folder: its description, how it takes sound (in either file), and weights in one
# file or in parts that an index names; those that are pickled only where there are no others
CONFIG, SOUND = "config.json", ("preprocessor_config.json", "processor_config.json")
DESCRIPTIONS = (CONFIG, *SOUND)
WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model-*-of-*.bin", "pytorch_model.bin.index.json")
# Weights that a folder may lack: of Whisper's other half, and of what is only drawn upon in training
UNUSED = ("decoder.", "masked_spec_embed")
# Models of the hub that were trained on LibriSpeech or Libri-Light alone, by their papers; fine-tuned ones are not here
AUDIOBOOKS = (
    *("facebook/wav2vec2-base", "facebook/wav2vec2-large", "facebook/wav2vec2-large-lv60"),
    *("facebook/hubert-base-ls960", "facebook/hubert-large-ll60k", "facebook/hubert-xlarge-ll60k"),
    *("microsoft/wavlm-base", "facebook/data2vec-audio-base", "facebook/data2vec-audio-large"),
)
# Samples from one of Whisper's frames to the next, and the sound that it was trained on, in seconds
WHISPER_SHIFT, WHISPER_SECONDS = 320, 30


class Pretrained:
    """Hidden states [frames, width] of one layer, or of several, which are then summed with trained weights.

    Frames are computed once, in float32, and stored as float16. An utterance's frames do not depend on what it was
    computed with: on a CPU each is computed alone; on a GPU only utterances of equal length share a batch, up to
    float16's last bit. Nothing is padded but by `padding`.

    Args:
        weights: a model of the Hugging Face hub, e.g. facebook/wav2vec2-base, or a folder that holds one.
        layers: which hidden states: 0 is the input of the first layer, 1 its output; or a list of them; null: all.
            Several have a trained weight each, of which the softmax sums them.
        padding: Whisper: 'none', or '30s' as in its training, which takes ten times as long for short utterances and
            gives other frames.

    Raises:
        UserError: transformers is not installed, the weights are not to be had, or there are no such layers.
    """

    dtype = "float16"
    # One window of 25 ms
    shortest = 400

    def __init__(
        self,
        *,
        weights: str,
        layers: Annotated[int, Field(ge=0)] | list[Annotated[int, Field(ge=0)]] | None = None,
        padding: Literal["none", "30s"] = "none",
    ) -> None:
        self.weights, self.padding = weights, padding
        self._lock = Lock()
        self.folder = find_weights(weights)
        self.config = _read_description(self.folder, weights)
        self.is_whisper = self.config.model_type == "whisper"
        if padding == "30s" and not self.is_whisper:
            raise UserError(f"features.padding=30s: {weights} is no Whisper; use features.padding=none")
        self.layers = _layers(layers, self.config.num_hidden_layers, weights)

    @staticmethod
    def pinned(**settings: Any) -> dict[str, Any]:
        """The settings with the content of the weights in the place of their name."""
        return {**settings, "weights": _content(find_weights(settings["weights"]))}

    @property
    def bins(self) -> int:
        """Width of a hidden state."""
        return int(self.config.hidden_size)

    @property
    def stored(self) -> int:
        """All layers of a frame beside each other."""
        return len(self.layers) * self.bins

    @property
    def uses(self) -> str:
        """How much of the corpus the network may have been trained on: what is tested may be known to it."""
        if self.weights in AUDIOBOOKS:
            return "front end pretrained on audiobooks (LibriVox), 0 hours of this corpus"
        return "front end pretrained on other speech, hours of this corpus unknown"

    @property
    def longest(self) -> float | None:
        """Seconds that the network can take; None for any."""
        return WHISPER_SECONDS if self.is_whisper else None

    @cached_property
    def sample_rate(self) -> int:
        """Hz of the sound that the network was trained on."""
        return int(self._extractor.sampling_rate)

    @cached_property
    def rate(self) -> float:
        """Frames per second."""
        if self.is_whisper:
            return self.sample_rate / WHISPER_SHIFT
        strides = getattr(self.config, "conv_stride", None)
        if strides is None:
            raise UserError(
                f"features.weights={self.weights}: how many frames a model of the type {self.config.model_type} makes "
                "of a second is unknown here; wav2vec 2.0 and its kin, and Whisper, are"
            )
        return float(self.sample_rate / math.prod(strides))

    def join(self) -> nn.Module | None:
        """The trained sum of several layers; None for one."""
        return LayerSum(len(self.layers)) if len(self.layers) > 1 else None

    def many(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The frames [frames, stored] of waves [samples] of one length, none beyond `longest`."""
        samples = len(waves[0])
        padding = "max_length" if self.padding == "30s" else "do_not_pad"
        if len(waves) > 1 and self._device == "cpu":
            return [frames for wave in waves for frames in self.many([wave])]
        given = self._extractor(list(waves), sampling_rate=self.sample_rate, padding=padding, return_tensors="pt")
        with self._lock:
            network = self._network
        values = given[self._extractor.model_input_names[0]].to(network.device)
        with torch.inference_mode():
            if self.is_whisper:
                states = whisper_states(network, values)
            else:
                states = network(values, output_hidden_states=True).hidden_states
            chosen = torch.cat([states[layer] for layer in self.layers], dim=2)  # [B, frames, stored]
        if self.is_whisper:
            chosen = chosen[:, : samples // WHISPER_SHIFT]
        return list(chosen.cpu().numpy())

    @cached_property
    def _device(self) -> str:
        return "cuda" if torch.cuda.is_available() else "cpu"

    @cached_property
    def _extractor(self) -> Any:
        try:
            return _transformers().AutoFeatureExtractor.from_pretrained(self.folder)
        except (OSError, ValueError) as error:
            raise UserError(
                f"features.weights={self.weights}: it has no {SOUND[0]} that says how it takes sound "
                f"({str(error).splitlines()[0]})"
            ) from error

    @cached_property
    def _network(self) -> Any:
        """The network, or Whisper's encoder, on a GPU where there is one."""
        try:
            network, report = _transformers().AutoModel.from_pretrained(
                self.folder, dtype=torch.float32, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"features.weights={self.weights}: {str(error).splitlines()[0]}") from error
        missing = [name for name in report["missing_keys"] if not any(part in name for part in UNUSED)]
        if missing:
            raise UserError(f"features.weights={self.weights} lacks weights: {listing(sorted(missing))}")
        # By default cuDNN computes what is said to be float32 with ten bits of mantissa
        torch.backends.cudnn.allow_tf32 = False
        network = (network.get_encoder() if self.is_whisper else network).eval().to(self._device)
        if not self.is_whisper:
            # The library prepares a network at its first call, which several threads must not make at once
            with torch.inference_mode():
                network(torch.zeros(1, self.sample_rate, device=self._device), output_hidden_states=True)
        return network


class LayerSum(nn.Module):
    """A sum of layers with trained weights that are positive and sum to 1, equal at first (Peters et al. 2018, ELMo).

    Args:
        layers: how many.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(layers))

    def forward(self, frames: Tensor) -> Tensor:
        """[B, T, bins] of frames [B, T, layers * bins]."""
        layers = frames.chunk(len(self.weight), dim=2)  # layers x [B, T, bins]
        # One after the other: as a product of matrices it would copy the frames first
        summed = layers[0] * self.weight.softmax(0)[0]
        for layer, weight in zip(layers[1:], self.weight.softmax(0)[1:], strict=True):
            summed = torch.addcmul(summed, layer, weight)
        return summed


def whisper_states(encoder: Any, mel: Tensor) -> list[Tensor]:
    """Whisper's hidden states [B, frames // 2, width], the first layer's input first, of mel [B, bins, frames].

    As transformers computes them for 30 s, which it refuses to do for less, though the positions of the first frames
    serve there too.
    """
    x = nn.functional.gelu(encoder.conv1(mel[:, :, : mel.shape[2] // 2 * 2]))
    x = nn.functional.gelu(encoder.conv2(x)).transpose(1, 2)  # [B, frames // 2, width]
    states = [x + encoder.embed_positions.weight[: x.shape[1]]]
    for layer in encoder.layers:
        states.append(layer(states[-1], None))
    return [*states[:-1], encoder.layer_norm(states[-1])]


def find_weights(name: str) -> Path:
    """The folder of a model: a local one, or that of the hub's cache, into which it is first downloaded if need be.

    What is in the cache is used as it is, so that a study is not changed by a new revision. Raises `UserError` where
    there is no such model, or it cannot be downloaded.
    """
    local = Path(name).expanduser()
    if local.is_dir():
        if not _weights(local):
            raise UserError(f"features.weights={name}: the folder {local.resolve()} holds no {WEIGHTS[0]}")
        return local
    if local.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise UserError(f"features.weights={name}: there is no such folder")
    _transformers()
    from huggingface_hub import snapshot_download

    cached = _cached(name)
    if cached and _is_whole(cached):
        return cached
    try:
        folder = Path(snapshot_download(name, allow_patterns=[*DESCRIPTIONS, *WEIGHTS]))
        return folder if _weights(folder) else Path(snapshot_download(name, allow_patterns=[*DESCRIPTIONS, *PICKLED]))
    # Of the hub's client, of its transport, and of the network, whichever versions are installed
    except Exception as error:
        lack = "there is no such folder, it is not in the cache of the Hugging Face hub, and it"
        if cached and _weights(cached):
            lack = f"of it the cache of the Hugging Face hub has but a part, {cached}, and the rest"
        raise UserError(
            f"features.weights={name}: {lack} cannot be downloaded ({type(error).__name__}); where there is a network, "
            f"`hf download {name}` fetches it"
        ) from error


def _cached(name: str) -> Path | None:
    """The folder of a model in the hub's cache, which may be a part of it; None where there is none."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    # Also for want of files that nobody reads, and which were never fetched
    except Exception as error:
        partial = getattr(error, "snapshot_path", None)
        return Path(partial) if partial else None


def _read_description(folder: Path, weights: str) -> Any:
    try:
        description = _transformers().AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"features.weights={weights}: its config.json is of no model that transformers knows "
            f"({str(error).strip().splitlines()[0]})"
        ) from error
    if not all(hasattr(description, key) for key in ("num_hidden_layers", "hidden_size")):
        raise UserError(
            f"features.weights={weights}: a model of the type {description.model_type} has no layers of hidden states; "
            "wav2vec 2.0 and its kin, and Whisper, have"
        )
    return description


def _layers(layers: int | list[int] | None, count: int, weights: str) -> list[int]:
    chosen = list(range(count + 1)) if layers is None else [layers] if isinstance(layers, int) else layers
    if not chosen or max(chosen) > count or len({*chosen}) < len(chosen):
        raise UserError(f"features.layers={layers}: {weights} has the layers 0 to {count}; name one or more, each once")
    return chosen


def _weights(folder: Path) -> list[Path]:
    """The files of a folder that hold the weights that transformers reads, of its several formats and adapters."""
    for whole, parts, _ in (WEIGHTS, PICKLED):
        if (folder / whole).exists():
            return [folder / whole]
        if shards := sorted(folder.glob(parts)):
            return shards
    return []


def _is_whole(folder: Path) -> bool:
    """Whether a folder has all that is read of a model: descriptions, and its weights, every part and their index."""
    weights = _weights(folder)
    last = re.search(r"-of-(\d+)\.", weights[0].name) if weights else None
    indexed = any((folder / index).exists() for *_, index in (WEIGHTS, PICKLED))
    described = (folder / CONFIG).exists() and any((folder / name).exists() for name in SOUND)
    return described and (len(weights) == int(last[1]) and indexed if last else bool(weights))


def _content(folder: Path) -> list[str]:
    """What a model computes with: hashes of its weights and of its descriptions."""
    files = [*_weights(folder), *(folder / name for name in DESCRIPTIONS if (folder / name).exists())]
    return [_hash(file, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


@cache
def _hash(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@cache
def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UserError(f"features=pretrained needs the library transformers: {EXTRA}") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers
