"""Citations: chips, cards and the list of sources, refusals and weak support."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.app.serve.page.browser import ESCAPE, SHIFT, TAB, Page
from tests.app.serve.page.held import cited
from tests.app.serve.page.script import Script
from tests.app.serve.serving import Served

pytestmark = pytest.mark.slow


def test_chips_and_sources_lead_to_each_other(page: Page, served: Served, script: Script) -> None:
    ferry = cited(served, "ferry.txt")
    crane = cited(served, "crane.txt", marker=2)
    text = "Boats go early. They leave at seven [1]. Cranes lift **forty** tons [2][1].\n\nUncited words."
    script.reset(text=text, citations=(ferry, crane))
    page.ask("What of boats and cranes?")
    tinted = "return [...(CSS.highlights.get('claim') || [])].map((range) => range.toString().trim())"
    page.click("[data-source='1'] .source-uses")
    assert page.script(tinted) == ["They leave at seven", "Cranes lift forty tons"]
    assert page.one("[data-source='1'] .source-uses").get_attribute("aria-pressed") == "true"
    assert len(page.many(".chip.marked")) == 2
    assert "cited 2 times" in page.text("[data-source='1']")
    page.click("[data-source='1'] .source-uses")
    assert page.script(tinted) == [] and not page.many(".marked")
    page.click(".chip[data-marker='2']")
    page.one(".panel mark")
    assert "marked" in page.one("[data-source='2']").get_attribute("class")
    page.click(".panel [aria-label='previous citation']")
    page.until(lambda: page.text("#panel-title") == "ferry", "the other document")
    assert "marked" in page.one("[data-source='1']").get_attribute("class")


def test_the_card_opens_on_focus_and_on_hover_and_escape_closes_it(page: Page) -> None:
    from selenium.webdriver import ActionChains

    page.ask("When does the ferry leave?")
    page.press(SHIFT, TAB)  # from the field into the answer, where the last stop is a rating
    page.script("document.querySelector('.chip').focus()")
    card = page.one(".card")
    for words in ("ferry", "exact", "word for word", "returns at nine", "Open in its document"):
        assert words in card.text
    page.press(TAB)
    assert page.focused() == "Open in its document"
    page.press(ESCAPE)
    page.gone(".card")
    assert page.focused().startswith("Source 1")
    page.script("document.activeElement.blur()")
    ActionChains(page.session).move_to_element(page.one(".chip")).perform()
    card = page.one(".card")
    ActionChains(page.session).move_to_element(card).perform()
    time.sleep(0.5)
    assert card.is_displayed()
    ActionChains(page.session).move_to_element(page.one(".asked h2")).perform()
    page.gone(".card")


@pytest.mark.parametrize(
    ("state", "sign", "word"), [("normalised", "≈", "same words"), ("elsewhere", "↷", "elsewhere")]
)
def test_a_state_other_than_exact_is_seen_without_colour(
    page: Page, served: Served, script: Script, state: Any, sign: str, word: str
) -> None:
    script.reset(citations=(cited(served, "ferry.txt", state=state),))
    page.ask("When does the ferry leave?")
    chip = page.one(".chip")
    seen = "return getComputedStyle(document.querySelector('.chip-number'), '::after').content"
    assert sign in page.script(seen) and chip.get_attribute("aria-label") == f"Source 1: ferry, {word}"
    assert word in page.text("[data-source='1'] .tag")
    assert page.script("return getComputedStyle(arguments[0]).borderStyle", chip) == "dashed"


def test_what_only_looks_like_a_marker_stays_text(page: Page, script: Script) -> None:
    script.reset(text="As in [7], `see [1]` and [2](x): seven [1].")
    page.ask("When does the ferry leave?")
    assert len(page.many(".chip")) == 1
    assert page.text(".text code") == "see [1]" and "As in [7]," in page.text(".text")


def test_a_refusal_shows_the_nearest_passages(page: Page, script: Script) -> None:
    script.reset(text="The documents do not answer this.", refused=True)
    page.ask("How high is the ferry?")
    assert page.text(".refusal h3") == "Not in your documents"
    assert page.text(".sources h3").startswith("Nearest passages")
    assert "The ferry leaves at seven" in page.text(".source-quote")
    page.click(".source-uses")
    assert page.text(".panel mark").startswith("The ferry leaves")


def test_low_support_is_told(page: Page, script: Script) -> None:
    script.reset(support=0.41)
    page.ask("When does the ferry leave?")
    assert page.text(".notice").startswith("Weakly supported.")
    script.reset(support=0.8)
    page.click(".retry")
    page.gone(".weak")
