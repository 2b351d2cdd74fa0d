"""Query adapters on the public collections: examples, trainings and questions asked, without a workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from corpora import indexed
from numpy.typing import NDArray
from rows import Bench, Row

from ragwright.app.asking import System, ask
from ragwright.app.tuning.dev_search import DevQuestion, dev_search
from ragwright.core.profile import load_profile
from ragwright.core.types import OWNER, Document, Hit, Question, Span, Vectors
from ragwright.eval.ranking import ranking_rows
from ragwright.eval.statistics import by_measure, estimate, randomisation_test
from ragwright.eval.values import Outcome
from ragwright.finetune.adapter_loss import AdapterData
from ragwright.finetune.corpus import Corpus
from ragwright.finetune.examples import make_examples
from ragwright.finetune.negatives import Guards
from ragwright.finetune.query_adapter import AdapterSettings, FittedAdapter, fit_adapter
from ragwright.finetune.values import Example, LabelledQuestion
from ragwright.retrieval.adapted_queries import AdaptedQueries
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.encoder import TransformerEncoder
from ragwright.retrieval.model import DEFAULT_MODEL
from ragwright.retrieval.search import HybridRetriever, SearchOptions
from ragwright.retrieval.terms import Terms

MEASURES = ("nDCG@10", "R@10")
DEPTH = 50
_ASKED = 64  # questions at once

Values = Mapping[str, Mapping[str, float]]
"""By measure and question."""


@dataclass(frozen=True)
class Library:
    """Documents in an index, and what searches it.

    Attributes:
        corpus: Its chunks by place.
        spans: Of every chunk, by its id.
        texts: Of the documents, by source.
    """

    encoder: TransformerEncoder
    index: EdgeIndex
    terms: Terms
    corpus: Corpus
    spans: Mapping[str, Span]
    texts: Mapping[str, str]

    def search(self, encoder: TransformerEncoder | AdaptedQueries | None = None) -> HybridRetriever:
        """The retriever; with another encoder of its queries, where one is given."""
        queries = encoder or self.encoder
        expand = load_profile("general").expansions
        return HybridRetriever(
            queries, self.index, self.terms, scope=OWNER, options=SearchOptions(), expand=expand
        )

    def asked(
        self,
        questions: Sequence[Question],
        encoder: AdaptedQueries | None = None,
        *,
        options: SearchOptions | None = None,
    ) -> list[Outcome]:
        """What comes back for questions, each asked within its document where it names one."""
        search, sources = self.search(encoder), {source: source for source in self.texts}
        system = System(search, None, self.spans, sources, options or SearchOptions())
        return ask(system, questions, dial=())

    def measured(self, outcomes: Sequence[Outcome]) -> Values:
        """The ranking's measures."""
        rows = ranking_rows(outcomes, measures=MEASURES, level="chunks", judgements=(), chunks=self.spans)
        return by_measure(rows)


@contextmanager
def library(documents: list[Document]) -> Iterator[Library]:
    """The documents, whose ids are their sources, in an index."""
    with indexed(documents) as (encoder, index, terms):
        stored = [each for part in index.scan() for each in part]
        yield Library(
            encoder,
            index,
            terms,
            Corpus((each.chunk, each.source) for each in stored),
            {each.chunk.id: each.chunk.span for each in stored},
            {document.source: document.text for document in documents},
        )


def examples_of(place: Library, questions: Sequence[Question]) -> list[Example]:
    """Training examples with mined negatives; documents that no question is about give none of these."""
    about = {span.document_id for each in questions for span in each.references}
    search, hits = place.search(), list[list[Hit]]()
    for first in range(0, len(questions), _ASKED):
        part = questions[first : first + _ASKED]
        found = search.search_many(
            [each.text for each in part],
            limit=DEPTH,
            filters=[each.metadata.get("filters", {}) for each in part],
        )
        hits += [[hit for hit in each if hit.source in about] for each in found]
    labelled = [_labelled(each, place.texts) for each in questions]
    return list(make_examples(labelled, hits, corpus=place.corpus, guards=Guards()).examples)


def trained(
    place: Library, examples: Sequence[Example], dev: Sequence[Question], settings: AdapterSettings
) -> FittedAdapter:
    """An adapter that is learnt from examples and chosen by dev questions."""
    ids = sorted({p.id for each in examples for p in (*each.positives, *each.negatives)})
    vectors = {key: each.vector for key, each in place.index.encodings(ids).items()}
    queries = place.encoder.encode_queries([each.query for each in examples])
    asked = [
        DevQuestion(each.text, frozenset(chunk.id for chunk in right), each.metadata.get("filters", {}))
        for each in dev
        if (right := place.corpus.answering(each.references))
    ]
    measure = dev_search(
        asked,
        retriever=place.search(),
        index=place.index,
        options=SearchOptions(),
        sources={key: span.document_id for key, span in place.spans.items()},
    )
    return fit_adapter(
        AdapterData.of(examples, queries=queries, chunks=vectors),
        dev=place.encoder.encode_queries([each.text for each in asked]),
        measure=measure,
        base=(DEFAULT_MODEL, place.encoder.fingerprint),
        settings=settings,
    )


def compare(bench: Bench, name: str, after: Values, before: Values, *, bars: Mapping[str, str]) -> None:
    """Rows of the paired differences, with the p value of the randomisation test."""
    for measure in MEASURES:
        pairs = [(value, before[measure][key]) for key, value in after[measure].items()]
        both = np.array(pairs)
        found = estimate((both[:, 0] - both[:, 1]).tolist())
        p = randomisation_test(both[:, 0].tolist(), both[:, 1].tolist())
        note = f"{both[:, 1].mean():.4f} to {both[:, 0].mean():.4f}, p {p:.4f}"
        add(
            bench,
            f"{name}: gain in {measure}",
            (found.mean, found.low, found.high),
            found.n,
            note=note,
            bar=bars.get(measure, ""),
        )


def add(
    bench: Bench, what: str, value: tuple[float, float, float], count: int, *, note: str = "", bar: str = ""
) -> None:
    """A row of a value with its interval."""
    sign, _, wanted = bar.partition(" ")
    met = None if not bar else (value[0] >= float(wanted) if sign == ">=" else value[0] <= float(wanted))
    bench.rows.append(Row(what, value[0], "", value[1], value[2], count, bar, met, note))
    told = f"  (wanted {bar}: {'met' if met else 'MISSED'})" if bar else ""
    print(f"{what}: {value[0]:+.4f} [{value[1]:+.4f} .. {value[2]:+.4f}]{told}, {note}", flush=True)


def units(values: NDArray[np.float32]) -> Vectors:
    """Rows of unit length."""
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)


def _labelled(question: Question, texts: Mapping[str, str]) -> LabelledQuestion:
    quotes = tuple(texts[span.document_id][span.start : span.end] for span in question.references)
    return LabelledQuestion(question.id, question.text, question.references, quotes)
