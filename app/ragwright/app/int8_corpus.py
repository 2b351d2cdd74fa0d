"""What an int8 model is measured on: the chunks of a corpus, and questions about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ragwright.app.workspace import Workspace
from ragwright.core.errors import InputError
from ragwright.core.types import Chunk, Document, Question, Span

if TYPE_CHECKING:
    from ragwright.eval.values import Dataset, Judgement

LEAST_QUESTIONS = 50
_KNOWN_ITEMS = 1000  # questions made of the corpus
_SENTENCE = 40  # characters of the shortest sentence that is asked for


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is searched, and what is asked.

    Attributes:
        name: Of the data set, or `known items`.
        chunks: Their spans name documents by source.
        samples: Places in `chunks` of those that ranges are learned from.
        questions: Their references name documents by source.
        judgements: Of whole documents; empty where references are judged.
    """

    name: str
    chunks: Sequence[Chunk]
    samples: Sequence[int]
    questions: Sequence[Question]
    judgements: Sequence[Judgement] = ()

    def digest(self) -> str:
        """Names the chunks by what is encoded of them."""
        digest = hashlib.sha256()
        for chunk in self.chunks:
            digest.update(f"{chunk.context}{chunk.text}\x00".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Draw:
    """What is drawn of a corpus.

    Attributes:
        chunks: Most chunks that are searched.
        samples: Most chunks that ranges are learned from; never more than half of those searched.
        seed: Equal seeds draw the same.
    """

    chunks: int
    samples: int
    seed: int


def gather(workspace: Workspace, dataset: Dataset | None, draw: Draw) -> Corpus:
    """The chunks of a data set's documents, or else of the workspace, with questions about them.

    Args:
        workspace: Cuts the documents, and holds them unless the data set brings some.
        dataset: Asks; None asks for sentences of chunks that no range is learned from, each of which must
            find its chunk (known-item search).
        draw: How many; chunks that answer a question are taken first.

    Raises:
        InputError: There are no documents, or too few questions to tell half a point.
    """
    documents = _documents(workspace, dataset)
    chunks = list(_cut(workspace, documents))
    random = np.random.default_rng(draw.seed)
    texts = {document.source: document.text for document, _ in documents}
    corpus = (
        _known_items(chunks, draw, random)
        if dataset is None
        else _asked(dataset, texts, chunks, draw, random)
    )
    if len(corpus.questions) < LEAST_QUESTIONS:
        raise InputError(
            f"{corpus.name}: {len(corpus.questions)} questions, wanted at least {LEAST_QUESTIONS} to tell "
            "half a point; ingest more documents, or name a larger data set"
        )
    return corpus


def _documents(workspace: Workspace, dataset: Dataset | None) -> list[tuple[Document, str]]:
    """Documents and their domains: those of the data set, else those of the workspace."""
    from ragwright.ingest.texts import as_document

    if dataset is not None and dataset.texts:
        made = (as_document(t.source, t.text, title=t.title, metadata=t.metadata) for t in dataset.texts)
        return [(each, workspace.config.domain) for each in made]
    if workspace.existing_live() is None:
        raise InputError(
            f"workspace {workspace.folder} holds no documents to learn from; run, one after the other:\n"
            "ragwright ingest PATH --set encoder.precision=auto\n"
            "ragwright quantize\n"
            'ragwright ingest --rebuild, with precision = "int8" under [encoder] in ragwright.toml'
        )
    return [(each.document, each.domain) for each in workspace.catalog.documents()]


def _cut(workspace: Workspace, documents: Sequence[tuple[Document, str]]) -> Iterator[Chunk]:
    chunkers = {domain: workspace.chunker(domain) for domain in {domain for _, domain in documents}}
    for document, domain in documents:
        for chunk in chunkers[domain](document):
            span = replace(chunk.span, document_id=document.source)
            yield replace(chunk, span=span)


def _known_items(chunks: Sequence[Chunk], draw: Draw, random: np.random.Generator) -> Corpus:
    kept = [chunks[place] for place in _drawn(random, range(len(chunks)), draw.chunks)]
    samples = _drawn(random, range(len(kept)), min(draw.samples, len(kept) // 2))
    others = sorted(set(range(len(kept))) - set(samples))
    questions = [each for place in others for each in _sentences(kept[place])]
    asked = [questions[place] for place in _drawn(random, range(len(questions)), _KNOWN_ITEMS)]
    return Corpus("known items", kept, samples, asked)


def _sentences(chunk: Chunk) -> Iterator[Question]:
    for number, span in enumerate(chunk.sentences):
        text = chunk.text[span.start - chunk.span.start : span.end - chunk.span.start]
        if len(text) >= _SENTENCE:
            reference = Span(chunk.span.document_id, span.start, span.end)
            yield Question(f"{chunk.id}-{number}", text, (reference,))


def _asked(
    dataset: Dataset,
    texts: Mapping[str, str],
    chunks: Sequence[Chunk],
    draw: Draw,
    random: np.random.Generator,
) -> Corpus:
    from ragwright.eval.binding import bind, bind_judgements

    questions = bind(dataset, texts, texts.get)
    judgements = bind_judgements(dataset, texts)
    judged = {each.question_id for each in judgements if each.grade > 0}
    asked = [each for each in questions if each.id in judged or (not judgements and each.references)]
    answering = set(_answering(chunks, asked, {each.source for each in judgements if each.grade > 0}))
    others = [place for place in range(len(chunks)) if place not in answering]
    kept = sorted(answering | set(_drawn(random, others, max(0, draw.chunks - len(answering)))))
    samples = _drawn(random, range(len(kept)), min(draw.samples, len(kept) // 2))
    return Corpus(dataset.name, [chunks[place] for place in kept], samples, asked, judgements)


def _answering(chunks: Sequence[Chunk], questions: Sequence[Question], sources: set[str]) -> Iterator[int]:
    """Places of the chunks of these documents, or that touch a reference."""
    spans: dict[str, list[Span]] = {}
    for span in (span for question in questions for span in question.references):
        spans.setdefault(span.document_id, []).append(span)
    for place, chunk in enumerate(chunks):
        source, start, end = chunk.span.document_id, chunk.span.start, chunk.span.end
        touching = any(span.start < end and start < span.end for span in spans.get(source, ()))
        if source in sources or touching:
            yield place


def _drawn(random: np.random.Generator, places: Sequence[int], count: int) -> list[int]:
    """So many of the places, ascending: one of each of as many equal stretches."""
    if count >= len(places):
        return list(places)
    edges = np.linspace(0, len(places), count + 1).astype(np.int64)
    return [places[int(random.integers(low, high))] for low, high in pairwise(edges)]
