"""A quote is called what it is: exact, made equal, elsewhere, or not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.types import Document, Span
from ragwright.generation.citations import check_quote, normalise

TEXT = (
    "The valve opens at 3.5 bar. The pump’s housing weighs 12 kg – without oil.\n"
    "It “must not” be lifted by one person … ever. Straße 5 is the depot. The ﬁlter is new.\n"
    "Co\u00adoperate with the crew. The valve closes at 2.5 bar."
)
DOCUMENT = Document("d", "a.md", "A", TEXT)


def _span(text: str) -> Span:
    start = TEXT.index(text)
    return Span("d", start, start + len(text))


HOUSING = _span("The pump’s housing weighs 12 kg – without oil.")
LIFTED = _span("It “must not” be lifted by one person … ever.")
OPENS = _span("The valve opens at 3.5 bar.")


@pytest.mark.parametrize(
    ("quote", "span", "state"),
    [
        (TEXT[HOUSING.start : HOUSING.end], HOUSING, "exact"),
        (TEXT, Span("d", 0, len(TEXT)), "exact"),
        # typographic signs, case, white space, compatibility forms and soft hyphens are made equal
        ("The pump's housing weighs 12 kg - without oil.", HOUSING, "normalised"),
        ("The pump's housing weighs 12 kg — without oil.", HOUSING, "normalised"),
        ('It "must not" be lifted by one person ... ever.', LIFTED, "normalised"),
        ("It «must not» be lifted by one person … ever.", LIFTED, "normalised"),
        ("THE VALVE OPENS AT 3.5 BAR.", OPENS, "normalised"),
        ("  The valve\n opens\tat\u00a03.5  bar. ", OPENS, "normalised"),
        ("STRASSE 5 is the depot.", _span("Straße 5 is the depot."), "normalised"),
        ("The filter is new.", _span("The ﬁlter is new."), "normalised"),
        ("Cooperate with the crew.", _span("Co\u00adoperate with the crew."), "normalised"),
        # it stands there, but not at the span
        ("The valve closes at 2.5 bar.", OPENS, "elsewhere"),
        ("the valve closes at 2.5 bar.", OPENS, "elsewhere"),
        ("The valve opens", OPENS, "elsewhere"),
        ("The valve opens at 3.5 bar. The pump’s housing", OPENS, "elsewhere"),
        # changed facts and invented joints are not there
        ("The valve opens at 35 bar.", OPENS, "missing"),
        ("The valve opens at 3,5 bar.", OPENS, "missing"),
        ("The valve opens at 2.5 bar.", OPENS, "missing"),
        ("The valve opens at -3.5 bar.", OPENS, "missing"),
        ("The valve does not open at 3.5 bar.", OPENS, "missing"),
        ("The valve ... 3.5 bar.", OPENS, "missing"),
        ("The valve opens at 3.5 bar. The valve closes at 2.5 bar.", OPENS, "missing"),
        ("It must not be lifted by one person … ever.", LIFTED, "missing"),
        ("The valve opens at 3.5 bar.\u200bNever.", OPENS, "missing"),
        # a number cut in two is another number
        ("The valve opens at 3", OPENS, "missing"),
        ("5 bar.", OPENS, "missing"),
        ("2 kg", OPENS, "missing"),
        ("12 kg", OPENS, "elsewhere"),
        ("closes at 2.5", OPENS, "elsewhere"),
        # a quote of nothing supports nothing
        ("", OPENS, "missing"),
        (" \n\u00a0", OPENS, "missing"),
        ("\u00ad\u200b", OPENS, "missing"),
        ("", Span("d", 3, 3), "missing"),
    ],
)
def test_a_quote_is_called_what_it_is(quote: str, span: Span, state: str) -> None:
    assert check_quote(quote, span, DOCUMENT) == state


def test_a_span_of_another_document_is_missing() -> None:
    quote = TEXT[OPENS.start : OPENS.end]
    assert check_quote(quote, Span("other", OPENS.start, OPENS.end), DOCUMENT) == "missing"


@pytest.mark.parametrize("bounds", [(-28, -1), (5, 5_000), (20, 4), (9_000, 9_010)])
def test_a_span_out_of_bounds_is_never_exact(bounds: tuple[int, int]) -> None:
    quote = TEXT[bounds[0] : bounds[1]]
    assert check_quote(quote, Span("d", *bounds), DOCUMENT) != "exact"


@given(st.text(min_size=1, max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_what_stands_at_a_span_is_exact_there(text: str, one: int, other: int) -> None:
    start, end = sorted((min(one, len(text)), min(other, len(text))))
    state = check_quote(text[start:end], Span("d", start, end), Document("d", "a.md", "A", text))
    assert state == ("exact" if normalise(text[start:end]) else "missing")


@given(st.text(max_size=60))
def test_making_equal_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
