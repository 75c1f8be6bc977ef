"""A network in ONNX gives what it gives here: for one utterance, and for several of unlike lengths."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.features.audio import RATE, read_audio
from ser_lightning.features.front_end import stored_bins
from ser_lightning.inference.graph import BATCH, SINGLE, together, write_graphs
from ser_lightning.inference.graph_check import check_graphs, cuts
from ser_lightning.inference.network import KINDS, Network, TrainingMoments
from ser_lightning.training.network import make_network

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


def network(*words: str, seed: int = 0) -> Network:
    """An untrained network of four classes, with moments as log spectrograms have them."""
    config = compose(list(words))
    front_end = config.features.make()
    bins = stored_bins(front_end)
    torch.manual_seed(seed)
    encoder, head = make_network(config.features, config.model, config.head, bins, 4)
    encoder.initialise()
    if hasattr(head, "means"):
        torch.nn.init.normal_(head.means)
    mean, deviation = np.linspace(-30, -60, bins, dtype=np.float32), np.linspace(12, 20, bins, dtype=np.float32)
    moments = TrainingMoments(config.normalise, mean, deviation)
    parts = {group: getattr(config, group) for group in KINDS}
    return Network("", ("a", "b", "c", "d"), parts, front_end, moments, encoder.eval(), head.eval(), precision="32")


@pytest.fixture(scope="module")
def waves(emodb_root) -> list[np.ndarray]:
    """Real speech of odd lengths, and one with digital silence."""
    files = sorted((emodb_root / "wav").glob("0*.wav"))[:20]
    speech = np.concatenate([read_audio(file) for file in files])
    assert len(speech) > 30 * RATE
    silent = speech[20_000:60_000].copy()
    silent[:8000] = 0
    return [speech[9000:40_159], speech, silent]


@pytest.mark.parametrize("words", list(SETTINGS.values()), ids=list(SETTINGS))
def test_graphs_say_what_the_networks_say(words, waves, tmp_path):
    # Of one its logits, of two the logarithm of their mean probability
    networks = [network(*words, seed=seed) for seed in range(1 + bool(words))]
    networks = [replace(one, front_end=networks[0].front_end) for one in networks]
    temperatures = [1.5, 0.7][: len(networks)]
    write_graphs(networks, temperatures, tmp_path)
    check = check_graphs(tmp_path, networks, temperatures, waves)
    assert check.largest < 1e-4
    logits, _ = onnxruntime.InferenceSession(tmp_path / SINGLE).run(None, {"signal": waves[0][None]})
    answers = [one.answer([one.normalised(one.frames(waves[0]))])[1] for one in networks]
    shares = [(one / by).softmax(dim=1).numpy() for one, by in zip(answers, temperatures, strict=True)]
    expected = answers[0].numpy() if len(networks) == 1 else np.log(np.mean(shares, axis=0))
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    signal, lengths = np.stack([waves[0][:9000]] * 2), np.array([9000, 7679])
    logits, z = onnxruntime.InferenceSession(tmp_path / BATCH).run(None, {"signal": signal, "lengths": lengths})
    assert np.isfinite(logits).all(axis=1).tolist() == np.isfinite(z).all(axis=1).tolist() == [True, False]


def test_classes_of_no_probability_stay_finite():
    logits = [torch.tensor([[0.0, -200.0]]), torch.tensor([[0.0, -300.0]])]
    joint = together(logits, [1.0, 1.0])
    assert joint[0].tolist() == pytest.approx([0, -200 - np.log(2)], rel=1e-6)


def test_a_check_hears_the_shortest_the_longest_and_a_quiet_one(waves):
    made = cuts(waves[:1], RATE)
    assert [len(wave) for wave in made] == [30 * RATE, 7680, 7681, 3 * RATE, len(waves[0])]
    assert np.abs(made[3]).max() == pytest.approx(1e-4 * np.abs(made[0][: 3 * RATE]).max())


@pytest.mark.parametrize(
    "words, part, able",
    [
        (["features=lld", "model=gru"], "features=lld", "logmel, logstft"),
        (["normalise=speaker"], "normalise=speaker", "training, level, utterance"),
        (["model=gru"], "model=gru", "crnn"),
        (["head=svm"], "head=svm", "linear, cosine, gaussian, means"),
    ],
)
def test_what_cannot_be_exported_is_named(words, part, able, tmp_path):
    with pytest.raises(UserError, match=f"^{part} cannot be exported to ONNX, which can be done of {able}; "):
        write_graphs([network(*words)], [1.0], tmp_path)
    assert not list(tmp_path.iterdir())
