"""JSON lines with the field names of ragas."""

from __future__ import annotations

from pathlib import Path

from ragwright.core.errors import InputError
from ragwright.eval.read_rows import Problems, Record, first_keys, json_lines
from ragwright.eval.values import Dataset, Item, Reference

WANTED = 'JSON lines with "user_input" and "reference_contexts", or a folder with one (ragas)'
# What a system found and said is no part of a data set; a new run makes its own.
_LEFT_OUT = ("retrieved_contexts", "retrieved_context_ids", "response", "multi_responses")
_FIELDS = ("id", "user_input", "reference", "reference_contexts", *_LEFT_OUT)


def recognises(path: Path) -> bool:
    """Whether this is such a file, or a folder with one."""
    return _file(path) is not None


def read(path: Path) -> Dataset:
    """The questions; name and digest are left empty.

    A reference context has no place: it becomes a reference with a text alone, which is looked up when the
    data set is bound to documents. Rows with only `reference_context_ids` take these as names of documents.
    An empty list of contexts says that the question is unanswerable.

    Raises:
        InputError: The file is not of this form, or rows are wrong; they are listed.
    """
    file = path if path.is_file() else _file(path)
    if file is None:
        raise InputError(f"{path} is no ragas data set; wanted: {WANTED}")
    problems = Problems(str(file))
    rows: dict[str, str] = {}
    items = []
    for record in json_lines(file, problems):
        item = _item(record)
        if item.id in rows:
            record.problem(f'the id "{item.id}" stands at {rows[item.id]} as well; ids must be unique')
        rows.setdefault(item.id, record.row)
        items.append(item)
    if not items and not problems.found:
        problems.add(file.name, "it holds no question")
    problems.check()
    return Dataset("", "ragas", tuple(items))


def _file(path: Path) -> Path | None:
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    found = [each for each in files if each.is_file() and "user_input" in (first_keys(each) or ())]
    return found[0] if len(found) == 1 else None


def _item(record: Record) -> Item:
    if isinstance(record.values.get("user_input"), list):
        record.problem('"user_input" is a conversation; only single questions can be read')
        record = Record({**record.values, "user_input": ""}, record.row, record.problems)
    references = _references(record)
    metadata = {
        key: value for key, value in record.values.items() if key not in _FIELDS and value is not None
    }
    return Item(
        record.name("id", record.row.rpartition(":")[2]),
        record.text("user_input"),
        references,
        record.text("reference", ""),
        bool(references),
        metadata,
        {},
        record.row,
    )


def _references(record: Record) -> tuple[Reference, ...]:
    if record.values.get("reference_contexts") is not None:
        contexts = record.texts("reference_contexts")
        if not all(contexts):
            record.problem('"reference_contexts" holds an empty text; mark at least one character')
        return tuple(Reference("", text=each) for each in contexts)
    ids = record.list_of("reference_context_ids")
    if not ids:
        record.problem(
            '"reference_contexts" is missing; a list is wanted, empty for an unanswerable question'
        )
    return tuple(Reference(str(each)) for each in ids)
