"""What a model writes is shown with checked citations, however it comes in pieces."""

from __future__ import annotations

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generation.manual import (
    BOGIE,
    BOLTS,
    CRANE,
    HITS,
    HOUSING,
    LIFTS,
    MARK,
    OIL,
    STORE,
    TOOLS,
    WHEEL,
    documents,
    hit,
    numbered,
)

from ragwright.core.types import Citation, Delta
from ragwright.generation.citing import CitationReader
from ragwright.generation.deltas import join
from ragwright.generation.folding import normalise
from ragwright.generation.markers import LONGEST_QUOTE
from ragwright.generation.passages import Numbered, Texts

BEGIN, END = "##begin_quote##", "##end_quote##"
CLAIM = "The axlebox cover bolts get 215 Nm."


def quoted(text: str) -> str:
    return f"{BEGIN}{text}{END}"


def read(*pieces: str) -> tuple[Delta, CitationReader]:
    """The joined deltas, and the reader at its end."""
    reader = CitationReader(*numbered())
    deltas = [*map(reader.feed, pieces), reader.finish()]
    return join(delta for delta in deltas if delta), reader


def shown(*pieces: str) -> str:
    return read(*pieces)[0].text


def citations(*pieces: str) -> list[Citation]:
    return read(*pieces)[1].citations


@pytest.mark.parametrize(
    ("written", "quote", "state"),
    [
        (BOLTS, BOLTS, "exact"),
        ("crosswise to 215 Nm", "crosswise to 215 Nm", "exact"),
        ("CROSSWISE  to\n215 Nm", "crosswise to 215 Nm", "normalised"),
        ('The filter\'s housing must "never" be opened - not even at 5 °C.', HOUSING, "normalised"),
        ("See ⟦3⟧ for the tools.", TOOLS, "exact"),  # as the prompt shows it
        ('"Tighten the axlebox cover bolts crosswise".', BOLTS[:41], "normalised"),
        # across two passages with nothing but a space between them
        ("not even at 5 °C. See [3] for", "not even at 5 °C. See [3] for", "exact"),
        # the model was not given these
        (MARK, MARK, "elsewhere"),
        ("the crane on the east quay", "The crane on the east quay", "elsewhere"),
        (f"{BOLTS} {MARK}", f"{BOLTS} {MARK}", "elsewhere"),
    ],
)
def test_a_quote_is_shown_with_the_documents_own_characters(written: str, quote: str, state: str) -> None:
    whole, reader = read(quoted(written))
    assert whole.text == f"“{quote}” [1]"
    (citation,) = reader.citations
    text = STORE[citation.span.document_id].text
    assert text[citation.span.start : citation.span.end] == citation.quote == quote
    assert (citation.state, citation.marker) == (state, 1)
    assert reader.verified is (state != "elsewhere")
    assert not reader.dropped


@pytest.mark.parametrize(
    "written",
    [
        "Tighten the axlebox cover bolts crosswise to 216 Nm.",
        "to 21",  # cuts a number
        "ighten the axlebox",  # cuts a word
        "the",
        "of the and",
        "",
        " ",
        "The axlebox cover bolts ... in two passes.",
        "Öl wird gewechselt",
    ],
)
def test_a_quote_that_stands_nowhere_or_says_nothing_is_left_out_and_told(written: str) -> None:
    whole, reader = read(f"It says {quoted(written)} [1]. So.")
    assert whole.text == "It says. So."
    assert (reader.dropped, reader.citations, reader.verified) == ([written.strip()], [], False)


def test_a_quote_from_outside_the_passages_gets_its_place_from_the_blocks() -> None:
    (citation,) = citations(quoted(WHEEL))
    assert (citation.headings, citation.page, citation.title) == (("Bogie manual", "Wheels"), 2, "Bogie")


