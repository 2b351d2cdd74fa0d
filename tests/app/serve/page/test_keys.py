"""Keys: asked for, kept for the tab, and deciding what is shown."""

from __future__ import annotations

from typing import Any

import pytest
from tests.app.serve.page.browser import ENTER, Page
from tests.app.serve.page.script import Script
from tests.app.serve.serving import Served, add_key

pytestmark = pytest.mark.slow


def test_a_key_is_asked_for_kept_for_the_tab_and_decides_what_is_shown(
    session: Any, served: Served, script: Script
) -> None:
    script.reset()
    reader = add_key(served.folder, "reader")
    page = Page(session, served.url).visit()
    assert page.text("#key h2") == "This server asks for a key"
    page.one("#key-value").send_keys("rw-wrong", ENTER)
    page.until(
        lambda: "key" in page.text("#key-why").lower() and page.one("#key").get_property("open"), "again"
    )
    page.until(lambda: page.one("#key-value").get_property("value") == "", "an empty field")
    page.one("#key-value").send_keys(reader, ENTER)
    page.one(".shelf li")
    assert reader not in page.session.current_url and page.script("return localStorage.length < 3")
    assert page.script("return sessionStorage.getItem('ragwright.key')") == reader
    page.click("#show-documents")
    page.one(".rows .named")
    assert not page.many(".drop") and not page.many("[aria-label^='Delete']")
    page.ask("When does the ferry leave?")
    page.click(".actions button:nth-of-type(3)")
    assert "Prompt" not in page.text(".trace")
    assert all(reader not in address for address in page.requested())
    page.visit(fresh=False)
    page.one(".chip")
