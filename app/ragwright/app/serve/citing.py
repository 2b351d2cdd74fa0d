"""Citations in all the ways that clients read them: in the text, as annotations, and as lists.

An answer's own text holds markers, `[1]`. A client chooses what becomes of them:

    markers   as they are
    links     Markdown links to the place in the document
    footer    as they are, and a Markdown list of sources behind the text
    none      left out

Annotations count characters (code points) of the text that is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import quote, urlencode

from ragwright.core.types import Answer, Citation, Delta, Mark, Span

Style = Literal["markers", "links", "footer", "none"]
Addresses = Callable[[Span], str]
"""Where a place in a document can be looked at."""

SOURCES, NEAREST = "**Sources**", "**Nearest passages**"
_FOOTER_LINE = re.compile(r"\d{1,9}\. \[")
# What Markdown, or HTML inside of it, gives a meaning to. Underscores inside a word have none.
_SPECIAL = re.compile(r"([\\`*\[\]<>&|~$]|(?<!\w)_|_(?!\w))")


def viewer_addresses(base: str, collection: str) -> Addresses:
    """Addresses of the page that shows a document with the cited characters marked.

    Args:
        base: Where clients reach the server, without a slash at the end.
        collection: Where the documents are.
    """

    def address(span: Span) -> str:
        place = urlencode({"start": span.start, "end": span.end, "collection": collection})
        return f"{base}/documents/{quote(span.document_id, safe='')}?{place}"

    return address


@dataclass(frozen=True, slots=True)
class Note:
    """A citation at its place in the text that is sent.

    Attributes:
        index: Which of the answer's notes it is, from 0.
        citation: What is cited.
        start: Where its marker or link begins; without markers, where the text that it supports does.
        end: One past the last character of these.
    """

    index: int
    citation: Citation
    start: int
    end: int


class CitingText:
    """An answer's text as it is sent, piece by piece, and the notes on it."""

    def __init__(self, style: Style, address: Addresses) -> None:
        """Nothing has been sent yet.

        Args:
            style: What becomes of markers.
            address: Of citations.
        """
        self._style = style
        self._address = address
        self._known: dict[int, Citation] = {}
        self._held = ""  # blanks that go with the marker behind them
        self._claim = 0  # where the text begins that the next marker supports
        self._notes = 0
        self.length = 0

    def feed(self, delta: Delta) -> tuple[str, list[Note]]:
        """The characters to send for a piece of the answer, and the notes that stand in them."""
        self._known.update((citation.marker, citation) for citation in delta.citations)
        parts: list[str] = []
        notes: list[Note] = []
        at = 0
        for mark in delta.marks:
            parts.append(self._prose(delta.text[at : mark.start]))
            written, note = self._marked(mark, delta.text[mark.start : mark.end])
            parts.append(written)
            notes += note
            at = mark.end
        parts.append(self._prose(delta.text[at:]))
        return "".join(parts), notes

    def finish(self, answer: Answer) -> str:
        """What is sent behind the last piece."""
        rest, self._held = self._held, ""
        if not rest.strip():
            rest = ""
        shown = self._style == "footer" or (self._style == "links" and answer.refused)
        if shown and answer.citations:
            title = NEAREST if answer.refused else SOURCES
            rest += footer(answer.citations, self._address, title=title)
        self.length += len(rest)
        return rest

    def _prose(self, text: str) -> str:
        """Text without markers, as it is sent now."""
        if self._style != "none":
            return self._sent(text)
        text = self._held + text
        kept = text.rstrip(" \t")
        self._held = text[len(kept) :]
        line = kept.rfind("\n") + 1
        if line or self._claim == self.length:
            claim = kept[line:]
            self._claim = self.length + line + len(claim) - len(claim.lstrip())
        return self._sent(kept)

    def _marked(self, mark: Mark, written: str) -> tuple[str, list[Note]]:
        """A marker as it is sent, and its note; nobody knows of a citation for a marker: neither."""
        citation = self._known.get(mark.marker)
        if citation is None:
            return self._sent(written), []
        if self._style == "none":
            self._held = ""
            start, written = self._claim, ""
            self._claim = self.length
        else:
            start = self.length
            written = self._sent(
                f"[{mark.marker}]({self._address(citation.span)})" if self._style == "links" else written
            )
        note = Note(self._notes, citation, start, self.length)
        self._notes += 1
        return written, [note]

    def _sent(self, text: str) -> str:
        self.length += len(text)
        return text


