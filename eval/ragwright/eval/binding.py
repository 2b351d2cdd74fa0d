"""Binds a data set's labels to documents: from sources as written down to spans that are checked."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ragwright.core.errors import InputError
from ragwright.core.types import Question, Span
from ragwright.eval.read_judged import EMPTY
from ragwright.eval.read_rows import Problems, shorten, span_problem
from ragwright.eval.values import Dataset, Item, Judgement, Reference

TextOf = Callable[[str], str | None]


class Sources:
    """The known sources, found by how a data set names them."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = dict.fromkeys(known)
        self._by_tail: dict[str, list[str]] = {}
        for source in self._known:
            for tail in tails(source):
                self._by_tail.setdefault(tail, []).append(source)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def resolve(self, source: str) -> str:
        """The known source itself, else the only one that ends with it, else the only one it ends with.

        Ends count from a folder name on.

        Raises:
            InputError: No known source fits, or several do.

        Example:
            >>> Sources(["demo/manuals/pump.md", "demo/faq.md"]).resolve("manuals/pump.md")
            'demo/manuals/pump.md'
            >>> Sources(["faq.md"]).resolve("demo/faq.md")
            'faq.md'
        """
        if source in self._known:
            return source
        fitting = self._by_tail.get(source) or [tail for tail in tails(source) if tail in self._known]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            named = ", ".join(f'"{each}"' for each in sorted(fitting)[:3])
            raise InputError(f'"{source}" fits {len(fitting)} documents ({named}); write more of its path')
        examples = ", ".join(f'"{each}"' for each in sorted(self._known)[:3]) or "none at all"
        raise InputError(
            f'no document "{source}" among the {len(self._known)} known ones (such as {examples})'
        )


def tails(source: str) -> list[str]:
    """What remains of a path without its first folder, its first two, and so on; longest first.

    >>> tails("a/b/c.md")
    ['b/c.md', 'c.md']
    """
    parts = source.split("/")
    return ["/".join(parts[start:]) for start in range(1, len(parts)) if parts[start]]


def bind(dataset: Dataset, sources: Collection[str], text_of: TextOf) -> list[Question]:
    """The questions with their references as spans of known documents, in the data set's order.

    A reference without an end is the whole document, or, when it has a text, the one place of this text: in
    its document, or among all documents when it names none.

    Args:
        dataset: The labels.
        sources: All documents that can be meant.
        text_of: The canonical text of a source; None when there is none.

    Returns:
        References name documents by their resolved source. The metadata is the item's, with `filters` (their
        `source` resolved) when it has some, and `grades` (one for each reference) when not all are 1.

    Raises:
        InputError: A source is unknown or fits several documents, a reference is out of range, or its text
            does not stand there; the message names the rows.
    """
    binder = _Binder(Sources(sources), functools.cache(text_of), Problems(f'the data set "{dataset.name}"'))
    questions = [binder.question(item) for item in dataset.items]
    binder.problems.check()
    return questions


def bind_judgements(dataset: Dataset, sources: Collection[str]) -> list[Judgement]:
    """The judgements with their sources resolved, in the data set's order.

    A data set without judgements whose labels are all whole documents judges these documents. Judgements of
    documents that the data set itself holds without text keep their source as it is: a relevant
    one counts as never found.

    Raises:
        InputError: A source is unknown or fits several documents; the message names the questions.
    """
    known = Sources(sources)
    problems = Problems(f'the data set "{dataset.name}"')
    rows = {item.id: item.row or item.id for item in dataset.items}
    empty = {(item.id, source) for item in dataset.items for source in item.metadata.get(EMPTY, ())}
    bound = []
    for each in dataset.judgements or _of_whole_documents(dataset.items):
        source = each.source
        try:
            source = source if (each.question_id, source) in empty else known.resolve(source)
        except InputError as error:
            problems.add(rows.get(each.question_id, each.question_id), f"a judgement: {error}")
        bound.append(Judgement(each.question_id, source, each.grade))
    problems.check()
    return bound


