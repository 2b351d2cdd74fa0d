"""TREC collections: documents and topics in TREC's XML or SGML, judgements as qrels."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ragwright.core.errors import InputError
from ragwright.eval.read_judged import Judged, Query, add_grade, judged_dataset
from ragwright.eval.read_rows import Problems, head, read_text
from ragwright.eval.values import Dataset, SourceText

WANTED = "a folder with TREC topics (<top>), qrels (`query 0 document grade`) and documents (<doc>) (trec)"

_MARKED = re.compile(r"<(doc|top)(?:\s[^>]*)?>", re.I)
_QRELS_SUFFIXES = (".txt", ".qrels", ".tsv", "")
_QRELS_LINE = re.compile(r"\S+\s+\S+\s+\S+\s+-?\d+\s*")
_DOCUMENT = re.compile(r"<doc(?:\s[^>]*)?>(.*?)</doc>", re.I | re.S)
_TOPIC = re.compile(r"<top(?:\s[^>]*)?>(.*?)</top>", re.I | re.S)
# Classic topics do not close their fields: one ends where the next begins.
_TOPIC_FIELD = re.compile(r"<(\w+)>(.*?)(?=</\1>|<\w+>|\Z)", re.I | re.S)
_LABEL = re.compile(r"\s*(?:Number|Topic|Description|Narrative):", re.I)
_LEAF = re.compile(r"<(\w+)>([^<]*)</\1>", re.I)
_TEXT = re.compile(r"<text(?:\s[^>]*)?>(.*?)</text>", re.I | re.S)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_TITLES = ("title", "headline", "hl", "head")


@dataclass(frozen=True)
class _Files:
    documents: tuple[Path, ...]
    topics: tuple[Path, ...]
    judgements: tuple[Path, ...]


def recognises(path: Path) -> bool:
    """Whether this is a folder with topics and judgements."""
    if not path.is_dir():
        return False
    files = _files(path)
    return bool(files.topics and files.judgements)


def read(path: Path) -> Dataset:
    """The judged topics and the documents; a source is the document's number. Name and digest are empty.

    Some collections (Cranfield) count queries from 1 in file order in the judgements and number them
    otherwise in the topics. This is assumed when some judged number is no topic's but all fit such a count;
    the questions' metadata then has the topic's own number as `topic`.

    Raises:
        InputError: A file is missing, judgements fit no topic, or rows are wrong; they are listed.
    """
    files = _files(path) if path.is_dir() else _Files((), (), ())
    if not files.topics or len(files.judgements) != 1:
        seen = f"{len(files.topics)} files with topics and {len(files.judgements)} with judgements"
        raise InputError(f"{path} has {seen}; wanted: {WANTED}, one of them with judgements")
    problems = Problems(str(path))
    judgements = _judgements(files.judgements[0], problems)
    topics = _topics(files.topics, problems)
    texts = _texts(files.documents, problems)
    queries = _numbered(topics, {query for query, _ in judgements})
    return judged_dataset(Judged(queries, texts, judgements), format="trec", problems=problems)


def _files(folder: Path) -> _Files:
    found: dict[str, list[Path]] = {"doc": [], "top": [], "qrels": []}
    paths = [each for pattern in ("*", "*/*") for each in folder.glob(pattern)]
    for path in sorted(paths):
        kind = "" if path.name.startswith(".") or not path.is_file() else _kind(path)
        if kind:
            found[kind].append(path)
    return _Files(tuple(found["doc"]), tuple(found["top"]), tuple(found["qrels"]))


def _kind(path: Path) -> str:
    start = head(path, 8192).lstrip()
    # A description of the format shows the same tags, but does not begin with one.
    marked = _MARKED.search(start) if start.startswith("<") else None
    if marked:
        return marked[1].lower()
    is_qrels = path.suffix in _QRELS_SUFFIXES and _QRELS_LINE.fullmatch(start.partition("\n")[0])
    return "qrels" if is_qrels else ""


def _judgements(file: Path, problems: Problems) -> dict[tuple[str, str], tuple[int, str]]:
    judgements: dict[tuple[str, str], tuple[int, str]] = {}
    for number, line in enumerate(read_text(file, fallback="latin-1").split("\n"), 1):
        fields = line.split()
        row = f"{file.name}:{number}"
        if len(fields) == 4:
            add_grade(judgements, (fields[0], fields[2]), grade=fields[3], row=row, problems=problems)
        elif fields:
            problems.add(row, f"{len(fields)} columns; `query 0 document grade` is wanted")
    return judgements


def _topics(files: tuple[Path, ...], problems: Problems) -> dict[str, Query]:
    topics: dict[str, Query] = {}
    for file, match, row in _records(files, _TOPIC):
        fields = {
            name.lower(): _plain(_LABEL.sub("", value, 1)) for name, value in _TOPIC_FIELD.findall(match)
        }
        number, title = fields.get("num", ""), fields.get("title") or fields.get("desc", "")
        if not number or not title:
            problems.add(row, f"a topic of {file} without <num> or <title>")
        if number in topics:
            problems.add(row, f"topic {number} has been given before at {topics[number].row}")
        names = {"desc": "description", "narr": "narrative"}
        extra = {names[name]: value for name, value in fields.items() if name in names and value}
        topics[number] = Query(title, row, extra)
    return topics


def _numbered(topics: Mapping[str, Query], judged: set[str]) -> dict[str, Query]:
    """The topics under the ids that the judgements use."""
    counted = {str(number): topic for number, topic in enumerate(topics.items(), 1)}
    if judged <= topics.keys() or not judged <= counted.keys():
        return dict(topics)
    return {
        number: Query(query.text, query.row, {**query.metadata, "topic": topic})
        for number, (topic, query) in counted.items()
    }


def _texts(files: tuple[Path, ...], problems: Problems) -> list[SourceText]:
    texts: dict[str, SourceText] = {}
    for _, record, row in _records(files, _DOCUMENT):
        text = _text(record)
        if not text.source:
            problems.add(row, "a document without <docno>")
        elif text.source in texts:
            problems.add(row, f"document {text.source} has been given before; numbers must be unique")
        texts[text.source] = text
    return list(texts.values())


def _text(record: str) -> SourceText:
    leaves = {name.lower(): _plain(value) for name, value in _LEAF.findall(record)}
    title = next((leaves[name] for name in _TITLES if leaves.get(name)), "")
    # Collections without <text> hold the text in fields of their own: all but the identifier is read.
    parts = _TEXT.findall(record) or [re.sub(r"<docno>.*?</docno>", "", record, flags=re.I | re.S)]
    text = "\n\n".join(html.unescape(_TAG.sub("", part)).strip() for part in parts)
    left_out = ("docno", "text", *_TITLES)
    metadata = {name: value for name, value in leaves.items() if value and name not in left_out}
    return SourceText(leaves.get("docno", ""), text.strip(), title, metadata)


def _records(files: tuple[Path, ...], pattern: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
    """File name, content and row of every match, in file order."""
    for file in files:
        text = read_text(file, fallback="latin-1")
        line, position = 1, 0
        for match in pattern.finditer(text):
            line, position = line + text.count("\n", position, match.start()), match.start()
            yield file.name, match[1], f"{file.name}:{line}"


def _plain(text: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", text)).split())
