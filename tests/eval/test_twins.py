"""Equal texts at several places count once, where a reference stands."""

from __future__ import annotations

from ragwright.core.types import Citation, Evidence, Place, Span
from ragwright.eval.twins import chunk_spans, cited_at, evidence_spans
from ragwright.eval.values import Found

HIT = Found(
    "c",
    Span("a", 100, 120),
    "A",
    (),
    None,
    "x" * 20,
    1.0,
    evidence=(Evidence(Span("a", 105, 110), "xxxxx", 0.5),),
    places=(Place(Span("b", 0, 20), "b"), Place(Span("c", 40, 60), "c")),
)


def test_a_found_text_counts_at_the_place_that_touches_a_reference() -> None:
    wanted = [Span("c", 46, 48)]
    assert evidence_spans([HIT], wanted) == [Span("c", 45, 50)]
    assert chunk_spans([HIT], wanted) == [Span("c", 40, 60)]


def test_it_counts_once_and_where_it_is_shown_when_that_is_right_or_nothing_is() -> None:
    both = [Span("a", 105, 106), Span("c", 46, 48)]
    assert evidence_spans([HIT], both) == [Span("a", 105, 110)]
    assert evidence_spans([HIT], [Span("d", 0, 9)]) == [Span("a", 105, 110)]


def test_a_citation_moves_with_its_hit_and_one_from_elsewhere_stays() -> None:
    quote = Citation(1, Span("a", 105, 110), "xxxxx", "exact", "a", "A")
    assert cited_at(quote, [HIT], [Span("b", 7, 8)]).span == Span("b", 5, 10)
    other = Citation(1, Span("z", 105, 110), "xxxxx", "exact", "z", "Z")
    assert cited_at(other, [HIT], [Span("b", 7, 8)]) == other
