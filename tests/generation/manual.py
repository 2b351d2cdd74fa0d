"""Two documents, and what was found in them."""

from __future__ import annotations

from collections.abc import Iterable

from ragwright.core.types import Block, Chunk, Document, Evidence, Hit, Span
from ragwright.generation.passages import Numbered, Texts, standing

BOGIE = (
    "# Bogie manual\n\n## Axlebox\n\nTighten the axlebox cover bolts crosswise to 215 Nm, in two passes. "
    "Draw a yellow witness mark across bolt and cover.\n\nThe ﬁlter’s housing must “never” be opened – not "
    "even at 5 °C. See [3] for the tools.\n\n## Wheels\n\nThe smallest wheel diameter is 790 mm; it is "
    "measured every 30,000 km."
)
CRANE = (
    "The crane on the east quay lifts 40 tons.\nIn winter its hydraulic oil is changed for the grade HV 22. "
    "Nobody stands below the hook."
)
BOLTS = "Tighten the axlebox cover bolts crosswise to 215 Nm, in two passes."
MARK = "Draw a yellow witness mark across bolt and cover."
HOUSING = "The ﬁlter’s housing must “never” be opened – not even at 5 °C."
TOOLS = "See [3] for the tools."
WHEEL = "The smallest wheel diameter is 790 mm; it is measured every 30,000 km."
LIFTS = "The crane on the east quay lifts 40 tons."
OIL = "In winter its hydraulic oil is changed for the grade HV 22."


class Documents(dict[str, Document]):
    """Canonical texts by id."""

    def document(self, document_id: str) -> Document | None:
        return self.get(document_id)


def documents(**texts: str) -> Documents:
    """Documents by id; without any, the bogie manual and the crane's."""
    given = texts or {"bogie": BOGIE, "crane": CRANE}
    return Documents({key: _document(key, text) for key, text in given.items()})


def _document(key: str, text: str) -> Document:
    blocks = tuple(_titles(text)) if text == BOGIE else ()
    return Document(key, f"{key}.md", key.title(), text, blocks)


def _titles(text: str) -> Iterable[Block]:
    for title, level in (("Bogie manual", 1), ("Axlebox", 2), ("Wheels", 2)):
        start = text.index(f"# {title}") + 2
        yield Block("title", start, start + len(title), page=level, level=level)


def evidence(document: Document, quote: str, score: float) -> Evidence:
    """What stands in a document."""
    start = document.text.index(quote)
    return Evidence(Span(document.id, start, start + len(quote)), quote, score)


def hit(document: Document, *found: tuple[str, float], page: int | None = None) -> Hit:
    """A hit whose chunk is the whole document."""
    chunk = Chunk(
        document.id, Span(document.id, 0, len(document.text)), document.text, "", ("Part 1",), page, (), 9
    )
    passages = sorted((evidence(document, *each) for each in found), key=lambda each: each.span)
    best = max((score for _, score in found), default=0.0)
    return Hit(chunk, document.source, document.title, best, {}, tuple(passages))


STORE = documents()
HITS = (
    hit(STORE["bogie"], (BOLTS, 0.9), (HOUSING, 0.6), (TOOLS, 0.5), page=3),
    hit(STORE["crane"], (OIL, 0.7)),
)
"""Evidence of both documents; each hit is one document of the prompt, the manual the first."""


def numbered() -> tuple[tuple[Numbered, ...], Texts]:
    """The hits as a prompt numbers them, and their texts."""
    return tuple(Numbered(number, each) for number, each in enumerate(HITS, 1)), Texts(STORE)


def all_standing() -> list[object]:
    """The evidence of the hits, best first."""
    return list(standing(HITS, Texts(STORE)))
