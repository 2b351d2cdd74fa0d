"""What BEIR and TREC collections share: queries with graded judgements of whole documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ragwright.eval.read_rows import Problems
from ragwright.eval.values import Dataset, Item, Judgement, Reference, SourceText

EMPTY = "empty_documents"
"""Metadata of a question: judged documents that the collection holds without a text."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query before its judgements are known; `row` says where it stands."""

    text: str
    row: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """A collection as its files state it.

    Attributes:
        queries: By id, in file order.
        texts: The documents, those without text included.
        judgements: By question and document, with the row that says so.
    """

    queries: Mapping[str, Query]
    texts: Iterable[SourceText]
    judgements: Mapping[tuple[str, str], tuple[int, str]]


def judged_dataset(collection: Judged, *, format: str, problems: Problems) -> Dataset:  # noqa: A002
    """The judged queries with a whole-document reference for every grade from 1.

    Queries without a judgement are left out, as the tools for these formats do. A document without text is
    left out too: nothing can find it. Its judgements stay, and the questions list it as `EMPTY`. A query
    with no relevant document that has a text is unanswerable here.
    """
    texts = {text.source: text for text in map(_with_text, collection.texts)}
    empty = {source for source, text in texts.items() if not text.text}
    graded: dict[str, dict[str, int]] = {}
    for (query, source), (grade, row) in collection.judgements.items():
        if query not in collection.queries:
            problems.add(row, f'there is no query "{query}"')
        graded.setdefault(query, {})[source] = grade
    items = tuple(
        _item(name, query, graded[name], empty)
        for name, query in collection.queries.items()
        if name in graded
    )
    if not items and not problems.found:
        problems.add("judgements", "no query is judged")
    problems.check()
    return Dataset(
        "",
        format,
        items,
        tuple(text for text in texts.values() if text.text),
        tuple(
            Judgement(item.id, source, grade) for item in items for source, grade in graded[item.id].items()
        ),
    )


def add_grade(
    judgements: dict[tuple[str, str], tuple[int, str]],
    key: tuple[str, str],
    *,
    grade: str,
    row: str,
    problems: Problems,
) -> None:
    """Add the judgement of a question and a document, or note that it is no number or contradicts another."""
    try:
        number = int(grade)
    except ValueError:
        problems.add(row, f'the grade "{grade}" is no whole number')
        return
    before = judgements.setdefault(key, (number, row))
    if before[0] != number:
        problems.add(
            row, f"query {key[0]}, document {key[1]} has grade {number}, but {before[0]} at {before[1]}"
        )


def _with_text(text: SourceText) -> SourceText:
    if text.text.strip():
        return text
    return SourceText(text.source, text.title.strip(), text.title, text.metadata)


def _item(name: str, query: Query, grades: Mapping[str, int], empty: set[str]) -> Item:
    references = tuple(
        Reference(source, grade=grade)
        for source, grade in grades.items()
        if grade >= 1 and source not in empty
    )
    lost = [source for source in grades if source in empty]
    metadata = dict(query.metadata) | ({EMPTY: lost} if lost else {})
    return Item(name, query.text, references, "", bool(references), metadata, {}, query.row)
