"""What a recording is besides its words, against recordings made for the purpose."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_lightning.corpora import Manifest
from ser_lightning.features.audio import BadRecordingError
from ser_lightning.features.sound import measure, measure_corpus, remarks

RATE = 8000


def write(path, wave, rate=RATE, subtype="PCM_16"):
    soundfile.write(path, wave, rate, subtype=subtype)
    return path


def tone(seconds, level=0.5):
    return level * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE)


def test_length_silence_peak_and_level(tmp_path):
    wave = np.concatenate([np.zeros(2000), tone(1.0), np.zeros(4000)])
    sound = measure(write(tmp_path / "a.wav", wave))
    assert (sound.rate, sound.channels) == (RATE, 1)
    assert sound.seconds == 1.75
    assert sound.lead == pytest.approx(0.25, abs=0.011)
    assert sound.trail == pytest.approx(0.5, abs=0.011)
    assert sound.peak == pytest.approx(20 * np.log10(0.5), abs=0.01)
    # RMS of a sine is its peak less 3.01 dB; over 1.75 s, of which 1 s sounds
    assert sound.level == pytest.approx(20 * np.log10(0.5) - 3.01 + 10 * np.log10(1 / 1.75), abs=0.01)
    assert sound.digital == pytest.approx(6000 / 14000, abs=0.001)
    assert sound.clipped == 0


def test_silence_is_relative_to_the_loudest_block(tmp_path):
    """A floor 34 dB below the tone is sound, one 46 dB below is silence."""
    for floor, lead in ((0.01, 0.0), (0.0025, 0.5)):
        wave = np.concatenate([tone(0.5, floor), tone(1.0, 0.5)])
        assert measure(write(tmp_path / "a.wav", wave)).lead == pytest.approx(lead, abs=0.011)


def test_clipping_is_counted_in_every_channel(tmp_path):
    wave = np.stack([np.full(1000, 0.1), np.full(1000, 0.1)], axis=1)
    wave[:50, 1] = 1.0
    sound = measure(write(tmp_path / "a.wav", wave))
    assert sound.channels == 2
    assert sound.clipped == 50 / 2000


def test_equal_samples_have_equal_names_whatever_the_container(tmp_path):
    wave = (tone(0.6) * 2**15).astype(np.int16)
    names = {measure(write(tmp_path / name, wave)).content for name in ("a.wav", "b.flac", "c.aiff")}
    assert len(names) == 1
    wave[100] += 1
    assert measure(write(tmp_path / "d.wav", wave)).content not in names


def test_what_holds_no_sound_is_refused(tmp_path):
    with pytest.raises(BadRecordingError, match="all samples are zero"):
        measure(write(tmp_path / "a.wav", np.zeros(8000)))


def test_what_is_very_quiet_has_a_level(tmp_path):
    """Its squares are below what float32 can hold."""
    sound = measure(write(tmp_path / "a.wav", tone(1.0, 1e-30), subtype="FLOAT"))
    assert sound.peak == pytest.approx(-600, abs=0.01)
    assert sound.level == pytest.approx(-603.01, abs=0.01)


def test_a_damaged_measurement_is_made_anew(tmp_path):
    write(tmp_path / "a.wav", tone(0.6))
    manifest = Manifest("test", ("x",), pd.DataFrame({"id": ["a"], "path": [str(tmp_path / "a.wav")]}))
    first, _ = measure_corpus(manifest, tmp_path / "cache")
    (file,) = (tmp_path / "cache" / "sound").glob("*/*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    again, _ = measure_corpus(manifest, tmp_path / "cache")
    pd.testing.assert_frame_equal(again, first)


def test_a_corpus_is_measured_once_until_a_file_changes(tmp_path):
    paths = [str(write(tmp_path / f"{name}.wav", tone(0.6, level))) for name, level in (("a", 0.5), ("b", 0.25))]
    write(tmp_path / "c.wav", np.zeros(8000))
    table = pd.DataFrame({"id": ["a", "b", "c"], "path": [*paths, str(tmp_path / "c.wav")]})
    manifest = Manifest("test", ("x",), table)
    first, problems = measure_corpus(manifest, tmp_path / "cache")
    assert problems == {"c": f"{tmp_path / 'c.wav'}: all samples are zero"}
    assert first["id"].tolist() == ["a", "b"]
    assert first["peak"].round(1).tolist() == [-6.0, -12.0]
    (kept,) = (tmp_path / "cache" / "sound").glob("*/*.parquet")
    write(tmp_path / "b.wav", tone(0.7, 0.5))
    again, _ = measure_corpus(manifest, tmp_path / "cache")
    assert again["peak"].round(1).tolist() == [-6.0, -6.0]
    assert len(list(kept.parent.parent.glob("*/*.parquet"))) == 2


def test_a_corpus_that_is_reached_by_another_path_is_not_measured_again(tmp_path):
    (tmp_path / "corpus").mkdir()
    write(tmp_path / "corpus" / "a.wav", tone(0.6))
    (tmp_path / "link").symlink_to("corpus")
    for folder in ("corpus", "link"):
        table = pd.DataFrame({"id": ["a"], "path": [str(tmp_path / folder / "a.wav")]})
        measure_corpus(Manifest("test", ("x",), table), tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "sound").glob("*/*.parquet"))) == 1


def test_recordings_that_seem_damaged_or_unlike_most_are_named(tmp_path):
    for name in "abcd":
        soundfile.write(tmp_path / f"{name}.flac", tone(0.6), RATE)
    soundfile.write(tmp_path / "c.flac", tone(0.6), 2 * RATE)
    soundfile.write(tmp_path / "e.flac", np.stack([tone(0.6)] * 2, axis=1), RATE)
    content = bytearray((tmp_path / "b.flac").read_bytes())
    content[30] ^= 1
    (tmp_path / "b.flac").write_bytes(content)
    table = pd.DataFrame({"id": list("abcde"), "path": [str(tmp_path / f"{name}.flac") for name in "abcde"]})
    manifest = Manifest("test", ("x",), table)
    sound, _ = measure_corpus(manifest, tmp_path / "cache")
    assert remarks(manifest, sound) == {
        "Perhaps damaged, and used as far as they can be read": [
            "b: its sound is not that of which its header gives the checksum"
        ],
        "Other sample rates or channels than most": ["c: 16000 Hz, channels: 1", "e: 8000 Hz, channels: 2"],
    }
    assert "Other sample rates or channels than most" not in remarks(manifest, sound[sound["id"].isin(["a", "c"])])
