"""Writes data sets and results in formats that others read: native folders, BEIR folders, ragas JSON lines.

Every file is written beside its place and moved there when complete.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from ragwright.core.errors import InputError
from ragwright.core.types import Question
from ragwright.eval.binding import bind, bind_judgements
from ragwright.eval.read_native import DOCUMENTS, JUDGEMENTS, QUESTIONS
from ragwright.eval.read_rows import Problems
from ragwright.eval.values import Dataset, Found, Item, Outcome, Reference, SourceText


def write_native(dataset: Dataset, folder: Path) -> Path:
    """Write a data set as a native folder; reading it gives the same items, texts and judgements.

    Returns:
        The folder. Its documents and judgements files are removed when the data set has none.

    Raises:
        InputError: The folder cannot be written.
    """
    _make(folder)
    _lines(folder / DOCUMENTS, (_document(text) for text in dataset.texts))
    _lines(
        folder / JUDGEMENTS,
        (
            {"question_id": each.question_id, "source": each.source, "grade": each.grade}
            for each in dataset.judgements
        ),
    )
    # Last, since a folder is a data set as soon as it has its questions.
    _lines(folder / QUESTIONS, (_question(item) for item in dataset.items), keep_empty=True)
    return folder


def write_beir(dataset: Dataset, folder: Path, *, part: str = "test") -> Path:
    """Write a data set as a BEIR folder: corpus.jsonl, queries.jsonl and qrels/`part`.tsv.

    A question is judged by its judgements; one without any by its references, each document having the best
    grade of its references. Unanswerable questions stand in queries.jsonl without a judgement.

    Returns:
        The folder.

    Raises:
        InputError: The data set brings no documents, a label does not fit them, an id holds a tab or a line
            break, or the folder cannot be written.
    """
    if not dataset.texts:
        raise InputError(f'the data set "{dataset.name}" brings no documents; a BEIR folder must hold them')
    rows = _qrels(dataset)
    _make(folder / "qrels")
    _lines(
        folder / "corpus.jsonl",
        (
            {"_id": text.source, "title": text.title, "text": text.text, "metadata": dict(text.metadata)}
            for text in dataset.texts
        ),
    )
    _lines(
        folder / "queries.jsonl",
        ({"_id": item.id, "text": item.text, "metadata": dict(item.metadata)} for item in dataset.items),
    )
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(row) for row in rows)]
    _replace(folder / "qrels" / f"{part}.tsv", (f"{line}\n" for line in lines))
    return folder


def write_ragas(
    outcomes: Sequence[Outcome],
    path: Path,
    *,
    text_of: Callable[[str], str | None] | None = None,
    contexts: Literal["evidence", "chunks"] = "evidence",
) -> Path:
    """Write what a system did as JSON lines with the field names of ragas, one line an outcome.

    Args:
        outcomes: Of a run, in any order.
        path: The file to write.
        text_of: The canonical text of a source, for the reference contexts of outcomes without `gold`.
        contexts: What counts as retrieved: the evidence spans, best chunk first and in text order within a
            chunk, or the whole chunks.

    Returns:
        The path. Context ids are sources, so that ragas' measures on ids compare documents. `response` is
        null when no answer was asked for.

    Raises:
        InputError: A reference's document has no text or is shorter than the reference; the message names
            the questions. Or the file cannot be written.
    """
    problems = Problems(str(path))
    rows = [_sample(outcome, contexts, text_of or _without_text, problems) for outcome in outcomes]
    problems.check()
    _make(path.parent)
    _lines(path, rows, keep_empty=True)
    return path


def _question(item: Item) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": item.id,
        "question": item.text,
        "answer": item.answer,
        "answerable": item.answerable,
        "references": [_reference(each) for each in item.references],
    }
    if item.filters:
        row["filters"] = dict(item.filters)
    if item.metadata:
        row["metadata"] = dict(item.metadata)
    return row


def _reference(reference: Reference) -> dict[str, Any]:
    row: dict[str, Any] = {"source": reference.source} if reference.source else {}
    if reference.end is not None:
        row |= {"start": reference.start, "end": reference.end}
    if reference.text is not None:
        row["text"] = reference.text
    return row if reference.grade == 1 else row | {"grade": reference.grade}


def _document(text: SourceText) -> dict[str, Any]:
    return {"source": text.source, "text": text.text, "title": text.title, "metadata": dict(text.metadata)}


def _qrels(dataset: Dataset) -> list[tuple[str, str, str]]:
    texts = {text.source: text.text for text in dataset.texts}
    grades: dict[tuple[str, str], int] = {}
    for judgement in bind_judgements(dataset, texts):
        grades[judgement.question_id, judgement.source] = judgement.grade
    judged = {question for question, _ in grades}
    for question in bind(dataset, texts, texts.get):
        if question.id in judged:
            continue
        graded = question.metadata.get("grades") or [1] * len(question.references)
        for span, grade in zip(question.references, graded, strict=True):
            key = (question.id, span.document_id)
            grades[key] = max(grade, grades.get(key, grade))
    rows = [(question, source, str(grade)) for (question, source), grade in grades.items()]
    wrong = next((row for row in rows if set("\t\n\r") & set(row[0] + row[1])), None)
    if wrong:
        raise InputError(
            f"the ids {wrong[0]!r} and {wrong[1]!r} hold a tab or line break; BEIR cannot hold them"
        )
    return rows


def _sample(
    outcome: Outcome,
    contexts: Literal["evidence", "chunks"],
    text_of: Callable[[str], str | None],
    problems: Problems,
) -> dict[str, Any]:
    question = outcome.question
    has_gold = len(outcome.gold) == len(question.references)
    retrieved = [pair for found in outcome.found for pair in _contexts(found, contexts)]
    return {
        "id": question.id,
        "user_input": question.text,
        "retrieved_contexts": [text for _, text in retrieved],
        "retrieved_context_ids": [source for source, _ in retrieved],
        "response": outcome.reply.text if outcome.reply else None,
        "reference": question.answer,
        "reference_contexts": list(outcome.gold) if has_gold else _quoted(question, text_of, problems),
        "reference_context_ids": [span.document_id for span in question.references],
    }


def _contexts(found: Found, contexts: Literal["evidence", "chunks"]) -> Iterator[tuple[str, str]]:
    if contexts == "chunks":
        yield found.source, found.text
    else:
        yield from ((found.source, evidence.text) for evidence in found.evidence)


def _without_text(source: str) -> str | None:
    return None


def _quoted(question: Question, text_of: Callable[[str], str | None], problems: Problems) -> list[str]:
    quoted = []
    for span in question.references:
        text = text_of(span.document_id)
        if text is None or span.end > len(text):
            seen = "no text" if text is None else f"{len(text)} characters"
            wanted = f"the reference {span.start}-{span.end} is wanted"
            problems.add(f"question {question.id}", f'"{span.document_id}" has {seen}; {wanted}')
        quoted.append((text or "")[span.start : span.end])
    return quoted


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from None


def _lines(path: Path, rows: Iterable[dict[str, Any]], *, keep_empty: bool = False) -> None:
    """JSON lines; a file without rows is removed unless it is to be kept empty."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    if lines or keep_empty:
        _replace(path, lines)
    else:
        path.unlink(missing_ok=True)


def _replace(path: Path, lines: Iterable[str]) -> None:
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's mask, which temporary files ignore: only setting it tells it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
