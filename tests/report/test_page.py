"""The page in a browser: nothing is wider than a phone, nothing goes wrong, it is dark where that is asked for."""

import html
import json
import shutil
import subprocess

import pytest

from ser_lightning.report.study import report_study
from tests.report.simulated import PAPER_STUDY, Simulation, simulate_paper_study

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --virtual-time-budget=5000 --enable-logging=stderr --v=0"

# The browser's flags and the colour of the ground
SCHEMES = {
    "light": ([], "rgb(255, 255, 255)"),
    "dark": (["--blink-settings=preferredColorScheme=0"], "rgb(22, 24, 27)"),
}

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]

# What reaches beyond the window, outside of the boxes that scroll; images without content; the ground's colour
LOOK = """
const page = frame.contentDocument, view = frame.contentWindow;
const inside = (of) => of.closest(".wide") || of.closest("pre") || of.getBoundingClientRect().right <= WIDTH + 0.5;
const wide = [...page.querySelectorAll("main *")].filter(of => !inside(of)).map(of => of.tagName);
const broken = [...page.images].filter(of => !of.complete || of.naturalWidth === 0).length;
const ground = view.getComputedStyle(page.body).backgroundColor;
const found = {width: page.documentElement.scrollWidth, wide, broken, images: page.images.length, ground};
document.body.innerHTML = "<pre id=found>" + JSON.stringify(found) + "</pre>";
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    simulation = Simulation(tmp_path_factory.mktemp("page"))
    simulate_paper_study(simulation, [of for of in PAPER_STUDY if of[0].startswith("setting")])
    report_study(simulation.study, simulation.runs)
    return (simulation.study / "report.html").read_text()


def seen(page, tmp_path, width, *flags):
    """What a browser window of this width makes of a page, and what it complains of."""
    wrapper = tmp_path / "window.html"
    look = html.escape(LOOK.replace("WIDTH", str(width)))
    frame = f'<iframe id="frame" width="{width}" height="900" srcdoc="{html.escape(page)}" onload="{look}"'
    wrapper.write_text(f'<!doctype html><body>{frame} style="border: 0"></iframe>')
    command = [CHROMIUM, *FLAGS.split(), *flags, f"--user-data-dir={tmp_path}", "--dump-dom", wrapper.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = done.stdout.partition('<pre id="found">')[2].partition("</pre>")[0]
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found)), complaints


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [360, 1100])
def test_nothing_is_wider_than_the_window(page, tmp_path, width, scheme):
    flags, ground = SCHEMES[scheme]
    found, complaints = seen(page, tmp_path, width, *flags)
    assert (found["wide"], found["broken"], complaints) == ([], 0, [])
    assert found["width"] <= width
    # Fig. 3(b), Fig. 4 twice, Fig. 5, and of either input confusions, speakers, curves and calibration
    assert found["images"] == page.count("<img") == 12
    assert found["ground"] == ground


def test_what_is_too_wide_or_broken_would_be_seen(page, tmp_path):
    ill = page.replace("<h1>", '<h1 style="width: 500px"><img src="data:image/png;base64,AAAA">', 1)
    ill = ill.replace("</main>", "<script>undefined_function()</script></main>")
    found, complaints = seen(ill, tmp_path, 360)
    assert found["width"] > 360
    assert found["wide"][0] == "H1"
    assert found["broken"] == 1
    assert "undefined_function is not defined" in complaints[0]
