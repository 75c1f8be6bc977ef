"""The page of `explore` in a browser: from the map to sound, spectrogram, confusions and a second setting."""

import io
import re
import threading
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_lightning.explore import explore
from ser_lightning.inference.server import LocalServer
from tests.inference.explored import COUNT, SOUNDS, samples, simulate
from tests.report.simulated import CLASSES, settings_of

pytestmark = pytest.mark.browser

# How many colours there are among them
COLOURS = """canvas => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return new Set(Array.from({length: pixels.length / 4}, (_, i) => pixels.slice(4 * i, 4 * i + 3).join())).size;
}"""
# What reaches beyond the window, outside of boxes that scroll
WIDE = """() => [...document.querySelectorAll("main *")]
    .filter(one => !one.closest(".matrix") && one.getBoundingClientRect().right > innerWidth + 0.5)
    .map(one => one.tagName + one.id)"""
# Of text, the least contrast of its colour with the ground behind it
CONTRAST = """() => {
    const parse = text => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    const light = colour => {
        const [r, g, b] = colour.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = one => {
        const own = parse(getComputedStyle(one).backgroundColor), share = own.length > 3 ? own[3] : 1;
        if (share === 1) return own.slice(0, 3);
        const below = one.parentElement ? ground(one.parentElement) : [255, 255, 255];
        return below.map((value, channel) => share * own[channel] + (1 - share) * value);
    };
    const texts = [...document.querySelectorAll("main *")].filter(one =>
        one.checkVisibility() && [...one.childNodes].some(child => child.nodeType === 3 && child.data.trim()));
    return Math.min(...texts.map(one => {
        const ink = light(parse(getComputedStyle(one).color).slice(0, 3));
        const [low, high] = [ink, light(ground(one))].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    }));
}"""


@pytest.fixture(scope="module")
def simulation(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("explored") / "project")


