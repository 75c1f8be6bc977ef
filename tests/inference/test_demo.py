"""The page to record on: what it says of answers, and a recording dropped on it in a browser."""

import os
import re
import signal
import sys
from dataclasses import replace
from importlib import util

import numpy as np
import pytest
import soundfile

from ser_lightning.demo import main
from ser_lightning.errors import UserError
from ser_lightning.inference import demo
from ser_lightning.inference.ensemble import NO_SPEECH, Answer
from ser_lightning.inference.limits import limits
from ser_lightning.inference.sources import find_source
from ser_lightning.report.material import read_material
from tests.commands import interruptible
from tests.inference.trained import STUDY


def answer(start, end, *shares, **fields):
    names = dict(zip(("neu", "ang"), shares, strict=True)) if shares else {}
    return Answer(start, end, max(names, key=names.get) if names else NO_SPEECH, names, **fields)


def test_a_recording_is_the_mean_over_the_time_in_which_somebody_speaks():
    answers = [answer(0, 3, 0.9, 0.1), answer(3, 7), answer(7, 8, 0.5, 0.5)]
    assert demo.overall(answers) == pytest.approx({"neu": (3 * 0.9 + 0.5) / 4, "ang": (3 * 0.1 + 0.5) / 4})
    assert "No speech in 4.0 s" in demo.say(answers)
    assert demo.overall([answer(0, 4)]) == {}
    assert demo.say([answer(0, 4)]).startswith("**No speech**")


def test_what_must_be_known_is_said_once():
    note = "a recording of the study itself"
    spread = {"neu": 0.02, "ang": 0.125}
    answers = [answer(place, place + 1, 0.5, 0.5, spread=spread, networks=4, note=note) for place in range(3)]
    words = demo.say(answers)
    assert words.count("A recording of the study itself.") == 1
    assert "The mean of 4 networks" in words
    assert "up to 12 points" in words
    assert demo.say([Answer(0, 1, note="too short: 0.10 s")]) == "Too short: 0.10 s."


def test_the_limits_are_the_reports_numbers(study):
    source = find_source(STUDY, study.parent.parent, "loss.lam=0.3")
    material = read_material(study, source.runs)
    text = limits(source)
    mean = np.mean([100 * result.ua for result in source.all_results])
    assert f"UA {mean:.1f} %" in text
    assert material.facts.caption in text
    assert "synthetic" in text
    alone = limits(replace(source, study=None, results=source.results[:1], all_results=source.results[:1]))
    assert f"UA {100 * source.results[0].ua:.1f} %, in one run" in alone


def test_without_gradio_one_line_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=r"pip install 'ser-lightning\[demo\]'"):
        main([STUDY])


@pytest.mark.browser
def test_a_file_is_dropped_and_answered(browser, study, tmp_path):
    if not util.find_spec("gradio"):
        pytest.skip("gradio is not installed")
    demo_wave, rate = soundfile.read(sorted((study.parent.parent / "cache" / "corpora").rglob("*.wav"))[0])
    recording, silence = tmp_path / "speech.wav", tmp_path / "silence.wav"
    soundfile.write(recording, 0.5 * demo_wave, rate)
    soundfile.write(silence, 1e-4 * np.random.default_rng(0).normal(size=2 * rate), rate)
    words = [str(study), "--setting", "loss.lam=0", "--no-browser"]
    uploads = tmp_path / "uploads"
    with interruptible("demo", words, cwd=tmp_path, env=os.environ | {"GRADIO_TEMP_DIR": str(uploads)}) as process:
        address = re.match(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        strangers, errors = [], []
        page.on("request", lambda request: strangers.append(request.url) if request.url.startswith("http") else None)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(address)
        assert "synthetic" in page.get_by_text("synthetic").first.inner_text(timeout=60_000)
        for file, words in ((recording, "The mean of 2 networks"), (silence, "No speech")):
            page.set_input_files("input[type=file]", file)
            page.get_by_text(words).first.wait_for(timeout=60_000)
            page.get_by_label("Clear").first.click()
        assert list(uploads.rglob("*.wav"))
        page.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert not [path for path in uploads.rglob("*") if path.is_file()]
    assert not errors
    assert all(url.startswith(address) for url in strangers)
