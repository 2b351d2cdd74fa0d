"""Each filter drops what it is for, says why, and leaves the rest as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.finetune.questions.material import FERRY, finder, inside, question, subject, subjects

from ragwright.core.types import Span
from ragwright.finetune.questions.duplicates import SIMILAR, Asked, united, without_near_duplicates
from ragwright.finetune.questions.filters import consistent_answers, self_contained, verified, why_dependent
from ragwright.finetune.questions.round_trip import RANK, WITHIN, round_trip
from ragwright.finetune.values import LabelledQuestion

DOGS = ("ferry.txt", "Dogs travel free of charge on the upper\ndeck.")
LEAVES = ("ferry.txt", "The ferry leaves the quay at seven and returns at nine.")
COOKIES = ("policy.md", "We use cookies on our website.")


@pytest.mark.parametrize(
    "text",
    [
        "What does it mean?",
        "What is said in the above?",
        "What does this section cover?",
        "Which values does Table 3 list?",
        "Can you give such information?",
        "How may I revoke that authorisation?",
        "Where do they go?",
        "What are the following steps?",
    ],
)
def test_what_needs_the_passage_is_dropped(text: str) -> None:
    done = self_contained([question(text, DOGS)])
    assert not done.kept and done.audit[0].rule == "passage_dependent" and done.audit[0].dropped


@pytest.mark.parametrize(
    "text",
    [
        "What does the pump do when it runs hot?",
        "Do you share my data with the people that host you?",
        "Who says that the ferry is late?",
        "How long do I have to wait?",
        "Does the company know what it sells?",
        "wheel flat limit",
    ],
)
def test_what_is_understood_alone_is_kept(text: str) -> None:
    assert why_dependent(text) == ""


def test_words_that_point_to_the_text_are_taken_away_where_the_rest_stands() -> None:
    done = self_contained([question("According to the passage, do dogs travel free?", DOGS)])
    assert done.kept[0].text == "Do dogs travel free?"
    assert (done.audit[0].rule, done.audit[0].dropped) == ("reworded", False)


def test_references_are_checked_against_the_document_and_moved_where_it_changed() -> None:
    texts = {"ferry.txt": "New first line.\n" + FERRY}
    asked = question("Do dogs travel free?", DOGS)
    lost = replace(asked, quotes=("Cats pay.",))
    done = verified([asked, lost], texts.get)
    moved = done.kept[0].references[0]
    assert texts["ferry.txt"][moved.start : moved.end] == DOGS[1]
    assert [(row.rule, row.dropped) for row in done.audit] == [("moved", False), ("not_in_source", True)]
    assert verified([asked], {"ferry.txt": FERRY}.get).kept == (asked,)


def test_an_answer_of_a_model_must_rest_on_its_quotes() -> None:
    good = question("When does it leave?", LEAVES, answer="at seven", origin="model")
    wrong = replace(good, answer="at 8:30")
    foreign = replace(good, answer="nobody knows the captain")
    by_people = replace(foreign, origin="user")
    assert consistent_answers([good, wrong, foreign, by_people]).kept == (good, by_people)


def test_a_question_that_is_not_found_again_falls_and_a_common_one_is_asked_within_its_document() -> None:
    other = subject(
        "other.md", "# Other\n\n" + "We use cookies on our pages and cookies on our website.\n\n" * 3
    )
    found = (*subjects(), other)
    plain = question("Do dogs travel on the upper deck?", DOGS)
    common = question("Are cookies used on our pages and website?", COOKIES)
    lost = question("zebra crossing", LEAVES)
    done = round_trip([plain, common, lost], search=finder(found), within=inside(found), depth=1)
    assert [each.text for each in done.kept] == [plain.text, common.text]
    assert done.kept[0].metadata == {RANK: 1}
    assert done.kept[1].metadata == {RANK: 1, WITHIN: "policy.md"}
    assert [(row.rule, row.dropped) for row in done.audit] == [
        ("asked_within", False),
        ("not_found_again", True),
    ]


def test_near_duplicates_about_a_document_fall_and_those_about_another_do_not() -> None:
    first = question("How does the old ferry leave the quay at seven?", LEAVES)
    near = question("How did the old ferry leave the quay at seven?", DOGS)
    elsewhere = question("How does the old ferry leave the quay at seven?", COOKIES)
    done = without_near_duplicates([first, near, elsewhere], Asked())
    assert [each.id for each in done.kept] == [first.id, elsewhere.id]
    assert first.text in done.audit[0].reason


WORDS = st.lists(
    st.sampled_from(["pump", "valve", "seal", "bolt", "gauge", "cover", "frame"]),
    min_size=1,
    max_size=7,
)


@settings(max_examples=20)
@given(st.lists(WORDS, max_size=12))
def test_no_near_duplicate_is_missed(bags: list[list[str]]) -> None:
    questions = [
        LabelledQuestion(str(n), " ".join(bag), (Span("a.md", n, n + 1),), ("x",))
        for n, bag in enumerate(bags)
    ]
    asked = Asked()
    for number, each in enumerate(questions):
        own = set(each.text.split())
        expected = any(
            len(own & set(other.text.split())) >= SIMILAR * len(own | set(other.text.split()))
            for other in questions[:number]
        )
        assert bool(asked.near(each)) == expected
        asked.add(each)


def test_equal_questions_about_a_document_become_one_with_all_references() -> None:
    one, two = question("What about the ferry?", LEAVES), question("what about the ferry", DOGS)
    done = united([one, two])
    assert [span.start for span in done.kept[0].references] == [0, FERRY.index("Dogs")]
    assert sorted(row.dropped for row in done.audit) == [False, True]


def test_equal_questions_about_several_documents_are_asked_within_each() -> None:
    done = united([question("What is used?", LEAVES), question("What is used?", COOKIES)])
    assert [each.metadata[WITHIN] for each in done.kept] == ["ferry.txt", "policy.md"]
