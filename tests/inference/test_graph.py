"""A network in ONNX gives what it gives here: for one utterance, and for several of unlike lengths."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.features.audio import read_audio
from ser_lightning.features.front_end import stored_bins
from ser_lightning.inference.graph import BATCH, SINGLE, write_graphs
from ser_lightning.inference.network import KINDS, Network, TrainingMoments
from ser_lightning.training.network import make_network

# Beside torch's own threads it makes forked processes abort at their end, so that it is not installed with the others
onnxruntime = pytest.importorskip("onnxruntime", reason="no onnxruntime, onnx and onnxscript here")

SHORTEST = 7680
SETTINGS = {
    "the paper's": [],
    "others": [
        "features=logstft",
        "features.floor=null",
        "features.max_seconds=5",
        "normalise=utterance",
        "normalise.deviation=true",
        "model.reset=before",
        "model.tied=true",
        "head=gaussian",
    ],
}


def network(*words: str) -> Network:
    """An untrained network of four classes, with moments as log spectrograms have them."""
    config = compose(list(words))
    front_end = config.features.make()
    bins = stored_bins(front_end)
    torch.manual_seed(0)
    encoder, head = make_network(config.features, config.model, config.head, bins, 4)
    encoder.initialise()
    if hasattr(head, "means"):
        torch.nn.init.normal_(head.means)
    mean, deviation = np.linspace(-30, -60, bins, dtype=np.float32), np.linspace(12, 20, bins, dtype=np.float32)
    moments = TrainingMoments(config.normalise, mean, deviation)
    parts = {group: getattr(config, group) for group in KINDS}
    return Network("", ("a", "b", "c", "d"), parts, front_end, moments, encoder.eval(), head.eval(), precision="32")


@pytest.fixture(scope="module", params=list(SETTINGS))
def exported(request, tmp_path_factory) -> tuple[Network, Path]:
    """A network, and the folder that it was exported to."""
    folder = tmp_path_factory.mktemp("exported")
    one = network(*SETTINGS[request.param])
    write_graphs(one, folder)
    return one, folder


def session(file):
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def ours(one: Network, waves: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and z."""
    z, logits = one.answer([one.normalised(one.frames(wave)) for wave in waves])
    return logits.numpy(), z.numpy()


@pytest.fixture(scope="module")
def waves(emodb_root) -> list[np.ndarray]:
    """Real speech: the shortest that there may be, odd lengths, 30 s, a quiet one, one with digital silence."""
    files = sorted((emodb_root / "wav").glob("0*.wav"))[:20]
    speech = np.concatenate([read_audio(file) for file in files])
    assert len(speech) > 480_000
    cuts = [speech[:SHORTEST], speech[7 : SHORTEST + 8], speech[9000:40_159], speech[: 30 * 16_000]]
    silent = speech[20_000:60_000].copy()
    silent[:8000] = 0
    return [*cuts, 1e-4 * speech[50_000:100_000], silent]


def test_one_utterance_at_a_time(exported, waves):
    one, folder = exported
    graph = session(folder / SINGLE)
    for wave in waves:
        logits, z = graph.run(["logits", "z"], {"signal": wave[None]})
        expected = ours(one, [wave])
        np.testing.assert_allclose(logits, expected[0], atol=1e-4)
        np.testing.assert_allclose(z, expected[1], atol=1e-4)
        assert logits.argmax() == expected[0].argmax()


def test_several_of_unlike_lengths_whatever_lies_behind_their_ends(exported, waves):
    one, folder = exported
    lengths = np.array([len(wave) for wave in waves])
    signal = np.full((len(waves), lengths.max()), np.nan, dtype=np.float32)
    for row, wave in zip(signal, waves, strict=True):
        row[: len(wave)] = wave
    logits, z = session(folder / BATCH).run(["logits", "z"], {"signal": signal, "lengths": lengths})
    expected = ours(one, waves)
    np.testing.assert_allclose(logits, expected[0], atol=1e-4)
    np.testing.assert_allclose(z, expected[1], atol=1e-4)


def test_one_input_of_one_free_dimension_as_audonnx_wants_it(exported):
    _, folder = exported
    (signal,) = session(folder / SINGLE).get_inputs()
    assert (signal.name, signal.type, signal.shape[0]) == ("signal", "tensor(float)", 1)
    assert isinstance(signal.shape[1], str)


@pytest.mark.parametrize(
    "words, part",
    [
        (["features=lld", "model=gru"], "features=lld"),
        (["normalise=speaker"], "normalise=speaker"),
        (["model=gru"], "model=Recurrent"),
        (["head=svm"], "head=SVM"),
    ],
)
def test_what_cannot_be_exported_is_named(words, part, tmp_path):
    with pytest.raises(UserError, match=f"^{part} cannot be exported to ONNX"):
        write_graphs(network(*words), tmp_path)
    assert not list(tmp_path.iterdir())
