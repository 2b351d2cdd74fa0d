"""A generator that writes what a test says, in pieces as small as it says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ragwright.app.serve.collections import Collections
from ragwright.core.errors import RagwrightError
from ragwright.core.types import (
    Answer,
    AnswerEvent,
    AnswerRequest,
    Citation,
    Delta,
    Mark,
    Message,
    Prompt,
)

_MARKER = re.compile(r"\[(\d)\]")


@dataclass
class Script:
    """What is written next; a test changes it before it asks.

    Attributes:
        text: The answer; `[n]` is a marker where there is such a citation.
        cite: Makes the citations, in marker order, of the request.
        step: Characters of a piece.
        pause: Seconds between pieces.
        refused: Whether the answer is a refusal.
        support: Of the answer.
        error: Raised behind the text.
        asked: Requests so far.
    """

    name: str = "scripted"
    text: str = "The ferry leaves at seven [1]."
    step: int = 4
    pause: float = 0.0
    refused: bool = False
    support: float = 0.9
    error: RagwrightError | None = None
    asked: list[AnswerRequest] = field(default_factory=list)
    cite: Callable[[AnswerRequest], tuple[Citation, ...]] = field(default_factory=lambda: evidence)

    def reset(self, *, citations: tuple[Citation, ...] | None = None, **changed: Any) -> None:
        """Write something else from now on.

        Args:
            citations: Whatever is asked; None: the evidence that is found.
            changed: Other attributes; the rest is as at first.
        """
        fixed = {} if citations is None else {"cite": lambda request: citations}
        for name, value in {**vars(Script()), **fixed, **changed}.items():
            setattr(self, name, value)

    async def stream(self, request: AnswerRequest) -> AsyncGenerator[AnswerEvent, None]:
        """Write it."""
        self.asked.append(request)
        yield Prompt((Message("system", "Answer from the documents."), Message("user", request.question)), 42)
        citations = self.cite(request)
        known = {each.marker: each for each in citations}
        for piece in self._pieces(known):
            yield piece
            await asyncio.sleep(self.pause)
        if self.error is not None:
            raise self.error
        yield Answer(self.text, citations, request.hits, refused=self.refused, support=self.support)

    def _pieces(self, known: dict[int, Citation]) -> list[Delta]:
        """Text in small pieces, each marker in one of its own."""
        pieces: list[Delta] = []
        new = dict(known)
        at = 0
        for found in _MARKER.finditer(self.text):
            if (number := int(found[1])) not in known:
                continue
            pieces += self._prose(self.text[at : found.start()])
            cited = (new.pop(number),) if number in new else ()
            pieces.append(Delta(found[0], cited, (Mark(0, 3, number),)))
            at = found.end()
        return pieces + self._prose(self.text[at:])

    def _prose(self, text: str) -> list[Delta]:
        return [Delta(text[at : at + self.step]) for at in range(0, len(text), self.step)]


def evidence(request: AnswerRequest) -> tuple[Citation, ...]:
    """Citations of the evidence that was found, best first."""
    found = [(hit, each) for hit in request.hits for each in hit.evidence]
    return tuple(
        Citation(
            number, each.span, each.text, "exact", hit.source, hit.title, hit.chunk.headings, hit.chunk.page
        )
        for number, (hit, each) in enumerate(found, 1)
    )


def with_script(script: Script, collections: Collections) -> Collections:
    """The collections, all of whose answers a script writes unless a person chooses otherwise."""
    return Collections(
        {
            each.name: replace(each, generators={script.name: script, **each.generators})
            for each in collections
        }
    )
