"""Documents are listed and shown to whom they belong, a window at a time; nobody else learns of them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.app.serve.serving import Served

from ragwright.app.serve.documents import MOST_CHARACTERS, span_of, view
from ragwright.app.serve.values import LOCAL
from ragwright.core.types import Block, Document


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as open_client:
        yield open_client


def test_documents_are_listed_page_by_page(client: httpx.Client) -> None:
    first = client.get("/v1/documents", params={"limit": 2}).json()
    then = client.get("/v1/documents", params={"limit": 2, "after": first["next"]}).json()
    assert (first["has_more"], then["has_more"], then["next"]) == (True, False, None)
    sources = [each["source"] for each in (*first["data"], *then["data"])]
    assert sources == ["docs/harbour.md", "docs/mail/crane.txt", "docs/mail/ferry.txt"]
    crane = first["data"][1]
    assert (crane["title"], crane["media_type"], crane["characters"]) == ("crane", "text/plain", 45)
    assert crane["chunks"] == 1
    assert crane["groups"] == []


def test_a_document_is_shown_with_its_blocks(client: httpx.Client) -> None:
    listed = client.get("/v1/documents").json()["data"][0]
    shown = client.get(f"/v1/documents/{listed['id']}").json()
    assert shown["text"].startswith("# Harbour")
    assert [block["kind"] for block in shown["blocks"]] == ["title", "paragraph"]
    assert shown["total_characters"] == len(shown["text"]) == shown["span"]["end"]
    assert shown["media_type"] == "text/markdown"
    assert shown["name"] is None, "it was not uploaded"
    assert shown["page"] is None
    assert shown["may_delete"] is True


def test_a_window_of_a_document_says_where_it_stands(client: httpx.Client) -> None:
    listed = client.get("/v1/documents").json()["data"][0]
    shown = client.get(f"/v1/documents/{listed['id']}", params={"start": 11, "end": 10_000}).json()
    assert shown["text"].startswith("The harbour master")
    assert (shown["offset"], shown["span"]["start"]) == (11, 11)
    assert [block["kind"] for block in shown["blocks"]] == ["paragraph"]


@pytest.mark.parametrize("asked", [{"start": 5, "end": 4}, {"start": 10_000}, {"start": -1}, {"end": "x"}])
def test_characters_that_a_document_lacks_are_refused(client: httpx.Client, asked: dict[str, str]) -> None:
    listed = client.get("/v1/documents").json()["data"][0]
    answer = client.get(f"/v1/documents/{listed['id']}", params=asked)
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] in ("start", "end")


@pytest.mark.parametrize("path", ["0" * 24, "x", "..%2f..%2fetc%2fpasswd", "%00", "a" * 3000, "jobs/x", "💥"])
def test_what_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/v1/documents/{path}")
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_a_collection_that_is_not_served_is_not_found(client: httpx.Client) -> None:
    for path in ("/v1/documents", "/v1/documents/x", "/v1/documents/jobs"):
        answer = client.get(path, params={"collection": "other"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "collection")


@given(
    length=st.integers(0, 500_000),
    start=st.none() | st.integers(0, 600_000),
    end=st.none() | st.integers(0, 10**12),
)
def test_a_window_is_what_was_asked_for_as_far_as_it_fits(
    length: int, start: int | None, end: int | None
) -> None:
    document = Document("d", "d.txt", "D", "x" * length, (Block("paragraph", 0, length),))
    begin, stop = start or 0, length if end is None else min(end, length)
    if begin > stop:
        return
    shown = view(document, span_of(document, start, end), collection="c", who=LOCAL)
    assert shown.offset == begin
    assert len(shown.text) == min(stop - begin, MOST_CHARACTERS)
