"""Documents cut by the real chunker, and a search by shared words, for tests of questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from tests.tokenizer import WordPieceTokenizer

from ragwright.core.profile import Profile, load_profile
from ragwright.core.protocols import Chunker
from ragwright.core.types import Chunk, Hit, Span
from ragwright.finetune.questions.asking import Subject
from ragwright.finetune.questions.vocabulary import stems
from ragwright.finetune.values import LabelledQuestion
from ragwright.ingest.chunk import build_chunker
from ragwright.ingest.texts import as_document

MANUAL = """# Kestrel 330 Manual

## 1. Brakes

The brake pads are changed by a fitter. A new pad measures 30 mm. If a pad is cracked, you must stop the unit
and call the duty engineer. The pads are checked every 28 days, because dust wears them quickly.

A wheel flat is a place on the tread where the wheel has slid.

## 2. Changing the pads

1. Open the caliper with the blue key.
2. Remove the old pads from both sides.
3. Close the caliper again.

## 3. Torque table

| Joint | Thread | Torque in Nm |
|---|---|---|
| Axlebox cover | M16 | 215 |
| Spring seat | M20 | 360 |

## What should I do with worn pads?

Worn pads go into the red bin behind the workshop. The bin is emptied by the contractor on Fridays.
"""

POLICY = """# Harbour Club Privacy Policy

## Sharing

We may share your personal information with third parties to offer you services. We never sell your photos.

You may opt out of our newsletter by clicking the link in each message.

## Cookies

We use cookies on our website. For the following reasons we store them:

- to remember your language
- to count visitors

The General Berth Register (GBR) is kept in the harbour office.
"""

FERRY = """The ferry leaves the quay at seven and returns at nine. Dogs travel free of charge on the upper
deck. In winter the ferry does not sail on Mondays. The company acquired the vessel in 1987 for $2 million.
"""


@cache
def chunker(domain: str = "general") -> Chunker:
    return build_chunker(load_profile(domain), WordPieceTokenizer())


def subject(source: str, text: str, *, profile: Profile | None = None) -> Subject:
    """A document as questions are made of it."""
    document = as_document(source, text)
    return Subject(document, tuple(chunker()(document)), profile or load_profile("general"))


@cache
def subjects() -> tuple[Subject, ...]:
    """Three small documents."""
    return (subject("ferry.txt", FERRY), subject("manual.md", MANUAL), subject("policy.md", POLICY))


def hit(chunk: Chunk, source: str, score: float = 1.0) -> Hit:
    return Hit(chunk, source, source, score, {})


def finder(found: Sequence[Subject]) -> Callable[[Sequence[str]], list[list[Hit]]]:
    """A search by shared words."""
    return lambda texts: [_ranked(text, found) for text in texts]


def inside(found: Sequence[Subject]) -> Callable[[Sequence[str], Sequence[str]], list[list[Hit]]]:
    """The same within one document."""
    by_source = {each.source: [each] for each in found}
    return lambda texts, sources: [
        _ranked(text, by_source[source]) for text, source in zip(texts, sources, strict=True)
    ]


def _ranked(text: str, found: Sequence[Subject]) -> list[Hit]:
    asked = stems(text)
    hits = [hit(chunk, each.source, len(asked & _words(chunk))) for each in found for chunk in each.chunks]
    return sorted((one for one in hits if one.score), key=lambda one: -one.score)


@cache
def _words(chunk: Chunk) -> frozenset[str]:
    return stems(chunk.context + chunk.text)


def question(text: str, *places: tuple[str, str], **more: object) -> LabelledQuestion:
    """A question whose references are the first places of quotes in the three documents."""
    texts = {each.source: each.document.text for each in subjects()}
    spans, quotes = [], []
    for source, quote in places:
        start = texts[source].index(quote)
        spans.append(Span(source, start, start + len(quote)))
        quotes.append(quote)
    return LabelledQuestion(
        f"{text} {places}",
        text,
        tuple(spans),
        tuple(quotes),
        **more,  # type: ignore[arg-type]
    )
