"""Finding the place of a quote: in the passages that a model was given, then in their whole documents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ragwright.core.types import Citation, CitationState, Document, Span
from ragwright.generation.folding import FoldedText, normalise
from ragwright.generation.neutralise import restored
from ragwright.generation.passages import Numbered, Texts
from ragwright.generation.words import numbers, stems

# What models put around the words of a quote.
_QUOTATION_MARKS = " \"'"
_SIGNS = ".,;:"


@dataclass(frozen=True, slots=True)
class Located:
    """A quote that stands in a document.

    Attributes:
        citation: With the document's own characters; its marker is still 0.
        numbers: The prompt's documents that it stands in; none where it stands elsewhere.
    """

    citation: Citation
    numbers: tuple[int, ...]


@dataclass(slots=True)
class _Region:
    """Passages of one document with nothing but white space between them."""

    document: Document
    start: int
    end: int
    shown: list[Numbered]
    _folded: FoldedText | None = field(default=None, init=False)

    def numbers(self, span: Span) -> tuple[int, ...]:
        """The prompt's documents whose passages share characters with a span."""
        found = (each for each in self.shown if any(one.span.overlaps(span) for one in each.hit.evidence))
        return tuple(dict.fromkeys(each.number for each in found))

    def find(self, wanted: str) -> Span | None:
        """Where a normalised text stands."""
        if self._folded is None:
            self._folded = FoldedText(self.document.text[self.start : self.end])
        place = self._folded.find(wanted)
        return Span(self.document.id, self.start + place[0], self.start + place[1]) if place else None


class Locator:
    """Finds quotes. Every text is folded once and searched in time linear to its length."""

    def __init__(self, documents: Sequence[Numbered], texts: Texts) -> None:
        """Make a locator.

        Args:
            documents: Those of the prompt.
            texts: Canonical texts of their documents.
        """
        self._texts = texts
        self._shown = documents
        self._regions = _regions(documents, texts)

    def find(self, quote: str, preferred: Collection[int] = ()) -> Located | None:
        """Where a quote stands: in the passages of the prompt, or else anywhere in their documents.

        It is found with white space, case and typographic signs made equal, and also without quotation marks
        or a full stop that a model put around it; never where it would cut a word or a number.

        Args:
            quote: As the model wrote it.
            preferred: Documents of the prompt to look in first.

        Returns:
            None where it stands nowhere, or says nothing: it holds no number, and no word but the commonest.
        """
        wanted = normalise(quote)
        bare = wanted.strip(_QUOTATION_MARKS)
        barest = bare.strip(_QUOTATION_MARKS + _SIGNS)
        if not stems(barest) and not numbers(barest):
            return None
        texts = tuple(dict.fromkeys((wanted, bare, barest)))
        return self._in_passages(texts, quote, preferred) or self._elsewhere(texts, quote)

    def _in_passages(self, texts: Sequence[str], quote: str, preferred: Collection[int]) -> Located | None:
        ordered = sorted(
            self._regions, key=lambda region: all(each.number not in preferred for each in region.shown)
        )
        for region in ordered:
            for span in filter(None, map(region.find, texts)):
                numbers = region.numbers(span)
                shown = next(each for each in region.shown if each.number in numbers or not numbers)
                there = region.document.text[span.start : span.end]
                return Located(_cited(shown, span, there, _state(quote, there)), numbers)
        return None

    def _elsewhere(self, texts: Sequence[str], quote: str) -> Located | None:
        for shown in {each.hit.chunk.span.document_id: each for each in reversed(self._shown)}.values():
            document = self._texts.document(shown.hit.chunk.span.document_id)
            if document is None:
                continue
            for place in filter(None, map(self._texts.folded(document).find, texts)):
                span = Span(document.id, *place)
                return Located(_cited_elsewhere(shown, span, document), ())
        return None


def _regions(documents: Sequence[Numbered], texts: Texts) -> list[_Region]:
    """The passages of the prompt, joined where one follows upon another, in the order of their numbers."""
    regions: list[_Region] = []
    passages = [(evidence.span, each) for each in documents for evidence in each.hit.evidence]
    for span, shown in sorted(passages, key=lambda passage: passage[0]):
        document = texts.document(span.document_id)
        if document is None:
            continue
        last = regions[-1] if regions else None
        if last and last.document is document and not document.text[last.end : span.start].strip():
            last.end = max(last.end, span.end)
            last.shown.append(shown)
        else:
            regions.append(_Region(document, span.start, span.end, [shown]))
    return sorted(regions, key=lambda region: region.shown[0].number)


def _state(quote: str, there: str) -> CitationState:
    return "exact" if restored(quote).strip() == restored(there).strip() else "normalised"


def _cited(shown: Numbered, span: Span, quote: str, state: CitationState) -> Citation:
    chunk = shown.hit.chunk
    return Citation(0, span, quote, state, shown.hit.source, shown.hit.title, chunk.headings, chunk.page)


def _cited_elsewhere(shown: Numbered, span: Span, document: Document) -> Citation:
    """A quote from outside the passages: the document's blocks tell its headings and page."""
    headings: list[tuple[int, str]] = []
    page = None
    for block in document.blocks:
        if block.start > span.start:
            break
        page = block.page if block.page is not None else page
        if block.kind == "title":
            level = block.level or 1
            headings = [each for each in headings if each[0] < level]
            headings.append((level, document.text[block.start : block.end].strip()))
    names = tuple(text for _, text in headings)
    return Citation(
        0,
        span,
        document.text[span.start : span.end],
        "elsewhere",
        shown.hit.source,
        shown.hit.title,
        names,
        page,
    )
