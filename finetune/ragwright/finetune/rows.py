"""The files of tuning: JSON lines, each written beside its place and moved there when complete.

Questions are written as a data set of evaluations, so that `ragwright eval run` reads them too.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError
from ragwright.core.types import Span
from ragwright.finetune.values import Audited, Example, LabelledQuestion, TrainingPassage

_LABELS = ("origin", "recipe", "task")


def write_questions(path: Path, questions: Iterable[LabelledQuestion]) -> int:
    """Write questions as a native data set; returns how many."""
    return write_lines(path, (_question_row(each) for each in questions))


def read_questions(path: Path) -> list[LabelledQuestion]:
    """The questions of a file that `write_questions` wrote.

    Raises:
        InputError: It is not there, or a row is not of this form; the message names the row.
    """
    return [_question(row, place) for place, row in read_lines(path)]


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write training examples; returns how many."""
    return write_lines(path, (asdict(each) for each in examples))


def read_examples(path: Path) -> list[Example]:
    """The examples of a file that `write_examples` wrote.

    Raises:
        InputError: It is not there, or a row is not of this form; the message names the row.
    """
    return [_example(row, place) for place, row in read_lines(path)]


def write_audit(path: Path, audit: Iterable[Audited]) -> int:
    """Write what was dropped or changed, and why; returns how many."""
    return write_lines(path, (asdict(each) for each in audit))


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines; the file is there whole, or as it was before.

    Raises:
        InputError: It cannot be written.
    """
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                for row in rows:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    count += 1
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from None
    return count


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file of JSON lines, each with its place, such as `questions.jsonl:12`.

    Raises:
        InputError: The file cannot be read, or a line is no JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); wanted: JSON lines") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path.name}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{place} is no JSON ({error})") from None
        if not isinstance(row, dict):
            raise InputError(f"{place} is no JSON object")
        yield place, row


def _question_row(question: LabelledQuestion) -> dict[str, Any]:
    pairs = zip(question.references, question.quotes, strict=True)
    references = [
        {"source": span.document_id, "start": span.start, "end": span.end, "text": quote}
        for span, quote in pairs
    ]
    labels = {name: getattr(question, name) for name in _LABELS}
    return {
        "id": question.id,
        "question": question.text,
        "answer": question.answer,
        "answerable": True,
        "references": references,
        "metadata": {**question.metadata, **labels},
    }


def _question(row: Mapping[str, Any], place: str) -> LabelledQuestion:
    try:
        metadata = dict(row.get("metadata") or {})
        labels = {name: metadata.pop(name) for name in _LABELS if name in metadata}
        return LabelledQuestion(
            id=str(row["id"]),
            text=str(row["question"]),
            references=tuple(
                Span(each["source"], int(each["start"]), int(each["end"])) for each in row["references"]
            ),
            quotes=tuple(str(each["text"]) for each in row["references"]),
            answer=str(row.get("answer") or ""),
            metadata=metadata,
            **labels,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f'{place} is no labelled question ({error!r}); wanted "id", "question" and "references", each of '
            'these with "source", "start", "end" and "text"'
        ) from None


def _example(row: Mapping[str, Any], place: str) -> Example:
    try:
        return Example(
            question_id=str(row["question_id"]),
            query=str(row["query"]),
            task=str(row["task"]),
            positives=tuple(_passage(each) for each in row["positives"]),
            negatives=tuple(_passage(each) for each in row["negatives"]),
            scores=tuple(float(each) for each in row["scores"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{place} is no training example ({error!r}); mine the examples again") from None


def _passage(row: Mapping[str, Any]) -> TrainingPassage:
    return TrainingPassage(
        id=str(row["id"]),
        source=str(row["source"]),
        text=str(row["text"]),
        evidence=tuple((int(start), int(end)) for start, end in row["evidence"]),
    )
