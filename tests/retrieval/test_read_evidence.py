"""Where a reader reads, evidence is what is expected to raise the overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.small_reader import RULES

from ragwright.core.errors import InputError
from ragwright.core.protocols import Reading
from ragwright.core.reader_folder import AnswerWeights, EvidenceWeights, ReaderRules
from ragwright.core.types import OWNER, Chunk, IndexEntry, Passage
from ragwright.retrieval.edge import EdgeIndex
from ragwright.retrieval.encoder import TransformerEncoder
from ragwright.retrieval.evidence_score import Signs
from ragwright.retrieval.read_evidence import (
    EVEN,
    HALF,
    answer_probability,
    dial_scores,
    evidence_odds,
    sign_columns,
)
from ragwright.retrieval.search import HybridRetriever, SearchOptions
from ragwright.retrieval.terms import Terms

sentences = st.lists(st.tuples(st.floats(-8, 8), st.integers(1, 300)), min_size=1, max_size=9)


def _overlap(chances: np.ndarray, lengths: np.ndarray, kept: Sequence[int]) -> float:
    """What the overlap is expected to be when these sentences are kept."""
    wanted = chances * lengths
    inside = wanted[list(kept)].sum()
    return float(inside / (lengths[list(kept)].sum() + wanted.sum() - inside))


@given(sentences)
def test_scores_are_shares_in_the_order_of_the_odds(drawn: list[tuple[float, int]]) -> None:
    odds, lengths = np.array(drawn, float).T
    scores = dial_scores(odds, lengths)
    assert scores.max() == 1.0 and scores.min() >= 0.0
    order = np.argsort(-odds, kind="stable")
    assert (np.diff(scores[order]) <= 1e-12).all()
    np.testing.assert_allclose(dial_scores(odds, lengths * 7), scores, atol=1e-9)


@given(sentences)
def test_what_reaches_the_even_position_has_the_largest_expected_overlap(
    drawn: list[tuple[float, int]],
) -> None:
    odds, lengths = np.array(drawn, float).T
    chances, order = 1 / (1 + np.exp(-odds)), np.argsort(-odds, kind="stable")
    kept = np.flatnonzero(dial_scores(odds, lengths) >= EVEN - 1e-12)
    best = max(_overlap(chances, lengths, order[:n].tolist()) for n in range(1, len(order) + 1))
    assert _overlap(chances, lengths, kept.tolist()) == pytest.approx(best, rel=1e-6)


@given(sentences, st.floats(0.01, 20.0))
def test_what_stays_below_the_even_position_pays_as_the_weight_of_the_recall_says(
    drawn: list[tuple[float, int]], weight: float
) -> None:
    odds, lengths = np.array(drawn, float).T
    chances, order = 1 / (1 + np.exp(-odds)), np.argsort(-odds, kind="stable")
    scores, position = dial_scores(odds, lengths), EVEN / (1 + weight / HALF)
    for number, place in enumerate(order[1:], start=1):
        before = order[:number].tolist()
        overlap = _overlap(chances, lengths, before)
        recall = (chances * lengths)[before].sum() / (chances * lengths).sum()
        pays = np.exp(odds[place]) * (overlap + weight * recall) / overlap**2
        if scores[place] > position + 1e-6:
            assert pays > 1.0 - 1e-6
        if pays < 1.0 - 1e-6:
            assert (scores[order[number:]] < position + 1e-6).all(), "nor does what is less likely"


def test_a_question_with_many_likely_sentences_keeps_many_and_one_with_one_keeps_one() -> None:
    lengths = np.full(6, 100.0)
    many = dial_scores(np.array([2.0, 1.9, 1.8, 1.7, 1.6, -4.0]), lengths)
    one = dial_scores(np.array([2.0, -4.0, -4.0, -4.0, -4.0, -4.0]), lengths)
    assert (many >= EVEN).tolist() == [True] * 5 + [False]
    assert (one >= EVEN).tolist() == [True] + [False] * 5
    assert dial_scores(np.zeros(0), np.zeros(0)).shape == (0,)


def _reading(passage: float, *odds: float) -> Reading:
    return Reading(passage, np.array(odds, np.float32))


def test_a_sentences_odds_are_the_weighted_sum_of_its_signs() -> None:
    signs = Signs(np.array([0.5, 0.25, 0.0]), np.array([0.2, 0.1, 0.4]), np.array([1.0, 1.0, 0.5]))
    read = [_reading(1.5, 2.0, -1.0), _reading(-3.0, 0.5)]
    columns = sign_columns(signs, read)
    np.testing.assert_allclose(columns[:, :2], [[2.0, 1.5], [-1.0, 1.5], [0.5, -3.0]])
    np.testing.assert_allclose(columns[:, 2:], [[1.0, 0.5, 1.0], [0.5, 0.25, 1.0], [0.0, 1.0, 0.5]])
    weights = EvidenceWeights(bias=-2.0, sentence=0.5, passage=0.25, meaning=1.0, words=2.0, chunk_words=3.0)
    expected = columns @ [0.5, 0.25, 1.0, 2.0, 3.0] - 2.0
    np.testing.assert_allclose(evidence_odds(signs, read, weights), expected)


def test_how_likely_there_is_an_answer_depends_on_the_best_chunk_and_on_the_support() -> None:
    signs = Signs(np.array([0.5]), np.array([0.2]), np.array([0.3]))
    weights = AnswerWeights(bias=-1.0, passage=2.0, support=5.0)
    found = answer_probability(signs, [_reading(-3.0, 0.0), _reading(0.5)], weights)
    assert found == pytest.approx(1 / (1 + np.exp(-(-1.0 + 1.0 + 5.0 * 0.4))))
    assert answer_probability(signs, [], weights) == 0.0


class Finger:
    """A reader that takes sentences with one word for the evidence, and remembers what it was given."""

    fingerprint = "finger"
    rules: ReaderRules = replace(RULES, evidence=EvidenceWeights(0.0, sentence=1.0, passage=0.0))

    def __init__(self, word: str) -> None:
        self.word = word
        self.calls: list[tuple[list[str], list[int]]] = []

    def read(self, queries: Sequence[str], candidates: Sequence[Sequence[Chunk]]) -> list[list[Reading]]:
        """See `Reader.read`."""
        self.calls.append((list(queries), [len(each) for each in candidates]))
        return [[self._read(chunk) for chunk in chunks] for chunks in candidates]

    def _read(self, chunk: Chunk) -> Reading:
        texts = [chunk.text[s.start - chunk.span.start : s.end - chunk.span.start] for s in chunk.sentences]
        place = chunk.text.find(self.word)
        answer = (place, place + len(self.word)) if place >= 0 else None
        odds = [4.0 if self.word in text else -4.0 for text in texts]
        return Reading(3.0 if answer else -3.0, np.array(odds, np.float32), answer)


@pytest.fixture(scope="module")
def index(
    tmp_path_factory: pytest.TempPathFactory,
    encoder: TransformerEncoder,
    terms: Terms,
    make_entry: Callable[..., IndexEntry],
) -> Iterator[EdgeIndex]:
    """Six chunks on pumps."""
    made = EdgeIndex.create(
        tmp_path_factory.mktemp("read") / "shard", dimension=encoder.dimension, terms=terms
    )
    texts = [f"The pump {n} hums. Its seal is worn. Turn the valve {n}." for n in range(5)]
    drafts = [
        make_entry(n, text, source=f"{n}.md")
        for n, text in enumerate([*texts, "The pump stops. Grease the bearing."])
    ]
    encodings = encoder.encode_passages([Passage.of(draft.chunk) for draft in drafts])
    made.upsert([replace(d, encoding=e) for d, e in zip(drafts, encodings, strict=True)])
    yield made
    made.close()


def _retriever(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms, reader: Finger | None
) -> HybridRetriever:
    return HybridRetriever(
        encoder, index, terms, scope=OWNER, options=SearchOptions(limit=3), reader=lambda: reader
    )


def test_the_reader_reads_what_is_shown_in_one_call_and_chooses_the_evidence(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms
) -> None:
    reader = Finger("valve")
    findings = _retriever(index, encoder, terms, reader).find_many(["the humming pump", "worn seal"])
    assert reader.calls == [(["the humming pump", "worn seal"], [3, 3])]
    for finding in findings:
        hits = finding.hits()
        for hit in hits:
            has = "valve" in hit.chunk.text
            assert all("valve" in each.text for each in hit.evidence) and bool(hit.evidence) == has
            assert hit.scores["reader"] == pytest.approx(1 / (1 + np.exp(-3.0 if has else 3.0)))
            assert (hit.answer is not None) == has
            if hit.answer:
                assert hit.answer.text == "valve"
                assert hit.chunk.text[slice(hit.answer.span.start, hit.answer.span.end)] == "valve"
        assert finding.seconds["read"] > 0.0


def test_without_a_reader_nothing_changes(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms
) -> None:
    (finding,) = _retriever(index, encoder, terms, None).find_many(["worn seal"])
    assert "read" not in finding.seconds
    assert all(hit.answer is None and "reader" not in hit.scores for hit in finding.hits())


def test_the_reader_orders_all_candidates_and_reads_them_once(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms
) -> None:
    reader = Finger("bearing")
    retriever = _retriever(index, encoder, terms, reader)
    options = SearchOptions(limit=2, rerank="reader", rerank_candidates=6)
    found = retriever.find_many(["worn seal", "humming"], options=options)
    assert [sizes for _, sizes in reader.calls] == [[6, 6]]
    for finding in found:
        hits = finding.hits()
        assert "bearing" in hits[0].chunk.text and hits[0].score == hits[0].scores["reranked"] == 3.0
        assert finding.seconds["rerank"] > 0.0 and "read" not in finding.seconds
        assert [each.text for each in hits[0].evidence] == ["Grease the bearing."]


def test_reranking_by_a_reader_that_is_not_there_is_refused_with_what_to_set(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms
) -> None:
    retriever = _retriever(index, encoder, terms, None)
    with pytest.raises(InputError, match=r"set reader\.model"):
        retriever.search("seal", options=SearchOptions(rerank="reader"))


def test_what_answers_nothing_has_little_support(
    index: EdgeIndex, encoder: TransformerEncoder, terms: Terms
) -> None:
    best = []
    for word in ("valve", "unicorn"):
        hits = _retriever(index, encoder, terms, Finger(word)).search("the humming pump")
        best.append(max(each.score for hit in hits for each in hit.evidence))
    assert best[0] > 0.8 and best[1] < 0.2
