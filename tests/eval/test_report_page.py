"""The report in a real browser, opened from disk."""

from __future__ import annotations

import base64
import io
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.eval.report_hostile import HOSTILE, hostile_run
from tests.eval.report_runs import Runs, make_runs
from tests.eval.test_report import large_run

from ragwright.eval.compare import compare
from ragwright.eval.gate import check_gate, parse_requirement
from ragwright.eval.report import write_report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.keys import Keys  # noqa: E402

Browser = Any
"""A `selenium.webdriver.Chrome`; selenium is not there everywhere."""

CONTRAST = """
    const channels = (colour) => {
      const numbers = colour.match(/[\\d.]+/g).map(Number);
      return colour.startsWith('color(') ? numbers.map((n, i) => i < 3 ? n * 255 : n) : numbers;
    };
    const linear = (n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    const light = (rgb) => {
      const [r, g, b] = rgb.map((n) => linear(n / 255));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (node) => {
      for (; node; node = node.parentElement) {
        const found = channels(getComputedStyle(node).backgroundColor);
        if (found.length === 3 || found[3] > 0) return found.slice(0, 3);
      }
      return [255, 255, 255];
    };
    return arguments[0].map((selector) => {
      const node = document.querySelector(selector);
      if (!node) return [selector, 0];
      const pair = [light(channels(getComputedStyle(node).color).slice(0, 3)), light(ground(node))].sort();
      return [selector, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)];
    });
"""
SHOWN: tuple[str, ...] = (
    ".line-text",
    ".hit .source",
    ".hit div .place",
    ".detail mark",
    ".box .text",
    ".chips",
    ".values",
)
SHOWN += (
    "h1",
    "#measures",
    "#slices",
    "#missing",
    "#ingest",
    "#judge",
    "#manifest",
    ".hit .chips",
    ".tools select",
)
READ = ["body", ".muted", ".note", "a", "thead th", ".badge.better", ".tag.failed", ".verdict b", "mark.gold"]
READ += ["mark.evidence", "mark.both", ".place", ".line-time", "button[aria-pressed=true]", "small", "nav a"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium without any network of its own choosing."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium with chromedriver on this machine: the page is not tested in a browser")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield session
    session.quit()


@pytest.fixture(scope="module")
def runs() -> Runs:
    return make_runs()


