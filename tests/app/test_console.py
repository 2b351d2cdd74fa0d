"""The console: nothing from a document steers the terminal, and JSON stays JSON."""

from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwright.app.console import Console, Styled, as_json, escape_control
from ragwright.app.progress import Progress
from ragwright.core.types import Evidence, Span

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc", "a\nb\tc"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m\x7f\r", "\\x9b31m\\x7f\\x0d"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("naïve 漢字 👩\u200d🔬", "naïve 漢字 👩\u200d🔬"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert escape_control(text) == shown


def test_line_breaks_are_escaped_where_a_text_must_stay_on_its_line() -> None:
    assert escape_control("a\nb\tc", keep="") == "a\\x0ab\\x09c"


@given(ANY_TEXT)
def test_escaped_text_can_be_written_and_is_escaped_once(text: str) -> None:
    shown = escape_control(text)
    shown.encode("utf-8")
    assert escape_control(shown) == shown
    assert not any(ord(each) < 32 and each not in "\n\t" for each in shown)


@dataclass(frozen=True, slots=True)
class Everything:
    path: Path
    score: np.float32
    vector: np.ndarray[tuple[int], np.dtype[np.float64]]
    names: frozenset[str]
    evidence: Evidence
    nothing: None = None
    endless: float = math.inf


def test_json_understands_dataclasses_paths_and_numpy(capsys: pytest.CaptureFixture[str]) -> None:
    evidence = Evidence(Span("d", 1, 2), "tëxt\x1b[31m\u202e\x7f\udcff\n", 0.5)
    value = Everything(Path("a/b"), np.float32(0.5), np.array([1.0, np.nan]), frozenset("ba"), evidence)
    Console(json=True).emit_json(value)
    text = capsys.readouterr().out
    assert json.loads(text) == {
        "path": "a/b",
        "score": 0.5,
        "vector": [1.0, None],
        "names": ["a", "b"],
        "evidence": {
            "span": {"document_id": "d", "start": 1, "end": 2},
            "text": "tëxt\x1b[31m\u202e\x7f\udcff\n",
            "score": 0.5,
        },
        "nothing": None,
        "endless": None,
    }
    assert "tëxt\\u001b[31m\\u202e\\u007f\\udcff\\n" in text


@given(st.dictionaries(ANY_TEXT, st.lists(ANY_TEXT | st.integers() | st.none(), max_size=3), max_size=3))
def test_json_reads_back_as_the_value_and_holds_no_raw_control_character(value: object) -> None:
    text = as_json(value)
    assert json.loads(text) == value
    assert escape_control(text, keep="\n") == text


def test_json_refuses_what_it_does_not_understand() -> None:
    with pytest.raises(TypeError, match="object cannot be written as JSON"):
        Console().emit_json({"a": object()})


def test_results_go_to_stdout_and_notes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Console().out("[bold]not markup[/bold] ", Styled("\x1b[31m", "red"))
    Console().note("a note")
    assert capsys.readouterr() == ("[bold]not markup[/bold] \\x1b[31m\n", "a note\n")


def test_quiet_has_no_notes_and_json_has_no_other_result(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(json=True, quiet=True)
    console.out("a")
    console.table(["a"], [["b"]])
    console.note("c")
    console.complain("d")
    assert capsys.readouterr() == ("", "d\n")


def test_table_is_aligned_one_line_a_row_and_reads_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[list[str | Styled]] = [["[red]x", "1\n2"], [Styled("漢字", "dim"), "y" * 300]]
    Console().table(["name", "value"], rows)
    assert capsys.readouterr().out.splitlines() == [
        "name    value",
        "[red]x  1\\x0a2",
        "漢字    " + "y" * 300,
    ]


def on_terminal(code: str, **environment: str) -> str:
    """What a program writes to a terminal."""
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        env=clean | {"TERM": "xterm"} | environment,
    ):
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 4096):
                written += part
        except OSError:  # Linux says EIO when the other side has closed
            pass
    os.close(ours)
    return written.decode()


SHOW = """
from ragwright.app.console import Console, Styled
Console().out(Styled("warm", "red"))
Console().table(["head"], [["cell"]])
"""


def test_colour_is_for_terminals_that_want_it() -> None:
    assert "\x1b[31mwarm\x1b[0m" in on_terminal(SHOW)
    assert "\x1b[1mhead" in on_terminal(SHOW)
    assert "\x1b[3" not in on_terminal(SHOW, NO_COLOR="1")
    assert "\x1b" not in on_terminal(SHOW, TERM="dumb")


def test_progress_draws_bars_on_a_terminal_and_nothing_when_quiet() -> None:
    code = """
from ragwright.app.console import Console
from ragwright.app.progress import Progress
with Progress(Console(quiet={quiet})) as progress:
    progress.start(2)
    progress.chunks_done(10, 1000)
    progress.file_done("[red]a", "added")
    progress.file_done("b", "failed")
"""
    assert "2/2 files, 1 failed, 10 chunks" in on_terminal(code.format(quiet=False))
    assert on_terminal(code.format(quiet=True)) == ""


def test_progress_elsewhere_is_a_line_every_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    with Progress(Console(), clock=lambda: now) as progress:
        progress.start(100)
        for second in range(1, 13):
            now = float(second)
            progress.chunks_done(10, 900)
            progress.file_done("a", "failed" if second == 3 else "added")
    assert capsys.readouterr().err.splitlines() == [
        "4/100 files, 1 failed, 50 chunks, 10 chunks/s, 2 min left",
        "9/100 files, 1 failed, 100 chunks, 10 chunks/s, 2 min left",
    ]
    assert (progress.outcomes["added"], progress.chunks, progress.tokens) == (11, 120, 10800)
