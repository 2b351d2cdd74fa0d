"""Questions are divided by what can be seen of them, and every slice says how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.core.types import Question, Span
from ragwright.eval.slices import DIMENSIONS, question_type, slice_table, slice_tables, slices
from ragwright.eval.statistics import estimate
from ragwright.eval.values import Outcome, Row, Run


def _outcome(
    question_id: str = "q", text: str = "Why?", *sources: str, metadata: Mapping[str, Any] | None = None
) -> Outcome:
    spans = tuple(Span(source, 10 * n, 10 * n + 5) for n, source in enumerate(sources))
    return Outcome(Question(question_id, text, spans, metadata=metadata or {}))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("How many pumps are there?", "how many or how much"),
        ("how much does it weigh", "how many or how much"),
        ("How is it cleaned?", "how"),
        ("When was it built?", "when"),
        ("Who signs?", "who"),
        ("To whom is it addressed?", "who"),
        ("Where's the valve?", "where"),
        ("Why?", "why"),
        ("Which valve leaks?", "which or what"),
        ("In what year did it open?", "which or what"),
        ("what similarity laws must be obeyed .", "which or what"),
        ("Isn't it closed?", "yes or no"),
        ("Does it leak?", "yes or no"),
        ("Won't it leak?", "yes or no"),
        ("Describe the valve.", "other"),
        ("Wie viele Pumpen gibt es?", "other"),
        ("pump maintenance interval", "keywords"),
        ("in pump", "keywords"),
        ("?", "other"),
        ("", "keywords"),
    ],
)
def test_the_first_words_tell_what_is_asked_for(text: str, kind: str) -> None:
    assert question_type(_outcome("q", text)) == kind


def test_a_stated_kind_goes_before_the_rule() -> None:
    assert question_type(_outcome("q", "Why?", metadata={"kind": "multi-hop"})) == "multi-hop"
    assert question_type(_outcome("q", "Why?", metadata={"kind": " "})) == "why"


@pytest.mark.parametrize(
    ("words", "bucket"),
    [(1, "1-5 words"), (5, "1-5 words"), (6, "6-10 words"), (10, "6-10 words"), (11, "11-20 words"),
     (20, "11-20 words"), (21, "over 20 words")],
)  # fmt: skip
def test_lengths_fall_into_buckets(words: int, bucket: str) -> None:
    assert DIMENSIONS["question length"].value_of(_outcome("q", "word " * words)) == bucket


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("manuals/Pump.PDF", "pdf"),
        ("corpus/chatlogs", "no suffix"),
        ("report v1.2 final", "no suffix"),
        (".notes", "no suffix"),
        ("old.tar.gz", "gz"),
    ],
)
def test_the_document_type_is_the_suffix_of_the_first_source(source: str, kind: str) -> None:
    assert DIMENSIONS["document type"].value_of(_outcome("q", "Why?", source, "other.md")) == kind


OUTCOMES = (
    _outcome("a", "Why does the pump leak so much?", "a.md", metadata={"corpus": "pumps", "language": "en"}),
    _outcome("b", "Why?", "b.pdf", "c.md", metadata={"corpus": "wells"}),
    _outcome("c", "Why?", metadata={"corpus": "wells"}),
)


def test_questions_are_grouped_by_every_dimension_that_divides_them() -> None:
    assert slices(OUTCOMES) == {
        "document type": {"md": ["a"], "no document": ["c"], "pdf": ["b"]},
        "corpus": {"wells": ["b", "c"], "pumps": ["a"]},
        "question length": {"1-5 words": ["b", "c"], "6-10 words": ["a"]},
        "language": {"en": ["a"]},
        "number of references": {"0": ["c"], "1": ["a"], "2": ["b"]},
        "answerable": {"answerable": ["a", "b"], "unanswerable": ["c"]},
    }


def test_the_largest_value_comes_first_unless_values_have_an_order() -> None:
    seen = slices(OUTCOMES)
    assert list(seen["corpus"]) == ["wells", "pumps"]
    assert list(seen["document type"]) == ["md", "no document", "pdf"]
    assert list(seen["number of references"]) == ["0", "1", "2"]


def test_nothing_is_divided_without_questions_or_with_one() -> None:
    assert slices([]) == {}
    assert slices(OUTCOMES[:1]) == {}


@given(
    st.lists(
        st.tuples(
            st.text(max_size=60),
            st.lists(st.text(max_size=12), max_size=6),
            st.dictionaries(
                st.sampled_from(["kind", "language", "domain", "corpus"]),
                st.none() | st.text() | st.integers(),
            ),
        ),
        max_size=12,
    )
)
def test_every_question_has_at_most_one_value_of_a_dimension(
    facts: list[tuple[str, list[str], dict[str, Any]]],
) -> None:
    outcomes = [_outcome(f"q{n}", text, *spans, metadata=said) for n, (text, spans, said) in enumerate(facts)]
    for dimension, groups in slices(outcomes).items():
        ids = [question_id for group in groups.values() for question_id in group]
        assert len(ids) == len(set(ids))
        if dimension not in ("corpus", "language", "domain"):
            assert len(ids) == len(outcomes)


ROWS = (Row("a", "iou", 1.0), Row("b", "iou", 0.0), Row("c", "recall", 0.5))


def test_a_table_has_the_estimates_of_each_value() -> None:
    first, second = slice_table(Run({}, OUTCOMES, ROWS), "corpus", ["iou", "recall"])
    assert (first.value, first.n, second.value, second.n) == ("wells", 2, "pumps", 1)
    assert first.estimates == {
        "iou": estimate([0.0], measure="iou"),
        "recall": estimate([0.5], measure="recall"),
    }
    assert second.estimates == {"iou": estimate([1.0], measure="iou")}


def test_a_dimension_that_divides_nothing_has_no_table_and_an_unknown_one_is_an_error() -> None:
    run = Run({}, OUTCOMES, ROWS)
    assert slice_table(run, "domain", ["iou"]) == ()
    assert set(slice_tables(run, ["iou"])) == set(slices(OUTCOMES))
    with pytest.raises(InputError, match="did you mean 'language'"):
        slice_table(run, "langauge", ["iou"])
