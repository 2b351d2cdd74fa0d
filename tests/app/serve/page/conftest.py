"""A browser at the page of a server whose answers are written by the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.app.serve.page.browser import Page, chromium
from tests.app.serve.page.script import Script, with_script
from tests.app.serve.serving import Served, serving

from ragwright.core.config import Config


@pytest.fixture(scope="module")
def script() -> Script:
    """Writes the answers of one module's server."""
    return Script()


@pytest.fixture(scope="module")
def served(small_config: Config, script: Script) -> Iterator[Served]:
    """A server over three documents."""
    with serving(small_config, adapted=lambda found: with_script(script, found)) as running:
        yield running


@pytest.fixture(scope="session")
def session() -> Iterator[Any]:
    """One browser for all tests of the page."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(session: Any, served: Served, script: Script) -> Iterator[Page]:
    """The page, fresh; afterwards nothing may have been refused or have failed."""
    script.reset()
    page = Page(session, served.url).visit()
    page.one("#welcome")
    page.until(lambda: page.many("#welcome-documents *"), "the documents")
    page.complaints()
    yield page
    assert page.complaints() == []
