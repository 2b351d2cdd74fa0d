"""Texts that are put into an index as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokenizer import WordPieceTokenizer

from ragwright.core.profile import load_profile
from ragwright.ingest.chunk import build_chunker
from ragwright.ingest.texts import as_document


@given(text=st.text(), source=st.sampled_from(["a.md", "a.txt", "MED-10"]))
def test_the_text_is_kept_character_by_character(text: str, source: str) -> None:
    assert as_document(source, text).text == text


@pytest.mark.parametrize("sign", ["\r", "\x00", "\u200b", "\ufeff", "\u00ad", "\r\n"])
def test_blocks_stand_where_the_text_says_despite_signs_that_parsers_drop(sign: str) -> None:
    document = as_document("a.txt", f"{sign}One{sign} line.\n\nAnother line{sign}.\n")
    texts = [document.text[block.start : block.end] for block in document.blocks]
    assert [text.strip(f" {sign}") for text in texts] == [f"One{sign} line.", f"Another line{sign}."]


def test_the_source_says_how_a_text_is_read() -> None:
    text = "# Title\n\nBody.\n"
    assert as_document("a.md", text).title == "Title"
    assert [block.kind for block in as_document("a.md", text).blocks] == ["title", "paragraph"]
    assert as_document("MED-10", text, title="Given").title == "Given"


def test_lone_surrogates_which_no_database_takes_are_replaced_one_by_one() -> None:
    assert as_document("a.txt", "a\ud800b").text == "a\ufffdb"


def test_a_document_of_unusual_signs_can_be_cut() -> None:
    chunker = build_chunker(load_profile("general"), WordPieceTokenizer())
    document = as_document("a.txt", "One\rtwo\x00three \u200bfour.\n\nFive.")
    assert "".join(chunk.text for chunk in chunker(document)).split()[-1] == "Five."
