"""Bytes become text in the right encoding; plain text keeps every character and gets exact blocks."""

from __future__ import annotations

import codecs
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.core.errors import InputError
from ragwright.ingest.hidden import remove_hidden
from ragwright.ingest.plain import decode, parse_plain

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n\t -1.A"))


def _pieces(text: str) -> list[tuple[str, str]]:
    parsed = parse_plain(text.encode(), "a.txt")
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (b"", "utf-8"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
    ],
)
def test_unicode_encodings_are_recognised(mark: bytes, encoding: str) -> None:
    """With a byte order mark or without; the mark is no part of the text."""
    text = "Straße, naïve, and “quotes” 😀.\n" * 5
    assert decode(mark + text.encode(encoding)) == text


def test_windows_text_is_read_as_cp1252() -> None:
    """Its five undefined bytes become control characters and never an error."""
    assert decode(b"na\xefve caf\xe9 \x93quoted\x94 \x81") == "naïve café “quoted” \x81"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Привет, это обычный текст на русском языке."),
        ("koi8_r", "Привет, это обычный текст на русском языке."),
        ("cp1253", "Αυτό είναι ένα ελληνικό κείμενο για δοκιμή."),
        ("cp932", "これは日本語のテキストです。カタカナも漢字もあります。"),
        ("gb18030", "这是一个中文文本,用于测试编码检测。"),
        ("big5", "這是一個中文文本,用於測試編碼檢測。"),
        ("cp949", "이것은 인코딩 감지를 시험하기 위한 한국어 텍스트입니다."),
    ],
)
def test_other_scripts_are_told_by_their_letters(encoding: str, text: str) -> None:
    """Lines without high bytes do not hide those that have them."""
    assert text in decode(("Plain heading\n" * 100 + text).encode(encoding))


def test_one_broken_byte_does_not_change_the_encoding_of_a_file() -> None:
    """UTF-8 that was cut off or patched stays UTF-8."""
    assert decode("Grüße aus Köln, schöne Stadt, überall Bäume, äöü".encode() + b"\xc3") == (
        "Grüße aus Köln, schöne Stadt, überall Bäume, äöü\ufffd"
    )


@pytest.mark.parametrize("data", [bytes(range(256)) * 4, b"text\0more text", b"\x01\x02\x03\x04\x05 a"])
def test_binary_data_is_refused(data: bytes) -> None:
    """Zero bytes and many control characters are no text."""
    with pytest.raises(InputError, match="binary data"):
        decode(data)


def test_line_ends_become_newlines_and_nothing_else_changes() -> None:
    """Carriage returns alone and in pairs; tabs, form feeds and trailing spaces stay."""
    assert decode(b"a\r\nb\rc\n\td \x0c\n") == "a\nb\nc\n\td \x0c\n"


@given(TEXT)
def test_the_canonical_text_is_the_file(text: str) -> None:
    """Only hidden characters are missing, and every visible one lies in exactly one block."""
    parsed = parse_plain(text.encode(), "a.txt")
    assert parsed.text == remove_hidden(decode(text.encode()))[0]
    end, seen = 0, ""
    for block in parsed.blocks:
        assert end <= block.start < block.end <= len(parsed.text)
        piece = parsed.text[block.start : block.end]
        assert piece == piece.strip()
        seen += piece
        end = block.end
    assert "".join(seen.split()) == "".join(parsed.text.split())


def test_hidden_characters_are_removed_before_offsets_are_taken() -> None:
    """Blocks fit the text without them."""
    parsed = parse_plain("a\u200bb\n\nc".encode(), "a.txt")
    assert (parsed.text, parsed.hidden_characters) == ("ab\n\nc", 1)
    assert parsed.blocks[1].start == 4


def test_paragraphs_are_parted_by_blank_lines() -> None:
    """A line of spaces is blank."""
    assert _pieces("One\nstill one.\n \t\n\n  Two.\n") == [
        ("paragraph", "One\nstill one."),
        ("paragraph", "Two."),
    ]


def test_runs_of_marked_lines_are_list_items() -> None:
    """An opening line stays apart, and an item keeps its continuation lines."""
    assert _pieces("Buy:\n- milk\n  and cream\n- eggs\n\n1. first\n2) second") == [
        ("paragraph", "Buy:"),
        ("list_item", "- milk\n  and cream"),
        ("list_item", "- eggs"),
        ("list_item", "1. first"),
        ("list_item", "2) second"),
    ]


def test_one_marked_line_inside_prose_is_no_list() -> None:
    """Wrapped prose may begin a line with a dash."""
    assert [kind for kind, _ in _pieces("He came\n- late as ever -\nand left.")] == ["paragraph"]


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("CHAPTER I", 2),
        ("Chapter 12: The Return", 2),
        ("BOOK ONE: 1805", 1),
        ("GENERAL PROVISIONS", 2),
        ("Part of the answer", None),
        ("Section 5 of the Act applies here", None),
        ("STOP!", None),
        ("USA", None),
        ("1984", None),
        ("An ordinary line", None),
    ],
)
def test_only_unmistakable_lines_are_titles(line: str, level: int | None) -> None:
    """Numbered divisions and lines in capitals that stand alone."""
    block = parse_plain(f"Some text.\n\n{line}\n\nMore text.".encode(), "a.txt").blocks[1]
    assert (block.kind, block.level) == (("title", level) if level else ("paragraph", None))


@pytest.mark.parametrize("megabytes", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_megabytes_in_one_line_are_one_block(megabytes: int) -> None:
    """In linear time, and without a blow-up of memory."""
    started = time.process_time()
    parsed = parse_plain(b"word " * (megabytes * 200_000), "a.txt")
    assert len(parsed.blocks) == 1
    assert time.process_time() - started < megabytes / 5
