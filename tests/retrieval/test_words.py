"""WordPiece by words: the same tokens as the library finds."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.retrieval import words as module
from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.tokens import ModelTokenizer

TOKENIZER = ModelTokenizer(open_model(DEFAULT_MODEL))
LIBRARY = TOKENIZER._tokenizer
assert TOKENIZER._words is not None
WORDS = TOKENIZER._words

# White space that parts words and such that does not, signs, accents before and behind their letter, scripts
# that decompose, characters that are dropped, words that are too long, and tokens that stand for themselves.
PARTS = st.sampled_from(
    ["x", "Ab3", "unbelievable", "é", "e\u0301", "\u0301", "日", "文。", "ひら", "한", "\u1112", "\u1161",
     "\u11ab", ".", "/", "-", "_", "#", "##", "[SEP]", "[MASK]", "[UNK", "[sep]", "[", "]", "\n", " ", "\t",
     "\r", "\x0b", "\x00", "\x1c", "\x85", "\x7f", "\u00a0", "\u2028", "\u200b", "\u00ad", "\u3000", "☑",
     "🚀", "ﷺ", "ß", "İ", "Σ", "≠", "\u0338", "\ufffd", "\u0378", "\ue000", "\U00020000", "\u2019",
     "\u2013", "a" * 100, "a" * 101, "、", "，", "〇"]
)  # fmt: skip
TEXTS = st.lists(PARTS, max_size=25).map("".join) | st.text(max_size=60)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_every_text_has_the_ids_and_offsets_that_the_library_gives_it(texts: list[str]) -> None:
    for got, wanted in zip(TOKENIZER.encode(texts), LIBRARY.encode_batch(texts), strict=True):
        assert got.ids.tolist() == wanted.ids
        assert got.offsets.tolist() == [list(pair) for pair in wanted.offsets]
    for text in texts:
        plain = LIBRARY.encode(text, add_special_tokens=False)
        assert TOKENIZER.spans(text).tolist() == [list(pair) for pair in plain.offsets]
        assert TOKENIZER.starts(text).tolist() == [start for start, _ in plain.offsets]


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5), st.integers(1, 30), st.integers(1, 30))
def test_tokens_depend_neither_on_blocks_nor_on_what_was_kept(
    texts: list[str], block: int, room: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        patch.setattr(module, "_BATCH", room)
        patch.setattr(module, "_ROOM", room * 100)
        WORDS._clear()
        for text in texts:
            plain = LIBRARY.encode(text, add_special_tokens=False)
            assert WORDS.tokens(text)[1].tolist() == [list(pair) for pair in plain.offsets]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = ModelTokenizer(open_model(DEFAULT_MODEL))
    monkeypatch.setattr(module, "_ROOM", 100_000)
    assert tokenizer._words is not None
    tokenizer._words._clear()
    for number in range(40):
        tokenizer.starts(" ".join(f"w{number}x{k}" for k in range(100)))
        assert len(tokenizer._words._numbers) <= 100_000 // module._OVERHEAD + 100


def test_many_threads_get_the_same_tokens() -> None:
    tokenizer = ModelTokenizer(open_model(DEFAULT_MODEL))
    texts = [" ".join(f"pump{k} torque{k * number}" for k in range(300)) for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(tokenizer.starts, texts))
    for text, starts in zip(texts, found, strict=True):
        plain = LIBRARY.encode(text, add_special_tokens=False)
        assert starts.tolist() == [start for start, _ in plain.offsets]


def test_a_text_that_cannot_be_read_leaves_nothing_behind() -> None:
    tokenizer = ModelTokenizer(open_model(DEFAULT_MODEL))
    with pytest.raises((TypeError, UnicodeEncodeError)):
        tokenizer.starts("pumpwheel \ud800")
    np.testing.assert_array_equal(tokenizer.starts("pumpwheel seal"), TOKENIZER.starts("pumpwheel seal"))


@pytest.mark.parametrize("key", ["lstrip", "rstrip", "single_word", "normalized"])
def test_a_tokenizer_whose_added_tokens_take_their_surroundings_is_read_by_the_library(
    light_copy: Path, key: str
) -> None:
    path = light_copy / "tokenizer.json"
    settings_ = json.loads(path.read_text(encoding="utf-8"))
    settings_["added_tokens"][-1][key] = True
    path.write_text(json.dumps(settings_), encoding="utf-8")
    tokenizer = ModelTokenizer(open_model(str(light_copy)))
    assert tokenizer._words is None
    text = "Torque  [MASK] the x[mask]x bolts"
    (got,) = tokenizer.encode([text])
    wanted = tokenizer._tokenizer.encode(text)
    assert (got.ids.tolist(), got.offsets.tolist()) == (wanted.ids, [list(pair) for pair in wanted.offsets])


def test_capitals_count_where_the_model_keeps_them(light_copy: Path) -> None:
    path = light_copy / "tokenizer.json"
    settings_ = json.loads(path.read_text(encoding="utf-8"))
    settings_["normalizer"]["lowercase"] = False
    path.write_text(json.dumps(settings_), encoding="utf-8")
    tokenizer = ModelTokenizer(open_model(str(light_copy)))
    text = "Torque the PUMP, Seal and pump"
    wanted = tokenizer._tokenizer.encode(text)
    assert tokenizer.encode([text])[0].ids.tolist() == wanted.ids
