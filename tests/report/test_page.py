"""The page in a browser: it fits every window and paper, can be read in light and dark, sorted and walked through."""

import pandas as pd
import pytest

from ser_lightning.report.document import Report, Section, Table
from ser_lightning.report.page import html_page
from ser_lightning.report.study import report_study
from tests.report.simulated import PAPER_STUDY, Simulation, simulate_paper_study

pytestmark = pytest.mark.browser

# What reaches beyond the window, outside of the boxes that scroll
WIDE = """
() => [...document.querySelectorAll("body *")].filter(node => !node.closest(".wide") && !node.closest("pre")
  && node.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).map(node => node.tagName)
"""

# The lowest contrast of text with its ground, by WCAG 2.1, and what has it
CONTRAST = """
() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const parts = channels(colour).slice(0, 3).map(one => one / 255);
    const [r, g, b] = parts.map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = node => {
    const colour = getComputedStyle(node).backgroundColor;
    return channels(colour)[3] === 0 ? ground(node.parentElement) : colour;
  };
  const own = node => [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
  const texts = [...document.querySelectorAll("body, body *:not(script)")].filter(own).map(node => {
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.tagName];
  });
  return texts.sort((one, other) => one[0] - other[0])[0];
}
"""

# Tables that reach beyond the paper
CUT = (
    "() => [...document.querySelectorAll('table')].filter(one => one.getBoundingClientRect().right > innerWidth).length"
)

UNFOLD = "() => document.querySelectorAll('details').forEach(one => { one.open = true; })"

# A4 less its margins, in CSS pixels
PAPER = round((210 - 2 * 12) / 25.4 * 96)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    simulation = Simulation(tmp_path_factory.mktemp("page"))
    simulate_paper_study(simulation, [job for job in PAPER_STUDY if job[0].startswith("setting")])
    report_study(simulation.study, simulation.runs)
    return simulation.study / "report.html"


