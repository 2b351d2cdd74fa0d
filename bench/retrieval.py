"""Retrieval quality on public collections: fusion, evidence spans, refusal.

    python bench/retrieval.py

Needs the shared data. Cranfield (225 queries, nDCG@10 through ir-measures) and the five corpora of the
token-IoU report (472 questions with exact spans) choose between the fusion methods; evidence is scored in
exact characters. The evidence weights and the refusal threshold were set by hand on the five corpora, so
those rows describe the fit. The demo was seen once while the threshold was set; PolicyQA was not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import ir_measures
import numpy as np
from corpora import Judged, chroma, cranfield, demo, indexed, policyqa, retriever
from ir_measures import R, nDCG
from rows import DATA, Bench

from ragwright.core.config import AnswerConfig
from ragwright.core.types import Hit, Question, Span
from ragwright.retrieval.search import HybridRetriever, SearchOptions

DEFAULT = SearchOptions()
MODES: Mapping[str, SearchOptions] = {
    "BM25 alone": replace(DEFAULT, mode="lexical"),
    "dense alone": replace(DEFAULT, mode="dense"),
    "hybrid, RRF": replace(DEFAULT, fusion="rrf"),
    "hybrid, weighted": replace(DEFAULT, fusion="weighted"),
}
REFUSED_BELOW = AnswerConfig().support
SHARES = (0.6, 0.7, 0.76, 0.8, 0.84, 0.9, 1.0)


def rank_documents(hits: Sequence[Hit]) -> dict[str, float]:
    """The best score of each document's chunks."""
    scores: dict[str, float] = {}
    for hit in hits:
        scores[hit.source] = max(scores.get(hit.source, float("-inf")), hit.score)
    return scores


def bench_cranfield(bench: Bench) -> None:
    """nDCG@10 per mode; a query without hits scores zero."""
    documents, questions, judgements = cranfield()
    with indexed(documents) as (encoder, index, terms):
        for name, options in MODES.items():
            search = retriever(encoder, index, terms, replace(options, limit=50))
            run = {question.id: rank_documents(search.search(question.text)) for question in questions}
            scores = per_query(run, judgements)
            bar = ">= 0.43" if name == f"hybrid, {DEFAULT.fusion}" else ""
            bench.add_mean(f"Cranfield nDCG@10, {name}", scores["nDCG@10"], bar=bar)
            bench.add_mean(f"Cranfield R@10, {name}", scores["R@10"])


def per_query(run: Mapping[str, Mapping[str, float]], judgements: Sequence[Judged]) -> dict[str, list[float]]:
    """Scores by measure, one for every judged query."""
    qrels = [ir_measures.Qrel(each.query, each.document, each.grade) for each in judgements]
    scored = [ir_measures.ScoredDoc(q, d, score) for q, found in run.items() for d, score in found.items()]
    scores: dict[str, list[float]] = {}
    for metric in ir_measures.iter_calc([nDCG @ 10, R @ 10], qrels, scored):
        scores.setdefault(str(metric.measure), []).append(metric.value)
    return scores


def bench_chroma(bench: Bench) -> None:
    """Recall of ten chunks per mode, the evidence dial, and refusal."""
    documents, questions = chroma()
    with indexed(documents) as (encoder, index, terms):
        search = retriever(encoder, index, terms, DEFAULT)
        for name, options in MODES.items():
            found = [places(search.search(question.text, options=options)) for question in questions]
            values = [recall(spans, question) for spans, question in zip(found, questions, strict=True)]
            bench.add_mean(f"five corpora, recall of ten chunks, {name}", values)
        for share in SHARES:
            bench_share(bench, search, questions, share)
        bench_refusal(bench, search, questions)


def bench_share(
    bench: Bench,
    search: HybridRetriever,
    questions: Sequence[Question],
    share: float,
    *,
    name: str = "five corpora",
) -> None:
    """Recall and IoU of the evidence at one position of the dial."""
    options = replace(DEFAULT, evidence=share)
    pairs = []
    for question in questions:
        filters = {"source": question.metadata["source"]} if "source" in question.metadata else {}
        hits = search.search(question.text, options=options, filters=filters)
        pairs.append(([evidence.span for hit in hits for evidence in hit.evidence], question))
    default = " (default)" if share == DEFAULT.evidence else ""
    bench.add_mean(f"{name}, evidence recall at share {share}{default}", [recall(s, q) for s, q in pairs])
    bench.add_mean(f"{name}, evidence IoU at share {share}{default}", [iou(s, q) for s, q in pairs])


