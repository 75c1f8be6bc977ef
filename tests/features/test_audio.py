"""Reading sound: channels, rates, and recordings that hold nothing."""

import numpy as np
import pytest
import soundfile

import ser_lightning.features.audio
from ser_lightning.features.audio import (
    BadRecordingError,
    SilentRecordingError,
    decode,
    name_samples,
    read_audio,
    read_mono,
)
from tests.corpora.test_containers import content_of, flac, patched


def tone(rate, seconds=1.0, pitch=440):
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)


def test_stereo_is_averaged(tmp_path):
    left, right = tone(16_000), tone(16_000, pitch=300)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_any_rate_becomes_16_khz(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(rate), rate, subtype="FLOAT")
    wave = read_audio(tmp_path / "a.wav")
    assert abs(len(wave) - 16_000) <= 1
    inside = slice(1000, 15_000)
    np.testing.assert_allclose(wave[inside], tone(16_000)[inside], atol=2e-3)


def test_recordings_without_sound_say_why(tmp_path):
    soundfile.write(tmp_path / "zeros.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("this is not audio")
    for name, why in [("zeros", "zero"), ("none", "no samples"), ("nan", "not numbers"), ("text", "not readable")]:
        with pytest.raises(BadRecordingError, match=why):
            read_audio(tmp_path / f"{name}.wav")


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.ogg", "a.opus"])
def test_a_whole_recording_has_nothing_unread(tmp_path, name):
    (tmp_path / name).write_bytes(content_of(name[2:]))
    recording = decode(tmp_path / name)
    assert (len(recording.wave), recording.rate, recording.unread) == (64_000, 16_000, 0)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
def test_an_mp3_that_is_cut_is_truncated(tmp_path, share):
    content = content_of("mp3")
    (tmp_path / "a.mp3").write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadRecordingError, match=r"truncated: \d.\d\d s of the 4.00 s that its header announces can be"):
        decode(tmp_path / "a.mp3")


def test_an_mp3_whose_sound_is_read_in_part_says_so(tmp_path):
    """Without its first frame, which says how many there are, libsndfile takes it for shorter."""
    with soundfile.SoundFile(tmp_path / "a.mp3", "w", 16_000, 1, format="MP3", bitrate_mode="VARIABLE") as file:
        file.write(np.concatenate([tone(16_000, 2), np.random.default_rng(0).uniform(-0.5, 0.5, 32_000)]))
    content = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(content[content.index(b"\xff\xf3", 4) :])
    recording = decode(tmp_path / "a.mp3")
    assert len(recording.wave) + recording.unread == pytest.approx(64_000, abs=3 * 1152)
    assert recording.unread > 1600


@pytest.mark.parametrize("samples", [0, 2**36 - 1])
def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path, samples):
    (tmp_path / "a.flac").write_bytes(flac(samples))
    (tmp_path / "b.flac").write_bytes(content_of("flac"))
    recording, expected = decode(tmp_path / "a.flac"), decode(tmp_path / "b.flac")
    np.testing.assert_array_equal(recording.wave, expected.wave)
    assert recording.unread == 0


def test_a_flac_that_announces_more_than_it_holds_is_truncated(tmp_path):
    (tmp_path / "a.flac").write_bytes(flac(2**35))
    with pytest.raises(BadRecordingError, match=r"truncated: 4.00 s of the \d+"):
        decode(tmp_path / "a.flac")


@pytest.mark.parametrize("block", [1, 1000, 64_000])
def test_sound_is_the_same_in_whatever_blocks_it_is_read(tmp_path, monkeypatch, block):
    wave = np.random.default_rng(0).uniform(-1, 1, (3000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    monkeypatch.setattr(ser_lightning.features.audio, "BLOCK", block)
    np.testing.assert_array_equal(decode(tmp_path / "a.wav").wave, wave)


@pytest.mark.parametrize("block", [1000, 2**22])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_block_by_block_a_recording_is_the_same_bit_for_bit(tmp_path, monkeypatch, block, rate):
    wave = np.random.default_rng(0).uniform(-1, 1, (30_000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, rate, subtype="FLOAT")
    monkeypatch.setattr(ser_lightning.features.audio, "BLOCK", block)
    mono = read_mono(tmp_path / "a.wav")
    np.testing.assert_array_equal(mono.wave, read_audio(tmp_path / "a.wav"))
    assert mono.seconds == 30_000 / rate
    assert mono.content == name_samples(decode(tmp_path / "a.wav").wave.mean(axis=1))


def test_a_recording_of_zeros_says_how_long_it_is(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(12_000), 8_000)
    for read in (decode, read_mono):
        with pytest.raises(SilentRecordingError) as silent:
            read(tmp_path / "a.wav")
        assert silent.value.seconds == 1.5


@pytest.mark.parametrize(("level", "decibels"), [(1e25, 500), (32_768, 90), (10.5, 20), (1e-30, None), (9.5, None)])
def test_another_scale_than_that_of_full_scale_is_refused(tmp_path, level, decibels):
    soundfile.write(tmp_path / "a.wav", level * tone(16_000) / 0.5, 16_000, subtype="FLOAT")
    if decibels is None:
        assert np.abs(read_audio(tmp_path / "a.wav")).max() == pytest.approx(level, rel=1e-3)
        return
    with pytest.raises(BadRecordingError, match=f"samples {decibels} dB above full scale; write them again on"):
        read_audio(tmp_path / "a.wav")


def test_a_rate_of_1_hz_is_refused_before_it_is_resampled(tmp_path):
    (tmp_path / "a.wav").write_bytes(patched(content_of("wav"), (24, 1, 4, "little")))
    with pytest.raises(BadRecordingError, match="its header says 1 samples per second"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("error", "why"), [(MemoryError(), "longer than what fits into memory"), (TypeError("x"), "x")]
)
def test_what_cannot_be_read_is_a_bad_recording(tmp_path, monkeypatch, error, why):
    def fail(file):
        raise error

    soundfile.write(tmp_path / "a.wav", tone(16_000), 16_000)
    monkeypatch.setattr(ser_lightning.features.audio, "_blocks", fail)
    with pytest.raises(BadRecordingError, match=why):
        decode(tmp_path / "a.wav")
