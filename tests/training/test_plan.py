"""The corpus and frames of a job: what cannot be used is left out, with its reason."""

import io
import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_lightning import doctor
from ser_lightning.config import FeaturesConfig, choices, compose
from ser_lightning.data.splits import Split
from ser_lightning.errors import UserError
from ser_lightning.features import LogMel
from ser_lightning.training.plan import plan_job, prepare, refuse_unlike_plans, refuse_unlike_utterances, uses
from tests.corpora.test_containers import content_of, flac, patched


class Choosy(LogMel):
    """Leaves 30 frames of what is longer than a second."""

    def __call__(self, wave):
        frames = super().__call__(wave)
        return frames if len(frames) <= 101 else frames[:30]


def test_what_a_front_end_leaves_too_little_of_for_the_encoder_is_left_out(tmp_path, monkeypatch, caplog):
    noise = np.random.default_rng(0)
    for number in range(12):
        soundfile.write(tmp_path / f"{number:02d}.wav", noise.uniform(-0.1, 0.1, 16_000 + 160 * number // 11), 16_000)
    rows = [f"{number:02d}.wav,{'ab'[number % 2]}" for number in range(12)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    monkeypatch.setattr(FeaturesConfig, "make", lambda self: Choosy())
    words = ["corpus=table", f"corpus.root={tmp_path}", "corpus.table=t.csv", "corpus.max_bad_share=0.1"]
    with caplog.at_level(logging.WARNING):
        manifest, _ = prepare(compose([*words, f"paths.output={tmp_path}"]))
    assert len(manifest) == 11
    assert manifest.left_out == {"11.wav": "30 frames are fewer than the 49 that model=crnn needs"}
    assert "1 of 12 recordings are left out. 11.wav: 30 frames" in caplog.text

    whole, _ = prepare(compose([*words, f"paths.output={tmp_path}", "model=gru"]))
    crnn, gru = ([SimpleNamespace(manifest=one)] for one in (manifest, whole))
    refuse_unlike_plans({"one": crnn, "other": crnn})
    for plans in ({"gru": gru, "crnn": crnn}, {"crnn": crnn, "gru": gru}):
        with pytest.raises(UserError, match=r"^crnn cannot use 11\.wav \(30 frames are fewer than the 49 that"):
            refuse_unlike_plans(plans)


def test_settings_of_a_study_that_need_longer_sound_than_others_are_refused(tmp_path):
    lengths = [4_800, *[16_000] * 23]
    for number, samples in enumerate(lengths):
        wave = np.random.default_rng(number).uniform(-0.1, 0.1, samples)
        soundfile.write(tmp_path / f"{number:02d}.wav", wave, 16_000)
    rows = [f"{number:02d}.wav,{'ab'[number % 2]}" for number in range(24)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    words = ["corpus=table", f"corpus.root={tmp_path}", "corpus.table=t.csv", f"paths.output={tmp_path}"]
    one, other = compose([*words, "model=gru"]), compose([*words, "model=crnn"])
    refuse_unlike_utterances([one, one])
    message = r"1 of 24 utterances are long enough for .*model=gru, and too short for .*model=crnn, which needs 0\.48 s"
    with pytest.raises(UserError, match=f"{message}.*: corpus.min_seconds=0.48$"):
        refuse_unlike_utterances([one, other])
    alike = [compose([*words, f"model={name}", "corpus.min_seconds=0.48"]) for name in ("gru", "crnn")]
    refuse_unlike_utterances(alike)
    manifests = [prepare(config)[0] for config in alike]
    assert [manifest.left_out.keys() for manifest in manifests] == [{"00.wav"}] * 2
    assert len({manifest.digest for manifest in manifests}) == 1


def test_unknown_speakers_are_refused_before_frames_are_computed(tmp_path):
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", np.full(16_000, 0.1), 16_000)
    (tmp_path / "t.csv").write_text("path,label,speaker\n0.wav,a,one\n1.wav,b,one\n2.wav,a,\n3.wav,b,\n")
    words = ["corpus=table", f"corpus.root={tmp_path}", "corpus.table=t.csv", f"paths.output={tmp_path / 'out'}"]
    with pytest.raises(
        UserError, match="normalise=speaker: the speaker of 2 utterances is unknown; normalise=utteranc"
    ):
        prepare(compose([*words, "normalise=speaker"]))
    assert not [*(tmp_path / "out").rglob("*.npy"), *(tmp_path / "out").rglob("*logmel*")]
    assert len(prepare(compose(words))[1].rows) == 4
    assert [*(tmp_path / "out").rglob("*logmel*")]


@pytest.fixture
def odd(tmp_path):
    """Thirty seconds of noise in two classes, and a recording of each odd kind; the words that name the corpus."""
    noise = np.random.default_rng(0)
    files = {f"{number:02d}.wav": content_of("wav", noise.uniform(-0.1, 0.1, 16_000)) for number in range(30)}
    for name, level in (("loud", 1e25), ("scale", 32_768), ("quiet", 1e-30)):
        file = io.BytesIO()
        soundfile.write(file, level * noise.uniform(-1, 1, 16_000), 16_000, format="WAV", subtype="FLOAT")
        files[f"{name}.wav"] = file.getvalue()
    mp3, wav, flacs = content_of("mp3"), content_of("wav"), flac(0)
    files |= {"cut.mp3": mp3[: len(mp3) // 12], "stream.flac": flacs, "hertz.wav": patched(wav, (24, 1, 4, "little"))}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    rows = [f"{name},{'ab'[number % 2]}" for number, name in enumerate(files)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    return ["corpus=table", f"corpus.root={tmp_path}", "corpus.table=t.csv", f"paths.output={tmp_path}"]


UNUSABLE = {
    "loud.wav": "samples 500 dB above full scale",
    "scale.wav": "samples 90 dB above full scale",
    "cut.mp3": "truncated: 0.",
    "hertz.wav": "its header says 1 samples per second",
}


def test_odd_recordings_are_left_out_or_named_and_the_rest_is_planned(odd, caplog):
    with caplog.at_level(logging.WARNING):
        planned = plan_job(compose([*odd, "corpus.max_bad_share=0.2"]))
    assert planned[0].manifest.left_out.keys() == UNUSABLE.keys()
    assert all(why in planned[0].manifest.left_out[name] for name, why in UNUSABLE.items())
    assert {"stream.flac", "quiet.wav"} < set(planned[0].store.rows)
    assert "table: Very quiet (peak more than 60 dB below full scale): 1: quiet.wav" in caplog.text


def test_odd_recordings_are_counted_under_the_share_that_may_be_bad(odd):
    with pytest.raises(UserError, match=r"4 of 36 recordings cannot be used, more than corpus.max_bad_share=0.05"):
        prepare(compose(odd))


def test_the_doctor_says_of_odd_recordings_what_a_training_says(odd, capsys):
    with pytest.raises(SystemExit) as stop:
        doctor.main(compose([*odd, "corpus.max_bad_share=0.2"]))
    said, end = capsys.readouterr()
    assert (stop.value.code, "4 recordings cannot be used" in end) == (1, True)
    assert all(f"{name}: {why}" in said for name, why in UNUSABLE.items())
    assert "Very quiet (peak more than 60 dB below full scale): 1: quiet.wav" in said


def told(config):
    """What is told of a configuration whose split has nothing to say once it has divided."""
    return uses(config, Split(config.split.name, 0, 0, pd.DataFrame(), getattr(config.split.make(), "uses", "")))


@pytest.mark.parametrize("corpus", sorted(set(choices()["corpus"]) - {"mixed"}))
def test_nothing_more_is_told_of_a_corpus_that_joins_none(corpus):
    """Of every one in conf/, whatever its constructor takes."""
    words = ["corpus.root=a", "corpus.name=one", *(["corpus.table=a.csv"] if corpus == "table" else [])]
    assert told(compose([f"corpus={corpus}", *words])) == []


def test_what_numbers_rest_on_beyond_the_protocol_is_told_of_every_part():
    assert told(compose([])) == []
    known = "selected on a tenth of the training speakers' utterances"
    unlabelled = "normalised by up to 5 utterances of each tested speaker, unlabelled (transductive)"
    words = ["split=speaker", "split.dev=utterances", "normalise=speaker", "normalise.utterances=5"]
    assert told(compose(words)) == [known, unlabelled]
    mixed = ["corpus=mixed", "corpus.name=both", "corpus.roots={emodb: a, ravdess: b}", "split=corpus"]
    assert told(compose(mixed)) == ["corpora joined: emodb, ravdess"]
    assert told(compose(["split=official", "split.test=test2"])) == ["tested on its part test2"]
