"""The native format: JSON lines of questions, alone or in a folder with documents and judgements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError
from ragwright.eval.read_rows import Problems, Record, first_keys, json_lines, span_problem
from ragwright.eval.values import Dataset, Item, Judgement, Reference, SourceText

WANTED = 'JSON lines with "question", or a folder with questions.jsonl (native)'
QUESTIONS, DOCUMENTS, JUDGEMENTS = "questions.jsonl", "documents.jsonl", "judgements.jsonl"
_FIELDS = ("id", "question", "answer", "answerable", "references", "filters", "metadata")
_REFERENCE_FIELDS = frozenset({"source", "start", "end", "text", "grade"})
_KNOWN = ", ".join(sorted(_REFERENCE_FIELDS))
_RESERVED = ("filters", "grades")


def recognises(path: Path) -> bool:
    """Whether this is a native data set; a damaged questions.jsonl is one, so that its rows are reported."""
    file = path / QUESTIONS if path.is_dir() else path
    if not file.is_file() or file.suffix != ".jsonl":
        return False
    keys = first_keys(file) or set()
    return "user_input" not in keys and ("question" in keys or file.name == QUESTIONS)


def read(path: Path) -> Dataset:
    """The data set of a JSON lines file or a folder; name and digest are left empty.

    A file alone brings no documents, even when a documents.jsonl lies beside it: name the folder to use it.

    Raises:
        InputError: There is no questions file, or rows are wrong; they are listed.
    """
    file = path / QUESTIONS if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{path} is no native data set; wanted: {WANTED}")
    problems = Problems(str(path))
    items = _items(file, problems)
    texts: tuple[SourceText, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    if path.is_dir() and (path / DOCUMENTS).is_file():
        texts = _texts(path / DOCUMENTS, problems)
    if path.is_dir() and (path / JUDGEMENTS).is_file():
        judgements = _judgements(path / JUDGEMENTS, {item.id for item in items}, problems)
    if not items and not problems.found:
        problems.add(file.name, "it holds no question")
    problems.check()
    return Dataset("", "native", items, texts, judgements)


def _items(file: Path, problems: Problems) -> tuple[Item, ...]:
    rows: dict[str, str] = {}
    items = []
    for record in json_lines(file, problems):
        item = _item(record)
        if item.id in rows:
            record.problem(f'the id "{item.id}" stands at {rows[item.id]} as well; ids must be unique')
        rows.setdefault(item.id, record.row)
        items.append(item)
    return tuple(items)


def _item(record: Record) -> Item:
    question = record.text("question")
    if question.isspace():
        record.problem('"question" is blank; a question is wanted')
    references = tuple(_reference(each) for each in record.objects("references"))
    answerable = record.flag("answerable", True)
    _check_labels(record, answerable, has_references=bool(references))
    return Item(
        # A line without an id is known by its number.
        record.name("id", record.row.rpartition(":")[2]),
        question,
        references,
        record.text("answer", ""),
        answerable,
        _metadata(record),
        record.facts("filters"),
        record.row,
    )


def _check_labels(record: Record, answerable: bool, *, has_references: bool) -> None:
    if answerable and not has_references:
        record.problem('answerable, but without references; add some, or say "answerable": false')
    if not answerable and has_references:
        record.problem('not answerable, but with references; remove them, or say "answerable": true')


def _reference(record: Record) -> Reference:
    unknown = sorted(record.values.keys() - _REFERENCE_FIELDS)
    if unknown:  # a misspelt "text" would make the whole document the label
        record.problem(f'a reference has the unknown key "{unknown[0]}"; known are {_KNOWN}')
    source = record.text("source", "")
    text = record.text("text") if record.values.get("text") is not None else None
    grade = record.number("grade", 1)
    if grade < 1:
        record.problem(f"a reference has grade {grade}; 1 or more is wanted (others belong in {JUDGEMENTS})")
    if not source and not text:
        record.problem('a reference has neither "source" nor "text"; one of them is wanted')
    given = [key for key in ("start", "end") if record.values.get(key) is not None]
    if len(given) == 1:
        record.problem(f'a reference has "{given[0]}" alone; both "start" and "end" are wanted, or neither')
    if len(given) < 2:
        return Reference(source, text=text, grade=grade)
    return _placed(record, Reference(source, record.number("start", 0), record.number("end", 1), text, grade))


def _placed(record: Record, reference: Reference) -> Reference:
    end = reference.end or 0
    problem = span_problem(reference.start, end)
    if not reference.source:
        problem = 'a reference has offsets but no "source"; name the document'
    elif not problem and reference.text is not None and len(reference.text) != end - reference.start:
        problem = f"the reference {reference.start}-{end} has a text of {len(reference.text)} characters"
    if problem:
        record.problem(problem)
    return reference


def _metadata(record: Record) -> dict[str, Any]:
    named = record.mapping("metadata")
    others = {key: value for key, value in record.values.items() if key not in _FIELDS}
    for key in _RESERVED:
        if key in named:
            record.problem(f'"{key}" may not stand in "metadata": filters stand beside it, grades in labels')
    twice = sorted(named.keys() & others.keys())
    if twice:
        record.problem(f'"{twice[0]}" stands in the row and in its "metadata"; once is wanted')
    return others | named


def _texts(file: Path, problems: Problems) -> tuple[SourceText, ...]:
    texts: dict[str, SourceText] = {}
    for record in json_lines(file, problems):
        source = record.text("source")
        if source in texts:
            record.problem(f'the source "{source}" has been given before; sources must be unique')
        text = record.text("text")
        texts[source] = SourceText(source, text, record.text("title", ""), record.facts("metadata"))
    return tuple(text for text in texts.values() if text.text)


def _judgements(file: Path, known: set[str], problems: Problems) -> tuple[Judgement, ...]:
    judgements = []
    for record in json_lines(file, problems):
        judgement = Judgement(record.name("question_id"), record.text("source"), record.number("grade", 1))
        if judgement.question_id not in known:
            record.problem(f'there is no question "{judgement.question_id}" in {QUESTIONS}')
        judgements.append(judgement)
    return tuple(judgements)
