"""The public test collections, read from the shared data and put into an index of their own."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rows import DATA, ROOT

from ragwright.core.profile import load_profile
from ragwright.core.types import Document, IndexEntry, Passage, Question, Span
from ragwright.ingest.chunk import build_chunker
from ragwright.ingest.parse import parse
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.encoder import TransformerEncoder, load_encoder
from ragwright.retrieval.model import DEFAULT_MODEL
from ragwright.retrieval.search import HybridRetriever, SearchOptions
from ragwright.retrieval.terms import Terms


@dataclass(frozen=True)
class Judged:
    """A relevance judgement: query, document, grade."""

    query: str
    document: str
    grade: int


def chroma() -> tuple[list[Document], list[Question]]:
    """The five corpora and 472 questions with exact reference spans."""
    folder = DATA / "chroma"
    documents = [
        _document(path.stem, path.read_bytes(), path.name)
        for path in sorted((folder / "corpora").glob("*.md"))
    ]
    questions = []
    with (folder / "questions_df.csv").open(encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            references = json.loads(row["references"])
            spans = tuple(
                Span(row["corpus_id"], each["start_index"], each["end_index"]) for each in references
            )
            questions.append(Question(str(number), row["question"], spans))
    return documents, questions


def cranfield() -> tuple[list[Document], list[Question], list[Judged]]:
    """1,400 abstracts, 225 queries in the order of their judgements' numbers, and the judgements."""
    folder = DATA / "cranfield"
    documents = []
    for record in re.findall(
        r"<doc>(.*?)</doc>", (folder / "cran.all.1400.xml").read_text(encoding="utf-8"), re.S
    ):
        number, title, text = (_field(record, name) for name in ("docno", "title", "text"))
        if text or title:
            documents.append(
                _document(number, (text or title).encode(), f"{number}.txt", " ".join(title.split()))
            )
    titles = re.findall(r"<title>(.*?)</title>", (folder / "cran.qry.xml").read_text(encoding="utf-8"), re.S)
    # The judgements count queries from 1 in file order and do not use the numbers in the query file.
    questions = [Question(str(number), " ".join(title.split())) for number, title in enumerate(titles, 1)]
    lines = (folder / "cranqrel.trec.txt").read_text(encoding="utf-8").split("\n")
    judged = [Judged(q, d, int(grade)) for q, _, d, grade in (line.split() for line in lines if line.strip())]
    return documents, questions, judged


def policyqa(every: int = 6) -> tuple[list[Document], list[Question]]:
    """20 privacy policies and every sixth of 3,809 questions, each to be asked within its policy."""
    data = json.loads((DATA / "policyqa" / "dev.json").read_text(encoding="utf-8"))["data"]
    documents, questions = [], []
    for policy in data:
        name, text = policy["title"], ""
        for paragraph in policy["paragraphs"]:
            shift = len(text)
            text += paragraph["context"] + "\n\n"
            for entry in paragraph["qas"]:
                spans = {(shift + a["answer_start"], len(a["text"])) for a in entry["answers"]}
                references = tuple(Span(name, start, start + length) for start, length in sorted(spans))
                questions.append(
                    Question(str(entry["id"]), entry["question"], references[:1], metadata={"source": name})
                )
        documents.append(_document(name, text.encode(), f"{name}.txt", name))
    return documents, questions[::every]


def demo() -> tuple[list[Document], list[Question]]:
    """The demo's documents and its 60 questions."""
    folder = ROOT / "demo"
    paths = sorted(path for path in (folder / "documents").rglob("*") if path.is_file())
    keys = {path: path.relative_to(folder).as_posix() for path in paths}
    documents = [_document(keys[path], path.read_bytes(), path.name) for path in paths]
    questions = []
    for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        spans = tuple(Span(each["source"], each["start"], each["end"]) for each in row["references"])
        questions.append(Question(row["id"], row["question"], spans, row["answer"]))
    return documents, questions


@contextmanager
def indexed(documents: list[Document]) -> Iterator[tuple[TransformerEncoder, EdgeIndex, Terms]]:
    """An index of these documents under the default settings, and what searches it."""
    with TemporaryDirectory() as name:
        encoder = load_encoder(
            DEFAULT_MODEL,
            backend="auto",
            precision="auto",
            cache=Path(name) / "models",
            batch_tokens=1024,
            threads=0,
        )
        chunker = build_chunker(load_profile("general"), encoder.tokenizer)
        terms = Terms("en")
        index = EdgeIndex.create(Path(name) / "index", dimension=encoder.dimension, terms=terms)
        titles = {document.id: document for document in documents}
        chunks = [chunk for document in documents for chunk in chunker(document)]
        for start in range(0, len(chunks), 512):
            part = chunks[start : start + 512]
            encodings = encoder.encode_passages([Passage.of(chunk) for chunk in part])
            index.upsert(
                [
                    IndexEntry(
                        chunk, chunk.span.document_id, titles[chunk.span.document_id].title, {}, encoding
                    )
                    for chunk, encoding in zip(part, encodings, strict=True)
                ]
            )
        index.optimize()
        yield encoder, index, terms
        index.close()


def retriever(
    encoder: TransformerEncoder, index: EdgeIndex, terms: Terms, options: SearchOptions
) -> HybridRetriever:
    """A retriever with the general glossary."""
    profile = load_profile("general")
    return HybridRetriever(encoder, index, terms, options=options, expand=profile.expansions)


def _document(key: str, data: bytes, name: str, title: str = "") -> Document:
    parsed = parse(data, name)
    return Document(key, key, title or parsed.title or Path(name).stem, parsed.text, parsed.blocks)


def _field(record: str, name: str) -> str:
    found = re.search(f"<{name}>(.*?)</{name}>", record, re.S)
    return found.group(1).strip() if found else ""