@contextmanager
def served(exploration):
    server = LocalServer(exploration.answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.address
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def address(simulation):
    with served(explore(simulation.study, ["loss.lam=0"])) as address:
        yield address


@pytest.fixture
def complaints():
    """What the page and the browser complained of."""
    return []


@pytest.fixture
def open_page(browser, complaints):
    """Opens an address in a window of some width; in the end there must have been no complaint."""
    pages = []

    def open_page(address, width=1100, height=900, **context):
        page = browser.new_page(viewport={"width": width, "height": height}, **context)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#rows button")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert [text for text in complaints if "willReadFrequently" not in text] == []


@pytest.fixture
def page(open_page, address):
    return open_page(address)


def ledger(simulation, lam):
    """A row per test utterance of a setting: id, label, recognised, confidence."""
    tables = []
    for fold in range(2):
        folder = simulation.runs / simulation.signature(settings_of("logmel", lam, 0.5), 0, fold)
        table = pd.read_parquet(folder / "predictions.parquet")
        tables.append(table[table["part"] == "test"])
    table = pd.concat(tables, ignore_index=True)
    logits = table[[f"logit_{name}" for name in CLASSES]].to_numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    recognised = np.array(CLASSES)[logits.argmax(axis=1)]
    return table[["id", "label"]].assign(recognised=recognised, confidence=shares.max(axis=1))


def after(event, already, value):
    """Script that waits on a player for an event, or a state in which it has been, and then gives a value."""
    return f"one => new Promise(done => {{ one.on{event} = () => done({value}); if ({already}) done({value}); }})"


def rows(page):
    """The first line of every row of the list: id, and what stands beside it."""
    return [tuple(text.split("\n")[:2]) for text in page.locator("#rows button").all_inner_texts()]


def choose_a_point(page):
    """Click the map where a point is, found by what is said of points under the pointer; the id of the point."""
    box = page.locator("#map").bounding_box()
    for place in np.random.default_rng(0).uniform([0, 0.1], 1, (400, 2)):
        x, y = box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"]
        page.mouse.move(x, y)
        if text := page.inner_text("#hover"):
            page.mouse.click(x, y)
            return text.split(",")[0]
    raise AssertionError("there is no point on the map")


def test_from_a_point_to_its_sound(page, simulation):
    assert page.inner_text("#caption").startswith("table | paper protocol (random, speaker-dependent) | 2 folds")
    assert "test shares with training: speakers 100 %" in page.inner_text("#caption")
    assert page.inner_text("#count") == f"{COUNT} of {COUNT} test utterances"
    with page.expect_response(re.compile("/sound$")) as waited:
        name = choose_a_point(page)
    response = waited.value
    number = int(name.removeprefix("u"))
    rate, channels, _ = SOUNDS[number % 4]
    assert (response.status, response.headers["content-type"]) == (200, "audio/wav")
    wave, served_rate = soundfile.read(io.BytesIO(page.request.get(response.url).body()), always_2d=True)
    assert (wave.shape, served_rate) == ((samples(number), channels), rate)
    assert page.inner_text("#utterance-title") == name
    # It plays from its beginning to its end
    page.wait_for_selector("#player[src^=blob]")
    player = page.locator("#player")
    assert player.evaluate(after("ended", "one.ended", "one.duration")) == pytest.approx(
        samples(number) / rate, abs=0.01
    )
    assert page.locator("#spectrogram").evaluate(COLOURS) > 100
    row = ledger(simulation, 0.0).set_index("id").loc[name]
    bars = page.locator("#probabilities tr").all_inner_texts()
    shown = {text.split("\t")[0].removesuffix(" (label)"): text.split("\t")[-1] for text in bars}
    assert float(shown[row["recognised"]].removesuffix(" %")) == pytest.approx(100 * row["confidence"], abs=0.06)
    assert [text.split("\t")[0] for text in bars if "(label)" in text] == [f"{row['label']} (label)"]


def test_every_format_is_heard(page):
    for number in range(4):
        page.locator("#rows button", has_text=f"u{number:02d}").click()
        page.wait_for_selector("#player[src^=blob]")
        rate = SOUNDS[number][0]
        assert page.locator("#player").evaluate(
            after("canplay", "one.readyState > 2", "one.duration")
        ) == pytest.approx(samples(number) / rate, abs=0.01)


def test_an_answer_that_comes_late_does_not_take_a_recording_from_the_player(page):
    late = []
    page.route("**/recordings/0/sound", lambda route: route.continue_() if late else late.append(route))
    for number in (0, 1, 0):
        page.locator("#rows button", has_text=f"u{number:02d}").click()
    page.wait_for_selector("#player[src^=blob]")
    source = page.get_attribute("#player", "src")
    with page.expect_response("**/recordings/0/sound"):
        late[0].continue_()
    page.wait_for_timeout(300)
    assert page.get_attribute("#player", "src") == source


def test_a_confusion_opens_its_utterances(page, simulation):
    table = ledger(simulation, 0.0)
    errors = table[table["label"] != table["recognised"]]
    (truth, guess), _ = max(errors.groupby(["label", "recognised"]), key=lambda group: len(group[1]))
    expected = errors[(errors["label"] == truth) & (errors["recognised"] == guess)]
    button = page.get_by_role("button", name=f"labelled {truth}, recognised as {guess}:")
    assert button.inner_text().split("\n")[-1] == str(len(expected))
    button.click()
    assert [name for name, _ in rows(page)] == list(expected.sort_values("confidence", ascending=False)["id"])
    assert page.inner_text("#count").startswith(f"{len(expected)} of {COUNT} test utterances, those labelled {truth}")
    page.click("#rows button")
    page.wait_for_selector("#player[src^=blob]")
    button.click()
    assert page.inner_text("#count") == f"{COUNT} of {COUNT} test utterances"


def test_errors_come_first_and_the_most_confident_on_top(page, simulation):
    table = ledger(simulation, 0.0)
    wrong = table["label"] != table["recognised"]
    order = [
        *table[wrong].sort_values("confidence", ascending=False)["id"],
        *table[~wrong].sort_values("confidence")["id"],
    ]
    assert [name for name, _ in rows(page)] == order


def test_filters(page, simulation):
    table = ledger(simulation, 0.0)
    wrong = table["label"] != table["recognised"]
    drawn = page.locator("#map").evaluate(COLOURS)
    page.select_option("#error", "wrong")
    assert {name for name, _ in rows(page)} == set(table[wrong]["id"])
    page.select_option("#label", label="hap")
    assert {name for name, _ in rows(page)} == set(table[wrong & (table["label"] == "hap")]["id"])
    page.click("text=Show all")
    page.select_option("#speaker", "s1")
    assert {name for name, _ in rows(page)} == {f"u{number:02d}" for number in range(1, COUNT, 3)}
    page.click("text=Show all")
    page.select_option("#run", index=1)
    assert {name for name, _ in rows(page)} == {f"u{number:02d}" for number in range(0, COUNT, 2)}
    cells = page.locator(".matrix small").all_inner_texts()
    assert sum(map(int, cells)) == COUNT // 2
    page.click("text=Show all")
    assert page.locator("#map").evaluate(COLOURS) == drawn


def test_a_second_setting_on_the_same_utterance(page, simulation):
    page.select_option("#second", label=page.locator("#second option").nth(2).inner_text())
    page.wait_for_selector("#names:has-text('B: loss.lam=0.3.')")
    one, other = (ledger(simulation, lam).set_index("id") for lam in (0.0, 0.3))
    fails = [table["label"] != table["recognised"] for table in (one, other)]
    page.select_option("#error", label="A alone is wrong")
    assert {name for name, _ in rows(page)} == set(one.index[fails[0] & ~fails[1]])
    page.select_option("#error", label="both are wrong")
    assert {name for name, _ in rows(page)} == set(one.index[fails[0] & fails[1]])
    name, _ = rows(page)[0]
    page.click("#rows button")
    captions = page.locator("#probabilities caption").all_inner_texts()
    expected = [f"{side}: recognised as {table.loc[name, 'recognised']}" for side, table in (("A", one), ("B", other))]
    assert [caption.split(",")[0] for caption in captions] == expected
    page.click("text=Show all")
    wrong = other[fails[1]]
    (truth, guess), group = max(wrong.groupby(["label", "recognised"]), key=lambda group: len(group[1]))
    page.locator(".matrix").nth(1).get_by_role("button", name=f"labelled {truth}, recognised as {guess}:").click()
    assert [name for name, _ in rows(page)] == list(group.sort_values("confidence", ascending=False).index)


def test_t_sne_takes_the_place_of_principal_components(page, simulation):
    before = page.locator("#map").screenshot()
    with page.expect_response(lambda response: "/maps/" in response.url and response.status == 200):
        page.select_option("#projection", "tsne")
    page.wait_for_selector("#hover:not(:has-text('maps are ready'))")
    assert len(list((simulation.output / "cache" / "maps").glob("*.npy"))) == 2
    assert page.locator("#map").screenshot() != before
    page.select_option("#projection", "pca")
    assert page.locator("#map").screenshot() == before


def test_a_map_that_fails_is_named_and_the_others_are_shown(page, simulation, complaints):
    broken = simulation.signature(settings_of("logmel", 0.0, 0.5), 0, 0)
    page.route(f"**/maps/{broken}", lambda route: route.fulfill(status=500, body="it is damaged"))
    before = page.locator("#map").screenshot()
    page.select_option("#projection", "tsne")
    page.wait_for_selector("#warnings:has-text('fold 0 has no t-SNE map: it is damaged')")
    page.wait_for_selector("#hover:not(:has-text('maps are ready'))")
    assert page.locator("#map").screenshot() != before
    complaints.clear()


def test_a_setting_that_fails_leaves_all_as_it_was(page, complaints):
    page.click("#rows button")
    shown = page.inner_text("main")
    page.route("**/settings/*", lambda route: route.fulfill(status=500, body="it is damaged"))
    for box, index in (("#first", 1), ("#second", 2)):
        page.select_option(box, index=index)
        page.wait_for_selector("#warnings:has-text('That failed: it is damaged')")
        page.evaluate("document.getElementById('warnings').replaceChildren()")
        assert page.inner_text("main") == shown
    assert (page.input_value("#first"), page.input_value("#second")) == ("0", "")
    complaints.clear()
    page.unroute("**/settings/*")
    page.select_option("#first", index=1)
    page.wait_for_selector("#names:has-text('A: loss.lam=0.3.')")


def test_an_utterance_that_a_setting_was_not_tested_on_is_not_shown_under_it(page):
    def shorten(route):
        answer = route.fetch()
        runs = answer.json()["runs"][1:]
        route.fulfill(response=answer, json={"runs": runs})

    page.route("**/settings/1", shorten)
    page.locator("#rows button", has_text="u00").click()
    page.wait_for_selector("#player[src^=blob]")
    page.select_option("#first", index=1)
    page.wait_for_selector("#names:has-text('A: loss.lam=0.3.')")
    assert page.inner_text("#utterance-title") == "Utterance"
    assert page.inner_text("#facts").startswith("None is chosen yet")
    assert not page.locator("#detail").is_visible()
    assert page.locator("#player").evaluate("one => [one.paused, one.networkState]") == [True, 0]


def test_by_keys_alone(page):
    page.locator("#map").focus()
    page.keyboard.press("ArrowRight")
    first = page.inner_text("#utterance-title")
    seen = {first}
    for key in ["ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"] * 3:
        page.keyboard.press(key)
        seen.add(page.inner_text("#utterance-title"))
    assert len(seen) > 3
    page.wait_for_selector("#player[src^=blob]")
    assert page.locator("#player").evaluate("one => one.paused")
    page.keyboard.press("Enter")
    assert page.locator("#player").evaluate(after("playing", "!one.paused || one.ended", "true"))
    page.locator("#rows button").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.locator("#rows button").nth(1).get_attribute("aria-current") == "true"


def test_a_map_is_enlarged_by_its_title(page):
    page.locator("#map").click(position={"x": 30, "y": 10})
    assert page.inner_text("#count") == f"{COUNT // 2} of {COUNT} test utterances"
    page.locator("#map").click(position={"x": 30, "y": 10})
    assert page.inner_text("#count") == f"{COUNT} of {COUNT} test utterances"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1100])
def test_nothing_is_wider_than_the_window_and_all_can_be_read(open_page, address, width, scheme):
    page = open_page(address, width, color_scheme=scheme)
    page.select_option("#second", index=2)
    page.wait_for_selector("#names:has-text('B: loss.lam=0.3.')")
    page.click("#rows button")
    page.wait_for_selector("#player[src^=blob]")
    assert page.evaluate(WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(CONTRAST) >= 4.5
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 24, 27)"
    )


def test_without_recordings_all_else_is_there(open_page, tmp_path):
    simulation = simulate(tmp_path / "project")
    (tmp_path / "project" / "corpus").rename(tmp_path / "moved")
    with served(explore(simulation.study)) as address:
        page = open_page(address)
        assert "Recordings cannot be heard: table: there is no folder" in page.inner_text("#warnings")
        page.click("#rows button")
        assert page.locator("#probabilities .bar").count() == 4
        assert not page.locator("#sound").is_visible()
