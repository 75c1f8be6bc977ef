"""Damage that libsndfile decodes without a word, injected into whole recordings."""

from itertools import pairwise

import numpy as np
import pytest
import soundfile

from ser_lightning.features.audio import decode
from ser_lightning.features.integrity import find_damage
from tests.corpora.test_containers import WAVE, content_of, patched


def damage_of(file, whole, content):
    """What is said of a file whose recording was decoded before it was damaged."""
    file.write_bytes(whole)
    recording = decode(file)
    file.write_bytes(content)
    return find_damage(file, recording)


@pytest.mark.parametrize("name", ["wav", "wavx", "aiff", "au", "w64", "flac", "ogg", "opus", "mp3"])
def test_a_whole_recording_is_not_damaged(tmp_path, name):
    content = content_of(name)
    assert damage_of(tmp_path / f"a.{name}", content, content) == ""


@pytest.mark.parametrize("name", ["ogg", "opus"])
def test_a_page_of_ogg_that_is_damaged_or_missing(tmp_path, name):
    content = content_of(name)
    places = [place for place in range(len(content)) if content.startswith(b"OggS\0", place)]
    for place, following in pairwise(places[2:]):
        turned = patched(content, (place + 100, content[place + 100] ^ 1, 1, "big"))
        damage = f"its page at byte {place} is damaged, and what it held is lost"
        assert damage_of(tmp_path / "a.ogg", content, turned) == damage
        missing = content[:place] + content[following:]
        assert damage_of(tmp_path / "a.ogg", content, missing) == f"there is a page missing before byte {place}"


def test_an_ogg_whose_first_sound_is_lost_is_decoded_and_damaged(tmp_path):
    content = content_of("ogg")
    place = content.index(b"OggS\0", content.index(b"\5vorbis"))
    turned = patched(content, (place + 100, content[place + 100] ^ 1, 1, "big"))
    (tmp_path / "a.ogg").write_bytes(turned)
    recording = decode(tmp_path / "a.ogg")
    assert len(recording.wave) < 0.9 * len(WAVE)
    assert find_damage(tmp_path / "a.ogg", recording)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_flac_whose_sound_is_another_one(tmp_path, subtype, channels):
    wave = np.stack([WAVE[:5000], WAVE[5000:10_000]], axis=1)[:, :channels]
    soundfile.write(tmp_path / "a.flac", wave, 16_000, subtype=subtype)
    whole = (tmp_path / "a.flac").read_bytes()
    assert damage_of(tmp_path / "a.flac", whole, whole) == ""
    other = "its sound is not that of which its header gives the checksum"
    assert damage_of(tmp_path / "a.flac", whole, patched(whole, (30, whole[30] ^ 4, 1, "big"))) == other
    assert damage_of(tmp_path / "a.flac", whole, whole[:26] + bytes(16) + whole[42:]) == ""


def test_an_mp3_that_lacks_frames_is_damaged(tmp_path):
    content = content_of("mp3")
    middle = len(content) // 2
    lost = content[:middle] + bytes(700) + content[middle + 700 :]
    damage = damage_of(tmp_path / "a.mp3", content, lost)
    assert damage.startswith("its frames are interrupted at byte ")
