"""Hidden states of small random networks of each kind, and of Whisper's real encoder where it is to be had."""

import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from ser_lightning.config import compose
from ser_lightning.errors import UserError
from ser_lightning.features.front_end import transform
from ser_lightning.features.pretrained import DESCRIPTIONS, SOUND, WEIGHTS, LayerSum, Pretrained, find_weights
from ser_lightning.training.plan import plan_job
from tests.features.networks import KINDS, random_network

transformers = pytest.importorskip("transformers", reason="needs the extra 'pretrained'")
IncompleteSnapshotError = pytest.importorskip("huggingface_hub.errors").IncompleteSnapshotError

WHISPER = Path(__file__).parents[3] / "shared" / "data" / "whisper-tiny.en"


@pytest.fixture(params=KINDS)
def folder(request):
    """A small network with random weights."""
    return random_network(request.param)


def noise(samples, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


def theirs(folder, wave):
    """The hidden states [layers + 1, frames, width] as transformers gives them; of Whisper with its table cut."""
    network = transformers.AutoModel.from_pretrained(folder).float().eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    given = extractor(wave, sampling_rate=16_000, padding="do_not_pad", return_tensors="pt")
    values = given[extractor.model_input_names[0]]
    if "input_features" in extractor.model_input_names:
        network, frames = network.get_encoder(), values.shape[2] // 2
        values = values[:, :, : 2 * frames]
        network.config.max_source_positions = frames
        network.embed_positions = torch.nn.Embedding.from_pretrained(network.embed_positions.weight[:frames].detach())
    with torch.no_grad():
        return torch.cat(network(values, output_hidden_states=True).hidden_states).numpy()


def test_hidden_states_are_those_of_transformers(folder):
    front_end = Pretrained(weights=str(folder))
    wave = noise(9_701)
    (frames,) = front_end.many([wave])
    states = theirs(folder, wave)
    assert (front_end.bins, front_end.stored, front_end.sample_rate, front_end.rate) == (64, 192, 16_000, 50)
    assert frames.shape == (30, 192)
    np.testing.assert_allclose(frames, np.concatenate(states, axis=1), atol=1e-5)
    (last,) = Pretrained(weights=str(folder), layers=2).many([wave])
    np.testing.assert_array_equal(last, frames[:, 128:])
    (two,) = Pretrained(weights=str(folder), layers=[2, 0]).many([wave])
    np.testing.assert_array_equal(two, frames[:, [*range(128, 192), *range(64)]])


def test_an_utterance_does_not_depend_on_its_batch(folder):
    front_end = Pretrained(weights=str(folder))
    waves = [noise(8_000, seed) * (1 + seed) for seed in range(3)]
    for wave, frames in zip(waves, front_end.many(waves), strict=True):
        (alone,) = front_end.many([wave])
        # A GPU computes several at a time otherwise
        tolerance = 1e-5 if torch.cuda.is_available() else 0
        assert np.abs(frames - alone).max() <= tolerance * np.abs(alone).max()


def test_the_shortest_sound_has_a_frame_of_the_announced_shape(folder):
    part = compose(["features=pretrained", f"features.weights={folder}", "features.layers=1"]).features
    front_end = part.make()
    frames = transform(part, front_end, noise(front_end.shortest), "noise")
    assert (frames.shape, frames.dtype) == ((1, 64), np.float16)
    assert front_end.join() is None


def test_weights_are_named_by_their_content_wherever_they_lie(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    settings = {"layers": [1], "padding": "none"}
    pinned = Pretrained.pinned(weights=str(folder), **settings)
    assert pinned == Pretrained.pinned(weights=str(copy), **settings)
    assert pinned["layers"] == [1]
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert pinned != Pretrained.pinned(weights=str(copy), **settings)
    part = compose(["features=pretrained", f"features.weights={folder}"]).features
    assert part.content["weights"] == pinned["weights"]
    assert part.settings["weights"] == str(folder)
    # Which transformers does not read
    shutil.copy(copy / "model.safetensors", copy / "adapter.safetensors")
    shutil.copy(folder / "model.safetensors", copy / "model.safetensors")
    assert pinned == Pretrained.pinned(weights=str(copy), **settings)


def test_weights_in_several_files_are_those_in_one(folder, tmp_path):
    network = transformers.AutoModel.from_pretrained(folder)
    network.save_pretrained(tmp_path / "all", max_shard_size="100KB")
    # What is downloaded of a model of the hub
    (tmp_path / "hub").mkdir()
    for pattern in (*DESCRIPTIONS, *WEIGHTS):
        for file in [*(tmp_path / "all").glob(pattern), *(folder.glob(pattern) if pattern in DESCRIPTIONS else ())]:
            shutil.copy(file, tmp_path / "hub")
    assert len(Pretrained.pinned(weights=str(tmp_path / "hub"))["weights"]) > 3
    several, whole = (Pretrained(weights=str(place)) for place in (tmp_path / "hub", folder))
    wave = noise(8_000)
    np.testing.assert_array_equal(several.many([wave])[0], whole.many([wave])[0])


def test_what_the_network_may_have_heard_is_said(folder):
    front_end = Pretrained(weights=str(folder))
    assert front_end.uses == "front end pretrained on other speech, hours of this corpus unknown"
    front_end.weights = "facebook/hubert-base-ls960"
    assert front_end.uses == "front end pretrained on audiobooks (LibriVox), 0 hours of this corpus"


@pytest.mark.parametrize("layers", [3, [1, 1], [0, 7]])
def test_layers_that_there_are_not_are_refused(folder, layers):
    with pytest.raises(UserError, match=r"features.layers=.* has the layers 0 to 2; name one or more, each once"):
        Pretrained(weights=str(folder), layers=layers)


def test_a_folder_without_all_weights_is_refused(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    name = next(
        name
        for name in sorted(weights)
        if not name.startswith("decoder") and name.endswith(("fc1.bias", "output_dense.bias"))
    )
    del weights[name]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=rf"lacks weights: {name}"):
        Pretrained(weights=str(copy)).many([noise(8_000)])


def test_a_folder_without_weights_or_description_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no model\.safetensors"):
        Pretrained(weights=str(tmp_path))


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (None, "its config.json is of no model that transformers knows"),
        ({"model_type": "nobody"}, "its config.json is of no model that transformers knows"),
        ({"model_type": "encodec"}, "a model of the type encodec has no layers of hidden states"),
    ],
)
def test_a_folder_of_no_speech_model_is_refused(tmp_path, description, message):
    (tmp_path / "model.safetensors").touch()
    if description:
        (tmp_path / "config.json").write_text(json.dumps(description))
    with pytest.raises(UserError, match=message) as error:
        Pretrained(weights=str(tmp_path))
    assert "\n" not in str(error.value)