def test_of_two_places_that_of_the_named_document_is_cited() -> None:
    store = documents(a="One. The valve opens at 3 bar.", b="The valve opens at 3 bar.")
    hits = [hit(store[key], ("The valve opens at 3 bar.", 0.5)) for key in "ab"]
    for number, key in ((1, "a"), (2, "b")):
        reader = CitationReader([Numbered(n, each) for n, each in enumerate(hits, 1)], Texts(store))
        for piece in (quoted("The valve opens at 3 bar."), " ", f"[{number}", "]."):
            reader.feed(piece)
        reader.finish()
        assert [each.span.document_id for each in reader.citations] == [key]


@pytest.mark.parametrize(
    ("written", "text", "quotes"),
    [
        (f"{CLAIM} [1]", f"{CLAIM} [1]", [BOLTS]),
        (f"{CLAIM[:-1]} [1].", f"{CLAIM[:-1]} [1].", [BOLTS]),
        # each document that is named must support the sentence by itself
        (f"{CLAIM} [1, 2]", f"{CLAIM} [1]", [BOLTS]),
        (f"{CLAIM} [2][1]", f"{CLAIM} [1]", [BOLTS]),
        (f"{CLAIM} [Document 1]", f"{CLAIM} [1]", [BOLTS]),
        (f"{CLAIM}【1】", f"{CLAIM}[1]", [BOLTS]),
        (f"{CLAIM} \\[1\\]", f"{CLAIM} [1]", [BOLTS]),
        # markers are numbered as they appear, and a span keeps its number
        (
            f"Hydraulic oil HV 22 in winter [2]. {CLAIM} [1] The winter oil is HV 22 [2].",
            f"Hydraulic oil HV 22 in winter [1]. {CLAIM} [2] The winter oil is HV 22 [1].",
            [OIL, BOLTS],
        ),
        # two parts of a sentence have each their own marker
        (
            "The bolts get 215 Nm [1] and the winter oil is HV 22 [2].",
            "The bolts get 215 Nm [1] and the winter oil is HV 22 [2].",
            [BOLTS, OIL],
        ),
        # the passages of one document that are enough together
        (
            "Bolts get 215 Nm, and the filter housing is never opened at 5 °C [1].",
            "Bolts get 215 Nm, and the filter housing is never opened at 5 °C [1][2].",
            [BOLTS, HOUSING],
        ),
        # nothing supports it: another number, other words, no words
        ("The axlebox cover bolts get 216 Nm [1].", "The axlebox cover bolts get 216 Nm.", []),
        ("The brake is tested daily by the driver [1].", "The brake is tested daily by the driver.", []),
        ("Part 1 of the bogie [1].", "Part 1 of the bogie.", []),
        ("According to [1], yes [2].", "According to, yes.", []),
        ("[1]", "", []),
        # no such document
        (f"{CLAIM} [7][0][3]", CLAIM, []),
        (f"{CLAIM} [999].", f"{CLAIM}.", []),
        # a marker that would become the text of a link
        (f"{CLAIM} [1](http://evil)", f"{CLAIM} [1] (http://evil)", [BOLTS]),
    ],
)
def test_a_number_becomes_the_marker_of_what_supports_the_sentence(
    written: str, text: str, quotes: list[str]
) -> None:
    whole, reader = read(written)
    assert whole.text == text
    assert [citation.quote for citation in reader.citations] == quotes
    assert [citation.marker for citation in reader.citations] == list(range(1, len(quotes) + 1))
    assert reader.verified is bool(quotes)


def test_a_number_behind_a_quote_from_its_document_is_not_said_twice() -> None:
    assert shown(f"{quoted(BOLTS)} [1][1].") == f"“{BOLTS}” [1]."
    assert shown(f"{quoted(BOLTS)}. [1]") == f"“{BOLTS}” [1]."
    assert shown(f'"{quoted(BOLTS)}" [1]') == f'"{BOLTS} [1]"'


@pytest.mark.parametrize(
    "code",
    [
        "`a[1]`",
        "``a`[1]`` b",
        "```python\nx[1]\n```",
        "~~~\n[1] `\n~~~~",
        "> ```\n> [1]\n> ```",
        "```\n``\n[1]\n``` x\n```",
        "```\n[1] never closed",
        f"`{quoted(BOLTS)}`",
    ],
)
def test_in_code_nothing_is_a_marker(code: str) -> None:
    whole, reader = read(f"{code}\n\n{CLAIM} [9]" if not code.endswith("closed") else code)
    assert whole.text == (f"{code}\n\n{CLAIM}" if not code.endswith("closed") else code)
    assert (reader.citations, whole.marks) == ([], ())


