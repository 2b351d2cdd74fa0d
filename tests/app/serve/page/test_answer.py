"""One conversation, from the question to the highlighted source."""

from __future__ import annotations

from tests.app.serve.page.browser import ENTER, ESCAPE, Page


def test_an_answer_streams_in_and_its_citation_leads_to_the_highlighted_source(page: Page) -> None:
    """Asked, read, and followed to its source by keyboard alone."""
    page.ask("When does the ferry leave?")
    assert page.text(".turn .text").startswith("The ferry leaves at seven 1")
    assert page.text(".source-list .source-title") == "ferry"
    page.script("document.querySelector('.chip').focus()")
    assert page.focused().startswith("Source 1: ferry")
    page.press(ENTER)
    assert page.text(".panel mark") == "The ferry leaves at seven and returns at nine."
    assert page.focused() == "ferry"
    page.press(ESCAPE)
    page.gone(".panel")
    assert page.focused().startswith("Source 1")
