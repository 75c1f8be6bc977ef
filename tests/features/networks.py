"""Small speech networks with random weights, as the library transformers saves them."""

import tempfile
from functools import cache
from pathlib import Path

import pytest
import torch

KINDS = ["Wav2Vec2", "Hubert", "WavLM", "Data2VecAudio", "Whisper"]
SIZE = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONVOLUTIONS = {"conv_dim": [8] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}


@cache
def random_network(kind):
    """The folder of one with two layers of 64; skips the test without transformers."""
    transformers = pytest.importorskip("transformers", reason="needs the extra 'pretrained'")
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "Whisper":
            layers = {f"{half}_{what}": 2 for half in ("encoder", "decoder") for what in ("layers", "attention_heads")}
            widths = {"d_model": 64, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "vocab_size": 50}
            config = transformers.WhisperConfig(**widths, **layers, pad_token_id=0, decoder_start_token_id=0)
            transformers.WhisperFeatureExtractor().save_pretrained(folder)
        else:
            config = getattr(transformers, f"{kind}Config")(**SIZE, **CONVOLUTIONS)
            transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
        transformers.AutoModel.from_config(config).save_pretrained(folder)
    return folder
