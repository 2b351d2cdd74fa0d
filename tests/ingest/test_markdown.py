"""Markdown keeps its text; blocks are exact ranges of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.ingest.hidden import remove_hidden
from ragwright.ingest.markdown import parse_markdown
from ragwright.ingest.plain import decode

LINES = st.lists(
    st.sampled_from(
        ["# Title", "Under", "====", "---", "text *here*", "- item", "  - inner", "1. one", "> quote", "```",
         "    code", "| a | b |", "|---|---|", "", "<!-- no -->", "<div>", "[x]: http://y", "   ", "#", "-",
         ">", "> - # deep", "\tx"]
    ) | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12),
    max_size=15,
)  # fmt: skip


def _pieces(text: str) -> list[tuple[str, int | None, str]]:
    parsed = parse_markdown(text.encode(), "a.md")
    return [(block.kind, block.level, parsed.text[block.start : block.end]) for block in parsed.blocks]


def test_headings_are_titles_without_their_marks() -> None:
    """Number signs, closing signs and underlines stay in the text but not in the span."""
    assert _pieces("# One #\n\n> ## *Two*\n\nThree\nlines\n---\n") == [
        ("title", 1, "One"),
        ("title", 2, "*Two*"),
        ("title", 2, "Three\nlines"),
    ]


def test_lists_give_items_with_their_depth() -> None:
    """An item's later paragraphs are items too; nested items do not overlap their parents."""
    assert _pieces("- one\n\n  more\n  - two\n    1. three\n- four\n\nend") == [
        ("list_item", 1, "- one"),
        ("list_item", 1, "more"),
        ("list_item", 2, "- two"),
        ("list_item", 3, "1. three"),
        ("list_item", 1, "- four"),
        ("paragraph", None, "end"),
    ]


def test_a_table_spans_its_header_its_delimiter_and_its_rows() -> None:
    """The delimiter line lies in no row."""
    assert _pieces("para\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nend") == [
        ("paragraph", None, "para"),
        ("table", None, "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"),
        ("table_header", None, "| a | b |"),
        ("table_row", None, "| 1 | 2 |"),
        ("table_row", None, "| 3 | 4 |"),
        ("paragraph", None, "end"),
    ]


def test_code_is_one_block_with_its_fence() -> None:
    """Blank lines inside belong to it, as does the indentation of an indented block."""
    assert _pieces("```py\nx = 1\n\n# no title\n```\n\n    y = 2\n\n    z = 3\n\nend") == [
        ("code", None, "```py\nx = 1\n\n# no title\n```"),
        ("code", None, "    y = 2\n\n    z = 3"),
        ("paragraph", None, "end"),
    ]


def test_quotes_and_link_definitions_are_paragraphs() -> None:
    """Nothing that can be read is dropped."""
    assert _pieces("> a\n> b\n\n[x]: http://y\n") == [
        ("paragraph", None, "> a\n> b"),
        ("paragraph", None, "[x]: http://y"),
    ]


def test_what_a_reader_does_not_see_gets_no_block() -> None:
    """Rules, comments, scripts and bare tags; HTML with text is a paragraph."""
    text = "<!-- ignore\nall rules -->\n\n***\n\n<script>\nx\n</script>\n\n<br>\n\n<div>\nseen\n</div>\n"
    assert _pieces(text) == [("paragraph", None, "<div>\nseen\n</div>")]


def test_front_matter_becomes_metadata_and_title() -> None:
    """Simple fields only; offsets count its lines."""
    text = '---\ntitle: "Rules: all"\nauthor: A. B.\ntags:\n  - x\n---\n# Other\n'
    parsed = parse_markdown(text.encode(), "a.md")
    assert (parsed.title, parsed.metadata) == ("Rules: all", {"title": "Rules: all", "author": "A. B."})
    assert [parsed.text[block.start : block.end] for block in parsed.blocks] == ["Other"]
    assert parsed.text == text


def test_a_rule_on_the_first_line_is_no_front_matter() -> None:
    """The line after it must be a field."""
    assert _pieces("---\nJust text\n\n---\n") == [("paragraph", None, "Just text")]


@pytest.mark.parametrize(
    ("text", "title"), [("## b\n\n# First\n\n# Second", "First"), ("## b", ""), ("text", "")]
)
def test_the_title_is_the_first_heading_of_level_one(text: str, title: str) -> None:
    """And empty without one."""
    assert parse_markdown(text.encode(), "a.md").title == title


@given(LINES)
def test_blocks_are_ordered_and_hold_every_visible_line(lines: list[str]) -> None:
    """The text is the file itself; letters lie in a block unless Markdown does not show them."""
    data = "\n".join(lines).encode()
    parsed = parse_markdown(data, "a.md")
    assert parsed.text == remove_hidden(decode(data))[0]
    end, table_end = 0, 0
    covered: set[int] = set()
    for block in parsed.blocks:
        assert 0 <= block.start < block.end <= len(parsed.text)
        assert parsed.text[block.start : block.end].strip()
        if block.kind in ("table_header", "table_row"):
            assert block.end <= table_end
        else:
            assert block.start >= end
            end = block.end
        table_end = block.end if block.kind == "table" else table_end
        covered.update(range(block.start, block.end))
    if "<" not in parsed.text and not parsed.text.startswith("---"):
        missing = [c for at, c in enumerate(parsed.text) if at not in covered and c.isalpha()]
        assert missing == []


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b">" * 100_000,
        b"- " * 50_000,
        b"<!--" * 50_000,
        b"`" * 100_000,
        b"|" * 50_000 + b"\n" + b"|-" * 50_000,
        b"".join(b" " * 2 * depth + b"- a\n" for depth in range(300)),
        b"> " * 500 + b"a\n",
    ],
    ids=["brackets", "quotes", "dashes", "comments", "ticks", "cells", "deep list", "deep quote"],
)
def test_a_hostile_file_does_not_hang(data: bytes) -> None:
    """Nesting is bounded, and what lies deeper is still text."""
    started = time.process_time()
    parse_markdown(data, "a.md")
    assert time.process_time() - started < 3


def test_what_is_nested_too_deeply_becomes_a_paragraph() -> None:
    """No line is lost."""
    text = "".join("  " * depth + f"- item{depth}\n" for depth in range(40))
    assert "item39" in _pieces(text)[-1][2]
