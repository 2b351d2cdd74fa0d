"""Pairs of texts become the very tokens that Hugging Face's tokenizers make of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.pairs import keep_longest_first
from ragwright.retrieval.tokens import ModelTokenizer

MODEL = open_model(DEFAULT_MODEL)
OURS = ModelTokenizer(MODEL)
FRAME = OURS.pair_frame()
LIBRARY = Tokenizer.from_file(str(MODEL.path / "tokenizer.json"))
LIBRARY.no_padding()
WORDS = ["pump", "gasket", "naïve", "漢字", "unbelievable", "4711", "(seal)", "±"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.integers(4, 90), st.booleans())
def test_a_pair_is_tokenized_and_cut_as_the_library_does(
    first: str, second: str, longest: int, cuts_left: bool
) -> None:
    side = "left" if cuts_left else "right"
    LIBRARY.enable_truncation(longest, strategy="longest_first", direction=side)
    expected = LIBRARY.encode(first, second)
    one, two = OURS.encode_plain([first, second])
    ids, types = FRAME.join(one, two, longest=longest, cuts_left=cuts_left)
    assert ids.tolist() == expected.ids
    assert types.tolist() == expected.type_ids


@given(st.integers(0, 700), st.integers(0, 700), st.integers(0, 512))
def test_what_is_kept_fits_and_is_cut_from_the_longer_text_first(first: int, second: int, room: int) -> None:
    one, two = keep_longest_first(first, second, room=room)
    assert one <= first and two <= second
    assert one + two == min(room, first + second)
    if (one < first and one < two) or (two < second and two < one):
        assert abs(one - two) == 1


def test_no_texts_give_no_tokens() -> None:
    assert OURS.encode_plain([]) == []
    (empty,) = OURS.encode_plain([""])
    ids, types = FRAME.join(empty, empty, longest=64)
    np.testing.assert_array_equal(ids, np.concatenate([FRAME.before, FRAME.between, FRAME.behind]))
    assert types.tolist() == [0, 0, 1]
