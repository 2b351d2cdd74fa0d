"""Labels bound to documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.core.types import Question, Span
from ragwright.eval.binding import Sources, bind, bind_judgements
from ragwright.eval.values import Dataset, Item, Judgement, Reference

TEXTS = {
    "demo/manuals/pump.md": "The pump runs at 40 bar.",
    "demo/faq.md": "Ask the foreman.",
    "old/faq.md": "Nobody knows.",
    "notes.txt": "",
}


def bound(
    *references: Reference, texts: dict[str, str] = TEXTS, filters: Mapping[str, str] | None = None
) -> Question:
    item = Item(
        "q",
        "What?",
        references,
        "40 bar",
        metadata={"kind": "number"},
        row="questions.jsonl:7",
        filters=filters or {},
    )
    return bind(Dataset("d", "native", (item,)), texts, texts.get)[0]


def test_a_source_is_found_exactly_then_as_the_end_of_a_known_one_then_the_other_way() -> None:
    sources = Sources(TEXTS)
    assert sources.resolve("demo/faq.md") == "demo/faq.md"
    assert sources.resolve("pump.md") == "demo/manuals/pump.md"
    assert sources.resolve("manuals/pump.md") == "demo/manuals/pump.md"
    assert sources.resolve("project/demo/faq.md") == "demo/faq.md"
    assert sources.resolve("project/notes.txt") == "notes.txt"


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("faq.md", 'fits 2 documents ("demo/faq.md", "old/faq.md")'),
        ("ump.md", 'no document "ump.md" among the 4 known ones'),
        ("a/old/faq.md/", "no document"),
    ],
)
def test_an_unknown_or_ambiguous_source_is_an_error_that_names_the_row(source: str, seen: str) -> None:
    with pytest.raises(InputError) as error:
        bound(Reference(source, 0, 3))
    assert seen in str(error.value)
    assert "questions.jsonl:7: " in str(error.value)


def test_a_question_keeps_its_fields_and_its_references_name_resolved_sources() -> None:
    question = bound(Reference("pump.md", 17, 23, "40 bar"))
    assert question == Question(
        "q", "What?", (Span("demo/manuals/pump.md", 17, 23),), "40 bar", {"kind": "number"}
    )


def test_filters_and_grades_go_into_the_metadata() -> None:
    question = bound(
        Reference("pump.md", 0, 3),
        Reference("old/faq.md", grade=3),
        filters={"source": "pump.md", "year": "1"},
    )
    assert question.metadata == {
        "kind": "number",
        "filters": {"source": "demo/manuals/pump.md", "year": "1"},
        "grades": [1, 3],
    }
    with pytest.raises(InputError, match=r"jsonl:7: its filter: no document \"x\""):
        bound(filters={"source": "x"})


def test_no_end_is_the_whole_document() -> None:
    assert bound(Reference("pump.md")).references == (Span("demo/manuals/pump.md", 0, 24),)


def test_a_text_without_a_place_is_looked_up() -> None:
    assert bound(Reference("", text="40 bar")).references == (Span("demo/manuals/pump.md", 17, 23),)
    assert bound(Reference("old/faq.md", text="k")).references == (Span("old/faq.md", 7, 8),)


@pytest.mark.parametrize(
    ("reference", "seen"),
    [
        (Reference("pump.md", 17, 99), "out of range; the document has 24 characters"),
        (Reference("pump.md", 16, 22, "40 bar"), 'reads " 40 ba", wanted is "40 bar"; it stands at 17-23'),
        (Reference("pump.md", 5, 5), "the reference is empty"),
        (Reference("pump.md", -2, 5), "negative offset"),
        (Reference("notes.txt"), "the reference is empty"),
        (Reference("pump.md", text="aa"), 'does not stand in "demo/manuals/pump.md"'),
        (Reference("", text="p"), "stands in several places"),
        (Reference("", text=""), "does not stand"),
    ],
)
def test_a_reference_that_does_not_fit_is_an_error_that_names_the_row(
    reference: Reference, seen: str
) -> None:
    with pytest.raises(InputError) as error:
        bound(reference)
    assert seen.replace('" 40 ba"', '"40 ba"') in str(error.value)
    assert "questions.jsonl:7: " in str(error.value)


def test_a_known_source_without_text_is_an_error() -> None:
    item = Item("q", "What?", (Reference("a", 0, 1),))
    with pytest.raises(InputError, match=r'question q: the document "a" has no text here'):
        bind(Dataset("d", "native", (item,)), ["a"], lambda source: None)


def test_judgements_are_resolved_but_those_of_empty_documents_stay() -> None:
    items = (Item("q", "What?", metadata={"empty_documents": ["471"]}, row="topics.xml:3"),)
    judgements = (Judgement("q", "pump.md", 1), Judgement("q", "471", 1))
    dataset = Dataset("d", "trec", items, judgements=judgements)
    assert bind_judgements(dataset, TEXTS) == [
        Judgement("q", "demo/manuals/pump.md", 1),
        Judgement("q", "471", 1),
    ]
    unknown = Dataset("d", "trec", items, judgements=(Judgement("q", "9", 0),))
    with pytest.raises(InputError, match=r'topics\.xml:3: a judgement: no document "9"'):
        bind_judgements(unknown, TEXTS)


def test_labels_that_are_all_whole_documents_are_judgements_of_documents() -> None:
    whole = Item("q", "What?", (Reference("pump.md", grade=2),))
    dataset = Dataset("d", "native", (whole, Item("none", "Who?", answerable=False)))
    assert bind_judgements(dataset, TEXTS) == [Judgement("q", "demo/manuals/pump.md", 2)]
    mixed = Dataset("d", "native", (whole, Item("p", "When?", (Reference("pump.md", 0, 3),))))
    assert bind_judgements(mixed, TEXTS) == []


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)


@given(known=st.lists(NAMES, max_size=5), source=NAMES)
def test_whatever_is_resolved_is_known_and_shares_its_end(known: Sequence[str], source: str) -> None:
    try:
        found = Sources(known).resolve(source)
    except InputError:
        assert source not in known
        return
    assert found in known
    assert found == source or found.endswith(f"/{source}") or source.endswith(f"/{found}")
    assert found == source or source not in known


@given(text=st.text(min_size=1, max_size=30), data=st.data())
def test_a_bound_reference_is_the_text_that_was_marked(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    (span,) = bound(Reference("a.md", start, end, text[start:end]), texts={"x/a.md": text}).references
    assert text[span.start : span.end] == text[start:end]
