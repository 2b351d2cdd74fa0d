"""The public test collections, as data sets and as an index that is searched without a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rows import DATA, ROOT

from ragwright.core.profile import load_profile
from ragwright.core.types import OWNER, Document, IndexEntry, Passage, Question
from ragwright.eval.binding import bind
from ragwright.eval.datasets import load_dataset
from ragwright.eval.values import Dataset
from ragwright.ingest.chunk import build_chunker
from ragwright.ingest.parse import parse
from ragwright.ingest.texts import as_document
from ragwright.retrieval.adapted_queries import QueryEncoder
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.encoder import TransformerEncoder, load_encoder
from ragwright.retrieval.forward import Compute
from ragwright.retrieval.model import DEFAULT_MODEL
from ragwright.retrieval.search import HybridRetriever, SearchOptions
from ragwright.retrieval.terms import Terms

Collection = tuple[list[Document], list[Question]]
"""Documents whose id is their source, and questions about them."""


def chroma() -> Collection:
    """The five corpora and 472 questions with exact reference spans."""
    return _collection(load_dataset(DATA / "chroma"))


def policyqa(every: int = 6) -> Collection:
    """20 privacy policies and every sixth of 3,809 questions, each to be asked within its policy."""
    documents, questions = _collection(load_dataset(DATA / "policyqa" / "dev.json"))
    return documents, questions[::every]


def demo() -> Collection:
    """The demo's documents and its 60 questions."""
    folder = ROOT / "demo"
    paths = sorted(path for path in (folder / "documents").rglob("*") if path.is_file())
    documents = [_parsed(path, path.relative_to(folder).as_posix()) for path in paths]
    texts = {document.source: document.text for document in documents}
    return documents, bind(load_dataset(folder / "questions.jsonl"), texts, texts.get)


@contextmanager
def indexed(
    documents: list[Document], *, model: str = DEFAULT_MODEL
) -> Iterator[tuple[TransformerEncoder, EdgeIndex, Terms]]:
    """An index of these documents under the default settings, and what searches it."""
    with TemporaryDirectory() as name:
        encoder = load_encoder(model, Compute(cache=Path(name) / "models"))
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
    encoder: QueryEncoder, index: EdgeIndex, terms: Terms, options: SearchOptions
) -> HybridRetriever:
    """A retriever with the general glossary."""
    profile = load_profile("general")
    return HybridRetriever(encoder, index, terms, scope=OWNER, options=options, expand=profile.expansions)


def _collection(dataset: Dataset) -> Collection:
    made = (as_document(each.source, each.text, title=each.title) for each in dataset.texts)
    documents = [_named_by_source(document) for document in made]
    texts = {document.source: document.text for document in documents}
    return documents, bind(dataset, texts, texts.get)


def _parsed(path: Path, source: str) -> Document:
    parsed = parse(path.read_bytes(), path.name)
    return Document(source, source, parsed.title or path.stem, parsed.text, parsed.blocks)


def _named_by_source(document: Document) -> Document:
    return Document(document.source, document.source, document.title, document.text, document.blocks)