def bench_policyqa(bench: Bench) -> None:
    """Evidence in the policy that a question is about: short answers in legal prose, never looked at."""
    documents, questions = policyqa()
    with indexed(documents) as (encoder, index, terms):
        search = retriever(encoder, index, terms, DEFAULT)
        for share in (0.6, DEFAULT.evidence):
            bench_share(bench, search, questions, share, name="PolicyQA")


def bench_demo(bench: Bench) -> None:
    """Evidence and refusal on the demo's own questions."""
    documents, questions = demo()
    answerable = [question for question in questions if question.references]
    with indexed(documents) as (encoder, index, terms):
        search = retriever(encoder, index, terms, DEFAULT)
        bench_share(bench, search, answerable, DEFAULT.evidence, name="demo")
        refused = {q.id: float(support(search.search(q.text)) < REFUSED_BELOW) for q in questions}
    values = [refused[question.id] for question in answerable]
    bench.add_mean(f"demo, answerable questions refused at support {REFUSED_BELOW}", values)
    values = [refused[question.id] for question in questions if not question.references]
    bench.add_mean(f"demo, unanswerable questions refused at support {REFUSED_BELOW}", values)


def bench_refusal(bench: Bench, search: HybridRetriever, questions: Sequence[Question]) -> None:
    """Support of questions asked to all corpora, and to the four corpora that do not hold their answer."""
    corpora = sorted({question.references[0].document_id for question in questions})
    answerable, unanswerable = [], []
    for question in questions:
        own = question.references[0].document_id
        answerable.append(support(search.search(question.text)))
        others = (search.search(question.text, filters={"source": name}) for name in corpora if name != own)
        unanswerable.append(max(support(hits) for hits in others))
    for threshold in (REFUSED_BELOW - 0.04, REFUSED_BELOW, REFUSED_BELOW + 0.04):
        refused = [float(value < threshold) for value in answerable]
        bench.add_mean(f"answerable questions refused at support {threshold:.2f}", refused)
        refused = [float(value < threshold) for value in unanswerable]
        bench.add_mean(
            f"questions asked to the other four corpora refused at support {threshold:.2f}", refused
        )


def support(hits: Sequence[Hit]) -> float:
    """Score of the best evidence."""
    return max((evidence.score for hit in hits for evidence in hit.evidence), default=0.0)


def places(hits: Sequence[Hit]) -> list[Span]:
    """Where the texts of the hits stand: in the chunk that is shown, and in the places listed with it."""
    return [span for hit in hits for span in (hit.chunk.span, *(place.span for place in hit.duplicates))]


def recall(spans: Sequence[Span], question: Question) -> float:
    """Share of the reference characters that are covered."""
    return _covered(spans, question) / sum(len(reference) for reference in question.references)


def iou(spans: Sequence[Span], question: Question) -> float:
    """Covered reference characters over all characters of either; evidence spans do not overlap."""
    covered = _covered(spans, question)
    either = sum(len(span) for span in spans) + sum(len(reference) for reference in question.references)
    return covered / (either - covered)


def _covered(spans: Sequence[Span], question: Question) -> int:
    covered = 0
    for reference in question.references:
        mask = np.zeros(len(reference), bool)
        for span in spans:
            if span.overlaps(reference):
                mask[
                    max(span.start, reference.start) - reference.start : min(span.end, reference.end)
                    - reference.start
                ] = True
        covered += int(mask.sum())
    return covered


def main() -> None:
    """Run and write `bench/results/retrieval.json`."""
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is absent; this benchmark needs the shared data")
    bench = Bench("retrieval", "python bench/retrieval.py")
    bench_cranfield(bench)
    bench_chroma(bench)
    bench_policyqa(bench)
    bench_demo(bench)
    bench.write()


if __name__ == "__main__":
    main()
