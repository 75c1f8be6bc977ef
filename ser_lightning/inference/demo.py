"""A page to record speech on, or to drop a file, and to see what a model makes of it: by gradio."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from ser_lightning.errors import UserError
from ser_lightning.inference.ensemble import NO_SPEECH, Answer
from ser_lightning.inference.limits import harmless
from ser_lightning.inference.predictions import rows_of
from ser_lightning.inference.recognizer import Recognizer
from ser_lightning.inference.recordings import ONE, Item
from ser_lightning.inference.server import HOST
from ser_lightning.inference.timeline import timeline

# What gradio would else ask of servers elsewhere, at its import
OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
TITLE = "Emotion in speech"
DAY = 24 * 60 * 60  # seconds
NOTHING = "Record something, or drop a file."


def load_gradio() -> Any:
    """gradio, which asks no server. Raises `UserError` where it is not installed."""
    os.environ.update(OFFLINE)
    try:
        return import_module("gradio")
    except ImportError as error:
        raise UserError("the page needs gradio: pip install 'ser-lightning[demo]'") from error


def make_page(recognizer: Recognizer, limits: str) -> Any:
    """The page as a gradio app.

    Args:
        recognizer: what answers.
        limits: what must be known of the answers, in Markdown.
    """
    gradio = load_gradio()

    def hear(file: str | None) -> tuple[dict[str, float] | None, Any, str]:
        if file is None:
            return None, gradio.update(visible=False), NOTHING
        # By its path, and read here: what gradio reads itself takes ffmpeg
        item = Item(Path(file).name, Path(file), speaker=ONE)
        ((_, answers),) = recognizer.answer([item])
        rows = rows_of(item, answers, recognizer.classes)
        figure = timeline(rows, recognizer.classes, str(recognizer.source)) if len(rows) > 1 else None
        return overall(answers) or None, gradio.update(value=figure, visible=figure is not None), say(answers)

    # Recordings are removed when they are a day old, and at the end
    with gradio.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(DAY, DAY)) as page:
        gradio.Markdown(f"# {TITLE}")
        with gradio.Row():
            sound = gradio.Audio(sources=["upload", "microphone"], type="filepath", label="Recording", buttons=[])
            label = gradio.Label(label="Emotion, calibrated probability")
        note = gradio.Markdown(NOTHING)
        times = gradio.Plot(show_label=False, visible=False)
        gradio.Markdown(f"Who answers: {harmless(str(recognizer.source))}.")
        gradio.Markdown(limits)
        sound.change(hear, sound, [label, times, note], api_visibility="private")
    return page


def overall(answers: Sequence[Answer]) -> dict[str, float]:
    """class -> probability over a whole recording, the mean over the time in which somebody speaks; empty for none."""
    spoken = [one for one in answers if one.probabilities]
    seconds = [one.end - one.start for one in spoken]
    return {
        name: float(np.average([one.probabilities[name] for one in spoken], weights=seconds))
        for name in (spoken[0].probabilities if spoken else ())
    }


def say(answers: Sequence[Answer]) -> str:
    """What must be known of the answers, in Markdown."""
    notes = dict.fromkeys(one.note for one in answers if one.note)
    silent = sum(one.end - one.start for one in answers if one.label == NO_SPEECH)
    if not overall(answers) and silent:
        return "**No speech** is heard in it, so that nothing is said of it."
    sentences = [f"{note[0].upper()}{note[1:]}." for note in notes]
    if silent:
        sentences.append(f"No speech in {silent:.1f} s of it, which do not count.")
    spread = [max(one.spread.values()) for one in answers if one.spread]
    if spread:
        networks = max(one.networks for one in answers)
        sentences.append(
            f"The mean of {networks} networks; the standard deviation of a probability over them is up to "
            f"{100 * max(spread):.0f} points."
        )
    return " ".join(sentences)


def serve(page: Any, port: int, browser: bool) -> None:
    """Show a page on this machine until Ctrl-C, at a port, 0 for a free one. Raises `UserError` where it is taken."""
    try:
        page.launch(
            server_name=HOST,
            server_port=port or None,
            inbrowser=browser,
            share=False,
            quiet=True,
            footer_links=[],
            ssr_mode=False,
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise UserError(f"the page cannot be served: {error}; --port names another port") from error
    print(f"{page.local_url}  (Ctrl-C ends it)", flush=True)
    try:
        # Not by gradio's own waiting, which says at its end that there was an error
        Event().wait()
    finally:
        page.close(verbose=False)