@pytest.mark.parametrize("text", ["`", "a ` b [9]", "``a` b\n` [9]", "~~ [9]", "a ``` b [9]", "``` ` [9]"])
def test_backticks_without_their_like_are_text(text: str) -> None:
    assert "[9]" not in shown(text)


@pytest.mark.parametrize(
    "text",
    [
        "In [2012] UKSC 12 [a] [1a] [1.2] [] [ ] [x](y) [[ ]] # ## <b> & \\ \\alpha [-1] [1 2",
        "##begin_quot ##end_quote# < ANSWER> <answer <STO",
        "Straße 🚂 日本語 [",
    ],
)
def test_what_is_no_marker_stays_as_it_is(text: str) -> None:
    assert shown(text) == text


def test_a_quote_without_an_end_is_text() -> None:
    assert shown(f"It says {BEGIN}{BOLTS}") == f"It says {BOLTS}"
    assert shown(f"{BEGIN}a {BEGIN}{BOLTS}{END}") == f"a “{BOLTS}” [1]"
    assert shown(f"stray {END} end") == "stray end"


def test_an_open_quote_is_given_up_at_the_limit_and_holds_no_more_than_that() -> None:
    reader = CitationReader(*numbered())
    pieces = [BEGIN, *["word "] * 5_000]
    lengths, out = [], 0
    for fed, piece in enumerate(pieces):
        delta = reader.feed(piece)
        out += len(delta.text) if delta else 0
        lengths.append(max(0, 5 * fed - out))
    reader.finish()
    assert LONGEST_QUOTE <= max(lengths) < LONGEST_QUOTE + 50
    assert out > 20_000


def test_reasoning_before_the_final_answer_is_shown_and_thoughts_are_not() -> None:
    reasoning = f"##Reason: {quoted(BOLTS)} so\n\n<ANSWER>: 215 Nm<STOP>"
    assert shown("<think>maybe [1] 216</think>\n\n", reasoning) == f"##Reason: “{BOLTS}” [1] so\n\n215 Nm"
    assert shown("<think>without an end ", quoted(BOLTS)) == ""
    assert shown("<thin", "g> is no thought") == "<thing> is no thought"


def test_marks_tell_where_markers_stand_and_nothing_else() -> None:
    whole, reader = read(f"{quoted(TOOLS)} 🚂 {CLAIM} [1] `[1]`")
    assert whole.text == f"“{TOOLS}” [1] 🚂 {CLAIM} [2] `[1]`"
    assert [whole.text[mark.start : mark.end] for mark in whole.marks] == ["[1]", "[2]"]
    assert [mark.start for mark in whole.marks] == [len(TOOLS) + 3, len(whole.text) - 9]
    assert whole.citations == tuple(reader.citations)


def test_a_delta_brings_the_citations_whose_marker_it_is_the_first_to_hold() -> None:
    reader = CitationReader(*numbered())
    deltas = [reader.feed(piece) for piece in (f"{CLAIM} [1] ", f"{CLAIM} [1] ", quoted(OIL), " end", "")]
    deltas.append(reader.finish())
    told = [[citation.marker for citation in delta.citations] for delta in deltas if delta]
    assert [marker for markers in told for marker in markers] == [1, 2]
    for delta in deltas:
        for citation in delta.citations if delta else ():
            assert any(mark.marker == citation.marker for mark in (delta.marks if delta else ()))


