"""Documents are dealt out to parts that share nothing, and stay where they are."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.finetune.questions.material import subject

from ragwright.core.profile import Profile
from ragwright.core.types import Document, Span
from ragwright.finetune.questions.asking import Subject
from ragwright.finetune.questions.near_texts import near_texts
from ragwright.finetune.questions.splitting import PART, Shares, Split, parted, split
from ragwright.finetune.values import LabelledQuestion

SHARES = Shares(dev=0.2, test=0.2)
WORDS = [
    "alpha",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliet",
    "kilo",
    "lima",
]


def document(number: int, text: str = "") -> Subject:
    """A document of words of its own."""
    own = text or " ".join(f"{word}{number}" for word in WORDS)
    return Subject(Document(f"d{number}", f"{number:03}.md", "T", own), (), Profile())


def asked(source: str, start: int = 0, text: str = "Why?") -> LabelledQuestion:
    return LabelledQuestion(f"{source}{start}{text}", text, (Span(source, start, start + 5),), ("quote",))


@settings(max_examples=20)
@given(st.integers(3, 40), st.integers(0, 5))
def test_every_document_has_one_part_and_every_part_has_documents(count: int, seed: int) -> None:
    found = split([document(n) for n in range(count)], Shares(0.15, 0.2, seed))
    counts = Counter(found.parts.values())
    assert sum(counts.values()) == count and set(counts) == {"train", "dev", "test"}
    assert abs(counts["test"] - 0.2 * count) <= 1.5 and abs(counts["dev"] - 0.15 * count) <= 1.5


@settings(max_examples=20)
@given(st.integers(3, 15), st.integers(1, 20))
def test_documents_keep_their_part_when_others_are_added(before: int, added: int) -> None:
    first = split([document(n) for n in range(0, 2 * before, 2)], SHARES)
    every = [document(n) for n in range(2 * before + added)]
    later = split(every, SHARES, former=first)
    assert {source: later.parts[source] for source in first.parts} == first.parts


def test_another_seed_or_share_deals_anew() -> None:
    documents = [document(n) for n in range(12)]
    first = split(documents, SHARES)
    assert split(documents, Shares(0.2, 0.2, seed=9), former=first) == split(
        documents, Shares(0.2, 0.2, seed=9)
    )


def test_documents_of_nearly_the_same_text_go_together() -> None:
    twin = " ".join(WORDS * 3)
    documents = [*(document(n) for n in range(8)), document(8, twin), document(9, "Dear all. " + twin)]
    found = split(documents, SHARES)
    assert found.parts["008.md"] == found.parts["009.md"]
    assert found.groups == (("008.md", "009.md"),)


def test_a_new_document_that_is_nearly_two_parts_belongs_to_none() -> None:
    one, other = " ".join(f"{w}x" for w in WORDS * 2), " ".join(f"{w}y" for w in WORDS * 2)
    documents = [document(0, one), document(1, other), *(document(n) for n in range(2, 6))]
    former = Split(SHARES, "document", {"000.md": "train", "001.md": "test"})
    found = split([*documents, document(7, f"{one} {other}")], SHARES, former=former)
    assert found.apart == ("007.md",) and "007.md" not in found.parts
    assert (found.parts["000.md"], found.parts["001.md"]) == ("train", "test")
    kept, audit = parted([asked("007.md")], found, lambda question: "text")
    assert not kept and audit[0].rule == "several_parts"


def test_one_document_is_dealt_out_by_stretches() -> None:
    only = document(1, " ".join(f"w{n}" for n in range(4000)))
    found = split([only], SHARES)
    length = len(only.document.text)
    assert found.by == "stretch"
    parts = Counter(found.part_of(asked("001.md", start)) for start in range(0, length, length // 20))
    assert parts["train"] > parts["test"] > 0 and parts["dev"] > 0


def test_a_training_question_whose_passage_is_held_out_elsewhere_leaks() -> None:
    found = Split(SHARES, "document", {"a.md": "train", "b.md": "test", "c.md": "dev"})
    passages = {
        "a.md": " ".join(WORDS),
        "b.md": " ".join(WORDS),
        "c.md": "something else entirely of its own kind",
    }
    questions = [asked("a.md"), asked("b.md"), asked("c.md")]
    kept, audit = parted(questions, found, lambda question: passages[question.references[0].document_id])
    assert [each.metadata[PART] for each in kept] == ["test", "dev"]
    assert [(row.id, row.rule) for row in audit] == [(questions[0].id, "leak")]


def test_a_question_of_two_parts_belongs_to_none() -> None:
    found = Split(SHARES, "document", {"a.md": "train", "b.md": "test"})
    both = LabelledQuestion("q", "Why?", (Span("a.md", 0, 1), Span("b.md", 0, 1)), ("x", "y"))
    assert parted([both], found, lambda question: "t")[1][0].rule == "several_parts"


@settings(max_examples=20)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=9, max_size=30), min_size=2, max_size=6))
def test_texts_are_near_exactly_where_half_of_the_shorter_ones_sequences_are_shared(
    bags: list[list[str]],
) -> None:
    texts = {number: " ".join(bag) for number, bag in enumerate(bags)}
    runs = {n: {tuple(bag[i : i + 8]) for i in range(len(bag) - 7)} for n, bag in enumerate(bags)}
    expected = {
        (a, b)
        for a in texts
        for b in texts
        if a < b and 2 * len(runs[a] & runs[b]) >= min(len(runs[a]), len(runs[b]))
    }
    assert set(near_texts(texts)) == expected


def test_the_same_text_twice_is_near() -> None:
    assert near_texts({"a": "one two", "b": "One  two!", "c": "three"}) == [("a", "b")]
    assert subject("x.md", "# X\n\nA line.\n").source == "x.md"
