"""Live answers from a microphone, in the terminal: a level meter, and a bar for each class."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ser_lightning.errors import UserError
from ser_lightning.inference.ensemble import NO_SPEECH, Answer

if TYPE_CHECKING:
    from rich.table import Table

    from ser_lightning.inference.recognizer import Recognizer

EXTRA = "pip install 'ser-lightning[microphone]'"
# Seconds from one answer to the next
REFRESH = 0.25
# Seconds without any sound, not even silence, after which a microphone is taken for gone
PATIENCE = 5.0
# dB below full scale where the meter begins
QUIETEST = -60.0
WIDTH = 40


def listen(recognizer: "Recognizer") -> None:
    """Show what is said of the last seconds of a microphone's sound, until Ctrl-C.

    Raises `UserError` without sounddevice, PortAudio or a microphone, when that is unplugged, and where the networks
    need to know who speaks.
    """
    recognizer.refuse_unknown_speakers(["the microphone"])
    from rich.live import Live

    from ser_lightning.terminal import console

    rate = recognizer.ensemble.rate
    with _microphone(rate, round(REFRESH * rate)) as blocks, Live(console=console(), auto_refresh=False) as live:
        try:
            for level, answer in follow(recognizer, blocks):
                live.update(picture(recognizer.classes, level, answer), refresh=True)
        except KeyboardInterrupt:
            # How this is ended is no interruption
            return


def follow(recognizer: "Recognizer", blocks: Iterator[np.ndarray]) -> Iterator[tuple[float, Answer]]:
    """The level of each block of sound [samples], dB below full scale, and what is said of the last window's length.

    The answer on less than a window of sound has no class yet.
    """
    ensemble = recognizer.ensemble
    longest = round(ensemble.window * ensemble.rate)
    heard = np.zeros(0, dtype=np.float32)
    for block in blocks:
        heard = np.concatenate([heard, block])[-longest:]
        level = 10 * np.log10(max(float(np.mean(np.square(block, dtype=np.float64))), 1e-12))
        answer = Answer(0.0, len(heard) / ensemble.rate)
        yield level, answer if len(heard) < longest else recognizer.predict(heard, ensemble.rate)[0]


def picture(classes: tuple[str, ...], level: float, answer: Answer) -> "Table":
    """What is shown of a level in dB and an answer."""
    from rich.table import Table

    table = Table.grid(padding=(0, 1))
    table.add_row("level", _bar((level - QUIETEST) / -QUIETEST), f"{level:.0f} dB")
    for name in classes:
        share = answer.probabilities.get(name)
        mark = "<" if name == answer.label else ""
        table.add_row(name, _bar(share or 0.0), "" if share is None else f"{100 * share:.0f} % {mark}")
    state = NO_SPEECH if answer.label == NO_SPEECH else "" if answer.label else "listening"
    table.add_row("", state, "")
    return table


def _bar(share: float) -> str:
    filled = round(WIDTH * min(1.0, max(0.0, share)))
    return "█" * filled + "·" * (WIDTH - filled)


@contextmanager
def _microphone(rate: int, samples: int) -> Iterator[Iterator[np.ndarray]]:
    """The sound of the system's microphone in blocks of so many samples, mono at `rate` Hz."""
    try:
        import sounddevice
    except ImportError as error:
        raise UserError(f"--microphone needs sounddevice: {EXTRA}") from error
    except OSError as error:
        raise UserError(
            "--microphone needs the library PortAudio, which is not there; Debian's and Ubuntu's package is called "
            "libportaudio2"
        ) from error
    blocks: queue.Queue[np.ndarray] = queue.Queue()

    def keep(block: np.ndarray, frames: int, time: Any, status: Any) -> None:
        blocks.put(block[:, 0].copy())

    try:
        stream = sounddevice.InputStream(rate, samples, channels=1, dtype="float32", callback=keep)
        # Here, for what it may refuse; the `with` below finds it started
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        reason = " ".join(str(error.args[0] if error.args else error).split())
        raise UserError(f"--microphone: no microphone can be opened ({reason}); is one plugged in?") from error
    with stream:
        yield _newest(blocks)


def _newest(blocks: "queue.Queue[np.ndarray]") -> Iterator[np.ndarray]:
    """What has come in since the last time, so that answers keep up with the sound.

    Raises `UserError` when nothing comes any more: PortAudio itself does not tell.
    """
    while True:
        try:
            waiting = [blocks.get(timeout=PATIENCE)]
        except queue.Empty:
            raise UserError(f"--microphone: nothing came from it for {PATIENCE:.0f} s; was it unplugged?") from None
        while not blocks.empty():
            waiting.append(blocks.get())
        yield np.concatenate(waiting)
