"""LegalBench-RAG: queries with snippets as spans of the files in a corpus folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragwright.core.errors import InputError
from ragwright.eval.read_rows import Problems, Record, holds_list, json_object, read_text, span_problem
from ragwright.eval.values import Dataset, Item, Reference, SourceText

WANTED = 'a JSON file with "tests" and "snippets", or a folder with one (legalbench)'


def recognises(path: Path) -> bool:
    """Whether this is such a JSON file, or a folder with one of them."""
    return _file(path) is not None


def read(path: Path) -> Dataset:
    """The queries, numbered from 1, and every file of the corpus folder; name and digest are left empty.

    The folder `corpus` lies beside the JSON file or one level above; files that no snippet names are read
    as well, since they make the search as hard as it is meant to be. Without the folder there are no texts.

    Raises:
        InputError: The file is not of this form, or entries are wrong; they are listed.
    """
    file = path if path.is_file() else _file(path)
    if file is None:
        raise InputError(f"{path} is no LegalBench-RAG data set; wanted: {WANTED}")
    problems = Problems(str(file))
    texts = _texts(file)
    known = {text.source for text in texts}
    items = tuple(
        _item(number, Record(each.values, f"{file.name}: test {number}", problems), known)
        for number, each in enumerate(json_object(file, problems).objects("tests"), 1)
    )
    if not items and not problems.found:
        problems.add(file.name, "it holds no test")
    problems.check()
    return Dataset("", "legalbench", items, tuple(text for text in texts if text.text))


def _file(path: Path) -> Path | None:
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    found = [each for each in files if each.is_file() and holds_list(each, "tests", "snippets")]
    return found[0] if len(found) == 1 else None


def _texts(file: Path) -> tuple[SourceText, ...]:
    places = (file.parent / "corpus", file.absolute().parent.parent / "corpus")
    folder = next((each for each in places if each.is_dir()), None)
    if folder is None:
        return ()
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    named = [(each, each.relative_to(folder)) for each in files]
    return tuple(
        SourceText(name.as_posix(), read_text(each), name.stem, {"corpus": name.parts[0]})
        for each, name in named
        if not any(part.startswith(".") for part in name.parts)
    )


def _item(number: int, record: Record, known: set[str]) -> Item:
    references = tuple(_reference(each, known) for each in record.objects("snippets"))
    if not references:
        record.problem("the query has no snippets; at least one is wanted")
    metadata: dict[str, Any] = {}
    if references and "/" in references[0].source:
        metadata["corpus"] = references[0].source.partition("/")[0]
    if record.texts("tags"):
        metadata["tags"] = record.texts("tags")
    return Item(str(number), record.text("query"), references, metadata=metadata, row=record.row)


def _reference(record: Record, known: set[str]) -> Reference:
    source, span = record.text("file_path"), record.list_of("span")
    if known and source not in known:
        record.problem(f'there is no corpus file "{source}"')
    if len(span) != 2 or any(type(each) is not int for each in span):
        record.problem(f'"span" is {span}; two whole numbers are wanted')
        return Reference(source)
    problem = span_problem(*span)
    if problem:
        record.problem(problem)
    text = record.text("answer") if record.values.get("answer") is not None else None
    return Reference(source, span[0], span[1], text)
