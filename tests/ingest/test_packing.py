"""Packing, and the strategies that heed no structure."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragwright.core.profile import Profile
from ragwright.core.protocols import Tokenizer
from ragwright.core.types import Document
from ragwright.ingest.chunk import build_chunker
from ragwright.ingest.packing import Budget, pack
from ragwright.ingest.ruler import TokenRuler


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 10), min_size=1, max_size=40), overlap=st.integers(0, 9))
def test_packing_keeps_every_piece_the_budget_and_the_overlap(
    tokenizer: Tokenizer, lengths: list[int], overlap: int
) -> None:
    text = " ".join(" ".join(["word"] * length) + "." for length in lengths)
    ends = [i + 1 for i, c in enumerate(text) if c == "."]
    pieces = list(zip([0, *(end + 1 for end in ends[:-1])], ends, strict=True))
    ruler = TokenRuler(text, tokenizer)
    packed = pack(pieces, ruler, Budget(12, overlap))
    assert all(ruler.size(*chunk) <= 12 for chunk in packed)
    assert all(any(a <= start and end <= b for a, b in packed) for start, end in pieces)
    assert all(one[0] < other[0] and one[1] < other[1] for one, other in pairwise(packed))
    assert all(
        other[0] >= one[1] or ruler.size(other[0], one[1]) <= overlap for one, other in pairwise(packed)
    )


def test_pieces_of_one_unknown_word_overlap_no_more_than_others(tokenizer: Tokenizer) -> None:
    text = "x" * 6000
    pieces = [(start, start + 600) for start in range(0, 6000, 600)]
    packed = pack(pieces, TokenRuler(text, tokenizer), Budget(100, 0))
    assert packed == [(0, 1200), (1200, 2400), (2400, 3600), (3600, 4800), (4800, 6000)]


def test_fixed_windows_are_full_and_share_the_overlap(tokenizer: Tokenizer) -> None:
    text = " ".join(["word"] * 500)
    chunks = build_chunker(Profile(), tokenizer, strategy="fixed", tokens=100, overlap=20)(
        Document("d", "a", "", text)
    )
    assert [len(tokenizer.starts(chunk.text)) for chunk in chunks] == [100, 100, 100, 100, 100, 100]
    assert all(len(tokenizer.starts(text[b.span.start : a.span.end])) == 20 for a, b in pairwise(chunks))


def test_the_recursive_strategy_prefers_blank_lines(tokenizer: Tokenizer) -> None:
    part = "One sentence here. And one more\nwith two lines in it."
    text = "\n\n".join([part] * 6)
    chunks = build_chunker(Profile(), tokenizer, strategy="recursive", tokens=30)(
        Document("d", "a", "", text)
    )
    assert all(chunk.text == f"{part}\n\n{part}" for chunk in chunks)


def test_the_sentence_strategy_cuts_between_sentences(tokenizer: Tokenizer) -> None:
    text = " ".join(f"Sentence number {n} is here." for n in range(50))
    chunks = build_chunker(Profile(), tokenizer, strategy="sentence", tokens=30, overlap=10)(
        Document("d", "a", "", text)
    )
    assert all(chunk.text.startswith("Sentence") and chunk.text.endswith(".") for chunk in chunks)
    assert all(a.sentences[-1] == b.sentences[0] for a, b in pairwise(chunks))
