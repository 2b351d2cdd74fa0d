"""Sentences: a labelled list, and what holds for any text."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.profile import load_profile
from ragwright.ingest.sentences import SentenceSplitter

PROFILES = {name: load_profile(name) for name in ("general", "legal", "biomedical", "finance")}

# One sentence per list entry; they are joined by single spaces.
LABELLED: list[tuple[str, list[str]]] = [
    ("general", ["Dr. Smith went home.", "He slept."]),
    ("general", ["Mr. and Mrs. Jones arrived.", "They were late."]),
    ("general", ["See Fig. 3 for details.", "It shows the flow."]),
    ("general", ["Use No. 5 wire.", "Cut it to length."]),
    ("general", ["It weighs approx. 5 kg in total.", "Lift it with care."]),
    ("general", ["Approx. 20 people came.", "Nobody left."]),
    ("general", ["Bring tools, e.g. a hammer.", "Leave the saw."]),
    ("general", ["The owner, i.e. Ann, agreed.", "Bob did not."]),
    ("general", ["Pi is 3.14159 or so.", "It is irrational."]),
    ("general", ["The price rose by 2.5%.", "Sales fell."]),
    ("general", ["J. R. R. Tolkien wrote it.", "It sold well."]),
    ("general", ["George W. Bush spoke.", "People listened."]),
    ("general", ["Visit https://example.com/a.b?c=d. e for more.", "It is free."]),
    ("general", ["Write to help@example.org today.", "We answer soon."]),
    ("general", ["Open the file config.toml first.", "Then save it."]),
    ("general", ['"Is it done?" she asked.', "He nodded."]),
    ("general", ['He said "Stop."', "She stopped."]),
    ("general", ["What now?", "Nothing!", "Good."]),
    ("general", ["Wait... what was that?", "A bird."]),
    ("general", ["We met at 5 p.m. on Friday.", "It rained."]),
    ("general", ["Version 2.0.1 is out.", "Update now."]),
    ("general", ["Compare cf. Müller et al. (2020) on this.", "They disagree."]),
    ("general", ["It took 3 min. 20 sec. in all.", "That is fast."]),
    ("general", ["The U.S. economy grew.", "Europe shrank."]),
    ("general", ["See pp. 12-15 of vol. 3 for this.", "It is short."]),
    ("general", ["This (an aside.) goes on.", "This does not."]),
    ("general", ["これは文です。", "はい。"]),
    ("general", ["(This is an aside.)", "This is not."]),
    ("general", ["We left.", "(It rained.)", "Then we went home."]),
    ("general", ['He asked "Why?"', "Nobody knew."]),
    ("general", ["**Arising.**", "Work that was found during an exam."]),
    ("general", ["1. Clean the thread.", "Bolts are fitted dry."]),
    ("general", ["2) Fit the bolt.", "Then go."]),
    ("legal", ["Roe v. Wade, 410 U.S. 113 (1973), was cited.", "It was overruled."]),
    ("legal", ["See 410 U.S. 113 (1973).", "The court agreed."]),
    ("legal", ["Under § 12 the tenant pays.", "Under § 13 he does not."]),
    ("legal", ["This follows from Art. 5 and Sec. 3.2 of the act.", "It is binding."]),
    ("legal", ["42 U.S.C. § 1983 applies.", "So does 29 C.F.R. § 1910.12 here."]),
    ("legal", ["Fed. R. Civ. P. 12(b)(6) governs.", "The motion fails."]),
    ("biomedical", ["Smith et al. Found this in mice.", "It was confirmed."]),
    ("biomedical", ["Infection with E. coli is common.", "It resolves."]),
    ("biomedical", ["P < 0.05 was significant.", "The 95% CI was 1.2-3.4."]),
    ("finance", ["Apple Inc. reported $3.2 bn. in sales.", "Shares rose."]),
    ("finance", ["On Dec. 31, 2017, cash was $5.2 million.", "Debt was nil."]),
]


def _splitter(name: str) -> SentenceSplitter:
    return SentenceSplitter(PROFILES[name].language, PROFILES[name].abbreviations)


@pytest.mark.parametrize(("name", "sentences"), LABELLED, ids=[case[0][:30] for _, case in LABELLED])
def test_sentences_end_where_a_reader_says(name: str, sentences: list[str]) -> None:
    text = " ".join(sentences)
    found = _splitter(name).split(text, 0, len(text))
    assert [text[start:end] for start, end in found] == sentences


TEXTS = st.text(st.sampled_from(list("aB. ?\n\t,;1é日。\u3000\x0c(")), max_size=400) | st.text(max_size=200)


@given(text=TEXTS, limit=st.integers(20, 600), edges=st.tuples(st.integers(0, 400), st.integers(0, 400)))
def test_sentences_are_trimmed_ordered_bounded_and_hold_every_visible_character(
    text: str, limit: int, edges: tuple[int, int]
) -> None:
    start, end = sorted(min(edge, len(text)) for edge in edges)
    found = SentenceSplitter("en", ("approx.",), max_characters=limit).split(text, start, end)
    assert all(start <= a < b <= end and b - a <= limit for a, b in found)
    assert all(text[a:b] == text[a:b].strip() for a, b in found)
    assert all(one[1] <= other[0] for one, other in pairwise(found))
    assert "".join("".join(text[a:b].split()) for a, b in found) == "".join(text[start:end].split())


def test_a_blank_line_and_a_list_marker_end_a_sentence() -> None:
    text = "First part\n\nsecond part\n- an item\n2. another one"
    found = _splitter("general").split(text, 0, len(text))
    assert [text[a:b] for a, b in found] == ["First part", "second part", "- an item", "2. another one"]


@pytest.mark.parametrize("signs", ["***", "|---|:-:|", "#", "12.", "(3)", "7"])
def test_what_says_nothing_joins_the_next_sentence_or_the_one_before(signs: str) -> None:
    for text in (f"{signs}\n\nFollowing words.", f"Words before.\n\n{signs}"):
        assert _splitter("general").split(text, 0, len(text)) == [(0, len(text))]


@pytest.mark.parametrize("sentence", ["これは文です。", "Words of a sentence. ", "word "])
def test_a_long_text_is_read_once_also_where_it_is_cut_into_paragraphs(sentence: str) -> None:
    text = "\n\n".join(sentence * (length // len(sentence)) for length in (100, 3_000, 5_000, 40_000, 90))
    found = _splitter("general").split(text, 0, len(text))
    assert all(one[1] <= other[0] for one, other in pairwise(found))
    assert "".join("".join(text[a:b].split()) for a, b in found) == "".join(text.split())
    if sentence.strip() != "word":
        assert {text[a:b] for a, b in found} == {sentence.strip()}


def test_text_without_capitals_is_still_cut_at_full_stops() -> None:
    text = "the company had a loss of 3.5 million vs. last year. " * 8
    assert len(_splitter("general").split(text, 0, len(text))) == 8


def test_a_sentence_without_end_is_cut_at_clause_marks() -> None:
    text = "one clause of it; " * 100
    found = _splitter("general").split(text, 0, len(text))
    assert all(text[b - 1] == ";" for _, b in found)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["A sentence of words. ", "word ", "x"])
def test_fifty_megabytes_in_one_line_take_linear_time(part: str) -> None:
    seconds = []
    for size in (5_000_000, 50_000_000):
        text = part * (size // len(part))
        began = time.perf_counter()
        _splitter("general").split(text, 0, len(text))
        seconds.append(time.perf_counter() - began)
    assert seconds[1] < seconds[0] * 25
