"""BEIR folders: corpus.jsonl, queries.jsonl and qrels/*.tsv."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ragwright.core.errors import InputError
from ragwright.eval.read_judged import Judged, Query, add_grade, judged_dataset
from ragwright.eval.read_rows import Problems, Record, json_lines, read_text
from ragwright.eval.values import Dataset, SourceText

WANTED = "a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv, or one such TSV file (beir)"


def recognises(path: Path) -> bool:
    """Whether this is such a folder, or a file in its folder `qrels`."""
    folder = path if path.is_dir() else path.parent.parent
    named = path.is_dir() or (path.suffix == ".tsv" and path.parent.name == "qrels")
    return named and (folder / "corpus.jsonl").is_file() and (folder / "queries.jsonl").is_file()


def read(path: Path) -> Dataset:
    """The judged queries and all documents; a source is the document's id. Name and digest are left empty.

    Raises:
        InputError: A file is missing, or rows are wrong; they are listed.
    """
    if not recognises(path):
        raise InputError(f"{path} is no BEIR data set; wanted: {WANTED}")
    folder = path if path.is_dir() else path.parent.parent
    problems = Problems(str(path))
    judged = Judged(
        _queries(folder / "queries.jsonl", problems),
        list(_texts(folder / "corpus.jsonl", problems)),
        _judgements(_chosen(path), problems),
    )
    return judged_dataset(judged, format="beir", problems=problems)


def _chosen(path: Path) -> Path:
    if path.is_file():
        return path
    files = sorted((path / "qrels").glob("*.tsv"))
    wanted = [each for each in files if each.name == "test.tsv"] or files
    if len(wanted) == 1:
        return wanted[0]
    seen = ", ".join(f"qrels/{each.name}" for each in files) or "no qrels/*.tsv"
    raise InputError(f"{path} has {seen}; wanted: qrels/test.tsv, or the path of the one to use")


def _queries(file: Path, problems: Problems) -> dict[str, Query]:
    queries: dict[str, Query] = {}
    for record in json_lines(file, problems):
        name = _unique(record, queries)
        queries[name] = Query(record.text("text"), record.row, record.mapping("metadata"))
    return queries


def _texts(file: Path, problems: Problems) -> Iterator[SourceText]:
    names: dict[str, str] = {}
    for record in json_lines(file, problems):
        name = _unique(record, names)
        names[name] = record.row
        # Other values than texts occur in published corpora; filters need texts.
        metadata = {key: str(value) for key, value in record.mapping("metadata").items()}
        yield SourceText(name, record.text("text", ""), record.text("title", ""), metadata)


def _unique(record: Record, taken: dict[str, Query] | dict[str, str]) -> str:
    name = record.name("_id")
    if name in taken:
        record.problem(f'the _id "{name}" has been given before; ids must be unique')
    return name


def _judgements(file: Path, problems: Problems) -> dict[tuple[str, str], tuple[int, str]]:
    judgements: dict[tuple[str, str], tuple[int, str]] = {}
    for number, line in enumerate(read_text(file).removeprefix("\ufeff").split("\n"), 1):
        fields = line.split("\t")
        is_header = number == 1 and not _is_whole(fields[-1])
        if not line.strip() or is_header:
            continue
        row = f"{file.name}:{number}"
        if len(fields) != 3:
            problems.add(row, f"{len(fields)} columns; query-id, corpus-id and score with tabs are wanted")
            continue
        add_grade(judgements, (fields[0], fields[1]), grade=fields[2], row=row, problems=problems)
    return judgements


def _is_whole(text: str) -> bool:
    return text.strip().removeprefix("-").isdecimal()
