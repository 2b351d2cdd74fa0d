"""The model's tokenizer, whole and in pieces."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.core.errors import ModelError
from ragwright.retrieval import tokens as module
from ragwright.retrieval.model import DEFAULT_MODEL, open_model
from ragwright.retrieval.tokens import ModelTokenizer

TOKENIZER = ModelTokenizer(open_model(DEFAULT_MODEL))
# As models are read whose words depend on one another.
IN_PIECES = ModelTokenizer(open_model(DEFAULT_MODEL))
IN_PIECES._words = None


def test_a_text_has_as_many_starts_as_the_model_reads_tokens_besides_its_special_ones() -> None:
    text = "Torque the M8 bolts to 35 N·m (±5 %) – naïve café. 漢字 🚀"
    (encoded,) = TOKENIZER.encode([text])
    starts = TOKENIZER.starts(text)
    assert len(starts) + TOKENIZER.special_tokens == len(encoded.ids)
    np.testing.assert_array_equal(encoded.offsets[1:-1, 0], starts)
    assert encoded.offsets[[0, -1]].tolist() == [[0, 0], [0, 0]]
    assert (TOKENIZER.max_tokens, TOKENIZER.special_tokens) == (256, 2)


@given(st.text(max_size=200))
def test_starts_ascend_inside_the_text(text: str) -> None:
    starts = TOKENIZER.starts(text)
    assert starts.dtype == np.int64
    assert (np.diff(starts) >= 0).all()
    assert all(0 <= start < len(text) for start in starts)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 50))
def test_a_text_read_in_pieces_has_the_same_tokens(seed: int, piece: int) -> None:
    chance = random.Random(seed)
    words = ["pump", "unbelievable", "x", "ß", "Ünïcode", "a.b.c", "漢字", "4711", "\n", "  "]
    text = " ".join(chance.choices(words, k=60))
    whole = TOKENIZER.starts(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        np.testing.assert_array_equal(IN_PIECES.starts(text), whole)
        np.testing.assert_array_equal(IN_PIECES.spans(text), TOKENIZER.spans(text))


RUNS = st.sampled_from(
    ["x", "Ab3", "é", "e\u0301", "\u0301", "日", "文。", "ひら", "한", ".", "/", "-", "_", "[SEP]",
     "[", "]", "\n", " ", "\x0b", "\u200b", "\u00ad", "\u3000", "☑", "🚀", "ﷺ", "ß"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(RUNS, st.sampled_from([1, 2, 5, 150])), max_size=25), st.integers(1, 60))
def test_text_without_white_space_read_in_pieces_has_the_same_tokens(
    runs: list[tuple[str, int]], piece: int
) -> None:
    text = "".join(part * times for part, times in runs)
    whole = TOKENIZER._tokenizer.encode(text, add_special_tokens=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        starts = IN_PIECES.starts(text)
    assert starts.tolist() == [offset[0] for offset in whole.offsets]


def test_a_long_text_is_not_cut_off() -> None:
    assert len(TOKENIZER.starts("pump " * 50_000)) == 50_000
    assert len(TOKENIZER.encode(["pump " * 1_000])[0].ids) == 1_002


def test_a_long_text_without_white_space_is_read_as_well() -> None:
    assert len(TOKENIZER.starts("." * 30_000)) == 30_000


def test_nothing_has_no_tokens() -> None:
    assert TOKENIZER.starts("").shape == (0,)
    assert TOKENIZER.starts(" \n ").shape == (0,)
    assert TOKENIZER.encode([]) == []
    assert IN_PIECES.starts("").shape == (0,)
    assert IN_PIECES.spans("").shape == (0, 2)
    assert len(TOKENIZER.encode([""])[0].ids) == 2


@pytest.mark.parametrize("prompt", ["passage: ", "Represent this: ", "title: none | text:"])
def test_the_tokens_of_a_prompt_before_passages_are_counted_as_special(light_copy: Path, prompt: str) -> None:
    path = light_copy / "config_sentence_transformers.json"
    path.write_text(json.dumps({"prompts": {"query": "a long query ", "document": prompt}}), encoding="utf-8")
    tokenizer = ModelTokenizer(open_model(str(light_copy)))
    for text in ("Pumps > Seals\nTorque the bolts.", "unbelievable", "4711", "\u6f22\u5b57", "(x)"):
        (encoded,) = tokenizer.encode([prompt + text])
        assert len(tokenizer.starts(text)) + tokenizer.special_tokens == len(encoded.ids)


def test_a_damaged_tokenizer_is_named(light_copy: Path) -> None:
    (light_copy / "tokenizer.json").write_text('{"model": 7}', encoding="utf-8")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        ModelTokenizer(open_model(str(light_copy)))
