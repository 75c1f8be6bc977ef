"""The frames of an MP3: counted, and without a gap between them."""

import io

import pytest
import soundfile

from ser_lightning.corpora.mpeg import find_gap, mpeg_samples
from tests.corpora.test_containers import RATE, WAVE, content_of


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3s_frames_are_counted(tmp_path, rate, mode):
    file = tmp_path / "a.mp3"
    with soundfile.SoundFile(file, "w", rate, 1, format="MP3", bitrate_mode=mode, compression_level=0.5) as mp3:
        mp3.write(WAVE)
    announced, counted = mpeg_samples(file.read_bytes())
    assert announced == counted
    assert 0 <= announced - len(WAVE) < 3 * 1152
    content = file.read_bytes()
    file.write_bytes(b"ID3\3\0\0\0\0\1\0" + bytes(128) + content[: len(content) // 2])
    half = mpeg_samples(file.read_bytes())
    assert half[0] == announced
    assert half[1] < 0.7 * announced


def test_what_is_no_mp3_has_no_frames():
    assert mpeg_samples(content_of("wav")) is None
    assert find_gap(content_of("wav")) == ""


def without_length():
    """An MP3 that does not say how many frames it has, and where each of them begins."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", RATE, 1, format="MP3", bitrate_mode="CONSTANT", compression_level=0.5) as mp3:
        mp3.write(WAVE)
    content = file.getvalue()
    head = content[:3]
    first = content.index(head, 3)
    content = content[first:]
    places, place = [], 0
    while place >= 0:
        places.append(place)
        place = content.find(head[:2], place + first - 1)
    return content, places


def test_frames_that_follow_one_another_have_no_gap():
    content, _ = without_length()
    for whole in (content, content_of("mp3"), b"ID3\3\0\0\0\0\1\0" + bytes(128) + content):
        for tail in (b"", b"TAG" + bytes(125), b"APETAGEX" + bytes(24)):
            assert find_gap(whole + tail) == ""


def test_a_gap_in_an_mp3_is_found_where_it_is():
    content, places = without_length()
    lost = content[: places[3]] + bytes(places[5] - places[3]) + content[places[5] :]
    assert find_gap(lost) == f"its frames are interrupted at byte {places[3]}"
    assert find_gap(bytes(512) + content) == "bytes 0 to 512, where it begins, are no frames of an MP3"


def test_an_mp3_that_is_cut_within_a_frame_says_so_if_it_does_not_say_how_many_there_are():
    content, places = without_length()
    assert find_gap(content[: places[9] + 20]) == "its last 20 bytes are no whole frame of an MP3"
    assert find_gap(content[: places[9]]) == ""


def test_an_mp3_that_announces_more_frames_than_it_has_says_so():
    content = content_of("mp3")
    announced, counted = mpeg_samples(content)
    place = content.index(b"Xing") + 8
    for more, is_named in ((1, False), (3, True)):
        frames = announced // 576 + more
        gap = f"it announces {frames * 576} samples, and its frames have {counted}" if is_named else ""
        assert find_gap(content[:place] + frames.to_bytes(4, "big") + content[place + 4 :]) == gap
