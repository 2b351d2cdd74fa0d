"""The source: a document around its quote, in windows, and the page of a PDF."""

from __future__ import annotations

import io

import pytest
from tests.app.serve.page.browser import END, Page
from tests.app.serve.page.held import cited, found, found_named, upload
from tests.app.serve.page.script import Script
from tests.app.serve.serving import Served

from ragwright.core.types import Citation, Span

pytestmark = pytest.mark.slow


def test_offsets_count_characters_and_long_texts_come_in_windows(
    page: Page, served: Served, script: Script
) -> None:
    body = "\n".join(f"Line {n} of the log 👩‍🔧 with a wrench 🔧." for n in range(1200))
    with served.client() as client:
        upload(client, "log.txt", body.encode())
    document_id, document = found_named(served, "log")
    start = body.index("Line 600 ")
    end = body.index("\n", start)
    span = Span(document_id, start, end)
    script.reset(citations=(Citation(1, span, body[start:end], "exact", document["source"], "log"),))
    page.ask("What does line 600 say?")
    page.click(".chip")
    assert page.text(".panel mark") == body[start:end] and not page.many(".panel .weak")
    shown = page.text(".document")
    assert len(shown) < 20_000 and shown in body
    page.one(".panel-body").send_keys(END)
    page.until(lambda: len(page.text(".document")) > len(shown) + 5000, "later text")
    page.click(".panel .more")
    page.until(lambda: page.text(".document").index("Line 600 ") > 8000, "earlier text")
    assert page.text(".document") in body and page.text(".panel mark") == body[start:end]


def test_a_document_that_changed_since_is_told(page: Page, served: Served, script: Script) -> None:
    script.reset(citations=(cited(served, "ferry.txt", quote="The ferry leaves at five."),))
    page.ask("When does the ferry leave?")
    page.click(".chip")
    assert "The document has changed since" in page.text(".panel .weak")


def test_an_address_opens_its_place_and_its_trace(page: Page, served: Served) -> None:
    document_id, document = found(served, "crane.txt")
    start = document["text"].index("forty")
    page.visit(f"/documents/{document_id}?start={start}&end={start + 10}&collection=documents")
    assert page.text(".panel mark") == "forty tons"
    page.visit("/documents/nothing?start=1&end=2")
    assert "no such document" in page.text(".panel-body")
    assert any("404" in each for each in page.complaints())  # the console tells of the answer


def test_a_page_of_a_pdf_is_shown_with_the_quote_framed(page: Page, served: Served, script: Script) -> None:
    made = io.BytesIO()
    canvas = pytest.importorskip("reportlab.pdfgen.canvas").Canvas(made, pagesize=(400, 300))
    for number, words in enumerate(("Nothing stands here.", "The gate opens at nine in the morning."), 1):
        canvas.drawString(50, 200, f"Sheet {number}. {words}")
        canvas.showPage()
    canvas.save()
    with served.client() as client:
        upload(client, "gate.pdf", made.getvalue())
    document_id, document = found_named(served, "gate")
    start = document["text"].index("The gate")
    span = Span(document_id, start, start + len("The gate opens at nine in the morning."))
    quote = document["text"][start : span.end]
    script.reset(citations=(Citation(1, span, quote, "exact", document["source"], "gate", (), 2),))
    page.ask("When does the gate open?")
    page.click(".chip")
    page.one(".sheet .box")
    assert page.attribute("canvas", "aria-label") == "Page 2, the quote framed"
    left, top = page.script(
        "const box = document.querySelector('.box').getBoundingClientRect();"
        "const sheet = document.querySelector('.sheet').getBoundingClientRect();"
        "return [(box.left - sheet.left) / sheet.width, (box.top - sheet.top) / sheet.height]"
    )
    # The line stands a third below the top, and begins behind the left margin.
    assert 0.25 < top < 0.4 and 0.1 < left < 0.4
    assert page.script(
        "const c = document.querySelector('canvas');"
        "const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
        "return data.some((value, place) => place % 4 === 0 && value < 100)"
    )
    page.click(".panel [aria-label='previous page']")
    page.until(lambda: page.attribute("canvas", "aria-label") == "Page 1", "the first page")
    assert page.text(".panel mark") == quote
