"""What the served collection holds: looking it up, adding to it, and citing it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import httpx
from tests.app.serve.serving import Served

from ragwright.core.types import Citation, Span


def cited(served: Served, source: str, **changed: Any) -> Citation:
    """A citation of the first sentence of a document."""
    document_id, document = found(served, source)
    text = document["text"]
    start = text.index("The ")
    end = text.index(".", start) + 1
    span = Span(document_id, start, end)
    made = Citation(1, span, text[start:end], "exact", document["source"], document["title"])
    return replace(made, **changed)


def found(served: Served, source: str) -> tuple[str, dict[str, Any]]:
    """Id and view of the document whose source ends so."""
    with served.client() as client:
        listed = client.get("/v1/documents").json()["data"]
        document_id = next(each["id"] for each in listed if each["source"].endswith(source))
        return document_id, client.get(f"/v1/documents/{document_id}").json()


def upload(client: httpx.Client, name: str, content: bytes) -> None:
    """Upload a file and wait until it is found."""
    job = client.post("/v1/documents", files={"file": (name, content)}).json()
    ends = time.monotonic() + 30
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < ends
        time.sleep(0.05)
        job = client.get(f"/v1/documents/jobs/{job['id']}").json()
    assert job["state"] == "done", job


def found_named(served: Served, title: str) -> tuple[str, dict[str, Any]]:
    """Id and view of the document with this title, or file name."""
    with served.client() as client:
        for each in client.get("/v1/documents").json()["data"]:
            view: dict[str, Any] = client.get(f"/v1/documents/{each['id']}").json()
            if title in (view["title"], view["metadata"].get("name", "").rpartition(".")[0]):
                return each["id"], view
    raise AssertionError(f"no document {title}")
