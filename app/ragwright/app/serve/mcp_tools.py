"""What the tools of the MCP server give back, and how it is made of hits and documents."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from ragwright.core.errors import InputError
from ragwright.core.types import Hit, Span

if TYPE_CHECKING:
    from ragwright.app.serve.answering import AnswerService
    from ragwright.app.serve.citing import Addresses
    from ragwright.app.serve.collections import Collection, Collections
    from ragwright.app.serve.values import Caller
    from ragwright.core.types import Chunk, Document, Scope

MOST_HITS = 50
AROUND = 2_000
"""Characters that `fetch` gives on both sides of a passage."""

PAGE = 20_000
"""Characters that `fetch` gives at most."""

_CHUNK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class ToolCaller:
    """On whose behalf a tool is called.

    Attributes:
        service: What is asked.
        caller: Who asks; nothing outside of their scope is ever told.
        addresses: Of places in documents, by collection.
    """

    service: AnswerService
    caller: Caller
    addresses: Callable[[Collection], Addresses]


class FoundSentence(BaseModel):
    """A place that supports an answer."""

    text: str
    start: int = Field(description="First character in the document's text.")
    end: int


class FoundPassage(BaseModel):
    """A passage that was found."""

    id: str = Field(description="For fetch: the passage in its surroundings.")
    title: str
    url: str = Field(description="Where people can look at it.")
    evidence: list[FoundSentence] = Field(description="What answers the query best, to be quoted exactly.")
    text: str = Field(description="The whole passage.")
    source: str
    page: int | None
    headings: list[str] = Field(description="Titles above it, outermost first.")
    start: int = Field(description="First character in the document's text.")
    end: int
    document: str = Field(description="For fetch: the whole document.")


class FoundPassages(BaseModel):
    """What was found, best first."""

    results: list[FoundPassage]


class FetchedText(BaseModel):
    """A document's text, or a part of it."""

    id: str
    title: str
    text: str
    url: str = Field(description="Where people can look at it.")
    metadata: dict[str, str]
    source: str
    start: int = Field(description="Where the text begins in the document's.")
    end: int
    characters: int = Field(description="Length of the document's whole text.")
    next: int | None = Field(description="What to fetch as `start` in order to read on; null at the end.")
    passage: FoundSentence | None = Field(description="The passage that was asked for; null for a document.")


class ListedCollection(BaseModel):
    """Documents that are searched together."""

    name: str
    default: bool = Field(description="Whether it is searched when no collection is named.")
    domain: str = Field(description="The kind of documents it is made for.")


class ListedCollections(BaseModel):
    """What can be searched."""

    collections: list[ListedCollection]


@dataclass(frozen=True, slots=True)
class Place:
    """What an id names.

    Attributes:
        document: As the caller may see it.
        passage: Of the document; None where the id names the document itself.
    """

    document: Document
    passage: Span | None


def shown_hit(hit: Hit, prefix: str, address: Addresses) -> FoundPassage:
    """A hit as `search` gives it."""
    chunk = hit.chunk
    return FoundPassage(
        id=prefix + chunk.id,
        title=hit.title,
        url=address(chunk.span),
        evidence=[
            FoundSentence(text=each.text, start=each.span.start, end=each.span.end) for each in hit.evidence
        ],
        text=chunk.text,
        source=hit.source,
        page=chunk.page,
        headings=list(chunk.headings),
        start=chunk.span.start,
        end=chunk.span.end,
        document=prefix + chunk.span.document_id,
    )


def shown_place(name: str, place: Place, address: Addresses, *, start: int | None) -> FetchedText:
    """What `fetch` gives: at most `PAGE` characters.

    Args:
        name: The id that was asked for.
        place: What it names.
        address: Of places in the document.
        start: Where to begin; None: at the document's beginning, or `AROUND` characters before the passage.

    Raises:
        InputError: The document ends before.
    """
    document, passage = place.document, place.passage
    begin, end = _part(place, start)
    if begin > len(document.text):
        raise InputError(f"start is {begin}, and the document has {len(document.text)} characters")
    shown = passage or Span(document.id, begin, end)
    return FetchedText(
        id=name,
        title=document.title,
        text=document.text[begin:end],
        url=address(shown),
        metadata=dict(document.metadata),
        source=document.source,
        start=begin,
        end=end,
        characters=len(document.text),
        next=end if end < len(document.text) else None,
        passage=None if passage is None else _sentence(document, passage),
    )


def _part(place: Place, start: int | None) -> tuple[int, int]:
    """Where the text to be shown begins and ends."""
    length, passage = len(place.document.text), place.passage
    if start is not None:
        return start, min(start + PAGE, length)
    if passage is None:
        return 0, min(PAGE, length)
    begin = max(0, passage.start - AROUND)
    return begin, min(passage.end + AROUND, begin + PAGE, length)


def _sentence(document: Document, span: Span) -> FoundSentence:
    return FoundSentence(text=document.text[span.start : span.end], start=span.start, end=span.end)


def prefix_of(collection: Collection, collections: Collections) -> str:
    """What stands before the ids of a collection, so that they name it; nothing for the first one."""
    return "" if collection is collections.get(None) else f"{collection.name}/"


def named_place(name: str, collections: Collections, scope: Scope) -> tuple[Collection, Place]:
    """What an id of `search` names; for threads.

    Raises:
        InputError: It names nothing that the scope allows; the words are the same whether it exists or not.
    """
    folder, slash, key = name.rpartition("/")
    known = {each.name: each for each in collections}
    collection = known.get(folder) if slash else collections.get(None)
    place = None if collection is None else _place(collection, key, scope)
    if collection is None or place is None:
        raise InputError("there is no passage or document of this id; take ids from search")
    return collection, place


def _chunk(collection: Collection, key: str, scope: Scope) -> Chunk | None:
    """A chunk that a scope allows and that belongs to a document."""
    with collection.workspace.in_use() as found:
        if found is None:
            return None
        version, _, index = found
        stored = index.fetch([key]).get(key)
        hidden = key in collection.workspace.catalog.strays(version)
    return None if stored is None or hidden or not scope.allows(stored.access) else stored.chunk


def _place(collection: Collection, key: str, scope: Scope) -> Place | None:
    catalog = collection.workspace.catalog
    if collection.workspace.existing_live() is None:
        return None
    if not _CHUNK_ID.fullmatch(key):
        document = catalog.visible(key, scope)
        return None if document is None else Place(document, None)
    chunk = _chunk(collection, key, scope)
    if chunk is None:
        return None
    document = catalog.visible(chunk.span.document_id, scope)
    # Another version of the document may have been committed since the index was asked.
    if document is None or document.text[chunk.span.start : chunk.span.end] != chunk.text:
        return None
    return Place(document, chunk.span)
