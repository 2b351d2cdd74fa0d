"""A quote is found where it stands, and is called what it is: exact, made equal, elsewhere, or not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generation.manual import documents, hit

from ragwright.generation.folding import normalise
from ragwright.generation.locating import Locator
from ragwright.generation.passages import Numbered, Texts

OPENS = "The valve opens at 3.5 bar."
HOUSING = "The pump’s housing weighs 12 kg – without oil."
LIFTED = "It “must not” be lifted by one person … ever."
STREET = "Straße 5 is the depot."
FILTER = "The ﬁlter is new."
CREW = "Co\u00adoperate with the crew."
TEXT = f"{OPENS} {HOUSING}\n{LIFTED} {STREET} {FILTER}\n{CREW} The valve closes at 2.5 bar."


def located(quote: str, *given: str, text: str = TEXT) -> tuple[str, str]:
    """The state of a quote and the document's characters, from a prompt that shows these passages of it."""
    store = documents(d=text)
    shown = hit(store["d"], *((passage, 0.5) for passage in given))
    found = Locator([Numbered(1, shown)], Texts(store)).find(quote)
    if found is None:
        return "missing", ""
    span = found.citation.span
    assert found.citation.quote == text[span.start : span.end]
    assert found.numbers == ((1,) if found.citation.state != "elsewhere" else ())
    return found.citation.state, found.citation.quote


@pytest.mark.parametrize(
    ("quote", "passage", "state"),
    [
        (HOUSING, HOUSING, "exact"),
        (TEXT, TEXT, "exact"),
        # typographic signs, case, white space, compatibility forms and soft hyphens are made equal
        ("The pump's housing weighs 12 kg - without oil.", HOUSING, "normalised"),
        ("The pump's housing weighs 12 kg — without oil.", HOUSING, "normalised"),
        ('It "must not" be lifted by one person ... ever.', LIFTED, "normalised"),
        ("It «must not» be lifted by one person … ever.", LIFTED, "normalised"),
        ("THE VALVE OPENS AT 3.5 BAR.", OPENS, "normalised"),
        ("  The valve\n opens\tat\u00a03.5  bar. ", OPENS, "normalised"),
        ("STRASSE 5 is the depot.", STREET, "normalised"),
        ("The filter is new.", FILTER, "normalised"),
        ("Cooperate with the crew.", CREW, "normalised"),
        # of what a model puts around it nothing is quoted
        (f'"{OPENS}"', OPENS, "normalised"),
        # it stands there, but the model was not given it
        ("The valve closes at 2.5 bar.", OPENS, "elsewhere"),
        ("the valve closes at 2.5 bar.", OPENS, "elsewhere"),
        (f"{OPENS} The pump’s housing", OPENS, "elsewhere"),
        ("12 kg", OPENS, "elsewhere"),
        ("closes at 2.5", OPENS, "elsewhere"),
        # changed facts and invented joints are not there
        ("The valve opens at 35 bar.", OPENS, "missing"),
        ("The valve opens at 3,5 bar.", OPENS, "missing"),
        ("The valve opens at 2.5 bar.", OPENS, "missing"),
        ("The valve opens at -3.5 bar.", OPENS, "missing"),
        ("The valve does not open at 3.5 bar.", OPENS, "missing"),
        ("The valve ... 3.5 bar.", OPENS, "missing"),
        (f"{OPENS} The valve closes at 2.5 bar.", OPENS, "missing"),
        ("It must not be lifted by one person … ever.", LIFTED, "missing"),
        (f"{OPENS}\u200bNever.", OPENS, "missing"),
        # a number or a word that is cut in two is another one
        ("The valve opens at 3", OPENS, "missing"),
        ("5 bar.", OPENS, "missing"),
        ("2 kg", OPENS, "missing"),
        ("The valve open", OPENS, "missing"),
        # a quote of nothing supports nothing
        ("", OPENS, "missing"),
        (" \n\u00a0", OPENS, "missing"),
        ("\u00ad\u200b", OPENS, "missing"),
        ("the", OPENS, "missing"),
        ("...", OPENS, "missing"),
    ],
)
def test_a_quote_is_called_what_it_is(quote: str, passage: str, state: str) -> None:
    found, there = located(quote, passage)
    assert found == state
    assert state == "missing" or normalise(there).strip('"') == normalise(quote).strip('"')


@pytest.mark.parametrize("given", [(OPENS, HOUSING), (HOUSING, LIFTED), (OPENS, HOUSING, LIFTED)])
def test_passages_that_follow_upon_one_another_are_read_as_one(given: tuple[str, ...]) -> None:
    quote = TEXT[TEXT.index(given[0]) + 4 : TEXT.index(given[-1]) + len(given[-1])]
    assert located(quote, *given) == ("exact", quote)
    assert located(quote, given[0]) == ("elsewhere", quote)


WORDS = st.lists(
    st.sampled_from(["valve", "35", "3.5", "ﬁlter", "–", "…", "Straße", "“bar”", "5"]), min_size=1
)


@given(WORDS, st.data())
def test_whatever_stands_in_a_passage_is_exact_there(words: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(words) - 1))
    quote = " ".join(words[start : data.draw(st.integers(start + 1, len(words)))])
    state, there = located(quote, " ".join(words), text=f"a\n{' '.join(words)}  z")
    assert state == ("exact" if any(sign.isalnum() for sign in quote) else "missing")
    assert there in (quote, "")


@given(st.text(max_size=60), st.text(max_size=20))
def test_whatever_is_found_is_equal_there_but_for_signs_around_it(text: str, quote: str) -> None:
    state, there = located(quote, "given", text=f"given {text}")
    if state != "missing":
        assert normalise(there).strip(" \"'.,;:") == normalise(quote).strip(" \"'.,;:")
