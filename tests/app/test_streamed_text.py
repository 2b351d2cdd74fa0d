"""Text that is shown while it is written: every word of it, wrapped, however it comes in pieces."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwright.app.console import Console
from ragwright.app.streamed_text import Status, StreamedText, is_watched


class Terminal(io.StringIO):
    """What a terminal is given."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "41")
    monkeypatch.setenv("NO_COLOR", "1")


def shown(*pieces: str) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        text = StreamedText(Console())
        for each in pieces:
            text.add(each)
        text.end()
    return out.getvalue()


PROSE = st.text("ab [1].\n|-\t\u6cf5\u624b\U0001f527\u0301", max_size=200)


@settings(max_examples=25)
@given(PROSE, st.lists(st.integers(0, 200), max_size=8))
def test_how_the_text_is_cut_into_pieces_changes_nothing(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(each, len(text)) for each in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(places)]
    assert shown(*pieces) == shown(text)


@settings(max_examples=25)
@given(PROSE)
def test_every_sign_is_shown_in_order_and_nothing_else(text: str) -> None:
    assert "".join(shown(text).split()) == "".join(text.split())


@settings(max_examples=25)
@given(st.text("abc de\n", max_size=300))
def test_no_line_is_wider_than_the_terminal_unless_a_word_is(text: str) -> None:
    longest = max(map(len, text.split()), default=0)
    assert all(len(line) <= max(40, longest) for line in shown(text).splitlines())


def test_paragraphs_lists_and_rows_keep_their_lines_and_prose_runs_on() -> None:
    text = "The first\nline [1].\n\n\nSteps:\n- one\n2. two\n| a | b |\n| c | d |\nend"
    lines = ["The first line [1].", "", "Steps:", "- one", "2. two", "| a | b |", "| c | d |", "end"]
    assert shown(text).splitlines() == lines


def test_text_without_blanks_is_wrapped_by_its_width() -> None:
    lines = shown("\u6cf5" * 50).splitlines()
    assert [len(line) for line in lines] == [20, 20, 10]


def test_a_word_is_shown_as_soon_as_it_is_whole() -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        text = StreamedText(Console())
        text.add("The gate op")
        assert out.getvalue() == "The gate"
        text.add("ens \u6cf5\u624b")
        assert out.getvalue() == "The gate opens \u6cf5"


def test_what_steers_a_terminal_is_shown_also_when_it_comes_in_pieces() -> None:
    assert shown("\x1b", "[31mred \x9b2J ", "\u202eback") == "\\x1b[31mred \\x9b2J \\u202eback\n"


def test_no_text_writes_nothing() -> None:
    assert shown() == shown(" \n ") == ""


@pytest.mark.parametrize(
    ("console", "streams", "term"),
    [
        (Console(), Terminal, "xterm"),
        (Console(quiet=True), Terminal, "xterm"),
        (Console(json=True), Terminal, "xterm"),
        (Console(), io.StringIO, "xterm"),
        (Console(), Terminal, "dumb"),
    ],
)
def test_the_status_is_said_to_a_person_alone_and_taken_away_once(
    console: Console, streams: type[io.StringIO], term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    error = Terminal()
    with redirect_stdout(streams()), redirect_stderr(error), Status(console) as status:
        status.say("searching")
        status.say("writing")
        status.clear()
    wanted = console == Console() and streams is Terminal and term == "xterm"
    assert error.getvalue() == ("\r\x1b[Ksearching …\r\x1b[Kwriting …\r\x1b[K" if wanted else "")


def test_json_and_what_is_piped_is_not_watched() -> None:
    with redirect_stdout(Terminal()):
        assert is_watched(Console()) and not is_watched(Console(json=True))
    with redirect_stdout(io.StringIO()):
        assert not is_watched(Console())
