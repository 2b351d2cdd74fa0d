"""SQuAD-style JSON, versions 1 and 2: questions about the paragraphs of a document."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError
from ragwright.eval.read_rows import Problems, Record, holds_list, json_object, shorten
from ragwright.eval.values import Dataset, Item, Reference, SourceText

WANTED = 'a JSON file with "data" and "paragraphs", or a folder with one (squad)'
BREAK = "\n\n"


def recognises(path: Path) -> bool:
    """Whether this is SQuAD-style JSON, or a folder with one such file."""
    return _file(path) is not None


def read(path: Path) -> Dataset:
    """The documents, each the paragraphs of one title joined by blank lines, and their questions.

    A question is asked within its document and so carries a filter on it. Name and digest are left empty.

    Of several answers to a question all spans are labels, overlapping ones merged: annotators mark more or
    less of the same passage, so that each character counts once, and what only some of them marked is not
    held against a system that finds it. The first answer is the reference answer; when there are different
    ones, the metadata lists all as `answers`.

    Raises:
        InputError: The file is not of this form, or entries are wrong; they are listed.
    """
    file = path if path.is_file() else _file(path)
    if file is None:
        raise InputError(f"{path} is no SQuAD-style data set; wanted: {WANTED}")
    problems = Problems(str(file))
    texts: dict[str, SourceText] = {}
    items: list[Item] = []
    for number, article in enumerate(json_object(file, problems).objects("data"), 1):
        title = article.text("title", f"document-{number}")
        source = _source(title, texts)
        paragraphs, text = _paragraphs(article, source)
        texts[source] = SourceText(source, text, title)
        items += [_item(each, paragraph) for paragraph in paragraphs for each in paragraph.questions]
    _check_ids(items, problems)
    problems.check()
    return Dataset("", "squad", tuple(items), tuple(text for text in texts.values() if text.text))


@dataclass(frozen=True)
class _Paragraph:
    source: str
    start: int
    text: str
    questions: tuple[Record, ...]


def _file(path: Path) -> Path | None:
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    found = [each for each in files if each.is_file() and holds_list(each, "data", "paragraphs")]
    return found[0] if len(found) == 1 else None


def _source(title: str, taken: Iterable[str]) -> str:
    name = title.replace("/", "_").strip() or "document"
    source, number = f"{name}.txt", 2
    while source in taken:
        source, number = f"{name}-{number}.txt", number + 1
    return source


def _paragraphs(article: Record, source: str) -> tuple[list[_Paragraph], str]:
    paragraphs: list[_Paragraph] = []
    text = ""
    for index, record in enumerate(article.objects("paragraphs"), 1):
        context = record.text("context")
        start = len(text) + len(BREAK) if paragraphs else 0
        text = f"{text}{BREAK}{context}" if paragraphs else context
        questions = tuple(
            Record(
                each.values, f"{article.row}: {source}, paragraph {index}, question {number}", each.problems
            )
            for number, each in enumerate(record.objects("qas"), 1)
        )
        paragraphs.append(_Paragraph(source, start, context, questions))
    return paragraphs, text


def _item(record: Record, paragraph: _Paragraph) -> Item:
    impossible = record.flag("is_impossible", False)
    answers = [] if impossible else record.objects("answers")
    spans = [_span(each, paragraph) for each in answers]
    references = tuple(
        Reference(paragraph.source, paragraph.start + start, paragraph.start + end, paragraph.text[start:end])
        for start, end in _merged(span for span in spans if span)
    )
    if not impossible and not answers:
        record.problem('the question has no answers; give some, or say "is_impossible": true')
    return Item(
        record.name("id"),
        record.text("question"),
        references,
        answers[0].text("text", "") if answers else "",
        not impossible,
        _metadata(record, answers),
        {"source": paragraph.source},
        record.row,
    )


def _span(answer: Record, paragraph: _Paragraph) -> tuple[int, int] | None:
    text, start = answer.text("text"), answer.number("answer_start", -1)
    seen = paragraph.text[max(start, 0) : max(start, 0) + len(text)]
    if text and start >= 0 and seen == text:
        return start, start + len(text)
    answer.problem(f"the answer {shorten(text)} does not stand at {start}, where {shorten(seen)} stands")
    return None


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping ranges as one, in text order.

    >>> _merged([(10, 20), (0, 4), (2, 6), (6, 8)])
    [(0, 6), (6, 8), (10, 20)]
    """
    merged: list[tuple[int, int]] = []
    for start, end in sorted(set(spans)):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _metadata(record: Record, answers: list[Record]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if isinstance(record.values.get("type"), str):
        # PolicyQA writes category, attribute and value; the category makes slices of a useful size.
        metadata = {"kind": record.values["type"].partition("|||")[0], "type": record.values["type"]}
    different = list(dict.fromkeys(each.text("text", "") for each in answers))
    return metadata | ({"answers": different} if len(different) > 1 else {})


def _check_ids(items: list[Item], problems: Problems) -> None:
    rows: dict[str, str] = {}
    for item in items:
        if item.id in rows:
            problems.add(item.row, f'the id "{item.id}" has been given before; ids must be unique')
        rows[item.id] = item.row
    if not items and not problems.found:
        problems.add("data", "it holds no question")
