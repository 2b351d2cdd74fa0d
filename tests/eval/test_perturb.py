"""Questions and passages changed by rule."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import ConfigError
from ragwright.core.types import Chunk, Hit, Place, Question, Span
from ragwright.eval.measures import measure_of
from ragwright.eval.perturb import PERTURBATIONS, drops, perturb, perturbed_rows
from ragwright.eval.perturb_passages import contradict, irrelevant
from ragwright.eval.values import Found, Row

REFERENCES = (Span("manuals/pump.md", 3, 9),)


def asked(text: str, name: str = "q1") -> Question:
    return Question(name, text, REFERENCES, answer="yes", metadata={"kind": "fact"})


def changed(text: str, name: str, glossary: Mapping[str, str] | None = None) -> str | None:
    question = perturb(asked(text), name, glossary=glossary or {})
    return question.text if question else None


SENTENCE = """What is the pressure in pump P-201A when it's 12.5 bar, after April e.g. valve_3 OR Größe ist
    設備の温度 information cooling? approx. NASA iPhone (maximum) seals! for of in (b2b) Valve;"""
PASSAGE = """pump is not must 10 20 0 1987 2.5 1,000 0.05 P-12 never cannot. runs 5 %. doesn’t 07 2024-01-02
    always 20 It's can"""
WORDS = st.sampled_from(SENTENCE.split())
TEXTS = st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=15).map(" ".join))
GLOSSARIES = st.dictionaries(st.text(max_size=6), st.text(max_size=12), max_size=3)


@given(text=TEXTS, name=st.sampled_from(list(PERTURBATIONS)), seed=st.integers(0, 5), glossary=GLOSSARIES)
def test_a_perturbation_repeats_itself_and_changes_the_text_only(
    text: str, name: str, seed: int, glossary: dict[str, str]
) -> None:
    question = asked(text)
    first = perturb(question, name, seed=seed, glossary=glossary)
    assert first == perturb(question, name, seed=seed, glossary=glossary)
    if first is not None:
        assert first.text != text
        assert first.text.strip()
        assert (first.id, first.references, first.answer) == (
            question.id,
            question.references,
            question.answer,
        )
        assert first.metadata == question.metadata


@given(text=TEXTS, seed=st.integers(0, 50))
def test_typos_never_touch_digits_codes_acronyms_and_short_words(text: str, seed: int) -> None:
    question = perturb(asked(text), "typos", seed=seed)
    if question is not None:
        after = question.text.split()
        assert [c for c in text if c.isdigit()] == [c for c in question.text if c.isdigit()]
        for before, now in zip(text.split(), after, strict=True):
            careful = len(before) < 5 or any(not c.isalpha() for c in before[1:-1]) or before[1:].isupper()
            assert now == before or not careful


@given(text=TEXTS)
def test_typos_change_at_most_one_word_in_five(text: str) -> None:
    question = perturb(asked(text), "typos")
    if question is not None:
        wrong = sum(a != b for a, b in zip(text.split(), question.text.split(), strict=True))
        assert 1 <= wrong <= max(1, len(text.split()) // 5)


def test_seeds_and_questions_differ_in_their_typos() -> None:
    text = "Which centrifugal pumps deliver cooling water through several condensers during winter?"
    variants = (perturb(asked(text), "typos", seed=seed) for seed in range(20))
    assert len({question.text for question in variants if question}) > 10
    questions = (perturb(asked(text, name), "typos") for name in ("q1", "q2", "q3", "q4"))
    assert len({question.text for question in questions if question}) > 1


def test_case_is_changed_where_there_is_any() -> None:
    assert changed("Who runs NASA?", "lower") == "who runs nasa?"
    assert changed("Who runs NASA?", "upper") == "WHO RUNS NASA?"
    assert changed("who?", "lower") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What must I do when the alarm sounds?", "When the alarm sounds, what must I do?"),
        ("If the pump fails, who is called?", "Who is called if the pump fails?"),
        ("How long is the warranty for pumps in Germany?", "In Germany, how long is the warranty for pumps?"),
        ("Anna wrote most of it in 1990.", "In 1990, Anna wrote most of it."),
        ("Hello. Is it safe, cold or hot?", "Hello. Cold or hot, is it safe?"),
        ("What is it used for?", None),
        ("How do I log in to the server?", None),
        ("Why?", None),
    ],
)
def test_reordering_moves_the_end_to_the_front_or_back(text: str, expected: str | None) -> None:
    assert changed(text, "reordered") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Which fluids, e.g. water, may be used?", "Which fluids, for example water, may be used?"),
        ("What is the maximum flow?", "What is the max. flow?"),
        ("Who does MRO?", "Who does maintenance, repair and overhaul?"),
        ("Who pays for maintenance, repair and overhaul?", "Who pays for MRO?"),
        ("Information on US law?", "Information on United States law?"),
        ("Did it help us?", None),
        ("Which pump that is installed leaks?", None),
        ("What about eMROs?", None),
    ],
)
def test_abbreviations_are_written_out_or_else_words_abbreviated(text: str, expected: str | None) -> None:
    assert changed(text, "abbreviations", glossary={"MRO": "maintenance, repair and overhaul"}) == expected


