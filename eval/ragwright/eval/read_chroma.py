"""The Chroma set: a CSV of questions with exact excerpts, and its corpora as Markdown files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from ragwright.core.errors import InputError
from ragwright.eval.read_rows import Problems, Record, head, read_text, span_problem
from ragwright.eval.values import Dataset, Item, Reference, SourceText

WANTED = "a CSV with the columns question, references, corpus_id, or a folder with questions_df.csv (chroma)"
QUESTIONS = "questions_df.csv"
_COLUMNS = {"question", "references", "corpus_id"}


def recognises(path: Path) -> bool:
    """Whether this is the CSV or its folder."""
    file = path / QUESTIONS if path.is_dir() else path
    if not file.is_file() or file.suffix != ".csv":
        return False
    header = next(csv.reader(io.StringIO(head(file))), [])
    return set(header) >= _COLUMNS


def read(path: Path) -> Dataset:
    """The questions with their excerpts and the corpora beside them; name and digest are left empty.

    The questions are numbered from 0 in file order, as the published code numbers them.

    Raises:
        InputError: A file is missing, or rows are wrong; they are listed.
    """
    file = path / QUESTIONS if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{path} is no Chroma set; wanted: {WANTED}")
    problems = Problems(str(path))
    texts = tuple(
        SourceText(each.name, read_text(each), each.stem, {"corpus": each.stem})
        for each in sorted((file.parent / "corpora").glob("*.md"))
    )
    known = {text.source for text in texts}
    items = tuple(
        _item(number, f"{file.name}:{line}", fields, known=known, problems=problems)
        for number, line, fields in _rows(file)
    )
    if not items:
        problems.add(file.name, "it holds no question")
    problems.check()
    return Dataset("", "chroma", items, tuple(text for text in texts if text.text))


def _rows(file: Path) -> list[tuple[int, int, dict[str, str | None]]]:
    """Number from 0, last line and fields of every row."""
    reader = csv.DictReader(io.StringIO(read_text(file).removeprefix("\ufeff")))
    missing = sorted(_COLUMNS - set(reader.fieldnames or ()))
    if missing:
        raise InputError(f"{file} has no column {', '.join(missing)}; wanted: {', '.join(sorted(_COLUMNS))}")
    try:
        return [(number, reader.line_num, row) for number, row in enumerate(reader)]
    except csv.Error as error:
        raise InputError(f"{file.name}:{reader.line_num} is not CSV: {error}") from None


def _item(
    number: int, row: str, fields: dict[str, str | None], *, known: set[str], problems: Problems
) -> Item:
    corpus = fields["corpus_id"] or ""
    source = f"{corpus}.md"
    if known and source not in known:
        problems.add(row, f"there is no corpora/{source}; the corpora are {', '.join(sorted(known))}")
    try:
        values = json.loads(fields["references"] or "")
    except (ValueError, RecursionError) as error:
        problems.add(row, f"references are not JSON ({error})")
        values = []
    record = Record({"question": fields["question"] or None, "references": values}, row, problems)
    references = tuple(_reference(each, source) for each in record.objects("references"))
    if not references:
        problems.add(row, "the question has no references; at least one excerpt is wanted")
    return Item(str(number), record.text("question"), references, metadata={"corpus": corpus}, row=row)


def _reference(record: Record, source: str) -> Reference:
    start, end = record.number("start_index", -1), record.number("end_index", -1)
    problem = span_problem(start, end)
    if problem:
        record.problem(problem)
    return Reference(source, start, end, record.text("content"))
