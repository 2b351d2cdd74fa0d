"""Every block of a built text lies exactly where its offsets say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.types import Parsed
from ragwright.ingest.canonical import TextBuilder

WORDS = st.text(st.characters(codec="utf-8"), max_size=20)


def _pieces(parsed: Parsed) -> list[tuple[str, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def test_blocks_are_parted_by_an_empty_line() -> None:
    """Offsets count the separators."""
    builder = TextBuilder()
    builder.add("title", " Rules ", level=1, page=1)
    builder.add("paragraph", "Be exact.", page=2, box=(0.0, 1.0, 2.0, 3.0))
    parsed = builder.build(media_type="text/html", title="The\n rules", metadata={"author": "A"})
    assert parsed.text == "Rules\n\nBe exact."
    assert _pieces(parsed) == [("title", "Rules"), ("paragraph", "Be exact.")]
    assert (parsed.title, parsed.media_type, parsed.metadata) == ("The rules", "text/html", {"author": "A"})
    assert (parsed.blocks[0].level, parsed.blocks[1].page) == (1, 2)
    assert parsed.blocks[1].box == (0.0, 1.0, 2.0, 3.0)


def test_a_block_without_visible_text_is_left_out() -> None:
    """White space and hidden characters are no text; what is hidden is counted all the same."""
    builder = TextBuilder()
    builder.add("paragraph", " \n\t")
    builder.add("paragraph", "\u200b")
    builder.add_table([["", " "], []])
    parsed = builder.build(media_type="text/html")
    assert (parsed.text, parsed.blocks, parsed.hidden_characters) == ("", (), 1)


def test_code_keeps_its_indentation() -> None:
    """Only outer blank lines and trailing spaces go."""
    builder = TextBuilder()
    builder.add("code", "\n    if x:\n        y()\n  \n")
    assert builder.build(media_type="text/html").text == "    if x:\n        y()"


def test_a_table_comes_before_its_rows_and_spans_them() -> None:
    """Cells become single-spaced, rows become lines, empty rows are left out."""
    builder = TextBuilder()
    builder.add("paragraph", "Prices:")
    builder.add_table([["what", "how\nmuch"], ["", ""], ["tea", "2"]], page=3)
    parsed = builder.build(media_type="text/html")
    assert _pieces(parsed) == [
        ("paragraph", "Prices:"),
        ("table", "what | how much\ntea | 2"),
        ("table_header", "what | how much"),
        ("table_row", "tea | 2"),
    ]
    assert {block.page for block in parsed.blocks[1:]} == {3}


@given(st.lists(WORDS | st.lists(st.lists(WORDS, max_size=3), max_size=3), max_size=8))
def test_blocks_never_overlap_and_rows_lie_in_their_table(parts: list[str | list[list[str]]]) -> None:
    """Whatever is added, spans are ordered, not empty, and inside the text."""
    builder = TextBuilder()
    for part in parts:
        if isinstance(part, str):
            builder.add("paragraph", part)
        else:
            builder.add_table(part)
    parsed = builder.build(media_type="text/html")
    end, table_end = 0, 0
    for block in parsed.blocks:
        assert 0 <= block.start < block.end <= len(parsed.text)
        if block.kind in ("table_header", "table_row"):
            assert block.end <= table_end
        else:
            assert block.start >= end
            end = block.end
        table_end = block.end if block.kind == "table" else table_end
