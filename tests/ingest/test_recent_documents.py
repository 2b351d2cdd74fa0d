"""Documents are remembered while nothing changes, and never after something did."""

from __future__ import annotations

from ragwright.core.types import Document
from ragwright.ingest.recent_documents import RecentDocuments


def _document(key: str, text: str = "text") -> Document:
    return Document(key, f"{key}.md", key, text)


def _reader(reads: list[str], document: Document | None, key: str = "") -> Document | None:
    reads.append(document.id if document else key)
    return document


def test_a_document_is_read_once_while_nothing_is_committed() -> None:
    recent, reads = RecentDocuments(), list[str]()
    for _ in range(3):
        assert recent.get("a", 1, lambda: _reader(reads, _document("a"))) == _document("a")
    assert reads == ["a"]


def test_after_a_commit_everything_is_read_again() -> None:
    recent = RecentDocuments()
    recent.get("a", 1, lambda: _document("a", "old"))
    assert recent.get("a", 2, lambda: _document("a", "new")) == _document("a", "new")
    assert recent.get("a", 1, lambda: _document("a", "older state")) == _document("a", "older state")


def test_where_commits_cannot_be_noticed_nothing_is_remembered() -> None:
    recent, reads = RecentDocuments(), list[str]()
    for _ in range(2):
        recent.get("a", None, lambda: _reader(reads, _document("a")))
    assert reads == ["a", "a"]


def test_a_document_that_is_not_there_may_come_later() -> None:
    recent = RecentDocuments()
    assert recent.get("a", 1, lambda: None) is None
    assert recent.get("a", 1, lambda: _document("a")) == _document("a")


def test_what_was_asked_for_longest_ago_makes_room() -> None:
    recent, reads = RecentDocuments(characters=10), list[str]()
    for key in ("a", "b", "a", "c", "a", "b"):
        recent.get(key, 1, lambda key=key: _reader(reads, _document(key, "four")))  # type: ignore[misc]
    assert reads == ["a", "b", "c", "b"]


def test_a_document_larger_than_all_room_is_read_every_time() -> None:
    recent, reads = RecentDocuments(characters=3), list[str]()
    for _ in range(2):
        recent.get("a", 1, lambda: _reader(reads, _document("a")))
    assert reads == ["a", "a"]
