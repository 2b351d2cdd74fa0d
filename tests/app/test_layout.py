"""Running text on a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.app.console import Console
from ragwright.app.layout import shortened, tell_text


def shown(
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    columns: int,
    tail: str = "",
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    tell_text(Console(), text, indent=3, tail=tail)
    return capsys.readouterr().out.splitlines()


def test_paragraphs_are_wrapped_and_indented_and_end_in_their_tail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown("one two\nthree four five\n\nsix", monkeypatch, capsys, columns=25, tail="[0-28]")
    assert lines == ["   one two three four", "   five", "   six [0-28]"]


def test_rows_of_a_table_keep_their_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown("M16 | 190 Nm\nM20 | 350 Nm\nafter it", monkeypatch, capsys, columns=80)
    assert lines == ["   M16 | 190 Nm", "   M20 | 350 Nm", "   after it"]


@pytest.mark.parametrize("columns", [30, 60, 200])
def test_lines_fit_a_terminal_also_in_wide_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    lines = shown("検索結果は根拠の文とともに表示されます。" * 8, monkeypatch, capsys, columns=columns)
    cells = [sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in line) for line in lines]
    assert max(cells) < min(columns, 101) + 3


def test_a_text_that_is_not_for_a_terminal_has_a_line_to_a_paragraph(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_text(Console(), "word " * 100 + "\x1b[2J\n\nend")
    assert capsys.readouterr().out == "word " * 100 + "\\x1b[2J\nend\n"


def test_a_marker_is_bold_and_offsets_are_dim(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    tell_text(Console(), "It is red. [1]")
    tell_text(Console(), "It is red.", tail="[3-9, 0.512]")
    assert capsys.readouterr().out.splitlines() == [
        "It is red. \x1b[1m[1]\x1b[0m",
        "It is red. \x1b[2m[3-9, 0.512]\x1b[0m",
    ]


@given(st.text(), st.integers(1, 50))
def test_a_shortened_text_is_its_beginning(text: str, characters: int) -> None:
    line = " ".join(text.split())
    short = shortened(text, characters)
    assert short == line if len(line) <= characters else line.startswith(short.removesuffix(" …"))
    assert len(short) <= max(characters, 0) + 2
