"""Live answers: from blocks of sound to what the terminal shows."""

import builtins
import sys
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from ser_lightning import Recognizer
from ser_lightning.errors import UserError
from ser_lightning.features.audio import read_audio
from ser_lightning.inference import microphone
from ser_lightning.inference.ensemble import NO_SPEECH, Answer
from ser_lightning.inference.microphone import follow, listen, picture


@pytest.fixture(scope="module")
def recognizer(trained):
    return Recognizer.load("tried", output=trained)


def test_the_last_window_of_sound_is_answered_once_it_is_full(recognizer, recordings):
    ensemble = recognizer.ensemble
    # Twice as loud, the demo's own recordings are strangers
    speech = np.concatenate([read_audio(path) for path in list(recordings.values())[:6]]) / 2
    sound = np.concatenate([speech, np.zeros(round(1.5 * ensemble.window * 16_000), dtype=np.float32)])
    blocks = [sound[start : start + 8_000] for start in range(0, len(sound), 8_000)]
    shown = list(follow(recognizer, iter(blocks)))
    assert len(shown) == len(blocks)
    full = int(np.ceil(ensemble.window * 16_000 / 8_000))
    assert [answer.label for _, answer in shown[: full - 1]] == [""] * (full - 1)
    window = round(ensemble.window * 16_000)
    for number in (full + 1, full + 4):
        heard = sound[: 8_000 * (number + 1)][-window:]
        assert shown[number][1].probabilities == pytest.approx(recognizer.predict(heard, 16_000)[0].probabilities)
    level, answer = shown[-1]
    assert answer.label == NO_SPEECH
    assert level < -60


def test_the_terminal_shows_level_and_a_bar_for_each_class():
    def printed(level, answer):
        console = Console(file=StringIO(), width=100)
        console.print(picture(("neu", "hap"), level, answer))
        return [line.split() for line in console.file.getvalue().splitlines()]

    lines = printed(-30.0, Answer(0, 1, "hap", {"neu": 0.25, "hap": 0.75}))
    assert [line[0] for line in lines[:3]] == ["level", "neu", "hap"]
    assert [line[1].count("█") for line in lines[:3]] == [20, 10, 30]
    assert lines[2][2:] == ["75", "%", "<"]
    assert printed(-80.0, Answer(0, 1, NO_SPEECH))[3] == ["no", "speech"]
    assert printed(-80.0, Answer(0, 1))[3] == ["listening"]


def test_without_sounddevice_portaudio_or_a_device_there_is_one_line(recognizer, monkeypatch):
    real = builtins.__import__

    def failing(error):
        def find(name, *arguments, **options):
            if name == "sounddevice":
                raise error
            return real(name, *arguments, **options)

        return find

    for error, message in (
        (ImportError("no module"), r"needs sounddevice: pip install 'ser-lightning\[microphone\]'"),
        (OSError("PortAudio library not found"), "needs the library PortAudio"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(builtins, "__import__", failing(error))
            with pytest.raises(UserError, match=message):
                listen(recognizer)

    class PortAudioError(Exception):
        pass

    def no_device(*arguments, **options):
        raise PortAudioError("Error querying device -1")

    monkeypatch.setitem(
        sys.modules, "sounddevice", SimpleNamespace(InputStream=no_device, PortAudioError=PortAudioError)
    )
    with pytest.raises(UserError, match=r"no microphone can be opened .*querying device -1"):
        listen(recognizer)


def test_a_microphone_that_is_unplugged_ends_it_with_one_line(recognizer, monkeypatch):
    class Unplugged:
        """Sends two blocks of silence, and then nothing."""

        def __init__(self, rate, samples, channels, dtype, callback):
            self.send = lambda: callback(np.zeros((samples, channels), dtype=dtype), samples, None, None)

        def start(self):
            self.send()
            self.send()

        __enter__ = start

        def __exit__(self, *error):
            self.send = None

    devices = SimpleNamespace(InputStream=Unplugged, PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", devices)
    monkeypatch.setattr(microphone, "PATIENCE", 0.1)
    with pytest.raises(UserError, match=r"nothing came .*unplugged"):
        listen(recognizer)