def test_how_it_takes_sound_may_stand_in_the_file_of_a_processor(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    sound = json.loads((copy / SOUND[0]).read_text())
    (copy / SOUND[0]).unlink()
    (copy / SOUND[1]).write_text(json.dumps({"processor_class": "Processor", "feature_extractor": sound}))
    wave = noise(9_701)
    one, other = (Pretrained(weights=str(weights)).many([wave])[0] for weights in (folder, copy))
    np.testing.assert_array_equal(one, other)
    before = Pretrained.pinned(weights=str(copy))
    changed = {"processor_class": "Processor", "feature_extractor": sound | {"sampling_rate": 8_000}}
    (copy / SOUND[1]).write_text(json.dumps(changed))
    assert Pretrained.pinned(weights=str(copy)) != before


def test_of_a_model_that_the_cache_has_a_part_of_the_rest_is_fetched(folder, tmp_path, monkeypatch):
    cached, fetched = tmp_path / "cached", []
    shutil.copytree(folder, cached)
    missing = cached / "preprocessor_config.json"
    missing.unlink()

    def download(name, local_files_only=False, allow_patterns=()):
        if local_files_only:
            # Of the hub's client, for want of README.md, which nobody reads, and which was never fetched
            raise IncompleteSnapshotError("1 file(s) are missing (README.md)", str(cached))
        if not there_is_a_network:
            raise OSError("no network")
        fetched.append(name)
        shutil.copy(folder / missing.name, missing)
        return str(cached)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    there_is_a_network = False
    with pytest.raises(UserError, match=r"somebody/model: .* Face hub has but a part, .* `hf download somebody/model`"):
        find_weights("somebody/model")
    there_is_a_network = True
    assert [find_weights("somebody/model") for _ in range(2)] == [cached, cached]
    assert fetched == ["somebody/model"]
    # One of two parts of the weights
    (cached / "model.safetensors").rename(cached / "model-00001-of-00002.safetensors")
    find_weights("somebody/model")
    assert fetched == ["somebody/model"] * 2


def test_a_name_that_is_nowhere_is_one_line_without_a_network(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(
        UserError, match=r"features.weights=nobody/nothing: there is no such folder, .* `hf download"
    ) as error:
        Pretrained(weights="nobody/nothing")
    assert "\n" not in str(error.value)


def test_layers_are_summed_with_weights_that_are_trained():
    join = LayerSum(2)
    frames = torch.tensor([[[1.0, 2.0, 3.0, 6.0]]])  # two layers of two
    assert join(frames).tolist() == [[[2.0, 4.0]]]
    with torch.no_grad():
        join.weight[1] = np.log(3)
    torch.testing.assert_close(join(frames), torch.tensor([[[2.5, 5.0]]]))
    join(frames).sum().backward()
    assert join.weight.grad.abs().min() > 0


@pytest.mark.skipif(not WHISPER.exists(), reason="Whisper's weights are not beside the project")
def test_whisper_padded_to_thirty_seconds_is_another_front_end():
    wave = noise(32_000)
    padded = Pretrained(weights=str(WHISPER), layers=4, padding="30s").many([wave])[0]
    plain = Pretrained(weights=str(WHISPER), layers=4).many([wave])[0]
    network = transformers.AutoModel.from_pretrained(WHISPER).float().get_encoder().eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(WHISPER)
    with torch.no_grad():
        values = extractor(wave, sampling_rate=16_000, return_tensors="pt").input_features
        theirs = network(values).last_hidden_state[0, :100].numpy()
    np.testing.assert_allclose(padded, theirs, atol=1e-4)
    assert plain.shape == padded.shape == (100, 384)
    assert np.abs(plain - padded).max() > 0.1


def test_seconds_that_whisper_cannot_take_are_refused_before_anything_is_computed(folder, tmp_path):
    longest = 30 if folder == random_network("Whisper") else None
    assert Pretrained(weights=str(folder)).longest == longest
    if longest:
        words = ["features=pretrained", f"features.weights={folder}", "features.max_seconds=60", "model=statistics"]
        config = compose([*words, f"paths.output={tmp_path}"])
        with pytest.raises(UserError, match=r"features.max_seconds=60: features=pretrained takes 30 s at most"):
            plan_job(config)
        assert not list(tmp_path.iterdir())


def test_the_library_of_convolutions_stays_in_use(folder):
    front_end = Pretrained(weights=str(folder))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: front_end.many([noise(8_000, seed)]), range(16)))
    assert torch.backends.cudnn.enabled
    assert not torch.backends.cudnn.allow_tf32


def test_padding_is_whispers_alone(folder):
    if folder == random_network("Whisper"):
        assert Pretrained(weights=str(folder), padding="30s").padding == "30s"
        return
    with pytest.raises(UserError, match=r"features.padding=30s: .* is no Whisper"):
        Pretrained(weights=str(folder), padding="30s")