@pytest.fixture(scope="module")
def report(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    gate = check_gate(compare(runs.run, runs.baseline), [parse_requirement("iou>=-0.01")])
    target = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(runs.run, target, baseline=runs.baseline, gate=gate)


@pytest.fixture
def visit(browser: Browser, report: Path) -> Iterator[Callable[..., Browser]]:
    """Open the report, or another page, at a place and a width; afterwards the console must be silent."""

    def at(
        hash_: str = "",
        *,
        page: Path = report,
        width: int = 1280,
        scheme: str = "light",
        scripts_run: bool = True,
    ) -> Browser:
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get("about:blank")
        browser.get(page.as_uri() + hash_)
        waited = time.monotonic() + 5  # the texts are unpacked beside the rest
        while scripts_run and not many(browser, ".ready") and time.monotonic() < waited:
            time.sleep(0.01)
        return browser

    browser.get_log("browser")
    yield at
    assert browser.get_log("browser") == []


def many(browser: Browser, selector: str) -> list[Any]:
    found: list[Any] = browser.find_elements("css selector", selector)
    return found


def one(browser: Browser, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def ids(browser: Browser) -> list[str]:
    """Ids of the questions in the order in which they are shown."""
    script = "return Array.from(document.querySelectorAll('.line-id'), (each) => each.textContent)"
    shown: list[str] = browser.execute_script(script)
    return shown


def press(browser: Browser, *keys: str) -> None:
    browser.switch_to.active_element.send_keys(*keys)


def test_hostile_text_is_shown_and_does_not_run(visit: Callable[..., Browser], tmp_path: Path) -> None:
    page = write_report(hostile_run(), tmp_path / "hostile.html")
    shown = "".join("\ufffd" if each in "\x00\x1b\ud800\u202e" else each for each in HOSTILE)
    browser = visit("#q-" + quote(shown, safe="!*'()"), page=page)
    assert browser.execute_script("return window.ran") is None
    never = ("img", "iframe", "main script", "svg[onload]", "main a:not([href^='#'])")
    assert [len(many(browser, each)) for each in never] == [0] * len(never)
    assert browser.execute_script("return document.title").startswith("Evaluation of <script>")
    read = "return document.querySelector(arguments[0]).textContent"
    for place in SHOWN:
        assert "<script>window.ran = 1</script>" in browser.execute_script(read, place), place
    assert browser.execute_script(read, ".line-text > span") == shown
    assert len(many(browser, ".detail")) == 1


def test_a_script_that_slips_into_the_page_is_stopped_by_the_policy(
    browser: Browser, report: Path, tmp_path: Path
) -> None:
    page = tmp_path / "slipped.html"
    slip = "<script>window.ran = 1</script><img src='x' onerror='window.ran = 2'>"
    slip += "<p onclick='window.ran = 3'></p>"
    page.write_text(report.read_text().replace("<main", f"{slip}<main", 1))
    browser.get(page.as_uri())
    browser.execute_script("document.querySelector('p[onclick]').click()")
    assert browser.execute_script("return window.ran") is None
    assert len(browser.get_log("browser")) >= 3  # each was refused


def test_filters_show_the_questions_they_name(visit: Callable[..., Browser]) -> None:
    browser = visit()
    assert len(ids(browser)) == 40
    one(browser, "[data-show=empty]").click()
    assert ids(browser) == ["12", "18"]
    assert one(browser, ".count").text == "2 of 40 questions"
    assert one(browser, "[data-show=empty]").get_attribute("aria-pressed") == "true"
    assert browser.current_url.endswith("#show=empty")
    one(browser, "[data-show=failed]").click()
    assert {"12", "18"} <= set(ids(browser)) and len(ids(browser)) < 40


def test_search_finds_all_its_words_in_question_answer_and_source(visit: Callable[..., Browser]) -> None:
    browser = visit()
    one(browser, "input[type=search]").send_keys("WINCH launched")
    texts = [each.text for each in many(browser, ".line-text")]
    assert 0 < len(texts) < 6 and all("launched" in each for each in texts)
    assert any("anchor winch" in each for each in texts)
    one(browser, "input[type=search]").send_keys(Keys.ESCAPE)
    assert len(ids(browser)) == 40


def test_questions_are_sorted_by_any_measure_in_both_directions(
    visit: Callable[..., Browser], runs: Runs
) -> None:
    browser = visit("#sort=value:recall&down=1")
    recall = {row.question_id: row.value for row in runs.run.rows if row.measure == "recall"}
    shown = [recall[each] for each in ids(browser) if each in recall]
    assert shown == sorted(recall.values(), reverse=True)
    assert ids(browser)[-1] not in recall  # what has no value comes last
    many(browser, ".tools > button")[0].click()
    shown = [recall[each] for each in ids(browser) if each in recall]
    assert shown == sorted(recall.values())


def test_a_link_opens_its_question_and_the_address_keeps_the_state(visit: Callable[..., Browser]) -> None:
    browser = visit("#q-17")
    assert one(browser, "[id='q-17'] .line").get_attribute("aria-expanded") == "true"
    assert (
        0
        <= browser.execute_script("return document.getElementById('q-17').getBoundingClientRect().top")
        < 400
    )
    browser = visit("#q-12&show=empty&sort=time")
    assert sorted(ids(browser)) == ["12", "18"] and len(many(browser, ".detail")) == 1
    assert "the encoder did not answer" in one(browser, ".detail").text
    browser.execute_script("location.hash = '#q-3'")  # hidden by the filter
    assert len(ids(browser)) == 40
    assert one(browser, "[id='q-3'] .line").get_attribute("aria-expanded") == "true"
    assert len(many(browser, ".detail")) == 1


def test_keys_move_between_questions_open_them_and_search(visit: Callable[..., Browser]) -> None:
    browser = visit()
    active = "return document.activeElement.closest('li')?.id"
    body = one(browser, "body")
    body.send_keys("j")
    assert browser.execute_script(active) == "q-1"
    press(browser, "j", Keys.ARROW_DOWN, Keys.ARROW_UP)
    assert browser.execute_script(active) == "q-2"
    press(browser, Keys.ENTER)
    assert len(many(browser, "[id='q-2'] .detail")) == 1
    press(browser, "k")  # while one is open, moving opens the next
    assert len(many(browser, "[id='q-1'] .detail")) == 1 and len(many(browser, ".detail")) == 1
    press(browser, Keys.ESCAPE)
    assert not many(browser, ".detail") and browser.execute_script(active) == "q-1"
    press(browser, "/")
    press(browser, "j/")
    assert one(browser, "input[type=search]").get_attribute("value") == "j/"


def test_gold_and_evidence_are_marked_where_they_stand(visit: Callable[..., Browser], runs: Runs) -> None:
    outcome = next(each for each in runs.run.outcomes if each.found and each.question.references)
    browser = visit("#q-" + outcome.question.id)
    browser.execute_script("document.querySelectorAll('.hit').forEach((each) => { each.open = true; })")
    script = "return Array.from(document.querySelectorAll('.hit mark.' + arguments[0]), (n) => n.textContent)"
    gold, evidence, both = (browser.execute_script(script, kind) for kind in ("gold", "evidence", "both"))
    labels = [runs.texts[each.document_id][each.start : each.end] for each in outcome.question.references]
    found = [each.text for hit in outcome.found for each in hit.evidence]
    expected = [f"[evidence: {each}]" for each in found if each not in labels]
    assert evidence == expected[: len(evidence)] and evidence
    assert gold + both and all(each.partition(": ")[2][:-1] in labels for each in gold + both)
    assert both == [f"[gold and evidence: {each}]" for each in found if each in labels]


def test_marks_count_characters_as_python_does(visit: Callable[..., Browser], tmp_path: Path) -> None:
    """A ship is one character, though JavaScript stores it as two."""
    page = write_report(hostile_run("\U0001f6a2\U0001f6a2 ship \U0001f6a2"), tmp_path / "ships.html")
    browser = visit("#show=all", page=page)
    many(browser, ".line")[0].click()
    script = "return Array.from(document.querySelectorAll('.hit mark'), (each) => each.textContent)"
    assert browser.execute_script(script) == [
        "[gold: \U0001f6a2\U0001f6a2 ]",
        "[gold and evidence: ship \U0001f6a2]",
        "[evidence:  gold \U0001f6a2\U0001f6a2 ship \U0001f6a2]",
    ]


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_does_not_scroll_sideways(visit: Callable[..., Browser], tmp_path: Path, width: int) -> None:
    script = "document.querySelectorAll('details').forEach((each) => { each.open = true; });"
    script += "return document.documentElement.scrollWidth"
    assert visit("#q-4", width=width).execute_script(script) <= width
    page = write_report(hostile_run("unbroken" * 60), tmp_path / "long.html")
    assert visit("#q-" + "unbroken" * 60, width=width, page=page).execute_script(script) <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_modes(visit: Callable[..., Browser], scheme: str) -> None:
    browser = visit("#q-4", scheme=scheme)
    ratios = dict(browser.execute_script(CONTRAST, READ))
    assert {name: round(ratio, 2) for name, ratio in ratios.items() if ratio < 4.5} == {}


def test_the_theme_can_be_chosen_on_the_page(visit: Callable[..., Browser]) -> None:
    browser = visit()
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(colour)
    one(browser, "#theme").click()
    assert browser.execute_script(colour) == light
    one(browser, "#theme").click()
    assert browser.execute_script(colour) != light and one(browser, "#theme").text == "Theme: dark"


def test_print_holds_every_part_and_no_controls(visit: Callable[..., Browser]) -> None:
    pdfium = pytest.importorskip("pypdfium2")
    browser = visit("#q-4")
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
    document = pdfium.PdfDocument(io.BytesIO(printed))
    text = " ".join(" ".join(page.get_textpage().get_text_bounded().split()) for page in document)
    for words in (
        "search.evidence",
        "Cluster 200/0",
        "no text on any page",
        "How often is the",
        "Gate passed",
    ):
        assert words in text, words
    assert "Theme" not in text and "Sort" not in text


def test_without_javascript_everything_but_the_questions_is_there(
    visit: Callable[..., Browser], browser: Browser
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        visit(scripts_run=False)
        assert "needs JavaScript" in one(browser, "#questions").text
        for part in ("#measures tbody", "#frontier svg.plot", "#slices table", "#manifest details"):
            assert one(browser, part).is_displayed()
        assert not one(browser, "#theme").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.slow
def test_five_hundred_questions_are_shown_at_once_and_built_as_they_are_needed(
    visit: Callable[..., Browser], tmp_path: Path
) -> None:
    page = write_report(large_run(), tmp_path / "large.html")
    browser = visit(page=page)
    assert len(ids(browser)) < 200
    timing = "return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    assert browser.execute_script(timing) < 3000
    browser.execute_script("location.hash = '#q-499'")
    assert len(many(browser, "[id='q-499'] .hit")) == 10