def footer(citations: Sequence[Citation], address: Addresses, *, title: str) -> str:
    """A list of sources in Markdown, numbered as the markers are, with the empty line before it."""
    lines = [_footer_line(citation, address(citation.span)) for citation in citations]
    return f"\n\n{title}\n\n" + "\n".join(lines)


def _footer_line(citation: Citation, address: str) -> str:
    heading = [each for each in citation.headings[-1:] if each != citation.title]
    place = [*heading, *([f"page {citation.page}"] if citation.page else [])]
    where = f": {_plain(', '.join(place))}" if place else ""
    return f"{citation.marker}. [{_plain(citation.title)}]({address}){where}"


def _plain(text: str) -> str:
    r"""A document's words in one line, as Markdown that shows them as they are.

    >>> _plain("[click](http://x) <b> annual_report")
    '\\[click\\](http://x) \\<b\\> annual_report'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def without_footer(text: str) -> str:
    r"""An earlier answer as it was before its list of sources was added.

    >>> without_footer("35 Nm [1]" + "\n\n**Sources**\n\n1. [Pump](http://h/documents/d?start=0)")
    '35 Nm [1]'
    """
    for title in (SOURCES, NEAREST):
        answer, found, lines = text.rpartition(f"\n\n{title}\n\n")
        if found and all(_FOOTER_LINE.match(line) for line in lines.splitlines()):
            return answer
    return text


def annotation(note: Note, address: Addresses) -> dict[str, Any]:
    """OpenAI's `url_citation`, with more of what is known.

    Its `index` lets the official client put the notes of a stream together.
    """
    citation = note.citation
    return {
        "type": "url_citation",
        "index": note.index,
        "url_citation": {
            "url": address(citation.span),
            "title": citation.title,
            "start_index": note.start,
            "end_index": note.end,
            "file_id": citation.span.document_id,
            "filename": file_name(citation),
            **_details(citation),
        },
    }


def context(answer: Answer, address: Addresses, *, query: str) -> dict[str, Any]:
    """Azure's `message.context`; a refusal's lists the nearest passages, as `rag.refused` says."""
    citations = [
        {
            "content": citation.quote,
            "title": citation.title,
            "url": address(citation.span),
            "filepath": citation.source,
            "chunk_id": _chunk_id(citation, answer),
            "file_id": citation.span.document_id,
            **_details(citation),
        }
        for citation in answer.citations
    ]
    return {"citations": citations, "intent": query}


def listed(citations: Iterable[Citation], address: Addresses) -> list[dict[str, Any]]:
    """Citations by themselves, in marker order."""
    return [
        {
            "document_id": each.span.document_id,
            "title": each.title,
            "url": address(each.span),
            **_details(each),
        }
        for each in citations
    ]


def _details(citation: Citation) -> dict[str, Any]:
    return {
        "marker": citation.marker,
        "quote": citation.quote,
        "state": citation.state,
        "start": citation.span.start,
        "end": citation.span.end,
        "source": citation.source,
        "headings": list(citation.headings),
        "page": citation.page,
    }


def file_name(citation: Citation) -> str:
    """The last part of a document's source."""
    return PurePosixPath(citation.source).name or citation.source


def _chunk_id(citation: Citation, answer: Answer) -> str:
    """The chunk of the answer's hits that holds a citation, or ""."""
    span = citation.span
    for hit in answer.hits:
        held = hit.chunk.span
        if held.document_id == span.document_id and held.start <= span.start and span.end <= held.end:
            return hit.chunk.id
    return ""
