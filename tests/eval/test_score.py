"""Every measure of a run, from outcomes made by hand."""

from __future__ import annotations

import pytest

from ragwright.core.types import Evidence, Question, Span
from ragwright.eval.overlap import Characters
from ragwright.eval.score import Scoring, dial_rows, frontier, score
from ragwright.eval.values import Found, Judgement, Outcome, Ranked, Row

TEXT = "0123456789" * 10
CHUNKS = {"c1": Span("a.txt", 0, 40), "c2": Span("a.txt", 40, 80), "c3": Span("b.txt", 0, 20)}


def found(chunk_id: str, *evidence: tuple[int, int]) -> Found:
    span = CHUNKS[chunk_id]
    spans = [Span(span.document_id, *each) for each in evidence]
    pieces = tuple(Evidence(each, TEXT[each.start : each.end], 0.5) for each in spans)
    text = TEXT[span.start : span.end]
    return Found(chunk_id, span, "A", (), None, text, 1.0, evidence=pieces)


def scoring(*, judgements: tuple[Judgement, ...] = (), published: int = 0) -> Scoring:
    return Scoring(Characters(), CHUNKS, judgements, lambda source: TEXT, published)


def values(rows: list[Row], question_id: str = "q") -> dict[str, float]:
    return {row.measure: row.value for row in rows if row.question_id == question_id}


QUESTION = Question("q", "what?", (Span("a.txt", 10, 30),))
RANKED = tuple(Ranked(key, span, 1.0 - place) for place, (key, span) in enumerate(CHUNKS.items()))


def test_evidence_and_chunks_are_measured_by_hand_computed_values() -> None:
    outcome = Outcome(QUESTION, found=(found("c1", (0, 20)), found("c3", (0, 5))), ranked=RANKED)
    seen = values(score([outcome], scoring(published=1)))
    assert seen["recall"] == pytest.approx(10 / 20)
    assert seen["precision"] == pytest.approx(10 / 25)
    assert seen["iou"] == pytest.approx(10 / 35)
    assert seen["chunk_recall"] == 1.0
    assert seen["chunk_iou"] == pytest.approx(20 / 60)
    assert seen["precision_omega"] == pytest.approx(20 / 40)
    assert seen["compat_iou"] == pytest.approx(20 / 40)
    assert seen["nDCG@10"] == seen["R@10"] == 1.0


def test_a_question_without_a_result_scores_zero_on_every_overlap_and_ranking_measure() -> None:
    seen = values(score([Outcome(QUESTION, error="down")], scoring()))
    assert seen.pop("precision_omega") == pytest.approx(20 / 40)  # no result is needed for it
    assert set(seen.values()) == {0.0}
    assert {"recall", "iou", "chunk_iou", "nDCG@10"} <= seen.keys()


def test_an_unanswerable_question_has_no_overlap_and_no_ranking() -> None:
    asked = Outcome(Question("q", "what?"), found=(found("c1", (0, 20)),), ranked=RANKED)
    assert values(score([asked], scoring())) == {}


def test_document_judgements_measure_the_ranking_of_documents_alone() -> None:
    judged = (Judgement("q", "b.txt", 2), Judgement("q", "a.txt", 0))
    whole = Question("q", "what?", (Span("b.txt", 0, len(TEXT)),))
    seen = values(score([Outcome(whole, found=(found("c1"),), ranked=RANKED)], scoring(judgements=judged)))
    assert seen["RR@10"] == 0.5
    assert seen["Judged@10"] == 1.0
    assert "iou" not in seen


def test_the_frontier_has_one_point_for_each_position_with_its_mean_and_interval() -> None:
    dial = {0.5: (Span("a.txt", 0, 40),), 0.9: (Span("a.txt", 10, 20),)}
    outcomes = [Outcome(QUESTION, dial=dial), Outcome(Question("q2", "?", QUESTION.references), error="down")]
    low, high = frontier(outcomes, Characters())
    assert (low["share"], high["share"]) == (0.5, 0.9)
    assert low["recall"] == pytest.approx((1.0 + 0.0) / 2)
    assert high["iou"] == pytest.approx((0.5 + 0.0) / 2)
    assert low["recall_low"] <= low["recall"] <= low["recall_high"]
    assert values(dial_rows(outcomes, 0.9, Characters()))["recall"] == 0.5
