"""Front ends that are given several waves at a time, and what is kept of long ones."""

import numpy as np
import pytest
import soundfile

from ser_lightning.config import compose
from ser_lightning.corpora import load_manifest
from ser_lightning.errors import UserError
from ser_lightning.features import build_store
from ser_lightning.features.front_end import middle, utterance_frames

MEL = compose([]).features


def test_the_middle_is_kept():
    spectrogram = np.repeat(np.arange(1500.0)[:, None], 3, axis=1)
    kept = middle(spectrogram, 1400)
    assert kept.shape == (1400, 3)
    assert (kept[0, 0].item(), kept[-1, 0].item()) == (50, 1449)
    assert np.array_equal(middle(spectrogram[:1400], 1400), spectrogram[:1400])


class Several:
    """Every 160th sample of each wave, stored twice over; notes the lengths that it was given together."""

    sample_rate, rate, shortest, bins, stored, dtype = 16_000, 100, 160, 1, 2, "float16"
    calls: list[list[int]]

    def many(self, waves):
        self.calls.append([len(wave) for wave in waves])
        return [np.repeat(wave[: len(wave) // 160 * 160 : 160, None], 2, axis=1) for wave in waves]


class Fewer(Several):
    def many(self, waves):
        return super().many(waves)[1:]


class Limited:
    """Every 160th sample of a wave, of which it takes ten seconds at most."""

    sample_rate, rate, shortest, bins, longest = 16_000, 100, 160, 1, 10

    def __call__(self, wave):
        assert len(wave) <= 160_000
        return wave[: len(wave) // 160 * 160 : 160, None]


@pytest.fixture
def manifest(tmp_path):
    """Twenty recordings of 0.6 s, one of 1 s, one of silence, one of 15 s."""
    rng = np.random.default_rng(0)
    seconds = {f"{number:02}": 0.6 for number in range(20)} | {"one": 1.0, "silent": 0.6, "long": 15.0}
    for name, length in seconds.items():
        wave = 0.1 * rng.standard_normal(round(16_000 * length)) * (name != "silent")
        soundfile.write(tmp_path / f"{name}.wav", wave, 16_000)
    lines = [f"{name}.wav,{'ab'[place % 2]}" for place, name in enumerate(seconds)]
    (tmp_path / "table.csv").write_text("\n".join(["path,label", *lines]))
    config = compose(["corpus=table", f"corpus.root={tmp_path}", "corpus.table=table.csv", "corpus.max_bad_share=0.5"])
    return load_manifest(config.corpus, tmp_path)


def build(front_end, manifest, cache, monkeypatch):
    front_end.calls = []
    monkeypatch.setattr(type(MEL), "make", lambda self: front_end())
    return build_store(manifest, MEL, cache)


def test_waves_of_equal_length_are_given_together(manifest, tmp_path, monkeypatch):
    store = build(Several, manifest, tmp_path / "cache", monkeypatch)
    # sixteen at most; the silent one is among the 21 of 0.6 s; of the long one 14 s
    assert sorted(Several.calls) == sorted([[9600] * 16, [9600] * 4, [16_000], [224_000]])
    assert (store.frames.dtype, store.bins) == (np.float16, 2)
    assert list(store.problems) == ["silent.wav"]
    assert store.lengths[store.rows["long.wav"]] == 1400
    for row in manifest.table.itertuples():
        if row.id not in store.problems:
            wave = middle(soundfile.read(row.path, dtype="float32")[0], 224_000)
            np.testing.assert_array_equal(store.of(store.rows[row.id])[:, 1], wave[::160].astype(np.float16))


def test_float16_frames_are_batched_in_float32(manifest, tmp_path, monkeypatch):
    store = build(Several, manifest, tmp_path / "cache", monkeypatch)
    mean, deviation = store.statistics([0, 1]).pooled()
    frames = np.concatenate([store.of(0), store.of(1)]).astype(np.float64)
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, frames.std(axis=0), rtol=1e-5)


def test_of_a_recording_that_is_longer_than_it_takes_a_front_end_is_given_the_middle(manifest):
    wave = np.arange(240_000, dtype=np.float32)
    config = MEL.model_copy(update={"max_seconds": 5.0})
    frames = utterance_frames(config, Limited(), wave, "a wave")
    # Of ten seconds from sample 40,000 the five in the middle
    np.testing.assert_array_equal(frames[:, 0], np.arange(80_000, 160_000, 160))


def test_fewer_results_than_waves_are_refused(manifest, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"features=logmel: many\(\) makes (0|3|15) arrays of (1|4|16) waves"):
        build(Fewer, manifest, tmp_path / "cache", monkeypatch)
