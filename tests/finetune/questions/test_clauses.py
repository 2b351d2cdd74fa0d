"""Sentences are taken apart where their words leave no doubt, and turned round as people ask."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.finetune.questions.clauses import Clause, clause_of
from ragwright.finetune.questions.english import base_of, conjugated, word_list
from ragwright.finetune.questions.loosening import Loosener, shortened
from ragwright.finetune.questions.persons import FIRST, third, turned
from ragwright.finetune.questions.surface import plain, without_heading


def clause(sentence: str) -> Clause:
    found = clause_of(sentence)
    assert found is not None, sentence
    return found


@pytest.mark.parametrize(
    ("sentence", "subject", "auxiliary", "verb", "core"),
    [
        ("We collect, use and store data when you register.", "We", "do", "collect", "data"),
        ("The cover has four bolts of class 10.9.", "The cover", "does", "have", "four bolts of class 10.9"),
        ("The new diameter is 860 mm and the limit is 790 mm.", "The new diameter", "is", "", "860 mm"),
        (
            "The company acquired all the shares for $2 million.",
            "The company",
            "did",
            "acquire",
            "all the shares",
        ),
        ("Yaw dampers are tightened to 325 Nm.", "Yaw dampers", "are", "tightened", ""),
        ("Run the engine until the oil is warm.", "", "", "run", "the engine"),
        ("In frost, the pack must be heated for two hours.", "the pack", "must", "be heated", ""),
        ("Isolation is carried out by one person.", "Isolation", "is", "carried out", ""),
        ("We need to inform the bank.", "We", "do", "need to inform", "the bank"),
        ("You may not be able to open the page.", "You", "can", "open", "the page"),
    ],
)
def test_a_clause_falls_into_its_pieces(
    sentence: str, subject: str, auxiliary: str, verb: str, core: str
) -> None:
    found = clause(sentence)
    assert (found.subject, found.auxiliary, found.verb, found.object) == (subject, auxiliary, verb, core)


def test_adverbials_are_told_by_what_they_say() -> None:
    found = clause(
        "If you agree, we may share your data with partners for two years because the law asks it."
    )
    assert found.condition == "If you agree"
    assert [part.role for part in found.parts] == ["recipient", "span", "cause"]
    assert clause("The pads are checked every 28 days by a fitter.").part("interval", "agent") is not None


@pytest.mark.parametrize(
    "sentence",
    ["", "Notes", "It is warm.", "Is it warm?", "This means nothing.", "Those who miss it may repeat it."],
)
def test_what_does_not_fit_or_needs_its_context_is_passed_over(sentence: str) -> None:
    assert clause_of(sentence) is None


@settings(max_examples=20)
@given(
    st.text(alphabet=st.sampled_from("We may share the data , . with of is are not 28 days to"), max_size=120)
)
def test_no_text_breaks_the_reading_and_pieces_stand_in_the_sentence(text: str) -> None:
    found = clause_of(text)
    if found is not None:
        assert found.object in text
        assert all(part.text in text for part in found.parts)


def test_we_and_you_change_places() -> None:
    assert turned("your data when you contact us", FIRST) == "my data when I contact you"
    assert turned("how we use what you send", third("the club")) == "how the club uses what users send"
    assert turned("you are told if you're a member", FIRST) == "I am told if I am a member"


def test_every_form_of_a_verb_leads_back_to_a_verb() -> None:
    for base in word_list("regular_verbs"):
        forms = conjugated(base)
        assert base_of(forms.third, "third"), base
        assert base_of(forms.past, "past"), base
        assert base_of(forms.gerund, "gerund"), base


def test_headings_that_lost_their_line_break_are_found() -> None:
    assert without_heading("Changes to This Policy We may change it.") == (
        "Changes to This Policy",
        "We may change it.",
    )
    assert (
        without_heading("Data Security Acme Club cannot ensure it.", frozenset({"Acme"}))
        == (
            "Data Security",
            "Acme Club cannot ensure it.",
        )
        or without_heading("Data Security Acme cannot ensure it.", frozenset({"Acme"}))[0] == "Data Security"
    )
    assert without_heading("The Club may do it.") == ("", "The Club may do it.")


def test_the_core_of_a_phrase_is_cut_before_what_only_describes_it() -> None:
    assert shortened("the names of all members that visit us") == "the names of all members"
    assert shortened("technical, electronic and other safeguards") == ""
    assert shortened("it") == ""


def test_acronyms_and_their_long_forms_are_replaced_only_where_they_are_meant() -> None:
    from random import Random

    loosener = Loosener({"information technology": ("IT",)}, english=False)
    assert loosener.nouns("its information technology", Random(0), share=1.0) == "its IT"
    assert loosener.nouns("the IT of its kind", Random(0), share=1.0) == "the IT of its kind"


def test_plain_text_has_no_marks() -> None:
    assert plain("- **Fees.** See [here](a.md) .") == "Fees. See here."
    assert plain("5.1 The Operator pays = = Costs = = it") == "The Operator pays it"