PARTS = st.sampled_from(
    [
        BEGIN, END, BOLTS, MARK, "216 Nm", " ", "  ", "\n", "\n\n", "[1]", "[2]", "[1, 2]", "[9]", "[",
        "]", "`", "```", "\n```\n", "~~~", "#", "##", "##begin_", "quote##", "<ANSWER>:", "<ANS", "<STOP>",
        CLAIM, "oil HV 22 in winter", ".", ",", "(", ")", "\\", "【1】", "“", '"', "🚂", "é", "e\u0301", "ﬁ",
        "\u00a0", "1", "and", "Document 1", "<think>", "</think>", "\u200b", "\r\n", "*", "_", "> ", "- ",
        "1. ", "日本", "\u202e", "|",
    ]
)  # fmt: skip
WHOLE = st.sampled_from(
    [
        quoted(BOLTS), quoted(MARK), quoted("216 Nm"), f"{quoted(OIL)} [2]", f"{quoted(BOLTS.upper())}. [1]",
        f"{CLAIM} [1]", f"{CLAIM} [2, 1] ", "HV 22 in winter [2].", f"`{CLAIM} [1]`", f"{quoted(TOOLS)}[2] ",
    ]
)  # fmt: skip
SOUP = st.lists(st.one_of(WHOLE, PARTS, st.text(max_size=6)), max_size=20).map("".join)


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(places)]


@given(SOUP, st.lists(st.integers(0, 10_000), max_size=12))
def test_however_a_text_is_split_the_answer_is_the_same(text: str, cuts: list[int]) -> None:
    whole, reader = read(text)
    for pieces in (pieces_of(text, cuts), list(text)):
        other, others = read(*pieces)
        assert other == whole
        assert (others.citations, others.dropped, others.verified) == (
            reader.citations,
            reader.dropped,
            reader.verified,
        )


@given(SOUP)
def test_every_quote_and_marker_that_is_shown_holds(text: str) -> None:
    whole, reader = read(text)
    assert [citation.marker for citation in reader.citations] == list(range(1, len(reader.citations) + 1))
    assert {mark.marker for mark in whole.marks} == {citation.marker for citation in reader.citations}
    for mark in whole.marks:
        assert whole.text[mark.start : mark.end] == f"[{mark.marker}]"
    for citation in reader.citations:
        document = STORE[citation.span.document_id].text
        assert document[citation.span.start : citation.span.end] == citation.quote != ""
        assert citation.state != "missing"
    assert whole.text == whole.text.strip()


@given(
    st.lists(st.sampled_from(["word", " ", "\n", ".", "🚂", "é", "#", "<", "(", "x"]), max_size=40).map(
        "".join
    )
)
def test_text_without_marks_is_shown_as_it_is(text: str) -> None:
    assert shown(*text) == text.strip()


LOST = ["[9]", quoted("216 Nm"), quoted(""), quoted("216 Nm") + " [1]", END, "<STOP>", "[2][0]"]
KEPT = ["alpha", "(gamma", "δέλτα,", "🚂", "[2012]", "a#b", "<b>", "x\\[y", "`[9]`", "\n"]


@given(st.lists(st.sampled_from(KEPT + LOST), max_size=25))
def test_nothing_but_marks_and_dropped_quotes_is_lost(parts: list[str]) -> None:
    kept = " ".join(part for part in parts if part not in LOST)
    assert shown(" ".join(parts)).split() == kept.split()


def test_a_large_document_is_searched_in_time_linear_to_its_length() -> None:
    words = random.Random(4).choices(
        ["valve", "opens", "at", "three", "bar", "35", "Nm", "–", "ﬁlter"], k=400_000
    )
    text = " ".join(words) + " The last sentence names the lever."
    store = documents(big=text)
    found = hit(store["big"], ("The last sentence names the lever.", 0.5))
    reader = CitationReader([Numbered(1, found)], Texts(store))
    started = time.perf_counter()
    for number in range(20):
        reader.feed(quoted(f"valve opens at {number} bars"))
    reader.feed(quoted(" ".join(words[-9:]).upper()))
    reader.finish()
    assert [citation.state for citation in reader.citations] == ["elsewhere"]
    assert time.perf_counter() - started < 10, "2 MB; it takes about a second"


def test_the_texts_that_the_tests_rest_on_stand() -> None:
    assert all(text in BOGIE for text in (BOLTS, MARK, HOUSING, TOOLS, WHEEL))
    assert all(text in CRANE for text in (OIL, LIFTS))
    assert normalise(HOUSING) != HOUSING
    assert len(HITS) == 2
