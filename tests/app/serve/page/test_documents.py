"""What stands beside the answers: ratings, traces, documents, choices and the theme."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.app.serve.page.browser import ENTER, Page
from tests.app.serve.page.script import Script, with_script
from tests.app.serve.serving import Served, serving

from ragwright.app.serve.opening import Named
from ragwright.core.config import Config, with_settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(
    small_config: Config, script: Script, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server with a second collection, which is empty."""
    empty = with_settings(small_config, {"workspace": tmp_path_factory.mktemp("empty") / ".ragwright"})
    with serving(
        small_config, Named("empty", empty), adapted=lambda found: with_script(script, found)
    ) as running:
        yield running


def test_answers_and_citations_are_rated_with_reasons(page: Page, served: Served) -> None:
    page.ask("When does the ferry leave?")
    page.click(".actions [aria-label='Bad: this answer']")
    page.until(lambda: page.focused().startswith("Not right") or page.many(".why"), "the form")
    page.click(".why input[value='incomplete']")
    page.one(".why textarea").send_keys("It also returns.")
    page.click(".why .primary")
    page.until(lambda: "Noted" in page.text(".note"), "the thanks")
    assert page.one("[aria-label='Bad: this answer']").get_attribute("aria-pressed") == "true"
    page.click("[data-source='1'] [aria-label='Good: source 1']")
    page.click("[data-source='1'] .why button:not(.primary)")
    with served.client() as client:
        said = client.get("/v1/feedback").json()["data"][:2]
    assert [(each["marker"], each["rating"], each["reasons"], each["text"]) for each in said] == [
        (1, 1, [], ""),
        (None, -1, ["incomplete"], "It also returns."),
    ]
    page.visit(fresh=False)
    assert page.one("[aria-label='Bad: this answer']").get_attribute("aria-pressed") == "true"


def test_the_trace_tells_how_an_answer_came_about(page: Page) -> None:
    page.ask("When does the ferry leave?")
    page.click(".actions button:nth-of-type(3)")
    shown = page.text(".trace")
    for words in (
        "When does the ferry leave?",
        "scripted",
        "encode",
        "search",
        "hit",
        "Answer from the documents.",
    ):
        assert words in shown, words
    page.click(".trace details summary")
    assert page.text(".trace details[open] .passage").startswith("The ferry leaves")
    page.click(".trace details[open] a")
    assert page.text(".panel mark").startswith("The ferry leaves")


def test_a_file_is_uploaded_asked_about_and_deleted(page: Page, script: Script, tmp_path: Path) -> None:
    file = tmp_path / "lighthouse keeper's notes.md"
    file.write_text("# Lighthouse\n\nThe lamp of the lighthouse is lit at dusk by Agnes.\n", encoding="utf-8")
    page.click("#show-documents")
    page.many(".drop input")[0].send_keys(str(file))
    page.until(lambda: "Ready" in page.text(".state"), "the end of the ingest")
    page.click(".state button")
    assert page.one("#question").get_attribute("placeholder") == f"Ask about {file.name}"
    script.reset(text="At dusk [1].")
    page.ask("Who lights the lamp of the lighthouse?")
    page.click(".chip")
    page.until(lambda: "lit at dusk by Agnes" in page.text(".panel mark"), "the new document")
    assert page.text(".panel-below").startswith(file.name), "the name that its sender gave it"
    page.click("#show-documents")
    assert file.name in page.text(".documents") and "uploads/" not in page.text(".documents")
    page.click("[aria-label='Delete Lighthouse']")
    assert page.focused() == "Delete Lighthouse for good"
    page.press(ENTER)
    page.until(lambda: not page.many("[aria-label^='Delete Lighthouse']"), "the end of the document")
    page.ask("Who lights the lamp of the lighthouse?")
    assert "lighthouse" not in page.text(".turn:last-child .source-list").lower()


def test_a_file_is_dropped_anywhere(page: Page) -> None:
    page.script(
        "const dataTransfer = new DataTransfer();"
        "dataTransfer.items.add(new File(['The heron of the quay is grey.'], 'heron.txt'));"
        "for (const type of ['dragover', 'drop']) document.body.dispatchEvent("
        "  new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }))"
    )
    page.until(lambda: "Ready" in page.text(".state"), "the end of the ingest")
    assert page.attribute("body", "class") == ""


def test_a_file_that_cannot_be_read_is_told(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "broken.pdf"
    file.write_bytes(b"%PDF-1.7 nothing")
    page.click("#show-documents")
    page.many(".drop input")[0].send_keys(str(file))
    page.one(".failed .state")
    page.until(lambda: len(page.text(".failed .state")) > 10, "the reason")


def test_collections_and_generators_are_chosen(page: Page, script: Script) -> None:
    asked = len(script.asked)
    page.script(
        "const s = document.querySelector('#choice-generator'); s.value = 'extractive';"
        "s.dispatchEvent(new Event('change'))"
    )
    page.ask("When does the ferry leave?")
    assert len(script.asked) == asked and "returns at nine" in page.text(".text")
    page.one("#choice-collection").send_keys("empty")
    page.until(
        lambda: "no document yet" in page.many("#welcome-documents")[0].get_property("textContent"), "empty"
    )
    page.click("#show-documents")
    assert page.text(".panel-below") == "empty"
    page.visit(fresh=False)
    assert page.one("#choice-collection").get_property("value") == "empty"


def test_the_theme_can_be_chosen_and_stays(page: Page) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = page.script(colour)
    page.click("#theme")
    assert page.script(colour) == light
    page.click("#theme")
    dark = page.script(colour)
    assert dark != light and page.one("#theme").get_attribute("aria-label").startswith("Theme: dark")
    page.visit(fresh=False)
    assert page.script(colour) == dark