def test_an_abbreviation_is_read_once() -> None:
    assert changed("AB or BA?", "abbreviations", glossary={"AB": "BA", "BA": "AB"}) == "BA or AB?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is the maximum pressure of the P-201 pump?", "maximum pressure P-201 pump"),
        ("Why must it not exceed 2.5 bar (abs.)?", "must not exceed 2.5 bar abs"),
        ("What is it?", None),
        ("pump pressure", None),
    ],
)
def test_keywords_leave_stop_words_and_signs_out(text: str, expected: str | None) -> None:
    assert changed(text, "keywords") == expected


def test_an_unknown_perturbation_is_refused() -> None:
    with pytest.raises(ConfigError, match="'shouting' is no perturbation; choose from lower"):
        perturb(asked("Why?"), "shouting")


def found(source: str, number: int = 0, *places: str) -> Found:
    also = tuple(Place(Span(place, 0, 4), place) for place in places)
    return Found(f"{source}{number}", Span(source, 0, 4), "T", (), None, "text", 1.0, places=also)


@given(
    sources=st.lists(st.sampled_from(["manuals/pump.md", "a.md", "b.md", "c.md"]), max_size=12),
    count=st.integers(0, 15),
    seed=st.integers(0, 5),
)
def test_irrelevant_passages_come_from_other_documents(sources: list[str], count: int, seed: int) -> None:
    pool = [found(source, number) for number, source in enumerate(sources)]
    chosen = irrelevant(asked("Why?"), pool, count=count, seed=seed)
    assert chosen == irrelevant(asked("Why?"), pool, count=count, seed=seed)
    others = [passage for passage in pool if passage.source != "manuals/pump.md"]
    assert len(chosen) == min(count, len(others)) == len({passage.chunk_id for passage in chosen})
    assert all(passage in others for passage in chosen)


def test_a_passage_that_also_stands_in_a_relevant_document_is_not_irrelevant() -> None:
    pool = [found("a.md", 0, "manuals/pump.md"), found("b.md", 0, "c.md")]
    assert irrelevant(asked("Why?"), pool, count=2) == (pool[1],)


def test_hits_may_be_irrelevant_too() -> None:
    chunk = Chunk("1", Span("digest", 0, 4), "text", "", (), None, (), 3)
    hits = [Hit(chunk, source, "T", 1.0, {}) for source in ("manuals/pump.md", "a.md")]
    assert irrelevant(asked("Why?"), hits, count=5) == (hits[1],)


@given(
    text=st.one_of(
        st.text(max_size=60), st.lists(st.sampled_from(PASSAGE.split()), max_size=14).map(" ".join)
    ),
    seed=st.integers(0, 5),
)
def test_a_contradiction_is_repeatable_and_never_the_passage_itself(text: str, seed: int) -> None:
    copy = contradict(text, seed=seed)
    assert copy != text
    assert copy == contradict(text, seed=seed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The seal must be dry.", "The seal must not be dry."),
        ("The seal is not dry. It cannot leak!", "The seal is dry. It can leak!"),
        ("It doesn't leak.\nIt never leaked.", "It does leak.\nIt always leaked."),
        ("See P-201 and 2024-01-02", None),
        ("Heading", None),
        ("", None),
    ],
)
def test_a_negation_more_or_less_contradicts(text: str, expected: str | None) -> None:
    assert contradict(text) == expected


def test_equal_numbers_change_alike_and_different_ones_stay_different() -> None:
    copy = contradict("10 bar at 20 °C, else 10 bar; valve V10 of 1987 is open. It is hot.")
    assert copy is not None
    words = copy.split()
    assert words[0] == words[6] != "10"
    assert words[3] not in ("20", words[0])
    assert words[8] == "valve"
    assert words[9] == "V10"
    assert words[11] != "1987"
    assert words[11].startswith("198")
    assert copy.endswith("is open. It is not hot.")


def test_a_quote_of_a_passage_is_contradicted_as_the_passage_is() -> None:
    passage, quote = contradict("It is 20 °C. The limit is 35 bar."), contradict("The limit is 35 bar.")
    assert passage is not None
    assert quote is not None
    assert passage.endswith(quote)


def test_drops_pair_the_questions_that_a_perturbation_applies_to() -> None:
    plain = [Row(f"q{n}", "recall", 1.0) for n in range(10)]
    typos = perturbed_rows([Row(f"q{n}", "recall", 0.5 + n / 8) for n in range(4)], "typos")
    lower = perturbed_rows([Row("q1", "recall", 1.0), Row("q99", "recall", 0.0)], "lower")
    first, second = drops([*plain, *typos, *lower, Row("q1", "iou~lower", 1.0)])
    assert (first.measure, first.perturbation, first.n) == ("recall", "typos", 4)
    assert (first.original, first.perturbed, first.drop) == (1.0, 0.6875, 0.3125)
    assert first.low < first.drop < first.high
    assert (second.perturbation, second.n, second.drop, second.low, second.high) == ("lower", 1, 0, 0, 0)
    assert drops([*plain, *typos]) == (first,)
    assert drops(plain) == ()


def test_perturbed_measures_have_a_meaning() -> None:
    for name in PERTURBATIONS:
        measure = measure_of(f"recall~{name}")
        assert measure is not None
        assert measure.meaning.endswith(f"changed by {name}")