@pytest.fixture
def visit(browser, file):
    """Opens the page, or one of another content, and says what the console complains of."""
    contexts = []

    def visit(width=1100, content=None, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page, complaints = contexts[-1].new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if content is None:
            page.goto(file.as_uri())
        else:
            page.set_content(content)
        return page, complaints

    yield visit
    for context in contexts:
        context.close()


def broken_images(page):
    return page.evaluate("() => [...document.images].filter(one => !one.complete || !one.naturalWidth).length")


@pytest.mark.parametrize("width", [360, 768, 1100])
def test_nothing_is_wider_than_the_window(visit, width):
    page, complaints = visit(width)
    page.evaluate(UNFOLD)
    assert (page.evaluate(WIDE), broken_images(page), complaints) == ([], 0, [])
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Fig. 3(b), Fig. 4 twice, Fig. 5, and of either input confusions, speakers, curves and calibration
    assert page.locator("figure img").count() == 12


def test_what_is_too_wide_broken_or_pale_would_be_seen(visit, file):
    ill = file.read_text().replace(
        "<h1 ", '<h1 style="width: 500px; color: #bbb"><img src="data:image/png;base64,AA"', 1
    )
    page, complaints = visit(360, ill.replace("</main>", "</main><script>undefined_function()</script>"))
    assert "H1" in page.evaluate(WIDE)
    assert broken_images(page) == 1
    ratio, name = page.evaluate(CONTRAST)
    # Luminances of #bbb and white: 0.497 and 1, (1 + 0.05) / (0.497 + 0.05)
    assert (round(ratio, 2), name) == (1.92, "H1")
    assert "undefined_function is not defined" in complaints[0]


@pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(22, 24, 27)")])
def test_text_has_the_contrast_that_wcag_asks_for(visit, scheme, ground):
    page, _ = visit(color_scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    assert page.evaluate(CONTRAST)[0] >= 4.5


@pytest.mark.parametrize("width", [360, 1100])
def test_differences_and_scores_need_no_scrolling_on_a_screen(visit, width):
    page, _ = visit(width)
    for title in ("Differences in points", "UA, WA, F1, weighted F1 of all settings"):
        region = page.get_by_role("region", name=title)
        assert region.evaluate("node => node.scrollWidth <= node.clientWidth")


def test_figures_stand_side_by_side_where_there_is_room(visit):
    tops = {}
    for width in (360, 1600):
        page, _ = visit(width)
        panels = page.locator("section", has=page.get_by_role("heading", name="Speakers")).locator(".panel")
        tops[width] = {panels.nth(number).bounding_box()["y"] for number in range(panels.count())}
    assert (len(tops[360]), len(tops[1600])) == (2, 1)


def test_no_table_is_cut_on_paper(visit):
    page, _ = visit(PAPER)
    page.evaluate(UNFOLD)
    page.emulate_media(media="print")
    assert page.evaluate(CUT) == 0
    assert not page.get_by_role("navigation").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_table_is_sorted_by_click_and_by_keyboard(visit):
    shown = pd.DataFrame(
        {
            "setting": ["lam=10", "lam=2", "lam=0.5", "none"],
            "UA": ["+10.2 ± 1.0", "-3.1 ± 1.0", "–", "+9.5"],
            "p": ["0.012", "< 0.001", "–", "0.0097"],
        }
    )
    sections = [Section("Differences", [Table("differences", "Differences", shown, shown)])]
    page, _ = visit(content=html_page(Report("A study", "A claim.", ["Yes."], [], "demo", {}, sections, {}), {}))
    heads = page.get_by_role("columnheader")

    def order():
        names = page.locator("tbody td:first-child").all_inner_texts()
        return names, heads.evaluate_all("heads => heads.map(one => one.getAttribute('aria-sort'))")

    heads.nth(1).get_by_role("button").click()
    assert order() == (["lam=2", "none", "lam=10", "lam=0.5"], [None, "ascending", None])
    page.keyboard.press("Enter")
    # What is not known is last, whichever way
    assert order() == (["lam=10", "none", "lam=2", "lam=0.5"], [None, "descending", None])
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert order() == (["lam=2", "none", "lam=10", "lam=0.5"], [None, None, "ascending"])
    heads.nth(0).get_by_role("button").click()
    assert order()[0] == ["lam=0.5", "lam=2", "lam=10", "none"]


def test_without_script_all_can_be_read(visit):
    page, _ = visit(360, java_script_enabled=False)
    assert page.get_by_role("link", name="Scores").is_visible()
    difference = page.get_by_role("region", name="Differences in points").locator("td[data-head=UA]").first
    assert difference.inner_text().startswith("+14.72")
    assert difference.evaluate("node => getComputedStyle(node, '::before').content") == '"UA"'
    assert page.get_by_role("button").count() == 0


@pytest.mark.parametrize("width", [360, 1100])
def test_contents_stay_and_lead_to_their_sections(visit, width):
    page, _ = visit(width)
    summary, links = page.locator("nav summary"), page.locator("nav a")
    names = links.all_inner_texts() if width == 1100 else links.all_text_contents()
    assert names == ["Answer", *page.locator("h2").all_inner_texts()]
    for name in names[1:]:
        if width == 360:
            assert not links.first.is_visible()
            summary.click()
        page.get_by_role("link", name=name, exact=True).click()
        place = page.get_by_role("heading", name=name, exact=True, level=2).bounding_box()
        assert -1 < place["y"] < 900
        assert summary.bounding_box()["y"] >= 0


def test_every_section_has_one_caption(visit):
    page, _ = visit()
    for section in page.locator("section").all():
        captions = section.locator(".provenance").all_inner_texts()
        assert len(captions) == 1
        assert captions[0].startswith("synthetic demo | paper protocol")


def test_numbers_of_confusions_unfold_behind_their_figure(visit):
    page, _ = visit()
    panel = page.locator(".panel", has=page.get_by_role("img", name="Confusions")).first
    assert not panel.locator("table").first.is_visible()
    panel.locator("summary").click()
    assert panel.locator("table").first.is_visible()
    assert panel.locator("table").count() == 3
