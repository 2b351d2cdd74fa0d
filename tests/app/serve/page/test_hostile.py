"""Texts that try to run, in every place of the page that shows a text: none does, and nothing leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.app.serve.page.browser import ESCAPE, Page
from tests.app.serve.page.held import upload
from tests.app.serve.page.page_xss import EVERYTHING, PAYLOADS
from tests.app.serve.page.script import Script
from tests.app.serve.serving import Served

from ragwright.core.errors import InputError
from ragwright.core.types import Citation, Span

pytestmark = pytest.mark.slow

NAMES = tuple(each for each in PAYLOADS if "/" not in each and "\\" not in each and len(each) < 100)[:8]
MADE_BY_PAGE = ("script", "style", "link", "base", "meta", "img")
NEVER = "iframe, object, embed, template, video, marquee, body body, form[action], [style*=fixed]"
NEVER += ", [onload], [onerror], [onclick], [onfocus]"

RENDER = """
const [texts, step, done] = arguments;
import('/page/markdown.js').then(({ Markdown, unmarked }) => {
  const shown = texts.map((text) => {
    const place = document.createElement('div');
    const growing = new Markdown(place, (number) => document.createTextNode(`[${number}]`));
    const characters = Array.from(unmarked(text));
    for (let at = 0; at < characters.length; at += step) {
      growing.append(characters.slice(at, at + step).join(''));
    }
    document.body.append(place);
    const nodes = Array.from(place.querySelectorAll('*'));
    const found = {
      markup: place.innerHTML,
      tags: nodes.map((node) => node.localName),
      attributes: nodes.flatMap((node) => node.getAttributeNames()),
      addresses: Array.from(place.querySelectorAll('a'), (node) => node.href),
    };
    place.remove();
    return found;
  });
  done(shown);
}, (error) => done(String(error)));
"""


@pytest.fixture
def watched(page: Page, served: Served) -> Iterator[Page]:
    """The page; afterwards nothing has run, nothing was asked for elsewhere, and nothing needed refusing."""
    own = counts(page)
    page.requested()
    yield page
    time.sleep(0.2)  # for what would run a little later
    assert page.script("return window.ran ?? null") is None
    assert page.script("return window.clobbered ?? null") is None
    assert not page.many(NEVER)
    assert counts(page) == own
    assert page.session.current_url.startswith(served.url)
    elsewhere = {each for each in page.requested() if not each.startswith((served.url, "blob:", "about:"))}
    assert elsewhere == set()
    assert page.complaints() == []


def counts(page: Page) -> dict[str, int]:
    """How many elements there are of each kind that a text must not make."""
    return {name: len(page.many(name)) for name in MADE_BY_PAGE}


def test_there_are_enough_payloads_and_the_watch_sees_what_runs(watched: Page) -> None:
    assert len(PAYLOADS) >= 30 and len(set(PAYLOADS)) == len(PAYLOADS)
    watched.script(
        "const img = new Image(); img.src = 'https://evil.example/x.png';"
        "try { document.createElement('p').setAttribute('onclick', 'window.ran = 1'); } catch {}"
    )
    watched.until(lambda: watched.script("return window.complaints.length > 1"), "what the policy refused")
    complaints = watched.complaints()
    assert "https://evil.example/x.png" in watched.requested()  # which the policy stopped
    assert any("img-src" in each for each in complaints) and any("trusted" in each for each in complaints)
    assert watched.script("return window.ran ?? null") is None


@pytest.mark.parametrize("step", [1, 3, 100_000])
def test_markdown_makes_only_elements_that_do_nothing(watched: Page, step: int) -> None:
    tags = (
        "a blockquote br code del div em h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul"
    )
    attributes = {"class", "dir", "href", "rel", "target", "tabindex", "role", "aria-label", "start", "title"}
    shown = watched.session.execute_async_script(RENDER, [*PAYLOADS, EVERYTHING], step)
    assert isinstance(shown, list), shown
    for payload, found in zip([*PAYLOADS, EVERYTHING], shown, strict=True):
        assert set(found["tags"]) <= set(tags.split()), payload
        assert set(found["attributes"]) <= attributes, payload
        for address in found["addresses"]:
            assert address.startswith(("https://", "http://", "mailto:")), (payload, address)


def test_a_link_says_where_it_leads_unless_its_words_are_its_address(watched: Page) -> None:
    said = {
        "[https://bank.example/?evil.example](https://evil.example)": True,
        "[evil.example](https://evil.example/)": True,
        "https://bank.example@evil.example/": True,
        "https://evil.example/a": False,
        "[https://evil.example/a](https://evil.example/a)": False,
    }
    shown = watched.session.execute_async_script(RENDER, list(said), 100_000)
    assert [" (evil.example)</span>" in found["markup"] for found in shown] == list(said.values())


def test_markdown_does_not_depend_on_how_the_text_was_split(watched: Page) -> None:
    whole, *others = (
        [
            each["markup"]
            for each in watched.session.execute_async_script(RENDER, [*PAYLOADS, EVERYTHING], step)
        ]
        for step in (100_000, 1, 7)
    )
    assert all(each == whole for each in others)


def test_answers_split_across_chunks_run_nothing(watched: Page, script: Script) -> None:
    for step, payload in enumerate(PAYLOADS):
        script.reset(text=f"{payload} [1]", step=1 + step % 5)
        watched.ask("What stands there?")
        watched.click("#new-chat")
    script.reset(text="\n\n".join(PAYLOADS), step=7)
    watched.ask("What stands in all of them?")
    for each in watched.many(".text a"):
        watched.script("arguments[0].dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))", each)
        assert each.get_attribute("rel").startswith("noopener")


def test_questions_run_nothing_also_after_a_reload(watched: Page, script: Script) -> None:
    for payload in (*PAYLOADS[:3], EVERYTHING):
        watched.script(
            "const field = document.querySelector('#question'); field.value = arguments[0]", f"why {payload}"
        )
        watched.ask("")
    assert watched.text(".turn:last-child h2").startswith("why <script>")
    watched.visit(fresh=False)
    watched.until(lambda: len(watched.many(".turn")) == 4, "the conversation")


def test_citations_run_nothing(watched: Page, served: Served, script: Script) -> None:
    """Titles, headings, sources and quotes, in the chip, on the card, in the list and in the panel."""
    with served.client() as client:
        document_id = client.get("/v1/documents").json()["data"][0]["id"]
    span = Span(document_id, 0, 5)
    texts = (EVERYTHING, *PAYLOADS[:8])
    citations = tuple(
        Citation(n, span, text, "exact", text, text, (text, text), 3) for n, text in enumerate(texts, 1)
    )
    script.reset(text="".join(f"Claim {n} [{n}]. " for n in range(1, 10)), citations=citations)
    watched.ask("What do they say?")
    for marker in ("1", "2"):
        watched.script("document.querySelector(`.chip[data-marker='${arguments[0]}']`).focus()", marker)
        assert "<script>" in watched.text(".card")
        watched.press(ESCAPE)
    for marker in ("1", "2"):
        watched.click(f"[data-source='{marker}'] .source-uses")
    watched.click(".chip")
    watched.one(".panel mark")
    script.reset(text=EVERYTHING, refused=True, citations=citations)
    watched.ask("What is near?")
    assert "<script>" in watched.text(".refusal") and "<script>" in watched.text(".source-quote")


def test_documents_and_their_names_run_nothing(watched: Page, served: Served, script: Script) -> None:
    with served.client() as client:
        for name in NAMES:
            upload(client, f"{name}.md", heron(name).encode("utf-8", "replace"))
    watched.visit()
    watched.one(".shelf li")
    watched.click("#show-documents")
    watched.until(lambda: len(watched.many(".rows .named")) >= len(NAMES), "the documents")
    assert "onerror=window.ran" in watched.text(".rows + .rows")
    watched.click(".rows + .rows li:first-child .named button")
    assert "onerror=window.ran" in watched.text(".document")
    script.reset()
    watched.ask("What colour is the heron?")
    watched.click(".chip")
    watched.one(".panel mark")
    watched.click(".actions button:nth-of-type(3)")
    assert "heron" in watched.text(".trace")
    for summary in watched.many(".trace summary"):
        watched.script("arguments[0].click()", summary)


def test_errors_run_nothing(watched: Page, script: Script) -> None:
    for payload in (PAYLOADS[0], PAYLOADS[2], EVERYTHING[:900]):
        script.reset(text="So far.", error=InputError(payload))
        watched.ask("What went wrong?")
        assert len(watched.text(".turn:last-child .failure")) > 20
    watched.visit(
        "/documents/%3Cimg%20src=x%20onerror=window.ran=1%3E?start=%3Cscript%3E&collection=%3Csvg%3E"
    )
    watched.one(".panel h2")
    watched.visit("/traces/%3Csvg%20onload=window.ran=1%3E")
    watched.one(".panel h2")
    told = watched.complaints()  # the console tells of the answers 404 and 422
    assert all("Failed to load resource" in each for each in told)


def test_feedback_runs_nothing(watched: Page, script: Script) -> None:
    watched.ask("When does the ferry leave?")
    watched.click("[aria-label='Bad: this answer']")
    watched.one(".why")
    watched.script("document.querySelector('.why textarea').value = arguments[0]", EVERYTHING[:4000])
    watched.click(".why .primary")
    watched.until(lambda: "Noted" in watched.text(".note"), "the thanks")
    watched.click(".actions button:nth-of-type(3)")
    assert "<script>window.ran = 1</script>" in watched.text(".trace section:last-child")


def test_what_the_browser_kept_runs_nothing(watched: Page) -> None:
    """Whoever could write into the tab's storage would find that it is shown as text, too."""
    turn = {"question": EVERYTHING, "text": EVERYTHING, "citations": [], "refused": False, "support": None}
    turn |= {"traceId": None, "state": "done", "error": {"message": EVERYTHING}, "seconds": 1, "ratings": {}}
    watched.script("sessionStorage.setItem('ragwright.conversation', JSON.stringify([arguments[0]]))", turn)
    watched.visit(fresh=False)
    watched.one(".turn .failure")


def heron(name: str) -> str:
    """A document whose title and text try to run."""
    return f"# {name}\n\nThe heron of {name} is blue.\n\n{EVERYTHING}\n"