def _of_whole_documents(items: Sequence[Item]) -> list[Judgement]:
    """Labels as judgements, if all of them are whole documents."""
    labels = [(item.id, each) for item in items for each in item.references]
    if any(each.end is not None or each.text is not None for _, each in labels):
        return []
    return [Judgement(question_id, each.source, each.grade) for question_id, each in labels]


@dataclass(frozen=True)
class _Binder:
    sources: Sources
    text_of: TextOf
    problems: Problems

    def question(self, item: Item) -> Question:
        metadata: dict[str, Any] = dict(item.metadata)
        references = tuple(span for span in (self._noted(item, each) for each in item.references) if span)
        if item.filters:
            metadata["filters"] = self._filters(item)
        grades = [reference.grade for reference in item.references]
        if any(grade != 1 for grade in grades):
            metadata["grades"] = grades
        return Question(item.id, item.text, references, item.answer, metadata)

    def _noted(self, item: Item, reference: Reference) -> Span | None:
        try:
            return self._span(reference)
        except InputError as error:
            self.problems.add(item.row or f"question {item.id}", str(error))
            return None

    def _filters(self, item: Item) -> dict[str, str]:
        filters = dict(item.filters)
        try:
            return (
                filters | {"source": self.sources.resolve(filters["source"])}
                if "source" in filters
                else filters
            )
        except InputError as error:
            self.problems.add(item.row or f"question {item.id}", f"its filter: {error}")
            return filters

    def _span(self, reference: Reference) -> Span:
        if not reference.source:
            return self._looked_up(reference, list(self.sources))
        source = self.sources.resolve(reference.source)
        if reference.end is None and reference.text is not None:
            return self._looked_up(reference, [source])
        text = self._text(source)
        end = len(text) if reference.end is None else reference.end
        _check(reference, Span(source, reference.start, end), text)
        return Span(source, reference.start, end)

    def _looked_up(self, reference: Reference, sources: list[str]) -> Span:
        wanted = reference.text or ""
        places = [
            Span(source, start, start + len(wanted))
            for source in sources
            for start in _starts(self._text(source), wanted)
        ]
        if len(places) == 1:
            return places[0]
        where = f'in "{sources[0]}"' if reference.source else f"in any of {len(sources)} documents"
        if not places:
            raise InputError(
                f"the text {shorten(wanted)} does not stand {where}; it must stand there exactly"
            )
        named = ", ".join(f'"{each.document_id}" {each.start}-{each.end}' for each in places[:2])
        raise InputError(f"the text {shorten(wanted)} stands in several places ({named}); give its offsets")

    def _text(self, source: str) -> str:
        text = self.text_of(source)
        if text is None:
            raise InputError(f'the document "{source}" has no text here; ingest it first')
        return text


def _check(reference: Reference, span: Span, text: str) -> None:
    place = f'"{span.document_id}" {span.start}-{span.end}'
    if span.end > len(text):
        raise InputError(f"{place} is out of range; the document has {len(text)} characters")
    problem = span_problem(span.start, span.end)
    if problem:
        raise InputError(f'"{span.document_id}": {problem}')
    seen = text[span.start : span.end]
    if reference.text is not None and seen != reference.text:
        starts = _starts(text, reference.text)
        hint = f"; it stands at {starts[0]}-{starts[0] + len(reference.text)}" if len(starts) == 1 else ""
        raise InputError(f"{place} reads {shorten(seen)}, wanted is {shorten(reference.text)}{hint}")


def _starts(text: str, wanted: str) -> list[int]:
    """The first two places of a text, overlapping ones included; none for an empty text."""
    first = text.find(wanted) if wanted else -1
    if first < 0:
        return []
    second = text.find(wanted, first + 1)
    return [first] if second < 0 else [first, second]
