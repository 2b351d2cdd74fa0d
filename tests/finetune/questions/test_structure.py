"""Questions of a document's own structure: exact references, other words, and the same ones every time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.finetune.questions.material import subject, subjects

from ragwright.core.profile import Profile, load_profile
from ragwright.finetune.questions.asking import Request, Subject
from ragwright.finetune.questions.scene import Draft
from ragwright.finetune.questions.structure import StructureSource, varied
from ragwright.finetune.values import LabelledQuestion


@pytest.fixture(scope="module")
def drafts() -> list[tuple[Subject, Draft]]:
    source = StructureSource(subjects())
    return [
        (each, draft) for each in subjects() for chunk in each.chunks for draft in source.drafts(each, chunk)
    ]


def asked(source: StructureSource, found: tuple[Subject, ...], wanted: int = 50) -> list[LabelledQuestion]:
    requests = [Request(each, chunk, wanted) for each in found for chunk in each.chunks]
    return [question for reply in source.ask(requests) for question in reply.questions]


def texts(drafts: list[tuple[Subject, Draft]], task: str) -> list[str]:
    return [draft.text for _, draft in drafts if draft.task == task]


def test_every_reference_stands_in_its_document(drafts: list[tuple[Subject, Draft]]) -> None:
    for question in asked(StructureSource(subjects()), subjects()):
        text = next(each.document.text for each in subjects() if each.source in question.sources)
        for span, quote in zip(question.references, question.quotes, strict=True):
            assert text[span.start : span.end] == quote.strip() != ""


def test_every_kind_of_structure_is_asked_about(drafts: list[tuple[Subject, Draft]]) -> None:
    tasks = Counter(draft.task for _, draft in drafts)
    assert {
        "faq",
        "topic",
        "definition",
        "list",
        "table",
        "procedure",
        "condition",
        "number",
        "reason",
    } <= set(tasks)
    assert {"who", "what", "yes_no", "keywords"} <= set(tasks)


def test_a_list_is_one_question_with_a_span_for_each_item(drafts: list[tuple[Subject, Draft]]) -> None:
    lists = [(each, draft) for each, draft in drafts if draft.task == "list" and each.source == "manual.md"]
    assert lists
    for each, draft in lists:
        told = [each.text(*place).lstrip() for place in draft.ranges]
        assert [text[:2] for text in told[-3:]] == ["1.", "2.", "3."]


def test_a_table_row_is_asked_by_its_key_and_column(drafts: list[tuple[Subject, Draft]]) -> None:
    tables = [(each, draft) for each, draft in drafts if draft.task == "table"]
    assert {draft.answer for _, draft in tables} >= {"215", "M16"} or len(tables) >= 4
    for each, draft in tables:
        header, row = draft.ranges
        assert each.text(*header).startswith("| Joint") and draft.answer in each.text(*row)


def test_persons_are_turned_round(drafts: list[tuple[Subject, Draft]]) -> None:
    said = " ".join(
        draft.text for each, draft in drafts if each.source == "policy.md" and draft.task in ("who", "reason")
    )
    assert "share" in said and " our " not in f" {said.lower()} " and " we " not in f" {said.lower()} "


def test_a_condition_asks_what_happens(drafts: list[tuple[Subject, Draft]]) -> None:
    assert any("if a pad is cracked" in text for text in texts(drafts, "condition"))


def test_a_heading_that_asks_is_asked_as_it_stands(drafts: list[tuple[Subject, Draft]]) -> None:
    assert "What should I do with worn pads?" in [
        text.removesuffix(" (Kestrel 330)") for text in texts(drafts, "faq")
    ]


def test_a_heading_that_names_work_asks_how_it_is_done(drafts: list[tuple[Subject, Draft]]) -> None:
    assert any(text.startswith("How do I change the pads?") for text in texts(drafts, "procedure"))


def test_acronyms_and_terms_are_defined(drafts: list[tuple[Subject, Draft]]) -> None:
    told = " ".join(texts(drafts, "definition"))
    assert "GBR" in told and "wheel flat" in told


def test_equal_seeds_give_equal_questions_and_others_do_not() -> None:
    first = asked(StructureSource(subjects(), seed=1), subjects(), 3)
    assert first == asked(StructureSource(subjects(), seed=1), subjects(), 3)
    assert first != asked(StructureSource(subjects(), seed=2), subjects(), 3)


def test_what_was_asked_is_not_asked_again() -> None:
    source = StructureSource(subjects())
    place = subjects()[1], subjects()[1].chunks[0]
    first = source.ask([Request(*place, wanted=4)])[0].questions
    known = frozenset(each.text.casefold() for each in first)
    again = source.ask([Request(*place, wanted=4, asked=known)])[0].questions
    assert again and not known & {each.text.casefold() for each in again}


def test_scarce_tasks_come_first() -> None:
    from random import Random

    drafts = [Draft(f"{task} {n}", ((n, n + 1),), task, "r") for task in ("what", "list") for n in (1, 2, 3)]
    chosen = list(varied(drafts, 2, scarce=("list", "number", "what"), chance=Random(0)))
    assert [each.task for each in chosen] == ["list", "what"] or chosen[0].task == "list"


def test_another_language_is_asked_by_its_own_templates_alone() -> None:
    profile = Profile(
        name="deutsch", language="de", question_templates={"heading": ("Was gilt für {heading}?",)}
    )
    text = (
        "# Hafen\n\n## Gebühren\n\nEin Boot zahlt vier Kronen je Nacht. Die Gebühr wird am Morgen gezahlt.\n"
    )
    found = (subject("hafen.md", text, profile=profile),)
    told = {each.text for each in asked(StructureSource(found), found) if each.task != "keywords"}
    assert told == {"Was gilt für gebühren?"} or told == {"Was gilt für Gebühren?"}


PIECES = (
    "## Fees\n\n",
    "- one\n- two\n\n",
    "We may use it.\n\n",
    "| a | b |\n|---|---|\n| c | d |\n\n",
    "The pump is a device.\n\n",
    "Why? Because.\n\n",
    "**X.** A thing (ABC).\n\n",
    "\u00e9\u4e2d\n\n",
)


@settings(max_examples=12)
@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_no_document_breaks_the_rules(parts: list[str]) -> None:
    found = (subject("any.md", "".join(parts)),)
    for question in asked(StructureSource(found), found):
        assert question.references and all(quote.strip() for quote in question.quotes)


def test_every_built_in_profile_has_templates() -> None:
    for name in ("general", "legal", "finance", "biomedical", "software", "support"):
        assert load_profile(name).question_templates["heading"]
